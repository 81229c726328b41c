"""The list of mutants fits the sources; `make mutants` runs it."""

from __future__ import annotations

import argparse
import importlib.util
import os
import shutil
import subprocess
import sys
import time
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
    assert len({(mutant.file, mutant.before) for mutant in listed}) == len(listed)


def test_every_named_test_is_there_and_runs_by_default(mutants: ModuleType) -> None:
    for mutant in mutants.read_mutants():
        assert mutant.tests, mutant  # pytest takes none for all
        for test in mutant.tests:
            file, _, name = test.partition("::")
            assert (ROOT / file).is_file(), test
            found = [f"def {name.partition('[')[0]}(" in line for line in (ROOT / file).read_text("utf-8").splitlines()]
            assert not name or sum(found) == 1, test


def test_parts_make_up_the_whole_and_keep_files_together(mutants: ModuleType) -> None:
    listed = mutants.read_mutants()
    for count in (1, 2, 7, len(listed)):
        parts = [mutants.Part(number, count).of(listed) for number in range(1, count + 1)]
        assert all(parts)
        joined = [mutant for part in parts for mutant in part]
        assert [mutant.file for mutant in joined] == sorted(mutant.file for mutant in listed)
        assert {(mutant.file, mutant.before) for mutant in joined} == {(m.file, m.before) for m in listed}
        assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_a_part_by_its_text(mutants: ModuleType) -> None:
    assert mutants.Part.parse("2/5") == mutants.Part(2, 5)
    for text in ("0/5", "6/5", "1", "1/0", "-1/5", "a/b", ""):
        with pytest.raises(argparse.ArgumentTypeError, match=r"^must be K/N with K from 1 to N, such as 2/5, not "):
            mutants.Part.parse(text)


def test_none_chosen_is_an_error(
    mutants: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["mutants.py", "--only", "no such file"])
    with pytest.raises(SystemExit):
        mutants.main()
    assert "no mutant is chosen; correct --only or --part" in capsys.readouterr().err


def test_a_mutant_that_its_tests_do_not_notice_fails_the_run(
    mutants: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """A tree of its own: a source, its import root, and a test that sees one of two mutants."""
    (tmp_path / "hw").mkdir()
    (tmp_path / "hw" / "__init__.py").write_text("ONE = 1\nTWO = 2\n")
    (tmp_path / "tools" / "importroot" / "sterna").mkdir(parents=True)
    (tmp_path / "tools" / "importroot" / "sterna" / "hw").symlink_to("../../../hw")
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = slow\n")
    (tmp_path / "test_hw.py").write_text("from sterna import hw\n\ndef test_one():\n    assert hw.ONE == 1\n")
    listed = [
        mutants.Mutant(file="hw/__init__.py", before=before, after=after, breaks=before, tests=("test_hw.py",))
        for before, after in (("ONE = 1", "ONE = 2"), ("TWO = 2", "TWO = 1"))
    ]
    monkeypatch.setattr(mutants, "ROOT", tmp_path)
    monkeypatch.setattr(mutants, "read_mutants", lambda: listed)
    monkeypatch.setattr(sys, "argv", ["mutants.py", "--jobs", "1"])
    assert mutants.main() == 1
    printed = capsys.readouterr().out
    assert "unchanged: passes" in printed
    assert "ONE = 1: noticed" in printed
    assert "TWO = 2: SURVIVES test_hw.py" in printed
    assert printed.endswith("2 mutants, 1 failures\n")


def test_what_never_ends_is_killed_with_all_that_it_started(mutants: ModuleType, tmp_path: Path) -> None:
    """What it started would write after the time."""
    script = "import subprocess; subprocess.run('sleep 3; touch late', shell=True)"
    with pytest.raises(subprocess.TimeoutExpired):
        mutants.run_within([sys.executable, "-c", script], tmp_path, dict(os.environ), 1.5)
    time.sleep(3)
    assert not (tmp_path / "late").exists()
    status, output = mutants.run_within([sys.executable, "-c", "print(3); exit(2)"], tmp_path, dict(os.environ), None)
    assert (status, output) == (2, "3\n")


def test_a_line_that_is_gone_is_named(mutants: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("x = 1\nx = 1\n")
    for before, count in (("y = 1", 0), ("x = 1", 2)):
        mutant = mutants.Mutant(file="a.py", before=before, after="x = 2", breaks="", tests=())
        message = rf"^a\.py: {count} lines read '{before}'; mutants\.toml needs exactly one$"
        with pytest.raises(mutants.MutantError, match=message):
            mutant.apply(tmp_path)
