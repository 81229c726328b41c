"""The folders at the top are the packages, for setuptools as for type checkers."""

from __future__ import annotations

import importlib.metadata
import itertools
import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
ROOMS = ("net", "codes", "train", "sim", "hw", "flow", "cli", "recipes")


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


def test_every_package_says_what_it_is() -> None:
    for folder in folders().values():
        assert (ROOT / folder / "__init__.py").read_text(encoding="utf-8").startswith('"""'), folder


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
    for wanted in itertools.chain(project["dependencies"], *project["optional-dependencies"].values()):
        name = re.split(r"[\[<>=]", wanted)[0]
        assert name in pinned
        (line,) = (line for line in text.splitlines() if line.strip().startswith(f'"{wanted}"'))
        assert " # " in line, f"no reason for {name}"


def test_installed_version() -> None:
    assert importlib.metadata.version("sterna") == PROJECT["project"]["version"]
