"""Names and metadata are printed as they are, on any terminal."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from rich.status import Status

from sterna.cli.output import Steps, interval, number
from sterna.cli.text import degrade, one_line, printable
from sterna.net import Linear, Network
from sterna.net.file import load, save
from sterna.sim.simulators import Simulator, available

SIMULATOR = Simulator.ICARUS.value if Simulator.ICARUS in available() else Simulator.VERILATOR.value
#: A folder and a name that mean something to rich, if they are taken for markup.
MARKED = "[v2] a[" + os.sep + "b]:smile:[bold]"


def renamed(model: Path, path: Path) -> Path:
    """The network with texts among its metadata that mean something to rich, or to a terminal."""
    network = load(model)
    metadata = {"command": "sterna [/b] :smile: [v2]\x1b[31m", "data": "[red]", "test_accuracy": "[/bold]"}
    save(
        Network(
            input_shape=network.input_shape,
            input_type=network.input_type,
            input_scale=network.input_scale,
            nodes=network.nodes,
            metadata=metadata,
        ),
        path,
    )
    return path


def test_every_command_prints_paths_as_they_are(model: Path, tmp_path: Path, sterna: Callable) -> None:
    folder = tmp_path / MARKED
    path = renamed(model, tmp_path / "[v2]net:smile:.safetensors")
    outcome = sterna("info", path)
    assert outcome.status == 0, outcome.err
    for text in (r"sterna [/b] :smile: [v2]\x1b[31m", "[red]", "[/bold]"):
        assert text in outcome.out
    outcome = sterna("generate", path, "-o", folder, "--name", "top", "--lanes", "1")
    assert outcome.status == 0, outcome.err
    assert f"{folder / 'top.v'}" in outcome.out
    outcome = sterna("generate", path, "-o", folder, "--name", "top")
    assert f"note: replaced top in {folder}: the old one was made with lanes 1\n" in outcome.err
    outcome = sterna("simulate", path, "-o", folder, "--simulator", SIMULATOR, "--limit", 2, "--waves")
    assert outcome.status == 0, outcome.err
    assert f"note: using {folder / 'top.json'}, made with default options\n" in outcome.err
    assert str(folder / "waves") in outcome.out
    outcome = sterna("report", folder)
    assert outcome.status == 0, outcome.err
    for command in (("synth", "--device", "up5k"), ("simulate",), ("report",), ("plot",)):
        assert MARKED in sterna(*command, tmp_path / MARKED / MARKED).error
    assert MARKED in sterna("train", tmp_path / MARKED / "none.toml").error
    assert MARKED in sterna("demo", "--recipe", tmp_path / MARKED / "none.toml").error


def test_a_node_of_any_name(model: Path, tmp_path: Path, sterna: Callable) -> None:
    network = load(model)
    hidden, scores = network.nodes
    assert isinstance(scores, Linear)
    try:
        nodes = [replace(hidden, name="[/b]h"), replace(scores, name="[red]:smile:", inputs=("[/b]h",))]
        named = Network(input_shape=(8,), input_type=network.input_type, input_scale=1.0, nodes=nodes)
    except ValueError:
        return  # such names are refused from the start
    save(named, tmp_path / "named.safetensors")
    for command in ("info", "codes"):
        outcome = sterna(command, tmp_path / "named.safetensors")
        assert outcome.status == 0, outcome.err
        assert "[/b]h" in outcome.out
        assert "[red]:smile:" in outcome.out


def test_steps_and_notes() -> None:
    for terminal in (False, True):
        stream = io.StringIO()
        console = Console(file=stream, force_terminal=terminal, color_system=None, markup=False, emoji=False, width=99)
        status = Status("", console=console) if terminal else None
        steps = Steps(console, status)
        steps("generating [/b]:smile:")
        if status is not None:
            with status:
                status.refresh = None  # type: ignore[attr-defined]  # rich draws no more
            assert "generating [/b]:smile: ..." in stream.getvalue()
        steps.note("using [/b]\x1b:smile:")
        steps.stop()
        assert "note: using [/b]\\x1b:smile:\n" in stream.getvalue()


def test_printable() -> None:
    assert printable("a\tb\n\x1b[0m\x00\x7f\x9bé") == "a\tb\n\\x1b[0m\\x00\\x7f\\x9bé"
    assert one_line(" a\n\n b\x1b ") == "a b\\x1b"


def test_degrade() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii", errors="strict")
    degrade(stream)
    stream.write("3 × 4 → k̄ k̃ H∞ 5 µJ … é \udcff")
    stream.flush()
    assert raw.getvalue() == b"3 x 4 -> k_ k~ Hinf 5 uJ ... \\xe9 \xff"
    degrade(io.StringIO())  # takes anything already


ENVIRONMENTS = [{"PYTHONIOENCODING": "ascii"}, {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}]


@pytest.mark.parametrize("environment", ENVIRONMENTS, ids=["PYTHONIOENCODING", "LC_ALL"])
def test_a_terminal_without_utf_8(environment: dict[str, str], model: Path, tmp_path: Path) -> None:
    def sterna(*arguments: object) -> str:
        kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONIOENCODING", "PYTHONUTF8")}
        command = [sys.executable, "-m", "sterna.cli", *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, env={**kept, **environment}, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.decode("ascii")

    assert "bits / entropy" in sterna("generate", model, "-o", tmp_path / "out")
    assert "Hinf" in sterna("codes", model)
    sterna("codes", "--help")


def test_any_help_is_ascii_where_it_must() -> None:
    commands = ["train", "plot", "info", "codes", "generate", "simulate", "synth", "report", "demo"]
    code = (
        "import sys; from sterna.cli.app import run; from sterna.cli.text import degrade; degrade(sys.stdout)\n"
        f"sys.exit(any([run([name, '--help']) for name in {commands}]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, env={**os.environ, "PYTHONIOENCODING": "ascii"}, check=False
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.isascii()


@pytest.mark.parametrize(
    ("value", "text"),
    [(64, "64"), (1280, "1,280"), (64.5, "64.5"), (1e3 / 3, "333.333"), (2.0, "2"), (1234.5, "1,234.5")],
)
def test_number(value: float, text: str) -> None:
    assert number(value) == text


@pytest.mark.parametrize(
    ("timing", "text"),
    [
        ((64, 64, 1, 64), "64 cycles a frame"),
        ((64.5, 129, 2, 65), "64.5 cycles a frame (129 in 2 frames, largest gap 65)"),
        ((64, 128, 2, 65), "64 cycles a frame (128 in 2 frames, largest gap 65)"),
        ((1000 / 3, 1000, 3, 334), "333.333 cycles a frame (1,000 in 3 frames, largest gap 334)"),
    ],
)
def test_interval(timing: tuple[float, ...], text: str) -> None:
    names = ("interval_cycles", "period_cycles", "period_frames", "largest_gap_cycles")
    assert interval(dict(zip(names, timing, strict=True))) == text


def test_images_a_second(folder: Path, sterna: Callable) -> None:
    """Clock / interval, where the interval is no whole number."""
    description = json.loads((folder / "small_net.json").read_text())
    timing = {"interval_cycles": 64.5, "period_cycles": 129, "period_frames": 2, "largest_gap_cycles": 65}
    description["timing"] |= timing
    (folder / "small_net.json").write_text(json.dumps(description))
    synthesis = {
        "verilog_sha256": description["verilog_sha256"],
        "clock": {"median_hz": 50_000_000},
        "device": {"part": "iCE40UP5K", "speed": None},
        "total": {"lut4": 5, "ram_blocks": 2, "dsps": 0},
        "utilization": {"slots": {"used": 7, "share": 0.1}, "ram_blocks": {"available": 30}},
        "multipliers": {},
    }
    (folder / "synth-up5k").mkdir()
    report = folder / "synth-up5k" / "report.json"
    report.write_text(json.dumps(synthesis))
    outcome = sterna("report", folder)
    assert outcome.status == 0, outcome.err
    for text in (
        " 64.5 cycles a frame (129 in 2 frames, largest gap 65)",
        "clock / interval",
        "without pins",
        "775,194",
    ):
        assert text in outcome.out
    figures = json.loads(sterna("report", folder, "--json").out)
    assert {name: figures[name] for name in timing} == timing
    assert figures["images_per_second_is"] == "clock / interval, of the block alone, without pins"
    assert figures["devices"][0]["images_per_second"] == round(50e6 / 64.5)
    for content, reason in (
        ("{", "not a whole JSON file"),
        ("[1]", "it must hold a JSON object"),
        ("[" * 100_000, "not a whole JSON file"),
        (json.dumps({**synthesis, "device": None, "clock": 3}), "is missing or wrong; run `sterna synth` again"),
        (
            json.dumps({"verilog_sha256": synthesis["verilog_sha256"]}),
            "'clock' is missing or wrong; run `sterna synth`",
        ),
        (json.dumps({**synthesis, "verilog_sha256": "0"}), "made of other Verilog than the folder's"),
    ):
        report.write_text(content)
        error = sterna("report", folder).error
        assert error.startswith(f"{report}: ")
        assert reason in error


def test_npy_of_any_name(folder: Path, tmp_path: Path, sterna: Callable) -> None:
    path = tmp_path / "[" / "b]:smile:.npy"
    path.parent.mkdir()
    np.save(path, np.zeros((0, 8)))
    assert sterna("simulate", folder, "--inputs", path).error.startswith(f"{path}: there are no frames in it")
