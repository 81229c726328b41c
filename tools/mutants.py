"""Applies each line of mutants.toml to a copy of the tree, and fails if the tests that it names do not notice it.

    python tools/mutants.py [--jobs 2] [--only TEXT] [--part K/N]

A mutant with which all of its tests pass survives; long tests do not count. The same tests must pass on an unchanged
copy. Nothing is changed in place. N parts make up the whole list; mutants of one file lie together, so that a part runs
few tests on the unchanged copy.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LIST = Path(__file__).with_suffix(".toml")
#: What a copy needs not.
LEFT_OUT = shutil.ignore_patterns(".*", "build", "runs", "__pycache__", "*.egg-info")
#: Exit statuses of pytest: all passed, some failed.
PASSED, FAILED = 0, 1
#: Seconds for one test, and for all that a mutant names, which may never end. The first limit fails a test; the second
#: one ends the process, whatever it does.
TEST_TIMEOUT = 60
MUTANT_TIMEOUT = 240


class MutantError(Exception):
    """A mutant cannot be judged."""


@dataclass(frozen=True)
class Mutant:
    """One changed line.

    Attributes
    ----------
    file : path from the root.
    before, after : the line, without its indentation.
    breaks : what is wrong then.
    tests : those that should notice, as pytest's arguments.
    """

    file: str
    before: str
    after: str
    breaks: str
    tests: tuple[str, ...]

    def apply(self, root: Path) -> None:
        """Changes the line in a tree.

        Raises
        ------
        MutantError
            If it is not there exactly once.
        """
        path = root / self.file
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        places = [k for k, line in enumerate(lines) if line.strip() == self.before]
        if len(places) != 1:
            raise MutantError(f"{self.file}: {len(places)} lines read {self.before!r}; mutants.toml needs exactly one")
        lines[places[0]] = lines[places[0]].replace(self.before, self.after)
        path.write_text("".join(lines), encoding="utf-8")


def read_mutants(path: Path = LIST) -> list[Mutant]:
    """All mutants of a list."""
    with path.open("rb") as file:
        entries = tomllib.load(file)["mutant"]
    return [Mutant(**{**entry, "tests": tuple(entry["tests"])}) for entry in entries]


def run_within(
    command: Sequence[str], root: Path, environment: dict[str, str], seconds: float | None
) -> tuple[int, str]:
    """Exit status and output of a command, which is killed after that time with all that it started.

    Raises
    ------
    subprocess.TimeoutExpired
        If it was.
    """
    with subprocess.Popen(
        command, cwd=root, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        start_new_session=True,
    ) as process:  # fmt: skip
        try:
            output, _ = process.communicate(timeout=seconds)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    return process.returncode, output


def run_tests(root: Path, tests: Sequence[str], seconds: float | None = None) -> int:
    """Pytest's exit status in a copy, whose own sources are imported: the import root comes before any install.

    Tests that have not ended after that time have failed.
    """
    environment = {
        **os.environ,
        "PYTHONPATH": str(root / "tools" / "importroot"),
        "PYTHONDONTWRITEBYTECODE": "1",
        "OMP_NUM_THREADS": "1",
    }
    found = subprocess.run(
        [sys.executable, "-c", "from importlib.util import find_spec; print(find_spec('sterna.hw').origin)"],
        cwd=root, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if not found.stdout.startswith(str(root)):
        raise MutantError(f"the copy's sources are not those that are imported, but {found.stdout or found.stderr}")
    options = ["-x", "-q", "-m", "not slow", "-p", "no:cacheprovider", "--timeout", str(TEST_TIMEOUT)]
    command = [sys.executable, "-m", "pytest", *options, *tests]
    try:
        status, output = run_within(command, root, environment, seconds)
    except subprocess.TimeoutExpired:
        return FAILED
    if status not in (PASSED, FAILED):
        raise MutantError(f"pytest {' '.join(tests)} ended with status {status}\n{output[-2000:]}")
    return status


def survives(mutant: Mutant) -> bool:
    """Whether the mutant's tests pass with the line changed."""
    with tempfile.TemporaryDirectory(prefix="sterna-mutant-") as folder:
        root = Path(folder).resolve() / "tree"
        shutil.copytree(ROOT, root, symlinks=True, ignore=LEFT_OUT)
        mutant.apply(root)
        return run_tests(root, mutant.tests, MUTANT_TIMEOUT) == PASSED


def check_unchanged(mutants: Sequence[Mutant]) -> None:
    """The tests must pass without a mutant, or they would notice anything.

    Raises
    ------
    MutantError
        If they do not.
    """
    with tempfile.TemporaryDirectory(prefix="sterna-mutant-") as folder:
        root = Path(folder).resolve() / "tree"
        shutil.copytree(ROOT, root, symlinks=True, ignore=LEFT_OUT)
        tests = sorted({test for mutant in mutants for test in mutant.tests})
        if run_tests(root, tests) != PASSED:
            raise MutantError(f"the tests fail without any mutant: pytest -x {' '.join(tests)}")


@dataclass(frozen=True)
class Part:
    """The ``number``-th of ``count`` parts of a list, counted from 1."""

    number: int
    count: int

    @classmethod
    def parse(cls, text: str) -> Part:
        """A part by its text, such as ``2/5``.

        Raises
        ------
        argparse.ArgumentTypeError
            If it is none.
        """
        match = re.fullmatch(r"([0-9]+)/([0-9]+)", text)
        if match and 1 <= int(match[1]) <= int(match[2]):
            return cls(int(match[1]), int(match[2]))
        raise argparse.ArgumentTypeError(f"must be K/N with K from 1 to N, such as 2/5, not {text!r}")

    def of(self, mutants: Sequence[Mutant]) -> list[Mutant]:
        """The mutants of the part, ordered by file."""
        ordered = sorted(mutants, key=lambda mutant: mutant.file)
        return ordered[(self.number - 1) * len(ordered) // self.count : self.number * len(ordered) // self.count]


def main() -> int:
    """0 if every mutant is noticed."""
    parser = argparse.ArgumentParser(description="Break the sources one line at a time: the tests must notice each.")
    parser.add_argument("--jobs", type=int, default=2, help="mutants at once")
    parser.add_argument("--only", default="", help="only those whose file or description contains this text")
    parser.add_argument("--part", type=Part.parse, default=Part(1, 1), help="only part K of N, written K/N")
    options = parser.parse_args()
    mutants = options.part.of([m for m in read_mutants() if options.only in f"{m.file}: {m.breaks}"])
    if not mutants:
        parser.error("no mutant is chosen; correct --only or --part")
    failures = 0
    begun = time.monotonic()
    with ThreadPoolExecutor(options.jobs) as pool:
        jobs = {pool.submit(check_unchanged, mutants): None} | {pool.submit(survives, m): m for m in mutants}
        for number, job in enumerate(as_completed(jobs), 1):
            mutant = jobs[job]
            name = f"{mutant.file}: {mutant.breaks}" if mutant else "unchanged"
            try:
                verdict = {None: "passes", True: "SURVIVES", False: "noticed"}[job.result()]
                if mutant and job.result():
                    verdict += f" {' '.join(mutant.tests)}"
            except MutantError as error:
                verdict = f"CANNOT BE JUDGED: {error}"
            failures += verdict not in ("noticed", "passes")
            print(f"{number:3}/{len(jobs)} {time.monotonic() - begun:5.0f} s  {name}: {verdict}", flush=True)
    print(f"{len(mutants)} mutants, {failures} failures")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
