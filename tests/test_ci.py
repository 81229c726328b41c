"""What CI runs: ``.ci/run``, tried with stand-ins for the tools, and the public workflow that calls it."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TOOLS = ("iverilog", "g++", "make", "perl", "git", "python3", "apt-get", "sudo")
COMMIT = "5cd5de5d22e442e66a2cbbb5b0dce7a5a3ef88fd"


@dataclass(frozen=True)
class Machine:
    """A PATH that holds stand-ins, which log what they are called with, and what ``.ci/run`` needs of the system."""

    folder: Path

    def stand_in(self, tool: str, text: str = "") -> None:
        path = self.folder / "bin" / tool
        path.write_text(f'#!/bin/sh\necho {tool} "$@" >> {self.folder}/calls\n{text}\n')
        path.chmod(0o755)

    def run(self) -> tuple[int, list[str]]:
        """Exit status, and the calls of make and apt-get."""
        (self.folder / "calls").write_text("")
        script, path = str(self.folder / "tree" / ".ci" / "run"), str(self.folder / "bin")
        status = subprocess.run([script], env={"PATH": path}, capture_output=True, check=False).returncode
        calls = (self.folder / "calls").read_text().splitlines()
        return status, [call for call in calls if call.startswith(("make", "apt-get"))]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    made = Machine(tmp_path)
    (tmp_path / "bin").mkdir()
    (tmp_path / "tree" / ".ci").mkdir(parents=True)
    shutil.copy(ROOT / ".ci" / "run", tmp_path / "tree" / ".ci")
    for tool in ("bash", "dirname", "id"):
        (tmp_path / "bin" / tool).symlink_to(str(shutil.which(tool)))
    for tool in TOOLS:
        made.stand_in(tool)
    made.stand_in("sudo", '"$@"')
    made.stand_in("git", f"echo {COMMIT}")
    return made


def test_everything_is_run(machine: Machine) -> None:
    status, calls = machine.run()
    assert status == 0
    parts = re.search(r"PART=([0-9]+)/([0-9]+)", " ".join(calls))
    assert parts is not None
    assert int(parts[1]) == int(COMMIT[:8], 16) % int(parts[2]) + 1
    assert calls == ["make test", "make examples", "make demo", f"make mutants {parts[0]}", "make test-long"]


def test_a_commit_always_tries_the_same_mutants_and_all_have_their_turn(machine: Machine) -> None:
    seen = []
    for number in (*range(16), 0):
        machine.stand_in("git", f"echo {number:08x}{COMMIT[8:]}")
        seen.append(machine.run()[1][3])
    parts = int(seen[0].rpartition("/")[2])
    assert seen[-1] == seen[0]
    assert set(seen) == {f"make mutants PART={part}/{parts}" for part in range(1, parts + 1)}


def test_without_a_commit_the_first_part_is_tried(machine: Machine) -> None:
    machine.stand_in("git", "exit 128")
    status, calls = machine.run()
    assert status == 0
    assert calls[3].startswith("make mutants PART=1/")


def test_the_first_failure_ends_it(machine: Machine) -> None:
    machine.stand_in("make", 'test "$1" != demo')
    status, calls = machine.run()
    assert status != 0
    assert calls[-1] == "make demo"


def test_what_is_missing_is_installed_first(machine: Machine) -> None:
    (machine.folder / "bin" / "iverilog").unlink()
    machine.stand_in("python3", "exit 1")
    _, calls = machine.run()
    assert calls[:3] == [
        "apt-get update",
        "apt-get install --yes --no-install-recommends iverilog python3-venv",
        "make test",
    ]


def test_the_public_workflow_calls_the_same() -> None:
    workflows = list((ROOT / ".github" / "workflows").iterdir())
    assert [path.name for path in workflows] == ["ci.yml"]
    text = workflows[0].read_text(encoding="utf-8")
    assert re.findall(r"\brun: +(\S.*)", text) == [".ci/run"]
    oldest = re.search(r">=([0-9.]+)", re.findall("requires-python.*", (ROOT / "pyproject.toml").read_text("utf-8"))[0])
    assert oldest is not None
    assert f'python-version: "{oldest[1]}"' in text
