"""The list of mutants fits the sources; `make mutants` runs it."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def mutants() -> ModuleType:
    """tools/mutants.py"""
    spec = importlib.util.spec_from_file_location("sterna_mutants", ROOT / "tools" / "mutants.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_every_line_is_there_once(mutants: ModuleType, tmp_path: Path) -> None:
    listed = mutants.read_mutants()
    assert len(listed) >= 24
    for mutant in listed:
        copy = tmp_path / mutant.file
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / mutant.file, copy)
        mutant.apply(tmp_path)
        changed = copy.read_text()
        assert changed != (ROOT / mutant.file).read_text()
        compile(changed, mutant.file, "exec")
        assert all((ROOT / test.partition("::")[0]).is_file() for test in mutant.tests)
    assert len({(mutant.file, mutant.before) for mutant in listed}) == len(listed)


def test_a_line_that_is_gone_is_named(mutants: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("x = 1\nx = 1\n")
    for before, count in (("y = 1", 0), ("x = 1", 2)):
        mutant = mutants.Mutant(file="a.py", before=before, after="x = 2", breaks="", tests=())
        message = rf"^a\.py: {count} lines read '{before}'; mutants\.toml needs exactly one$"
        with pytest.raises(mutants.MutantError, match=message):
            mutant.apply(tmp_path)
