"""``sterna export``."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest

from sterna.imports.restore import restore_network
from sterna.net import load


def test_export(model: Path, tmp_path: Path, sterna: Callable) -> None:
    path = tmp_path / "made.onnx"
    outcome = sterna("export", model, "-o", path)
    assert (outcome.status, outcome.err) == (0, "")
    digest = load(model).digest
    assert [digest in outcome.out, "1 × 8" in outcome.out, "1 × 3" in outcome.out, str(path) in outcome.out] == [
        True
    ] * 4
    restored = restore_network(onnx.load(path))
    assert restored is not None
    assert restored.digest == digest
    assert restored.metadata == load(model).metadata


def test_export_as_json_beside_nothing(
    model: Path, tmp_path: Path, sterna: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    made = json.loads(sterna("export", model, "--json", "--batch", 4).out)
    assert made == {"network_digest": load(model).digest, "file": f"{model.stem}.onnx", "batch": 4}
    assert onnx.load(f"{model.stem}.onnx").graph.input[0].type.tensor_type.shape.dim[0].dim_value == 4


def test_export_without_onnx(model: Path, sterna: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    for name in [name for name in sys.modules if name.startswith("sterna.imports.")]:
        monkeypatch.delitem(sys.modules, name)
    outcome = sterna("export", model)
    assert outcome.status == 1
    assert outcome.err == "sterna: the Python package onnx is missing; install it with `pip install 'sterna[import]'`\n"


def test_a_file_that_cannot_be_written_is_one_line(model: Path, tmp_path: Path, sterna: Callable) -> None:
    outcome = sterna("export", model, "-o", tmp_path / "none" / "made.onnx")
    assert outcome.status == 1
    assert outcome.err.count("\n") == 1
    assert "there is no such file or folder" in outcome.err
