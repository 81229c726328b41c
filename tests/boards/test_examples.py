"""The examples for boards: each runs without a board, says what is wrong in one line, and was measured."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import wave
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import boards_page
import numpy as np
import pytest

from sterna.boards.host import Board
from sterna.cli.frames import test_set as images_of
from sterna.net.file import load
from sterna.sim.golden import GoldenModel
from sterna.train.data import DATA_VARIABLE

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples" / "boards"
MODELS = ROOT / "models"
RESULTS = ROOT / "benchmarks" / "results" / "board_examples.json"
#: Scripts, the networks and boards that they are for, and the frames that were sent at least.
SCRIPTS = {
    "digits_icebreaker": ("digits-mlp", "icebreaker", 360),
    "mnist_ulx3s": ("mnist-lenet5-95", "ulx3s-85f", 100),
    "spoken_digits_icebreaker": ("fsdd-mlp", "icebreaker", 300),
}


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], ModuleType]:
    """An example as a module, or what the examples share."""
    monkeypatch.syspath_prepend(str(EXAMPLES))
    for name in ("connection", *SCRIPTS):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return importlib.import_module


def started(name: str, *options: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Runs a script as a user does, in a folder of its own."""
    command = [sys.executable, str(EXAMPLES / f"{name}.py"), *options]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=600)


def printed(done: subprocess.CompletedProcess[str]) -> dict[str, str]:
    """What a script that went well printed, by the first word of each line."""
    assert done.returncode == 0, done.stderr
    return {line[:14].strip(): line[14:] for line in done.stdout.splitlines()}


def test_digits_through_the_pins_of_a_simulated_icebreaker(tmp_path: Path) -> None:
    network = load(MODELS / "digits-mlp.safetensors")
    codes, labels = images_of(network, "digits")
    right = int((GoldenModel(network).classify(codes[:9]) == labels[:9]).sum())
    said = printed(started("digits_icebreaker", "--frames", "9", folder=tmp_path))
    # A byte a pixel to the board, two a score back.
    for way, what, payload in (("sent", "frames", 9 * 64), ("received", "results", 9 * 20)):
        line = said.pop(way)
        count = int(line.partition(" ")[0].replace(",", ""))
        assert payload < count < 3 * payload
        assert line == f"{count:,} bytes, {100 * payload / count:.2f} % of them {what}"
    assert said == {
        "board": "icebreaker, simulated from its Verilog: 12.00 MHz, 1,000,000 baud",
        "network": f"digest {network.digest[:12]}",
        "frames": "9",
        "right": f"{right} ({100 * right / 9:.2f} %)",
        "golden model": "all results equal",
    }


@pytest.mark.slow
def test_a_recording_of_ones_own(tmp_path: Path) -> None:
    seconds = np.arange(4000) / 8000
    with wave.open(str(tmp_path / "tone.wav"), "wb") as stream:
        stream.setnchannels(1)
        stream.setsampwidth(2)
        stream.setframerate(8000)
        stream.writeframes(np.round(9000 * np.sin(2 * np.pi * 700 * seconds)).astype("<i2").tobytes())
    said = printed(started("spoken_digits_icebreaker", "tone.wav", folder=tmp_path))
    assert said["heard"].endswith(" in tone.wav")
    assert said["heard"][0] in "0123456789"
    assert (said["frames"], said["golden model"]) == ("1", "all results equal")
    assert "right" not in said


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mnist_ulx3s", "spoken_digits_icebreaker"])
def test_official_frames(name: str, tmp_path: Path) -> None:
    if not os.environ.get(DATA_VARIABLE):
        pytest.skip(f"{DATA_VARIABLE} is not set: no download in tests")
    said = printed(started(name, "--frames", "3", folder=tmp_path))
    assert (said["frames"], said["right"], said["golden model"]) == ("3", "3 (100.00 %)", "all results equal")
    assert said["board"].startswith(SCRIPTS[name][1])


def test_a_wrong_result_is_said(
    example: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    script, shared = example("digits_icebreaker"), example("connection")

    @contextmanager
    def broken(port: str | None, network: Any, *, board: str) -> Iterator[Any]:
        def predict(codes: np.ndarray) -> np.ndarray:
            scores = GoldenModel(network).predict(codes)
            scores[2, 9] += 1
            return scores

        port_info = SimpleNamespace(frame_bytes=1)
        yield SimpleNamespace(
            predict=predict, info=SimpleNamespace(input=port_info, output=port_info), line_bytes=(10, 10)
        )

    monkeypatch.setattr(script, "connected", broken)
    with pytest.raises(SystemExit) as ended:
        shared.run(lambda: script.main(["--frames", "5"]))
    assert ended.value.code == "error: 1 of 5 results are not the golden model's"
    assert "golden model  1 of 5 results differ\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("digits_icebreaker", ["--model", "gone.safetensors"], "cannot use gone.safetensors: there is no such file"),
        (
            "digits_icebreaker",
            ["--model", str(MODELS / "fsdd-mlp.safetensors")],
            "input must have shape (batch, 256), not (36, 64)",
        ),
        ("spoken_digits_icebreaker", ["gone.wav"], "gone.wav: not a whole WAV file"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    name: str, options: list[str], message: str, example: Callable[[str], ModuleType]
) -> None:
    script, shared = example(name), example("connection")
    with pytest.raises(SystemExit) as ended:
        shared.run(lambda: script.main(options))
    assert isinstance(ended.value.code, str)
    assert ended.value.code.startswith(f"error: {message}")
    assert "\n" not in ended.value.code


def test_a_number_of_frames_that_there_are_not(
    example: Callable[[str], ModuleType], capsys: pytest.CaptureFixture[str]
) -> None:
    for wrong in ("0", "361", "x"):
        with pytest.raises(SystemExit, match=r"^2$"):
            example("digits_icebreaker").main(["--frames", wrong])
        assert capsys.readouterr().err.endswith(f"argument --frames: must be 1 to 360, not {wrong}\n")


def test_a_board_with_another_network(
    board: Callable[..., Any], example: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch
) -> None:
    script, shared = example("digits_icebreaker"), example("connection")
    monkeypatch.setattr(shared, "Board", partial(Board, timeout=60))  # of a simulation that other work may slow down
    with board() as simulation:
        port = simulation.port
        with pytest.raises(SystemExit) as ended:
            shared.run(lambda: script.main(["--port", port]))
    assert str(ended.value.code).startswith(f"error: the board on {port} has another network")


def test_the_exit_status(tmp_path: Path) -> None:
    done = started("digits_icebreaker", "--port", "/dev/ttyUSB97", folder=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: there is no serial port /dev/ttyUSB97: connect the board")
    assert done.stderr.count("\n") == 1


def test_every_example_was_measured() -> None:
    rows = {row["name"]: row for row in json.loads(RESULTS.read_text(encoding="utf-8"))["rows"]}
    assert rows.keys() == SCRIPTS.keys() == {path.stem for path in EXAMPLES.glob("*.py")} - {"connection"}
    for name, (model, board, frames) in SCRIPTS.items():
        row = rows[name]
        assert (row["model"], row["board"]) == (model, board)
        assert row["bitstream"]["network_digest"] == load(MODELS / f"{model}.safetensors").digest
        assert row["bitstream"]["reached_hz"] >= row["bitstream"]["clock_hz"]
        assert (row["pins"]["frames"], row["pins"]["different"]) == (frames, 0)
        _, commands = boards_page.described(EXAMPLES / f"{name}.py")
        assert commands[0] == row["bitstream"]["command"]
        assert f"build/{model}/{model}-{board}." in commands[1]
        assert commands[2].startswith(f"python examples/boards/{name}.py --port ")


def test_the_page_says_where_results_differ() -> None:
    result = json.loads(RESULTS.read_text(encoding="utf-8"))
    assert "DIFFER" not in boards_page.examples(result)
    result["rows"][1]["pins"]["different"] = 2
    assert "| **2 DIFFER** |" in boards_page.examples(result)
