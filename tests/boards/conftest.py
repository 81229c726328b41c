"""Networks and simulated boards that several tests use."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from board_model import Line
from small_board import small_network

from sterna.boards.host import session, wire
from sterna.boards.host.conversation import Conversation
from sterna.boards.transport.accelerator import SerialAccelerator, emit_serial
from sterna.hw import AcceleratorConfig, plan_accelerator
from sterna.net import Network
from sterna.sim.serial_line import SerialSimulation
from sterna.sim.simulators import available

DIVIDER = 4


@pytest.fixture(scope="session")
def network() -> Network:
    """A small network."""
    return small_network()


@pytest.fixture
def frames(network: Network) -> np.ndarray:
    """int64, (16, 8): random codes."""
    kind = network.input_type
    return np.random.default_rng(3).integers(kind.min, kind.max + 1, (16, *network.input_shape))


@pytest.fixture(scope="session")
def board(
    network: Network, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., AbstractContextManager[SerialSimulation]]:
    """Simulates the small network's accelerator between its pins while a block lasts."""
    builds = tmp_path_factory.mktemp("boards")

    @contextmanager
    def simulated(
        *, simulator: str | None = None, seed: int = 0, rate: float = 1.0, slots: int = 2, **config: object
    ) -> Iterator[SerialSimulation]:
        plan = plan_accelerator(network, AcceleratorConfig(**config))
        top = SerialAccelerator(plan, clock_hz=1e6 * DIVIDER, baud=1e6, slots=slots)
        folder = Path(builds) / "-".join(str(value) for value in (slots, *config.values()))
        with SerialSimulation(
            emit_serial(top, name="board"),
            top="board",
            folder=folder,
            divider=DIVIDER,
            clocks_per_bit=DIVIDER * rate,
            simulator=simulator or available()[0],
            seed=seed,
        ) as simulation:
            yield simulation

    return simulated


@pytest.fixture
def talk(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Conversation]:
    """Makes a conversation on a modelled line, whose time is the line's."""

    def made(line: Line, *, stall: float = 600.0) -> Conversation:
        for module in (wire, session):
            monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: line.now))
        return Conversation(line, timeout=0.5, stall=stall)  # type: ignore[arg-type]

    return made
