"""``sterna load``, and what the other commands say of a board that takes networks."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sterna.boards.transport.accelerator import SerialAccelerator, emit_serial
from sterna.hw import AcceleratorConfig, plan_accelerator
from sterna.net.file import load
from sterna.sim.serial_line import SerialSimulation
from sterna.sim.simulators import available


def simulated(model: Path, folder: Path, **config: Any) -> SerialSimulation:
    top = SerialAccelerator(plan_accelerator(load(model), AcceleratorConfig(**config)), clock_hz=4e6, baud=1e6)
    return SerialSimulation(emit_serial(top, name="top"), top="top", folder=folder, divider=4, simulator=available()[0])


def test_a_board_waits_for_its_words_and_gets_them(sterna: Callable[..., Any], model: Path, tmp_path: Path) -> None:
    digest = load(model).digest
    with simulated(model, tmp_path / "build", load=("all",)) as simulation:
        patient = ("--port", simulation.port, "--timeout", 60)
        refused = sterna("infer", model, *patient)
        assert "waits for its network: load one, as `sterna load MODEL --port" in refused.error
        table = sterna("board-info", *patient).out
        assert "none yet: load one with `sterna load`" in table
        assert "can be loaded while none answers" in table
        found = json.loads(sterna("load", model, *patient, "-o", tmp_path / "words.bin", "--json").out)
        content = (tmp_path / "words.bin").read_bytes()
        assert (found["network_digest"], found["before"], found["bytes"]) == (digest, "00" * 32, len(content))
        assert content[4:36].hex() == digest  # behind the tag of the board's design
        info = json.loads(sterna("board-info", *patient, "--json").out)
        assert (info["answers"], info["load"]["keeps"], info["load"]["size"]) == (digest, False, len(content) - 36)
        assert json.loads(sterna("infer", model, *patient, "--limit", 5, "--json").out)["different"] == 0
        assert sterna("infer", model, *patient, "--limit", 1, "--load").status == 0


def test_a_board_says_which_network_answers(sterna: Callable[..., Any], model: Path, tmp_path: Path) -> None:
    with simulated(model, tmp_path / "build", loadable=2.0) as simulation:
        patient = ("--port", simulation.port, "--timeout", 60)
        table = sterna("board-info", *patient).out
        assert load(model).digest in table
        assert "can be loaded while this one answers" in table
        assert "network  " + load(model).digest in sterna("load", model, *patient).out
        assert sterna("infer", model, *patient, "--limit", 5).status == 0


def test_a_board_that_takes_no_network(sterna: Callable[..., Any], model: Path, tmp_path: Path) -> None:
    with simulated(model, tmp_path / "build") as simulation:
        patient = ("--port", simulation.port, "--timeout", 60)
        assert sterna("load", model, *patient).error.startswith("the board takes no other network: make its bitstream")
        assert "need another bitstream" in sterna("board-info", *patient).out
    assert sterna("load", model, "--port", "/dev/ttyUSB97").error.startswith("there is no serial port /dev/ttyUSB97")
