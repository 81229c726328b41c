"""The README's Python runs as it stands, and gives what the golden model says."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from sterna.sim.simulators import Simulator, available

ROOT = Path(__file__).parents[1]
CHOICE = 'simulator="verilator"'


def snippet() -> str:
    """The README's Python blocks, one after the other."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    blocks: list[str] = re.findall(r"^```python\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)
    assert blocks
    return "\n".join(blocks)


def run(source: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """Runs it in a folder that looks like a checkout with models."""
    (folder / "models").symlink_to(ROOT / "models")
    monkeypatch.chdir(folder)
    names: dict[str, object] = {}
    exec(compile(source, "README.md", "exec"), names)
    return names


def check(names: dict[str, object], printed: str) -> None:
    scores = names["scores"]
    assert isinstance(scores, np.ndarray)
    assert scores.shape == (20, 10)
    assert printed.startswith(str(scores.argmax(axis=1)))


def test_python_of_the_readme(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    source = snippet()
    assert source.count(CHOICE) == 1
    if Simulator.ICARUS in available():  # starts at once; Verilator builds for a while
        source = source.replace(CHOICE, 'simulator="icarus"')
    check(run(source, tmp_path, monkeypatch), capsys.readouterr().out)


@pytest.mark.slow
def test_python_of_the_readme_to_the_letter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    check(run(snippet(), tmp_path, monkeypatch), capsys.readouterr().out)
