"""``sterna import``: the network file, the table, and one line for what cannot be imported."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx_graphs
import pytest

from sterna.net.file import load


@pytest.fixture
def onnx_model(tmp_path: Path) -> Path:
    return onnx_graphs.save(onnx_graphs.perceptron(), tmp_path / "small.onnx")


def test_import(sterna: Callable[..., Any], onnx_model: Path, tmp_path: Path) -> None:
    found = sterna("import", onnx_model, "-o", tmp_path / "a.safetensors")
    assert found.status == 0, found.err
    network = load(tmp_path / "a.safetensors")
    assert network.digest in found.out
    assert network.metadata["source"] == "small.onnx"
    for text in ("make_s1", "kept", "Linear", "the thresholds of 'make_s1', u2", "1,000 inputs, 14,000 codes equal"):
        assert text in found.out


def test_default_output_is_named_after_the_model(
    sterna: Callable[..., Any], onnx_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert sterna("import", onnx_model).status == 0
    assert load(tmp_path / "small.safetensors").nodes


def test_json_and_dry_run(sterna: Callable[..., Any], onnx_model: Path, tmp_path: Path) -> None:
    found = sterna("import", onnx_model, "--dry-run", "--json", "-o", tmp_path / "a.safetensors")
    figures = json.loads(found.out)
    assert figures["imported"]
    assert figures["file"] is None
    assert figures["check"]["samples"] == 1000
    assert [row["fate"] for row in figures["nodes"]] == ["folded", "kept", "folded", "folded", "kept"]
    assert not (tmp_path / "a.safetensors").exists()


def test_given_inputs(sterna: Callable[..., Any], onnx_model: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.zeros((7, 6), np.float32))
    found = sterna("import", onnx_model, "--check", tmp_path / "x.npy", "--json", "-o", tmp_path / "a.safetensors")
    assert json.loads(found.out)["check"]["samples"] == 7
    np.save(tmp_path / "x.npy", np.zeros((7, 5), np.float32))
    found = sterna("import", onnx_model, "--check", tmp_path / "x.npy", "-o", tmp_path / "b.safetensors")
    assert found.error == "inputs must have the shape (batch, 6), not (7, 5)"
    assert not (tmp_path / "b.safetensors").exists()


@pytest.mark.parametrize("as_json", [False, True])
def test_refusals(sterna: Callable[..., Any], tmp_path: Path, as_json: bool) -> None:
    proto = onnx_graphs.perceptron(w1=np.arange(30.0).reshape(6, 5), w2=np.arange(15.0).reshape(5, 3))
    model = onnx_graphs.save(proto, tmp_path / "wide.onnx")
    found = sterna("import", model, "-o", tmp_path / "a.safetensors", *(["--json"] if as_json else []))
    assert found.error.startswith("node 'make_s1' (MatMul): its weights are not -1, 0 and +1 times a scale: 30 values")
    if as_json:
        figures = json.loads(found.out)
        assert not figures["imported"]
        assert [row["node"] for row in figures["nodes"] if row["fate"] == "refused"] == ["make_s1", "make_y"]
    else:
        assert found.out.count("refused") == 3  # two of them, and what is behind one
    assert not (tmp_path / "a.safetensors").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--input-type", "s9"], "Invalid value for '--input-type': must be u1 to u8 or s1 to s8, not s9"),
        (["--input-type", "s8"], "the input's type and its scale go together: give both, or neither"),
        (["--input-type", "s8", "--input-scale", "-1"], "the input's scale must be a positive number, not -1.0"),
        (["-o", "a.onnx"], "a.onnx: a network file ends in .safetensors"),
    ],
)
def test_options(sterna: Callable[..., Any], onnx_model: Path, arguments: list[str], message: str) -> None:
    assert sterna("import", onnx_model, *arguments).error.startswith(message)


def test_damaged_file(sterna: Callable[..., Any], onnx_model: Path) -> None:
    onnx_model.write_bytes(onnx_model.read_bytes()[:-9])
    assert sterna("import", onnx_model).error == f"{onnx_model}: not a whole ONNX file"


MANIFEST = """
[input]
shape = [3]
type = "u4"
scale = 1.0

[[nodes]]
name = "scores"
kind = "linear"
weights = "w"
"""


@pytest.mark.parametrize("form", ["folder", "npz"])
def test_arrays(form: str, sterna: Callable[..., Any], tmp_path: Path) -> None:
    weights = np.array([[1, 0, -1], [0, 1, 1]])
    if form == "folder":
        target = tmp_path / "arrays"
        target.mkdir()
        (target / "manifest.toml").write_text(MANIFEST)
        np.savetxt(target / "w.csv", weights, delimiter=",", fmt="%d")
    else:
        target = tmp_path / "arrays.npz"
        (tmp_path / "arrays.toml").write_text(MANIFEST)
        np.savez(target, w=weights)
    found = sterna("import", target, "-o", tmp_path / "a.safetensors", "--json")
    network = load(tmp_path / "a.safetensors")
    assert json.loads(found.out) == {
        "imported": True, "file": str(tmp_path / "a.safetensors"), "network_digest": network.digest,
    }  # fmt: skip
    (node,) = network.nodes
    np.testing.assert_array_equal(node.weights, weights)
    assert network.digest in sterna("import", target, "--dry-run").out


def test_an_export_comes_back(sterna: Callable[..., Any], tmp_path: Path) -> None:
    digits = Path(__file__).parents[2] / "models" / "digits-mlp.safetensors"
    assert sterna("export", digits, "-o", tmp_path / "a.onnx").status == 0
    found = sterna("import", tmp_path / "a.onnx", "-o", tmp_path / "a.safetensors")
    assert found.status == 0, found.err
    assert (tmp_path / "a.safetensors").read_bytes() == digits.read_bytes()
