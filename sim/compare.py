"""Emitted Verilog against the golden model, value by value, and the first unit that is wrong."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sterna.net import Network
from sterna.net.errors import InvalidValueError
from sterna.sim.errors import ManifestError, MismatchError, SimulationError
from sterna.sim.golden import GoldenModel
from sterna.sim.manifest import Manifest, Unit
from sterna.sim.rtl import RtlModel
from sterna.sim.simulators import Simulator
from sterna.sim.stalls import Stall
from sterna.sim.timing import MeasuredTiming


@dataclass(frozen=True, kw_only=True)
class Report:
    """What a comparison found.

    Parameters
    ----------
    name, network_digest : :class:`str`
        The accelerator and its network.
    simulator : :class:`~sterna.sim.simulators.Simulator`
        Which one ran.
    frames : :class:`int`
        Frames that were compared.
    outputs : int64, (frames, \\*output shape)
        What the Verilog computed.
    mismatch : :class:`~sterna.sim.errors.MismatchError` or ``None``
        The first difference.
    timing : :class:`~sterna.sim.timing.MeasuredTiming`
        Measured.
    manifest : :class:`~sterna.sim.manifest.Manifest`
        What the generator computed.
    waves_path : :class:`~pathlib.Path` or ``None``
        The waveform file, if waves were asked for.
    """

    name: str
    network_digest: str
    simulator: Simulator
    frames: int
    outputs: np.ndarray
    mismatch: MismatchError | None
    timing: MeasuredTiming
    manifest: Manifest
    waves_path: Path | None = None

    @property
    def equal(self) -> bool:
        """Whether every value was equal."""
        return self.mismatch is None

    @property
    def latency_cycles(self) -> int | None:
        """Measured; ``None`` with stalls."""
        return self.timing.latency_cycles

    @property
    def interval(self) -> Fraction | None:
        """Measured, exactly; ``None`` with stalls, or fewer frames than the interval needs."""
        return self.timing.interval

    @property
    def interval_cycles(self) -> int | float | None:
        """:attr:`interval` as a number."""
        return self.timing.interval_cycles

    @property
    def largest_gap_cycles(self) -> int | None:
        """Measured; ``None`` where the interval is."""
        return self.timing.largest_gap_cycles

    @property
    def computed_latency_cycles(self) -> int:
        """What the generator computed."""
        return self.manifest.latency_cycles

    @property
    def computed_interval_cycles(self) -> int | float:
        """What the generator computed."""
        return self.manifest.interval_cycles

    @property
    def timing_equal(self) -> bool:
        """Whether what was measured of the timing is what was computed."""
        return not self.timing.differences(self.manifest)

    def check(self) -> None:
        """Raises what was found.

        Raises
        ------
        :exc:`~sterna.sim.errors.MismatchError`
            If a value differs, or the timing.
        """
        if self.mismatch is not None:
            raise self.mismatch
        if not self.timing_equal:
            raise MismatchError(f"{self.name}: {'; '.join(self.timing.differences(self.manifest))}")

    def as_json(self) -> dict[str, Any]:
        """The figures, without the outputs."""
        return {
            "name": self.name,
            "network_digest": self.network_digest,
            "simulator": self.simulator.value,
            "frames": self.frames,
            "equal": self.equal,
            "mismatch": None if self.mismatch is None else str(self.mismatch),
            "latency_cycles": self.latency_cycles,
            "interval_cycles": self.interval_cycles,
            "computed_latency_cycles": self.computed_latency_cycles,
            "computed_interval_cycles": self.computed_interval_cycles,
            "largest_gap_cycles": self.largest_gap_cycles,
            "computed_largest_gap_cycles": self.manifest.largest_gap_cycles,
            "timing_equal": self.timing_equal,
            "waves_path": None if self.waves_path is None else str(self.waves_path),
        }


def compare(
    network: Network,
    directory: str | Path,
    x: npt.ArrayLike,
    *,
    simulator: str | Simulator = Simulator.VERILATOR,
    input_stall: Stall | None = None,
    output_stall: Stall | None = None,
    seed: int = 0,
    waves: bool = False,
    trace: bool = False,
    build_dir: str | Path | None = None,
) -> Report:
    """Runs frames through the Verilog and the golden model, and compares every value.

    Where an output differs, the frames up to the first wrong one run again with every unit traced, to name the first
    unit that is wrong.

    Parameters
    ----------
    network : :class:`~sterna.net.Network`
        The network that the Verilog was made from.
    directory : path
        Where the Verilog is.
    x : integers or integral floats, (frames, \\*input shape)
        Codes.
    trace : :class:`bool`
        Compare every unit's output too, even where the outputs are equal.
    simulator, input_stall, output_stall, seed, waves, build_dir
        As in :class:`~sterna.sim.rtl.RtlModel`.

    Raises
    ------
    :exc:`~sterna.sim.errors.ManifestError`
        If the Verilog was made from another network.
    :exc:`ValueError`
        If there are no frames, which would be equal to anything.
    :exc:`~sterna.sim.errors.SimulationError`, :exc:`~sterna.net.errors.ToolError`, :exc:`TypeError`, :exc:`ValueError`
        As :meth:`~sterna.sim.rtl.RtlModel.predict`.
    """
    options: dict[str, Any] = {
        "simulator": simulator,
        "input_stall": input_stall,
        "output_stall": output_stall,
        "seed": seed,
        "build_dir": build_dir,
    }
    model = RtlModel(directory, waves=waves, trace=trace, **options)
    manifest = model.manifest
    if manifest.network_digest != network.digest:
        raise ManifestError(
            f"{manifest.path}: made from another network (digest {manifest.network_digest[:12]}..., "
            f"not {network.digest[:12]}...); generate the Verilog again"
        )
    codes = np.asarray(x)
    if codes.shape[:1] == (0,):
        raise InvalidValueError(f"{manifest.name}: there are no frames to compare; give at least one")
    outputs = model.predict(codes)
    golden = GoldenModel(network)
    expected = (golden.classify(codes) if manifest.output.argmax else golden.predict(codes)).reshape(outputs.shape)
    wrong = _first(expected, outputs)
    mismatch = None
    if trace:
        mismatch = first_wrong_unit(golden, model, codes)
    elif wrong is not None:
        mismatch = _locate(golden, RtlModel(directory, trace=True, **options), codes[: wrong[0] + 1])
    if mismatch is None and wrong is not None:
        mismatch = _describe(f"{manifest.name}: every unit is right, but the output", None, wrong, expected, outputs)
    return Report(
        name=manifest.name,
        network_digest=network.digest,
        simulator=model.simulator,
        frames=len(outputs),
        outputs=outputs,
        mismatch=mismatch,
        timing=model.timing,
        manifest=manifest,
        waves_path=model.waves_path,
    )


def first_wrong_unit(golden: GoldenModel, model: RtlModel, x: np.ndarray) -> MismatchError | None:
    """Compares a traced run with :meth:`GoldenModel.trace <sterna.sim.golden.GoldenModel.trace>`, unit by unit.

    Parameters
    ----------
    golden : :class:`~sterna.sim.golden.GoldenModel`
        The judge.
    model : :class:`~sterna.sim.rtl.RtlModel`
        With ``trace=True``, after :meth:`~sterna.sim.rtl.RtlModel.predict` on ``x``.
    x : integers, (frames, \\*input shape)
        Codes.
    """
    trace = golden.trace(x)
    for unit in model.manifest.units:
        expected = trace[unit.node]
        got = model.trace[unit.name].reshape(expected.shape)
        wrong = _first(expected, got)
        if wrong is not None:
            where = f"{model.manifest.name}: unit {unit.name!r} is the first to differ:"
            return _describe(where, unit, wrong, expected, got)
    return None


def _locate(golden: GoldenModel, model: RtlModel, x: np.ndarray) -> MismatchError | None:
    try:
        model.predict(x)
    except SimulationError as error:
        return MismatchError(f"{model.manifest.name}: the output differs, and {error}")
    return first_wrong_unit(golden, model, x)


def _first(expected: np.ndarray, got: np.ndarray) -> tuple[int, ...] | None:
    differs = np.ma.filled(expected != got, False)
    return tuple(int(i) for i in np.argwhere(differs)[0]) if differs.any() else None


def _describe(
    where: str, unit: Unit | None, wrong: tuple[int, ...], expected: np.ndarray, got: np.ndarray
) -> MismatchError:
    differs = np.ma.filled(expected != got, False)
    place = ", ".join(f"{what} {i}" for what, i in zip(("frame", "channel", "row", "column"), wrong, strict=False))
    frames = int(differs.reshape(len(differs), -1).any(axis=1).sum())
    return MismatchError(
        f"{where} {place}: expected {expected[wrong]}, got {got[wrong]} "
        f"({int(differs.sum())} of {differs.size} values in {frames} of {len(differs)} frames differ)",
        unit=None if unit is None else unit.name,
        frame=wrong[0],
        index=wrong[1:],
        expected=int(expected[wrong]),
        got=int(got[wrong]),
    )
