"""Tools keep themselves compiled in the user's cache, or where none can be written, in one for a command alone."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sterna.cli.cache import writable_cache


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


def is_replaced() -> bool:
    before = os.environ.get("XDG_CACHE_HOME")
    with writable_cache():
        inside = os.environ.get("XDG_CACHE_HOME")
        if inside != before:
            assert inside is not None
            assert Path(inside).is_dir()
            assert not any(Path(inside).iterdir())
    assert os.environ.get("XDG_CACHE_HOME") == before
    if inside != before:
        assert inside is not None
        assert not Path(inside).exists()
    return inside != before


def test_a_cache_that_can_be_written(home: Path) -> None:
    assert not is_replaced()
    assert list(home.iterdir()) == []
    (home / ".cache" / "YoWASP").mkdir(parents=True)
    assert not is_replaced()


@pytest.mark.parametrize("name", [".cache", ".cache/YoWASP", ".cache/wasmtime"])
def test_a_file_in_the_way(name: str, home: Path) -> None:
    (home / name).parent.mkdir(exist_ok=True)
    (home / name).write_text("")
    assert is_replaced()


@pytest.mark.parametrize("name", [".", ".cache", ".cache/YoWASP"])
def test_a_folder_of_somebody_else(name: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / name).mkdir(parents=True, exist_ok=True)
    locked = (home / name).resolve()
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path).resolve() != locked)  # root may write anywhere
    assert is_replaced()


def test_no_home_at_all(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "file").write_text("")
    monkeypatch.setenv("HOME", str(home / "file"))
    assert is_replaced()
    monkeypatch.setenv("XDG_CACHE_HOME", str(home))
    assert not is_replaced()
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert is_replaced()


def test_the_cache_goes_after_an_error(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(home / "file"))
    (home / "file").write_text("")
    seen = []

    def stopped() -> None:
        with writable_cache():
            seen.append(Path(os.environ["XDG_CACHE_HOME"]))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped()
    assert not seen[0].exists()
    assert "XDG_CACHE_HOME" not in os.environ


def test_generate_without_a_home(model: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    environment = {name: value for name, value in os.environ.items() if name != "XDG_CACHE_HOME"}
    done = subprocess.run(
        [sys.executable, "-m", "sterna.cli", "generate", model, "-o", tmp_path / "out"],
        env={**environment, "HOME": str(tmp_path / "file"), "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "small_net.v").is_file()
    assert not list(tmp_path.glob("sterna-cache-*"))
