"""What is installed from a wheel: every package and its data, and a command line that needs no repository."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
ROOMS = sorted({folder.partition("/")[0] for folder in PROJECT["tool"]["setuptools"]["package-dir"].values()})
BESIDE = ("pyproject.toml", "MANIFEST.in", "README.md", "CHANGELOG.md", "LICENSE")
#: Where the packages are that Sterna depends on. Sterna itself is not seen there: no .pth file of theirs is read.
DEPENDENCIES = [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]


@dataclass(frozen=True)
class Installed:
    """An environment that has Sterna from a wheel alone."""

    folder: Path
    wheel: Path
    sdist: Path

    def run(self, *command: str, cwd: Path, timeout: float = 120) -> str:
        """What a command of the environment prints."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        # The synthesis tools are scripts of the environment that runs the tests.
        environment["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), environment["PATH"]])
        done = subprocess.run(
            [str(self.folder / "bin" / command[0]), *command[1:]],
            cwd=cwd, env=environment, timeout=timeout, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout


def run(*command: object, cwd: Path) -> None:
    done = subprocess.run([*map(str, command)], cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def build(tree: Path, kind: str, to: Path) -> Path:
    """What pip's call makes of a tree: a wheel or an sdist."""
    to.mkdir()
    run(sys.executable, "-c", f"from setuptools import build_meta; build_meta.build_{kind}({str(to)!r})", cwd=tree)
    (made,) = to.iterdir()
    return made


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """A new environment, with a wheel of a copy of the sources: what was built before must not get in."""
    place = tmp_path_factory.mktemp("wheel")
    tree, folder = place / "tree", place / "environment"
    for room in (*ROOMS, "tests"):
        shutil.copytree(ROOT / room, tree / room, ignore=shutil.ignore_patterns("__pycache__", ".*"))
    for name in BESIDE:
        shutil.copy(ROOT / name, tree)
    wheel, sdist = build(tree, "wheel", place / "wheels"), build(tree, "sdist", place / "sdists")
    run(sys.executable, "-m", "venv", "--without-pip", folder, cwd=place)
    options = ["--quiet", "--no-deps", "--no-index", "--disable-pip-version-check"]
    run(sys.executable, "-m", "pip", "--python", folder / "bin" / "python", "install", *options, wheel, cwd=place)
    (site,) = folder.glob("lib/python*/site-packages")
    (site / "dependencies.pth").write_text("\n".join(DEPENDENCIES))
    return Installed(folder=folder, wheel=wheel, sdist=sdist)


def files_of_rooms() -> list[str]:
    """Every file of every room, by its place in a wheel."""
    found = [path for room in ROOMS for path in (ROOT / room).rglob("*") if path.is_file()]
    places = [path.relative_to(ROOT) for path in found]
    return sorted(f"sterna/{path.as_posix()}" for path in places if not {"__pycache__"} & set(path.parts))


def names_in(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as archive:
        return sorted(archive.namelist())


def test_the_wheel_holds_every_file_of_every_room_and_nothing_else(installed: Installed) -> None:
    names = names_in(installed.wheel)
    assert [name for name in names if ".dist-info/" not in name] == files_of_rooms()
    assert {"sterna/recipes/digits-mlp.toml", "sterna/sim/primitives/dp16kd.v"} < set(names)
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)


def test_the_source_distribution_makes_the_same_wheel_and_has_no_tests(installed: Installed, tmp_path: Path) -> None:
    with tarfile.open(installed.sdist) as archive:
        # Python 3.11.3 and before have no filters
        archive.extractall(tmp_path, **({"filter": "data"} if hasattr(tarfile, "data_filter") else {}))
    (tree,) = tmp_path.iterdir()
    assert not (tree / "tests").exists()
    assert {path.name for path in tree.iterdir()} >= {*ROOMS, *BESIDE}
    assert names_in(build(tree, "wheel", tmp_path / "again")) == names_in(installed.wheel)


def test_nothing_of_the_repository_is_needed(installed: Installed, tmp_path: Path) -> None:
    code = """
import importlib, importlib.metadata, json, pkgutil, sterna
from importlib.resources import files
from sterna.train.recipe import load_recipe
found = [module.name for module in pkgutil.walk_packages(sterna.__path__, "sterna.") if module.ispkg]
loaded = [importlib.import_module(name).__file__ for name in found]
recipes = [load_recipe(path).name for path in files("sterna.recipes").iterdir() if path.suffix == ".toml"]
print(json.dumps([found, loaded, recipes, importlib.metadata.version("sterna")]))
"""
    found, loaded, recipes, version = json.loads(installed.run("python", "-W", "error", "-c", code, cwd=tmp_path))
    assert sorted(found) == sorted(PROJECT["tool"]["setuptools"]["packages"])
    assert all(Path(path).is_relative_to(installed.folder) for path in loaded)
    assert sorted(recipes) == sorted(path.stem for path in (ROOT / "recipes").glob("*.toml"))
    assert version == PROJECT["project"]["version"]
    assert installed.run("sterna", "--version", cwd=tmp_path).startswith(f"sterna {version}")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_demo(installed: Installed, tmp_path: Path) -> None:
    printed = installed.run("sterna", "demo", "--devices", "up5k", "--seeds", "1", "--json", cwd=tmp_path, timeout=800)
    figures = json.loads(printed)
    assert figures["simulation"]["frames"] == 360
    assert figures["simulation"]["equal"] is True
    (routed,) = figures["devices"]
    assert routed["total"]["dsps"] == routed["multipliers"] == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["runs"]
