"""Runs scenarios on the bare Verilog: the input port's rules, resets, and a third party's AXI4-Stream."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from sterna.net.arithmetic import check_input
from sterna.net.types import ActivationType
from sterna.sim.manifest import Manifest
from sterna.sim.scenarios import Event, Send, Wait, to_json, validate
from sterna.sim.simulation import Simulation
from sterna.sim.simulators import Simulator
from sterna.sim.stalls import Stall

_STALL_CYCLES = 4096


class ProtocolBench:
    """An accelerator's Verilog without a harness, driven by cocotb cycle by cycle: slow, and free to do anything.

    Parameters
    ----------
    directory : path
        Directory with ``NAME.v`` and ``NAME.json``, or that JSON file.
    simulator : ``"icarus"`` or ``"verilator"``
        Which one.
    seed : :class:`int`
        Seeds the stalls.
    build_dir : path or ``None``
        Where builds are kept. Default: ``sim_build`` in ``directory``.
    """

    def __init__(
        self,
        directory: str | Path,
        *,
        simulator: str | Simulator = Simulator.ICARUS,
        seed: int = 0,
        build_dir: str | Path | None = None,
    ) -> None:
        self._manifest = manifest = Manifest.load(directory)
        simulator = Simulator.of(simulator)
        self._seed = seed
        build = Path(build_dir) if build_dir is not None else manifest.path.parent / "sim_build"
        self._simulation = Simulation(
            simulator=simulator,
            sources={"design.v": manifest.read_verilog()},
            top=manifest.name,
            folder=build / f"{manifest.name}-{simulator.value}-bare",
        )

    def play(
        self,
        scenario: Sequence[Event],
        x: npt.ArrayLike,
        expected: npt.ArrayLike,
        *,
        input_stall: Stall | None = None,
        output_stall: Stall | None = None,
        loads: Sequence[bytes] = (),
    ) -> None:
        """Plays a scenario and checks every beat that leaves.

        Parameters
        ----------
        scenario : sequence of events
            What happens.
        x : integers, (frames, \\*input shape)
            The frames that events name.
        expected : integers, (frames, \\*output shape)
            The golden model's results.
        loads : sequence of :class:`bytes`
            What :class:`~sterna.sim.scenarios.Load` may load besides ``NAME.load.bin``, which is number 0.

        Raises
        ------
        :exc:`ValueError`
            If an event does not fit the frames.
        :exc:`~sterna.sim.errors.SimulationError`
            If a beat is wrong, missing or extra, the protocol is broken, or nothing happens any more.
        """
        self._run("sterna.sim.benches.protocol", "scenario", scenario, x, expected, input_stall, output_stall, loads)

    def play_axi(
        self,
        x: npt.ArrayLike,
        expected: npt.ArrayLike,
        *,
        input_stall: Stall | None = None,
        output_stall: Stall | None = None,
    ) -> None:
        """Sends all frames with cocotbext-axi's source and sink, pausing as the stalls say; before, words to be loaded.

        Parameters and errors as for :meth:`play`.
        """
        scenario = [Send(frame) for frame in range(len(np.asarray(x)))]
        self._run("sterna.sim.benches.axi", "frames", scenario, x, expected, input_stall, output_stall)

    def _run(
        self,
        bench: str,
        test: str,
        scenario: Sequence[Event],
        x: npt.ArrayLike,
        expected: npt.ArrayLike,
        input_stall: Stall | None,
        output_stall: Stall | None,
        loads: Sequence[bytes] = (),
    ) -> None:
        source, sink = self._manifest.input, self._manifest.output
        frames = check_input(x, source.shape, ActivationType(width=source.element_width, signed=source.signed))
        results = np.asarray(expected, dtype=np.int64).reshape(len(frames), *sink.shape)
        validate(scenario, frames=len(frames), beats=source.beats)
        rng = np.random.default_rng(self._seed)
        free = 1.0
        patterns = {}
        for name, stall in (("input_stall", input_stall), ("output_stall", output_stall)):
            if stall is not None:
                patterns[name] = np.asarray(stall.cycles(_STALL_CYCLES, rng), dtype=bool)
                free *= 1 - float(patterns[name].mean())
        manifest = self._manifest
        cycles = manifest.latency_cycles + manifest.largest_gap_cycles + source.beats + sink.beats
        waits = sum(event.cycles for event in scenario if isinstance(event, Wait))
        settings = {
            "manifest": str(manifest.path.absolute()),
            "scenario": to_json(scenario),
            "timeout_cycles": int((len(scenario) + 4) * (4 * cycles + 256 + 2 * manifest.load_beats) / free) + waits,
            "loads": [words.hex() for words in loads],
        }
        with self._simulation.new_run() as run:
            for name, array in {"x": frames, "expected": results, **patterns}.items():
                np.save(run / f"{name}.npy", array)
            (run / "bench.json").write_text(json.dumps(settings), encoding="utf-8")
            self._simulation.run(bench, test=test, folder=run, seed=self._seed, what=manifest.name)
