"""Files that are there whole or not at all, and which errors are the file's."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sterna.net import FileFormatError
from sterna.net.checks import check_integer, naming
from sterna.net.container import in_file, open_container, replacing, write_container, write_text
from sterna.net.errors import InvalidTypeError, InvalidValueError


def test_a_new_file_has_the_mode_of_any_other(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_text(tmp_path / "a", "text")
        (tmp_path / "b").write_text("text")
    finally:
        os.umask(before)
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in "ab"]
    assert modes == [0o640, 0o640]


@pytest.mark.parametrize("target", ["file", "folder/file", "link"])
def test_a_link_stays_and_its_target_is_replaced(target: str, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("folder/far")  # of a file that is not there yet
    path = tmp_path / "name"
    path.symlink_to(target)
    for text in ("old", "new"):
        write_text(path, text)
        assert path.is_symlink()
        assert (tmp_path / target).read_text() == path.read_text() == text
        assert (tmp_path / target).is_symlink() == (target == "link")
    assert not list(tmp_path.rglob("*.part"))


def test_links_that_lead_nowhere(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(OSError, match=r"Too many levels of symbolic links: .*a'$"):
        write_text(tmp_path / "a", "text")
    (tmp_path / "c").symlink_to("none/file")
    with pytest.raises(FileNotFoundError):
        write_text(tmp_path / "c", "text")
    assert sorted(os.listdir(tmp_path)) == ["a", "b", "c"]
    assert all(path.is_symlink() for path in tmp_path.iterdir())


def test_a_folder_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(IsADirectoryError):
        write_text(tmp_path / "folder", "text")
    assert os.listdir(tmp_path) == ["folder"]


def test_a_device_or_pipe_is_written_to(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    seen: list[str] = []
    reader = threading.Thread(target=lambda: seen.append(pipe.read_text()))
    reader.start()
    write_text(pipe, "text")
    reader.join()
    assert seen == ["text"]
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert os.listdir(tmp_path) == ["pipe"]


def test_several_write_the_same_file(tmp_path: Path) -> None:
    """Each has its own part, though all are one process; the last to end wins, with its whole text."""
    path = tmp_path / "file"
    with replacing(path) as first:
        first.write_text("first")
        with replacing(path) as second:
            second.write_text("second")
            assert first != second
        assert path.read_text() == "second"
    assert path.read_text() == "first"
    texts = [str(i) * 100_000 for i in range(8)]
    threads = [threading.Thread(target=lambda text=text: [write_text(path, text) for _ in range(5)]) for text in texts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert path.read_text() in texts
    assert os.listdir(tmp_path) == ["file"]


def test_what_a_killed_process_left_is_in_nobodys_way(tmp_path: Path) -> None:
    program = "import os, sys; from pathlib import Path; from sterna.net.container import replacing\n"
    program += "with replacing(Path(sys.argv[1])) as part:\n    part.write_text('half'); part.chmod(0); os._exit(3)"
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path / "file")])
    assert done.returncode == 3
    [left] = tmp_path.iterdir()
    assert left.name.startswith(".file.")
    write_text(tmp_path / "file", "whole")
    assert (tmp_path / "file").read_text() == "whole"
    assert sorted(os.listdir(tmp_path)) == sorted([left.name, "file"])


def test_a_name_as_long_as_may_be(tmp_path: Path) -> None:
    for name in ("x" * 255, "ä" * 127):
        write_text(tmp_path / name, name)
        assert (tmp_path / name).read_text(encoding="utf-8") == name


def container(path: Path, **tensors: np.ndarray) -> Path:
    write_container(path, "key", {"version": 1}, tensors)
    return path


@pytest.mark.parametrize("error", [TypeError, ValueError, KeyError, OverflowError])
def test_an_error_of_ours_is_not_the_files(error: type[Exception], tmp_path: Path) -> None:
    path = container(tmp_path / "file")
    with pytest.raises(error, match="defect") as caught, open_container(path, "key", versions=(1,), what="x"):
        raise error("defect")
    assert not isinstance(caught.value, FileFormatError)


@pytest.mark.parametrize("error", [InvalidTypeError, InvalidValueError])
def test_what_checks_find_is_the_files(error: type[Exception], tmp_path: Path) -> None:
    path = container(tmp_path / "file")
    with (
        pytest.raises(FileFormatError, match=r"file: no number$"),
        open_container(path, "key", versions=(1,), what="x"),
    ):
        raise error("no number")
    message = r"^a: b: count must be an integer, not 'x'$"
    with pytest.raises(FileFormatError, match=message), in_file(Path("a")), naming("b"):
        check_integer("x", "count")


def test_naming_keeps_the_kind() -> None:
    for value, kind in (("x", InvalidTypeError), (-1, InvalidValueError)):
        with pytest.raises(kind, match=r"^b: count must be "), naming("b"):
            check_integer(value, "count", low=0)
    with pytest.raises(ZeroDivisionError, match=r"^defect$"), naming("b"):
        raise ZeroDivisionError("defect")


def stored(path: Path, entry: dict[str, Any], data: bytes) -> Path:
    text = json.dumps({"__metadata__": {"key": '{"version": 1}'}, "a": entry}).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)
    return path


@pytest.mark.parametrize(
    ("dtype", "shape", "size", "message"),
    [
        ("BF16", [1], 2, r"tensor 'a' is of type BF16, which NumPy lacks"),
        ("F8_E4M3", [1], 1, r"tensor 'a' is of type F8_E4M3, which NumPy lacks"),
        ("F4", [2], 1, r"tensor 'a' is of type F4, which NumPy lacks"),
        ("F6_E2M3", [4], 3, r"tensor 'a' is no array: .*F6_E2M3"),
        ("I8", [0, 2**63], 0, r"tensor 'a' is no array: .*"),
        ("I8", [0, 2**40, 2**40], 0, r"tensor 'a' is no array: .*"),
        ("I8", [1] * 70, 1, r"tensor 'a' is no array: .*"),
        ("I8", [2**40, 2**40], 0, r"not a whole safetensors file: .*"),
        ("I128", [1], 16, r"not a whole safetensors file: .*"),
    ],
)
def test_tensors_that_numpy_cannot_hold(dtype: str, shape: list[int], size: int, message: str, tmp_path: Path) -> None:
    import ml_dtypes  # noqa: F401  # as onnx does: it adds some of these types to NumPy

    path = stored(tmp_path / "file", {"dtype": dtype, "shape": shape, "data_offsets": [0, size]}, bytes(size))
    opened = open_container(path, "key", versions=(1,), what="x")
    with pytest.raises(FileFormatError, match=f"file: {message}$"), opened as (_, tensors):
        tensors.read("a")


def test_tensors(tmp_path: Path) -> None:
    path = container(tmp_path / "file", a=np.arange(3, dtype=np.int32), b=np.array(1.5))
    with open_container(path, "key", versions=(1,), what="x") as (header, tensors):
        assert header == {"version": 1}
        assert {name: tensors.dtype(name) for name in tensors.names} == {"a": "I32", "b": "F64"}
        assert tensors.read("a").tolist() == [0, 1, 2]
        assert tensors.read("b").item() == 1.5


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    """Nobody writes to it."""
    os.mkfifo(tmp_path / "pipe")
    opened = open_container(tmp_path / "pipe", "key", versions=(1,), what="x")
    with pytest.raises(FileFormatError, match=r"pipe: not a regular file$"), opened:
        pass
