"""The emitted Verilog as a model: ``predict`` runs it in a simulator."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from fractions import Fraction
from math import prod
from pathlib import Path

import numpy as np
import numpy.typing as npt

from sterna.net.arithmetic import check_input
from sterna.net.errors import InvalidTypeError, InvalidValueError
from sterna.net.types import ActivationType
from sterna.sim import streams
from sterna.sim.errors import SimulationError
from sterna.sim.harness import STALL_CYCLES, Harness
from sterna.sim.manifest import Manifest, Unit
from sterna.sim.simulation import Simulation
from sterna.sim.simulators import Simulator
from sterna.sim.stalls import Stall
from sterna.sim.timing import MeasuredTiming, frames_needed


class RtlModel:
    """What an accelerator's Verilog computes, simulated with cocotb on Icarus or Verilator.

    The first :meth:`predict` builds the simulation, later ones take the build that is kept. An accelerator that loads
    words gets them through its load port, as from a host, each time. Input frames follow each
    other without a gap and the output is always taken, unless stalls say otherwise. An X at the output, a broken stream
    protocol, a missing or an extra beat is an error, never a result.

    Parameters
    ----------
    directory : path
        Directory with ``NAME.v`` and ``NAME.json``, or that JSON file.
    simulator : ``"verilator"`` or ``"icarus"``
        Verilator builds for some seconds and then runs fast; Icarus starts at once and knows X.
    input_stall, output_stall : :class:`~sterna.sim.stalls.Stall` or ``None``
        When the source offers nothing, neither frames nor words to be loaded, and when the sink is not ready.
    seed : :class:`int`
        Seeds both patterns, and Verilator's values of what nobody initialized.
    waves : :class:`bool`
        Record all signals in a file of its own in the folder ``waves`` beside the Verilog; :attr:`waves_path` says
        which.
    trace : :class:`bool`
        Record every unit's output; see :attr:`trace`.
    build_dir : path or ``None``
        Where builds are kept. Default: ``sim_build`` in ``directory``.

    Raises
    ------
    :exc:`~sterna.sim.errors.ManifestError`
        If ``directory`` holds no accelerator, or a broken one.
    """

    def __init__(
        self,
        directory: str | Path,
        *,
        simulator: str | Simulator = Simulator.VERILATOR,
        input_stall: Stall | None = None,
        output_stall: Stall | None = None,
        seed: int = 0,
        waves: bool = False,
        trace: bool = False,
        build_dir: str | Path | None = None,
    ) -> None:
        self._manifest = Manifest.load(directory)
        self._simulator = Simulator.of(simulator)
        self._stalls = {"input_stall": input_stall, "output_stall": output_stall}
        for name, stall in self._stalls.items():
            if stall is not None and not callable(getattr(stall, "cycles", None)):
                raise InvalidTypeError(f"{name} must be a stall pattern or None, not {stall!r}")
        self._seed = seed
        self._waves = waves
        self._tracing = trace
        self._build_dir = Path(build_dir) if build_dir is not None else self._manifest.path.parent / "sim_build"
        self._simulation: Simulation | None = None
        self._starts = self._ends = self._loads = np.empty(0, dtype=np.int64)
        self._timing = MeasuredTiming()
        self._trace: dict[str, np.ma.MaskedArray] = {}
        self._waves_path: Path | None = None

    @property
    def manifest(self) -> Manifest:
        """What NAME.json says."""
        return self._manifest

    @property
    def simulator(self) -> Simulator:
        """Which simulator runs."""
        return self._simulator

    @property
    def frames_needed(self) -> int:
        """How many frames :meth:`predict` must be given, so that the interval can be measured."""
        return frames_needed(self._manifest)

    @property
    def timing(self) -> MeasuredTiming:
        """What :meth:`predict` measured; nothing before it, with stalls, and where networks were swapped."""
        return self._timing

    @property
    def latency_cycles(self) -> int | None:
        """Measured: from the first input transfer to the last output transfer, the accelerator empty before.

        ``None`` before :meth:`predict`, and with stalls.
        """
        return self._timing.latency_cycles

    @property
    def intervals(self) -> np.ndarray:
        """Measured: cycles from each frame's last output transfer to the next frame's; int64, (frames - 1,)."""
        return np.diff(self._ends)

    @property
    def interval(self) -> Fraction | None:
        """Measured: the exact mean over whole periods of the steady state.

        ``None`` with stalls, or fewer frames than :attr:`frames_needed`.
        """
        return self._timing.interval

    @property
    def interval_cycles(self) -> int | float | None:
        """:attr:`interval` as a number."""
        return self._timing.interval_cycles

    @property
    def trace(self) -> Mapping[str, np.ma.MaskedArray]:
        """After :meth:`predict` with ``trace=True``: unit name to int64 (frames, channels) or (frames, channels, ...).

        In the network's own order. Channels that the hardware eliminated hold their constant, or are masked where
        nobody uses them.
        """
        return self._trace

    @property
    def waves_path(self) -> Path | None:
        """After :meth:`predict` with ``waves=True``: the waveform file, also where it raised an error."""
        return self._waves_path

    @property
    def _stalled(self) -> bool:
        return any(stall is not None for stall in self._stalls.values())

    @property
    def loaded(self) -> np.ndarray:
        """How many of the ``loads`` of :meth:`predict` were whole before each frame began; int64, (frames,)."""
        return np.searchsorted(self._loads, self._starts)

    def predict(self, x: npt.ArrayLike, *, loads: Sequence[bytes] = ()) -> np.ndarray:
        """Runs frames through the Verilog.

        Parameters
        ----------
        x : integers or integral floats, (frames, \\*input shape)
            Codes in the range of the input's type, in the network's own order: (N, features) or (N, C, H, W).
        loads : sequence of :class:`bytes`
            Other networks' words, which are loaded one after the other while frames run, where the accelerator's own
            ones stay in use meanwhile. What comes after the last frame is lost.

        Returns
        -------
        scores : int64, (frames, \\*output shape)

        Raises
        ------
        :exc:`TypeError`, :exc:`ValueError`
            If ``x`` has another shape, or values out of range; if loads are of another size, or the accelerator takes
            none while it runs.
        :exc:`~sterna.net.errors.ToolError`
            If the simulator is missing.
        :exc:`~sterna.sim.errors.SimulationError`
            If the accelerator hangs, gives X, or breaks the stream protocol.
        """
        source, sink = self._manifest.input, self._manifest.output
        frames = check_input(x, source.shape, ActivationType(width=source.element_width, signed=source.signed))
        words = self._words(loads)
        self._starts = self._ends = self._loads = np.empty(0, dtype=np.int64)
        self._timing = MeasuredTiming()
        self._trace, self._waves_path = {}, None
        if len(frames) == 0:
            return np.empty((0, *sink.shape), dtype=np.int64)
        simulation = self._simulation = self._simulation or self._build()
        with simulation.new_run() as run:
            (run / "input.txt").write_bytes(streams.to_text(streams.pack(frames, source)))
            if self._manifest.load_port is not None:
                (run / "load.txt").write_bytes(streams.to_text(words))
            try:
                self._run(simulation, run, len(frames))
            except SimulationError as error:
                self._keep_waves(run / self._waves_name)
                if self._waves_path is None:
                    raise
                raise SimulationError(f"{error} (waves: {self._waves_path})") from None
            self._keep_waves(run / self._waves_name)
            return self._read(run, len(frames))

    def _words(self, loads: Sequence[bytes]) -> np.ndarray:
        """What the load port is given, a load a frame."""
        port = self._manifest.load_port
        if loads and (port is None or not port.keeps):
            raise InvalidValueError(f"{self._manifest.name} loads nothing while it runs: generate it with --loadable")
        if port is None:
            return np.empty((0, 0, 0), np.uint8)
        return streams.load_beats(self._manifest, loads if port.keeps else [self._manifest.read_load()])

    def _read(self, run: Path, frames: int) -> np.ndarray:
        sink = self._manifest.output
        octets = streams.from_text(
            (run / "output.txt").read_bytes(), width=sink.tdata_width, what=f"{sink.prefix}_tdata"
        )
        starts, ends = (_read_cycles(run / name, frames) for name in ("starts.txt", "ends.txt"))
        if len(octets) != frames * sink.beats:
            raise SimulationError(_cut_short("output.txt", len(octets), frames * sink.beats))
        outputs = streams.unpack(octets.reshape(frames, sink.beats, sink.beat_bytes), sink)
        if self._tracing:
            for k, unit in enumerate(self._manifest.units):
                self._trace[unit.name] = _read_trace(run / f"trace_{k}.txt", unit, frames)
        self._starts, self._ends = starts, ends
        if (run / "loads.txt").is_file():
            self._loads = np.array((run / "loads.txt").read_text(encoding="utf-8").split(), dtype=np.int64)
        port = self._manifest.load_port
        swapped = port is not None and port.keeps and len(self._loads)
        if not self._stalled and not swapped:
            self._timing = MeasuredTiming.of(self._manifest, starts=starts.tolist(), ends=ends.tolist())
        return outputs

    def _keep_waves(self, recorded: Path) -> None:
        """Moves waves, if there are any, out of the run's folder, to a name that nobody has yet."""
        if recorded.is_file():
            folder = self._manifest.path.parent / "waves"
            folder.mkdir(parents=True, exist_ok=True)
            stem = f"{self._manifest.name}-{self._level}{self._simulator.value}"
            kept = _new_file(folder, stem, recorded.suffix)
            try:
                shutil.move(recorded, kept)
            except BaseException:
                kept.unlink()
                raise
            self._waves_path = kept

    @property
    def _waves_name(self) -> str:
        return "waves.fst" if self._simulator is Simulator.ICARUS else "dump.vcd"

    _level = ""  # begins the names of builds of anything but the emitted Verilog

    def _design(self) -> str:
        """Verilog of the design under test."""
        return self._manifest.read_verilog()

    def _build(self) -> Simulation:
        kind = self._level + self._simulator.value + "-trace" * self._tracing + "-waves" * self._waves
        dump = self._waves_name if self._waves and self._simulator is Simulator.ICARUS else None
        harness = Harness(self._manifest, self._design(), trace=self._tracing, waves=dump)
        return Simulation(
            simulator=self._simulator,
            sources={"design.v": harness.design, "harness.v": harness.text},
            top=harness.top,
            folder=self._build_dir / f"{self._manifest.name}-{kind}",
            waves=self._waves,
            marked=True,
        )

    def _run(self, simulation: Simulation, run: Path, frames: int) -> None:
        rng = np.random.default_rng(self._seed)
        plusargs = []
        free = 1.0
        for name, stall in self._stalls.items():
            if stall is not None:
                stalled = np.asarray(stall.cycles(STALL_CYCLES, rng), dtype=bool)
                free *= 1 - float(stalled.mean())
                (run / f"{name}.txt").write_bytes(b"".join(b"1\n" if bit else b"0\n" for bit in stalled))
                plusargs.append(f"+{name}")
        manifest = self._manifest
        cycles = manifest.latency_cycles + manifest.largest_gap_cycles + manifest.input.beats + manifest.output.beats
        plusargs += [
            f"+frames={frames}",
            f"+patience={4 * cycles + 4096}",
            f"+drain={manifest.latency_cycles + manifest.largest_gap_cycles + 64}",
            f"+timeout={int(((frames + 16) * (16 * cycles + 4096) + manifest.load_beats) / free)}",
        ]
        bench = "sterna.sim.benches.harness"
        simulation.run(bench, test="stream", folder=run, plusargs=plusargs, seed=self._seed, what=manifest.name)


def _new_file(folder: Path, stem: str, suffix: str) -> Path:
    number = 1
    while True:
        path = folder / f"{stem}-{number}{suffix}"
        try:
            path.touch(exist_ok=False)
        except FileExistsError:
            number += 1
        else:
            return path


def _read_cycles(path: Path, frames: int) -> np.ndarray:
    lines = path.read_text(encoding="utf-8").split()
    if len(lines) != frames or not all(line.isascii() and line.isdigit() for line in lines):
        raise SimulationError(_cut_short(path.name, len(lines), frames))
    return np.array(lines, dtype=np.int64)


def _cut_short(name: str, got: int, expected: int) -> str:
    return f"the simulator wrote {got} whole lines of {expected} to {name}: is the disk full?"


def _read_trace(path: Path, unit: Unit, frames: int) -> np.ma.MaskedArray:
    width = unit.element_width * unit.elements_per_beat
    octets = streams.from_text(path.read_bytes(), width=width, what=f"unit {unit.name!r}")
    bits = np.unpackbits(octets, axis=1, bitorder="little", count=width).reshape(-1, unit.element_width)
    octets = np.packbits(bits, axis=1, bitorder="little")
    values = streams.integers(octets, width=unit.element_width, signed=unit.signed)
    sent = len(unit.channel_order)
    total = sent * prod(unit.shape[1:])
    run = unit.shape[2] if len(unit.shape) == 3 and not unit.by_pixel else sent
    rows = total // run
    padded = -(-run // unit.elements_per_beat) * unit.elements_per_beat
    if len(values) != frames * rows * padded:
        raise SimulationError(f"unit {unit.name!r} sent {len(values)} values in {frames} frames of {rows * padded}")
    values = values.reshape(frames, rows, padded)[:, :, :run]
    codes = np.ma.masked_all((frames, *unit.shape), dtype=np.int64)
    if len(unit.shape) == 3:
        height, width = unit.shape[1:]
        if unit.by_pixel:
            values = values.reshape(frames, height, width, sent).transpose(0, 3, 1, 2)
        else:
            values = values.reshape(frames, height, sent, width).transpose(0, 2, 1, 3)
        codes[:, list(unit.channel_order)] = values
    else:
        codes[:, list(unit.channel_order)] = values.reshape(frames, sent)
    for channel, value in unit.constant_channels.items():
        codes[:, channel] = value
    return codes
