"""The recipes that come with the package: found by their names where no file of the user's is meant."""

from __future__ import annotations

import importlib.resources
from pathlib import Path

__all__ = ["describe_recipes", "find_recipe", "packaged_recipes"]

_PACKAGE, _SUFFIX = "sterna.recipes", ".toml"


def packaged_recipes() -> dict[str, Path]:
    """Paths of the packaged recipes by their names, in order."""
    folder = Path(str(importlib.resources.files(_PACKAGE)))
    return {path.stem: path for path in sorted(folder.glob(f"*{_SUFFIX}"))}


def find_recipe(given: str | Path) -> Path:
    """The recipe that a user means: a file where there is one, else the packaged recipe of that bare name.

    Raises
    ------
    FileNotFoundError
        If there is neither; its ``strerror`` says what there is.
    """
    path = Path(given)
    if path.exists():
        return path
    packaged = packaged_recipes()
    bare = path.name == str(given) and path.suffix in ("", _SUFFIX)
    if bare and path.stem in packaged:
        return packaged[path.stem]
    reason = "No such file or directory"
    if bare:
        reason += f", and the packaged recipes are {', '.join(packaged)}"
    elif path.stem in packaged:
        reason += f"; the packaged recipe is called {path.stem}, without folder"
    raise FileNotFoundError(2, reason, str(given))


def describe_recipes() -> dict[str, str]:
    """What the packaged recipes are of, by their names: the comments that they begin with."""
    described = {}
    for name, path in packaged_recipes().items():
        lines = path.read_text(encoding="utf-8").splitlines()
        count = next(number for number, line in enumerate(lines) if not line.startswith("#"))
        described[name] = " ".join(line.removeprefix("#").strip() for line in lines[:count])
    return described
