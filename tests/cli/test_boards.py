"""``sterna boards``, ``bitstream`` and ``program``."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from sterna.boards.pins import UartPins
from sterna.cli import program
from sterna.cli.bitstream import parse_uart
from sterna.net.file import load


def test_boards(sterna: Callable) -> None:
    outcome = sterna("boards")
    assert outcome.status == 0
    (line,) = [line for line in outcome.out.splitlines() if " icebreaker " in line]
    assert all(word in line for word in ("iCE40UP5K", "sg48", "12 MHz", "6, 9", "ice40_generic"))
    listed = json.loads(sterna("boards", "--json").out)
    by_name = {board["name"]: board for board in listed}
    assert by_name["ulx3s-12f"]["uart"] == {"rx": "M1", "tx": "L4"}
    assert by_name["orangecrab-r0-2-85f"]["uart"] is None
    assert by_name["upduino-v3"]["internal_oscillator"]
    assert by_name["upduino-v3"]["other_clocks"] == {"clk12": 12_000_000}


def test_parse_uart() -> None:
    assert parse_uart("rx=A1, tx=B2") == UartPins(rx="A1", tx="B2")
    assert parse_uart("tx=B2,rx=A1,io=LVCMOS18") == UartPins(rx="A1", tx="B2", io_type="LVCMOS18")
    for wrong in ("A1,B2", "rx=A1,tx=", "rx=A1,rx=A2,tx=B1", "rx=A1,tx=B2,cts=C3"):
        with pytest.raises(ValueError, match=r"^--uart must be like rx=A1,tx=B2, and '.*' is not$"):
            parse_uart(wrong)
    with pytest.raises(ValueError, match=r"^--uart must name both rx and tx, and 'rx=A1' does not$"):
        parse_uart("rx=A1")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--board", "nosuch"), "unknown board 'nosuch'; `sterna boards` lists those that there are"),
        (("--board", "ulx3s"), "there are several boards 'ulx3s': choose one of ulx3s-12f, ulx3s-25f,"),
        (("--board", "orangecrab-r0-2-25f"), "orangecrab-r0-2-25f has no UART: say at which pins a serial adapter is"),
        (("--board", "icebreaker", "--clock", "5"), "the PLL of an iCE40 makes 16.125 MHz and more of 12 MHz, not 5"),
        (("--board", "icebreaker", "--clock", "20", "--baud", "12000000"), "1.2e+07 baud needs a clock of 48 MHz"),
        (("--board", "icebreaker", "--oscillator", "clk25"), "icebreaker has no clock 'clk25'; it has clk12"),
        (("--board", "icebreaker", "--lanes", "2", "--fps", "5"), "give --lanes or --fps, not both"),
        (("--board", "icebreaker", "-o", "digits"), "--output must be a bitstream's name, as in digits.bin"),
        (("--board", "icebreaker", "-o", "net.json"), "--output must be a bitstream's name, as in digits.bin"),
        (("--board", "icebreaker", "--fps", "1e9"), ""),
    ],
)
def test_what_bitstream_refuses(
    options: tuple[str, ...],
    message: str,
    model: Path,
    tmp_path: Path,
    sterna: Callable,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    assert message in sterna("bitstream", model, *options).error
    assert sorted(tmp_path.rglob("*")) == before


def test_verilog_of_another_is_not_overwritten(model: Path, tmp_path: Path, sterna: Callable) -> None:
    (tmp_path / "a.v").write_text("module mine; endmodule\n")
    error = sterna("bitstream", model, "--board", "icebreaker", "-o", tmp_path / "a.bin").error
    assert "a.v is there, and it belongs to no bitstream: give another name with --output" in error


@pytest.mark.synth
def test_bitstream(model: Path, tmp_path: Path, sterna: Callable) -> None:
    out = tmp_path / "new" / "small.bin"
    outcome = sterna("bitstream", model, "--board", "icebreaker", "--clock", "18", "-o", out, "--json")
    assert outcome.status == 0
    report = json.loads(outcome.out)
    assert report == json.loads(out.with_suffix(".json").read_text())
    assert sorted(path.name for path in out.parent.iterdir()) == ["small.bin", "small.json", "small.v"]
    assert report["bitstream_bytes"] == out.stat().st_size
    assert report["network_digest"] == load(model).digest
    assert report["clock_hz"] == 18_000_000 <= report["reached_hz"]
    assert report["pll"]["parameters"] == {"DIVR": 0, "DIVF": 47, "DIVQ": 5, "FILTER_RANGE": 1}
    assert report["pins"] == {"clk": "35", "rx": "6", "tx": "9"}
    assert report["utilization"]["dsps"]["used"] == 0
    assert report["lanes"] == [1, 1]
    verilog = out.with_suffix(".v").read_text()
    assert "module small_net(" in verilog
    assert "SB_PLL40_PAD" in verilog


@pytest.mark.slow
@pytest.mark.synth
def test_a_missed_clock_leaves_nothing(model: Path, tmp_path: Path, sterna: Callable) -> None:
    outcome = sterna(
        "bitstream", model, "--board", "icebreaker", "--clock", "200", "--seeds", "1", "-o", tmp_path / "new" / "a.bin"
    )
    assert outcome.error.startswith("place and route reached ")
    assert "not the 198.00 MHz that were asked for: ask for a lower --clock, try more --seeds, or" in outcome.error
    assert not (tmp_path / "new").exists()


@pytest.fixture
def loader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An openFPGALoader that writes down what it was called with, and a bitstream with its report."""
    tool = tmp_path / "loader"
    tool.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/called\nexit ${{LOADER_STATUS:-0}}\n')
    tool.chmod(0o755)
    monkeypatch.setenv("OPENFPGALOADER", str(tool))
    (tmp_path / "a.bit").write_bytes(b"bits")
    (tmp_path / "a.json").write_text(json.dumps({"board": "ulx3s-85f"}))
    return tmp_path


def test_program(loader: Path, sterna: Callable) -> None:
    bits = loader / "a.bit"
    assert sterna("program", bits).status == 0
    assert (loader / "called").read_text() == f"-b ulx3s {bits}\n"
    assert sterna("program", bits, "--board", "ULX3S_85F", "--flash").status == 0
    assert (loader / "called").read_text() == f"-b ulx3s -f {bits}\n"


def test_what_program_refuses(loader: Path, sterna: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    bits = loader / "a.bit"
    assert "there is no bitstream" in sterna("program", loader / "b.bit").error
    assert "a.bit was made for ulx3s-85f, not for icebreaker" in sterna("program", bits, "--board", "icebreaker").error
    (loader / "a.json").unlink()
    assert "there is no report beside" in sterna("program", bits).error
    assert "openFPGALoader does not know icesugar" in sterna("program", bits, "--board", "icesugar").error
    assert not (loader / "called").exists()
    monkeypatch.setenv("LOADER_STATUS", "3")
    error = sterna("program", bits, "--board", "ulx3s-85f").error
    assert error.startswith("openFPGALoader failed (exit status 3; its own message is above): is the board connected")
    monkeypatch.setenv("OPENFPGALOADER", str(loader / "none"))
    assert "which cannot be run; correct or unset it" in sterna("program", bits, "--board", "ulx3s-85f").error


@pytest.mark.parametrize(
    ("platform", "managers", "line"),
    [
        ("linux", {"apt-get"}, "sudo apt-get install openfpgaloader"),
        ("linux", {"pacman"}, "sudo pacman -S openfpgaloader"),
        ("linux", set(), "conda install -c conda-forge openfpgaloader"),
        ("darwin", set(), "brew install openfpgaloader"),
    ],
)
def test_how_to_install_the_loader(
    platform: str, managers: set[str], line: str, loader: Path, sterna: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENFPGALOADER")
    monkeypatch.setattr(program.sys, "platform", platform)
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}" if name in managers else None)
    assert f"openFPGALoader is missing; install it with `{line}`, then run" in sterna("program", loader / "a.bit").error
