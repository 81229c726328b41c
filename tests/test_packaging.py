"""The folders at the top are the packages, for setuptools as for type checkers."""

from __future__ import annotations

import ast
import importlib.metadata
import itertools
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
ROOMS = ("net", "codes", "train", "sim", "hw", "flow", "boards", "imports", "recipes", "cli")
#: Words that a package needs at least to say what it is.
MIN_WORDS = 4


def folders() -> dict[str, str]:
    """Import name of every folder with sources, and the folder."""
    found = {}
    for room in ROOMS:
        for path in sorted({source.parent for source in (ROOT / room).rglob("*.py")}):
            folder = path.relative_to(ROOT).as_posix()
            found["sterna." + folder.replace("/", ".")] = folder
    return found


def test_every_folder_is_a_package() -> None:
    assert sorted(PROJECT["tool"]["setuptools"]["packages"]) == sorted(folders())
    assert PROJECT["tool"]["setuptools"]["package-dir"] == folders()


def first_sentence(source: str) -> str:
    """What a source says at its top: the first paragraph of its docstring; empty if that is no sentence."""
    paragraph = " ".join((ast.get_docstring(ast.parse(source)) or "").partition("\n\n")[0].split())
    words = re.findall(r"[a-z]{2,}", paragraph.lower())
    return paragraph if len(set(words)) >= MIN_WORDS and paragraph.endswith(".") else ""


def test_every_package_says_what_it_is() -> None:
    said = {folder: first_sentence((ROOT / folder / "__init__.py").read_text("utf-8")) for folder in folders().values()}
    assert [folder for folder, sentence in said.items() if not sentence] == []
    assert len(set(said.values())) == len(said), "two packages say the same"


@pytest.mark.parametrize(
    "source",
    [
        "",
        "x = 1",
        "'''.'''",
        "'''Units.'''",
        "'''Units of all kinds in one place'''",
        "'''Units, units, units and units.'''",
        "'''Units\n\nof all kinds, in one place.'''",
        "# Units of all kinds, in one place.",
    ],
)
def test_what_is_no_sentence_is_seen(source: str) -> None:
    assert first_sentence("'''Units of all kinds,\nin one place.\n\nMore'''") == "Units of all kinds, in one place."
    assert first_sentence(source) == ""


def test_type_checkers_see_the_same() -> None:
    links = {path.name: path for path in (ROOT / "tools" / "importroot" / "sterna").iterdir()}
    assert sorted(links) == sorted(ROOMS)
    for room, link in links.items():
        assert not link.readlink().is_absolute()
        assert link.resolve() == ROOT / room
    assert sorted(PROJECT["tool"]["mypy"]["packages"]) == sorted(f"sterna.{room}" for room in ROOMS)


def test_every_dependency_is_pinned_and_has_its_reason() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    pinned = {
        line.partition("==")[0].lower().replace("_", "-")
        for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    }
    project = PROJECT["project"]
    extras = [wanted for extra, wanted in project["optional-dependencies"].items() if extra != "all"]
    for wanted in itertools.chain(project["dependencies"], *extras):
        name = re.split(r"[\[<>=]", wanted)[0]
        assert name in pinned
        (line,) = (line for line in text.splitlines() if line.strip().startswith(f'"{wanted}"'))
        assert " # " in line, f"no reason for {name}"


def test_all_is_every_extra_but_the_developers() -> None:
    extras = PROJECT["project"]["optional-dependencies"]
    (everything,) = extras["all"]
    name, _, listed = everything.rstrip("]").partition("[")
    assert name == PROJECT["project"]["name"]
    assert sorted(listed.split(",")) == sorted(set(extras) - {"all", "dev"})


def test_make_installs_every_extra() -> None:
    assert "--editable '.[all,dev]'" in (ROOT / "Makefile").read_text(encoding="utf-8")


def test_installed_version() -> None:
    assert importlib.metadata.version("sterna") == PROJECT["project"]["version"]
