"""A mapped netlist as a model: what synthesis made of the emitted Verilog, simulated cell by cell."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Any

from sterna.net.errors import InvalidTypeError
from sterna.sim.rtl import RtlModel

__all__ = ["GateLevelModel"]

_PRIMITIVES = ("dp16kd.v", "sb_spram256ka.v")


class GateLevelModel(RtlModel):
    """An accelerator's mapped netlist, behind the same streams, judged by the same rules as the emitted Verilog.

    Parameters
    ----------
    directory : path
        As for :class:`~sterna.sim.rtl.RtlModel`: what the streams carry.
    gates : path
        The netlist as Verilog, with its cells but for ECP5's block RAM and iCE40's SPRAM
        (:func:`sterna.flow.gate_level.write_gates`).
    **options
        As for :class:`~sterna.sim.rtl.RtlModel`, but for ``trace``: a netlist has no units.

    Raises
    ------
    :exc:`TypeError`
        If ``trace`` is asked for.
    """

    _level = "gates-"

    def __init__(self, directory: str | Path, gates: str | Path, **options: Any) -> None:
        if options.get("trace"):
            raise InvalidTypeError("a netlist cannot be traced: it has no units")
        self._gates = Path(gates)
        super().__init__(directory, **options)

    def _design(self) -> str:
        primitives = resources.files("sterna.sim") / "primitives"
        cells = [(primitives / name).read_text(encoding="utf-8") for name in _PRIMITIVES]
        return "\n".join([*cells, self._gates.read_text(encoding="utf-8")])
