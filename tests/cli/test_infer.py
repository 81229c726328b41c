"""``sterna infer`` and ``sterna board-info`` against a simulated board."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sterna.boards.transport.accelerator import SerialAccelerator, emit_serial
from sterna.hw import AcceleratorConfig, plan_accelerator
from sterna.net.file import load
from sterna.sim.golden import GoldenModel
from sterna.sim.serial_line import SerialSimulation
from sterna.sim.simulators import available


def test_a_board_is_asked_and_works(sterna: Callable[..., Any], model: Path, tmp_path: Path) -> None:
    network = load(model)
    top = SerialAccelerator(plan_accelerator(network, AcceleratorConfig()), clock_hz=4e6, baud=1e6)
    simulated = SerialSimulation(
        emit_serial(top, name="top"), top="top", folder=tmp_path / "build", divider=4, simulator=available()[0]
    )
    with simulated as simulation:
        patient = ("--port", simulation.port, "--timeout", 60)
        asked = sterna("board-info", *patient)
        assert asked.status == 0
        assert network.digest in asked.out
        assert "4 MHz" in asked.out
        assert "1,000,000" in asked.out
        info = json.loads(sterna("board-info", *patient, "--json").out)
        assert (info["digest"], info["input"]["shape"], info["baud"]) == (network.digest, [8], 1e6)
        found = sterna("infer", model, *patient, "--limit", 9, "-o", tmp_path / "scores.npy", "--json")
        result = json.loads(found.out)
        assert (result["frames"], result["different"], result["sessions"]) == (9, 0, 1)
        scores = np.load(tmp_path / "scores.npy")
        np.save(tmp_path / "codes.npy", np.zeros((4, 8), np.int8))
        table = sterna("infer", model, *patient, "--inputs", tmp_path / "codes.npy").out
        assert "equal to the golden model  yes" in table
    codes = np.random.default_rng(0).integers(0, 4, (9, 8))
    assert (scores == GoldenModel(network).predict(codes)).all()


def test_mistakes_are_said(sterna: Callable[..., Any], model: Path) -> None:
    assert sterna("infer", model, "--port", "/dev/ttyUSB97").error.startswith("there is no serial port /dev/ttyUSB97")
    assert sterna("board-info", "--port", "/dev/ttyUSB97").error.startswith("there is no serial port /dev/ttyUSB97")
    both = sterna("infer", model, "--port", "x", "--inputs", "a.npy", "--dataset", "digits")
    assert both.error == "give --inputs or --dataset, not both"


def test_nobody_there(sterna: Callable[..., Any]) -> None:
    terminal, other = os.openpty()
    try:
        error = sterna("board-info", "--port", os.ttyname(other), "--timeout", 0.02).error
        assert error.startswith("no answer from ")
        assert "give the port and the baud rate" in error
    finally:
        os.close(terminal)
        os.close(other)


def test_a_wrong_result_is_no_success(sterna: Callable[..., Any], model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from sterna.boards import host

    class Liar:
        """A board whose last result is wrong."""

        sessions, line_bytes = 1, (0, 0)

        def __init__(self, port: str, network: Any, **options: Any) -> None:
            self.network = network
            plan = plan_accelerator(network, AcceleratorConfig())
            from sterna.boards.transport.accelerator import describe_board

            self.info = describe_board(plan, clock_hz=4e6, baud=1e6)

        def __enter__(self) -> Liar:
            return self

        def __exit__(self, *error: object) -> None: ...

        def counters(self) -> Any:
            from sterna.boards.packets import Counters

            return Counters(turns=0, frames=0, damaged=0, framing=0, refused=0)

        def predict(self, codes: np.ndarray, **options: Any) -> np.ndarray:
            scores = GoldenModel(self.network).predict(codes)
            scores[-1, -1] += 1
            return scores

    monkeypatch.setattr(host, "Board", Liar)
    assert sterna("infer", model, "--port", "x").error.startswith("1 of 100 results are not the golden model's")
    assert sterna("infer", model, "--port", "x", "--no-check").status == 0
