# amaranth: UnusedElaboratable=no
"""Networks loaded into a whole board by the real host, through a pseudo-terminal and the pins of a UART."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_board import small_network

from sterna.boards.host import Board, BoardError, WrongNetworkError
from sterna.boards.packets import NOTHING
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
ROOM = 3.0


def changes(names: list[str]) -> list[str]:
    """Without repetitions."""
    return [name for k, name in enumerate(names) if k == 0 or names[k - 1] != name]


def test_a_board_without_words_gets_them(
    board: Callable[..., Any], network: Network, frames: np.ndarray, tmp_path: Path
) -> None:
    golden = GoldenModel(network).predict(frames)
    save(network, tmp_path / "network.safetensors")
    with board(load=("all",)) as simulation:
        with pytest.raises(WrongNetworkError, match="waits for its network: load one, as `sterna load MODEL --port"):
            Board(simulation.port, network, timeout=TIMEOUT)
        with Board(simulation.port, timeout=TIMEOUT) as connected:
            assert connected.digest == NOTHING
            with pytest.raises(WrongNetworkError, match="waits for its network"):
                connected.predict(frames)
            with pytest.raises(ValueError, match="takes the words of the network"):
                connected.load(small_network(2))
            connected.load(tmp_path / "network.safetensors")
            assert connected.digest == network.digest
            assert (connected.predict(frames / 1.0, real=True) == golden).all()
        with Board(simulation.port, network, load=True, timeout=TIMEOUT) as connected:
            assert (connected.predict(frames) == golden).all()
            assert connected.sessions == 1, "nothing was loaded"


def test_networks_are_swapped_while_frames_flow(
    board: Callable[..., Any], network: Network, frames: np.ndarray
) -> None:
    others = [small_network(seed) for seed in range(2, 5)]
    many = np.tile(frames, (30, 1))
    golden = {each.digest: GoldenModel(each).predict(many) for each in (network, *others)}
    with board(loadable=ROOM) as simulation, Board(simulation.port, network, timeout=TIMEOUT) as connected:
        compiled = [connected.compile(other) for other in others]
        loads: list[threading.Thread] = []

        def progress(done: int, total: int) -> None:
            if len(loads) < len(others) and done > 30 * len(loads):
                loads.append(threading.Thread(target=connected.load, args=(compiled[len(loads)],)))
                loads[-1].start()

        scores, seen = connected.predict_named(many, progress=progress)
        for each in loads:
            each.join()
        assert (scores == [golden[name][k] for k, name in enumerate(seen)]).all()
        assert changes(seen) == [network.digest, *(other.digest for other in others)]
        counters = connected.counters()
        assert (counters.damaged, counters.framing, counters.refused) == (0, 0, 0)
        assert connected.digest == others[-1].digest
        for wrong in (compiled[0][1:], b"tags" + compiled[0][4:]):
            with pytest.raises(
                ValueError, match=rf"these {len(wrong)} bytes are no load for this board, which has 156"
            ):
                connected.load(wrong)
        with pytest.raises(ValueError, match="the network has 3 layers with weights, and the accelerator 2"):
            connected.load(load(MODELS / "digits-mlp.safetensors"))


def test_a_board_whose_words_are_loaded_has_none_in_its_bitstream(network: Network) -> None:
    """The large RAM blocks of a UP5K cannot be filled by it, and take no memory that wants to be."""
    plan = plan_accelerator(network, AcceleratorConfig(load=("all",)))
    text = emit_serial(SerialAccelerator(plan, clock_hz=12e6, baud=1e6), name="top")
    behind = re.findall(r"single_port = .*\n +reg .*\n(.*)\n", text)
    assert len(behind) == len(plan.images)
    assert not any("initial" in line for line in behind)


def test_a_board_that_takes_no_network_says_so(board: Callable[..., Any], network: Network) -> None:
    with board() as simulation:
        with (
            Board(simulation.port, network, timeout=TIMEOUT) as connected,
            pytest.raises(ValueError, match="takes no other network: make its bitstream with `sterna bitstream --load"),
        ):
            connected.load(small_network(2))
        with pytest.raises(WrongNetworkError, match=r"has another network .* program it with a bitstream of this one"):
            Board(simulation.port, small_network(2), timeout=TIMEOUT)


@pytest.mark.slow
@pytest.mark.parametrize("config", [{"load": ("all",)}, {"loadable": ROOM}], ids=["ending", "keeping"])
def test_faults_while_networks_are_loaded(
    board: Callable[..., Any], network: Network, frames: np.ndarray, config: dict[str, Any]
) -> None:
    networks = [network] if "load" in config else [network, *map(small_network, range(2, 5))]
    golden = {each.digest: GoldenModel(each).predict(frames) for each in networks}
    rates = {"flipped": 0.001, "dropped": 0.0005, "doubled": 0.0005, "noise": 0.0005, "reset": 0.0002}
    with board(seed=7, **config) as simulation:
        simulation.inject(**rates)
        results = loads = faults = 0
        while faults < 12 or not results or not loads:
            with suppress(BoardError), Board(simulation.port, timeout=SHORT) as connected:
                connected.load(networks[loads % len(networks)])
                loads += 1
                scores, names = connected.predict_named(frames)
                assert (scores == [golden[name][k] for k, name in enumerate(names)]).all()
                results += 1
            counts = simulation.faults()
            faults = sum(counts[kind] for kind in rates)
        simulation.inject()
        with Board(simulation.port, network, load=True, timeout=TIMEOUT) as connected:
            assert (connected.predict(frames) == golden[network.digest]).all()


@pytest.mark.slow
def test_all_digits_on_a_board_that_was_loaded(tmp_path: Path) -> None:
    network = load(MODELS / "digits-mlp.safetensors")
    codes, _ = images_of(network, "digits")
    top = SerialAccelerator(plan_accelerator(network, AcceleratorConfig(load=("all",))), clock_hz=8e6, baud=1e6)
    with (
        SerialSimulation(emit_serial(top, name="digits"), top="digits", folder=tmp_path, divider=8) as simulation,
        Board(simulation.port, network, load=True, timeout=300) as connected,
    ):
        got = connected.predict(codes)
        assert connected.sessions == 2
    assert len(codes) == 360
    assert (got == GoldenModel(network).predict(codes)).all()
