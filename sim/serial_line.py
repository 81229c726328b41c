"""A design with a UART in a simulator, and a pseudo-terminal by which a host talks to it."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

from sterna.sim.errors import SimulationError
from sterna.sim.simulation import Simulation
from sterna.sim.simulators import Simulator

_BENCH = "sterna.sim.benches.serial_line"
#: Seconds in which a simulation starts, and answers.
_PATIENCE = 60.0
_LOOK_SECONDS = 0.002

#: Gives the ports that a bench drives and looks at to Verilator, which hides all others.
_HARNESS = """\
module serial_harness;
  reg clk /* verilator public_flat_rw */;
  reg rst /* verilator public_flat_rw */;
  reg rx /* verilator public_flat_rw */;
  wire tx /* verilator public_flat_rd */;
  {top} dut (.clk(clk), .rst(rst), .rx(rx), .tx(tx));
endmodule
"""


class SerialSimulation:
    """Verilog with ``clk``, ``rst``, ``rx`` and ``tx`` that runs while the block lasts.

    Time in the simulator goes on whether a host is there or not, as fast as it can; while nothing moves, slowly. What
    goes over the line can be damaged, and the design reset, at random: see :meth:`inject`.

    Parameters
    ----------
    verilog : str
        The design.
    top : str
        Its top module.
    folder : path
        Where the build is kept.
    divider : int
        Clocks of a bit in the design.
    clocks_per_bit : float, optional
        Clocks of a bit on the host's side. Default: ``divider``.
    simulator : ``"verilator"`` or ``"icarus"``
    seed : int
        Of the faults, and of what nobody initialized.
    delays : bool
        The Verilog has delays, as models of PLLs do.

    Raises
    ------
    ToolError
        If the simulator is missing.
    SimulationError
        If it refuses the Verilog, or ends while the block lasts.
    """

    def __init__(
        self,
        verilog: str,
        *,
        top: str,
        folder: str | Path,
        divider: int,
        clocks_per_bit: float | None = None,
        simulator: str | Simulator = Simulator.VERILATOR,
        seed: int = 0,
        delays: bool = False,
    ) -> None:
        self._simulation = Simulation(
            simulator=Simulator.of(simulator),
            sources={"design.v": verilog, "harness.v": _HARNESS.format(top=top)},
            top="serial_harness",
            folder=Path(folder) / f"{top}-{Simulator.of(simulator).value}",
            marked=True,
            delays=delays,
        )
        self._clocks = float(divider if clocks_per_bit is None else clocks_per_bit)
        self._seed = seed
        self._number = 0
        self._rates: dict[str, float] = {}
        self._error: BaseException | None = None
        self._run: Path | None = None

    def __enter__(self) -> SerialSimulation:
        self._context = self._simulation.new_run()
        self._run = self._context.__enter__()
        self._order()
        self._thread = threading.Thread(target=self._work, name="serial simulation", daemon=True)
        self._thread.start()
        try:
            self._await(lambda: (self._folder / "port.txt").is_file(), "did not start")
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()
        if self._error is not None and error is None:
            raise self._error

    @property
    def port(self) -> str:
        """The terminal's name."""
        return (self._folder / "port.txt").read_text(encoding="utf-8")

    def inject(self, **rates: float) -> None:
        """Sets how often faults come, from now on.

        Parameters
        ----------
        flipped, dropped, doubled : float
            Share of the bytes, both ways, of which a bit is inverted, that are lost, or that come twice.
        noise : float
            Share of the bytes to the design after which somebody pulls the line low for a while.
        reset : float
            Share of the bytes' times in which the design is reset.
        """
        self._rates = rates
        self._order()

    def faults(self) -> dict[str, int]:
        """How many faults of each kind there were, and the bytes on the line: ``sent`` to the design, ``received``."""
        self._order()
        self._await(lambda: self._counts().get("seen") == self._number, "does not answer")
        counts = self._counts()
        del counts["seen"]
        return counts

    @property
    def _folder(self) -> Path:
        assert self._run is not None, "the simulation runs in a with block only"
        return self._run

    def _counts(self) -> dict[str, int]:
        try:
            return dict(json.loads((self._folder / "faults.json").read_text(encoding="utf-8")))
        except FileNotFoundError:
            return {}

    def _order(self, **more: Any) -> None:
        self._number += 1
        beside = self._folder / "control.part"
        beside.write_text(json.dumps({**self._rates, **more, "number": self._number}), encoding="utf-8")
        beside.replace(self._folder / "control.json")

    def _await(self, done: Callable[[], bool], failure: str) -> None:
        end = time.monotonic() + _PATIENCE
        while not done():
            if self._error is not None:
                raise self._error
            if not self._thread.is_alive() or time.monotonic() > end:
                raise SimulationError(f"the simulation of a serial line {failure}")
            time.sleep(_LOOK_SECONDS)

    def _work(self) -> None:
        plusargs = [f"+clocks_per_bit={self._clocks}", f"+line_seed={self._seed}"]
        try:
            self._simulation.run(
                _BENCH, test="terminal", folder=self._folder, what="serial line", plusargs=plusargs, seed=self._seed
            )
        except BaseException as error:
            self._error = error

    def _end(self) -> None:
        self._order(stop=True)
        self._thread.join(_PATIENCE)
        self._context.__exit__(None, None, None)
        self._run = None
