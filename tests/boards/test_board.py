# amaranth: UnusedElaboratable=no
"""The real host against the emitted Verilog of a whole board, through a pseudo-terminal and the pins of a UART."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_board import small_network

from sterna.boards.host import Board, NoAnswerError, PortError, WrongNetworkError
from sterna.boards.transport.accelerator import SerialAccelerator, emit_serial
from sterna.cli.frames import test_set as images_of
from sterna.hw import AcceleratorConfig, plan_accelerator
from sterna.net import Network
from sterna.net.file import load, save
from sterna.sim.golden import GoldenModel
from sterna.sim.serial_line import SerialSimulation

MODELS = Path(__file__).parents[2] / "models"
TIMEOUT = 60.0  # of a simulation that other work may slow down; nothing waits for it where nothing is lost
SHORT = 1.5  # where something is lost


def test_results_are_the_golden_models(board: Callable[..., Any], network: Network, frames: np.ndarray) -> None:
    golden = GoldenModel(network)
    done: list[tuple[int, int]] = []
    with board() as simulation:
        with Board(simulation.port, network, timeout=TIMEOUT) as connected:
            got = connected.predict(frames, progress=lambda *pair: done.append(pair))
            assert got.dtype == np.int64
            assert (got == golden.predict(frames)).all()
            assert (connected.predict(frames[:1].astype(float)) == golden.predict(frames[:1])).all()
            assert (connected.predict(frames[:3] / 1.0, real=True) == golden.predict(frames[:3], real=True)).all()
            assert connected.predict(frames[:0]).shape == (0, 3)
            assert connected.sessions == 3
            counters = connected.counters()
            assert (counters.frames, counters.damaged, counters.framing, counters.refused) == (20, 0, 0, 0)
            later = connected.counters()
            assert later.cycles > counters.cycles
            info = connected.info
            assert (info.digest, info.slots, info.divider, info.clock_hz, info.baud) == (
                network.digest,
                2,
                4,
                4_000_000,
                1e6,
            )
            assert (info.input.shape, info.output.shape, info.output.argmax) == ((8,), (3,), False)
            for wrong, message in ((frames[0], "shape"), (frames + 100, "input codes must be -4 to 3")):
                with pytest.raises((TypeError, ValueError), match=message):
                    connected.predict(wrong)
        assert done[-1] == (16, 16)
        assert [pair[0] for pair in done] == sorted(pair[0] for pair in done)
        with pytest.raises(WrongNetworkError, match="has another network"):
            Board(simulation.port, small_network(2), timeout=TIMEOUT)
        with Board(simulation.port, timeout=TIMEOUT) as first:
            assert (first.predict(frames[:2]) == golden.predict(frames[:2])).all()
            with pytest.raises(ValueError, match="real inputs need the network"):
                first.predict(frames, real=True)
            with pytest.raises(PortError, match=r"another program holds .*: close it"):
                Board(simulation.port, timeout=TIMEOUT)


def test_classes_in_wide_beats_with_more_slots(board: Callable[..., Any], network: Network, frames: np.ndarray) -> None:
    with (
        board(slots=8, argmax=True, elements_per_beat=4) as simulation,
        Board(simulation.port, network, timeout=TIMEOUT) as connected,
    ):
        assert (connected.predict(frames)[:, 0] == GoldenModel(network).classify(frames)).all()
        assert (connected.info.slots, connected.info.output.argmax, connected.info.input.beats) == (8, True, 2)


@pytest.mark.slow
def test_faults_on_the_line_cost_time_and_nothing_else(
    board: Callable[..., Any], network: Network, frames: np.ndarray
) -> None:
    few, golden = frames[:3], GoldenModel(network).predict(frames)
    rates = {"flipped": 0.002, "dropped": 0.001, "doubled": 0.001, "noise": 0.001, "reset": 0.0002}
    with board(seed=5) as simulation:
        simulation.inject(**rates)
        results = faults = 0
        while faults < 6 or not results:
            with (
                suppress(NoAnswerError),  # several packets in a row were hit: said, and nothing was returned
                Board(simulation.port, network, timeout=SHORT) as connected,
            ):
                assert (connected.predict(few) == golden[:3]).all()
                results += 1
            counts = simulation.faults()
            faults = sum(counts[kind] for kind in rates)
        simulation.inject()
        with Board(simulation.port, network, timeout=TIMEOUT) as connected:
            assert (connected.predict(frames) == golden).all()
            assert connected.sessions == 1


@pytest.mark.slow
def test_a_host_that_is_killed_leaves_a_board_that_works(
    board: Callable[..., Any], network: Network, frames: np.ndarray, tmp_path: Path
) -> None:
    save(network, tmp_path / "network.safetensors")
    np.save(tmp_path / "frames.npy", np.tile(frames, (40, 1)))
    script = (
        "import sys, numpy as np; from sterna.boards.host import Board\n"
        "with Board(sys.argv[1], timeout=60) as board:\n"
        "    board.predict(np.load(sys.argv[2]), progress=lambda done, total: print(done, flush=True))\n"
    )
    command = [sys.executable, "-c", script]
    with board() as simulation:
        for _ in range(2):
            with subprocess.Popen(
                [*command, simulation.port, str(tmp_path / "frames.npy")], stdout=subprocess.PIPE, text=True
            ) as host:
                assert host.stdout is not None
                assert int(host.stdout.readline()) > 0
                host.send_signal(signal.SIGKILL)
            assert host.returncode == -signal.SIGKILL
        with Board(simulation.port, network, timeout=TIMEOUT) as connected:
            assert (connected.predict(frames) == GoldenModel(network).predict(frames)).all()


@pytest.mark.slow
def test_a_board_that_is_reset_begins_anew(board: Callable[..., Any], network: Network, frames: np.ndarray) -> None:
    with board() as simulation, Board(simulation.port, network, timeout=SHORT) as connected:
        simulation.inject(reset=0.004)
        while simulation.faults()["reset"] < 2:
            assert (connected.predict(frames) == GoldenModel(network).predict(frames)).all()
        assert connected.sessions > 1


def test_a_line_of_another_rate_is_said(board: Callable[..., Any], network: Network, frames: np.ndarray) -> None:
    with (
        board(rate=1.5) as simulation,
        pytest.raises(NoAnswerError, match=r"is no packet: give the baud rate|no answer"),
    ):
        Board(simulation.port, network, timeout=0.1)


def test_a_port_where_nobody_is() -> None:
    terminal, other = os.openpty()
    try:
        begun = time.monotonic()
        with pytest.raises(NoAnswerError, match=r"no answer from /dev/pts/\d+ at 115200 baud: program the board"):
            Board(os.ttyname(other), baud=115200, timeout=0.05)
        assert time.monotonic() - begun < 5
    finally:
        os.close(terminal)
        os.close(other)


def test_ports_that_do_not_go(tmp_path: Path) -> None:
    with pytest.raises(PortError, match="there is no serial port /dev/ttyUSB97: connect the board"):
        Board("/dev/ttyUSB97")
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(PortError, match="is it a serial port"):
        Board(str(file))
    with pytest.raises(TypeError, match="port must be a name"):
        Board(7)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="timeout must be above 0, not 0"):
        Board("x", timeout=0)


@pytest.mark.slow
@pytest.mark.parametrize("simulator", ["verilator", "icarus"])
@pytest.mark.timeout(2400)
def test_all_digits_through_the_pins(simulator: str, tmp_path: Path) -> None:
    network = load(MODELS / "digits-mlp.safetensors")
    codes, _ = images_of(network, "digits")
    top = SerialAccelerator(plan_accelerator(network, AcceleratorConfig()), clock_hz=8e6, baud=1e6)
    with (
        SerialSimulation(
            emit_serial(top, name="digits"), top="digits", folder=tmp_path, divider=8, simulator=simulator
        ) as simulation,
        Board(simulation.port, network, timeout=300) as connected,
    ):
        got = connected.predict(codes)
        assert connected.sessions == 1
    assert len(codes) == 360
    assert (got == GoldenModel(network).predict(codes)).all()
