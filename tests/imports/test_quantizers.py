"""Quantizing operators against the qonnx package, on values that lie on every tie."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx_graphs
import pytest
from import_qonnx import execute

from sterna.imports.evaluate import evaluate
from sterna.imports.graph import read_graph

pytestmark = pytest.mark.filterwarnings("ignore")  # of packages that qonnx imports

MODES = ("ROUND", "HALF_EVEN", "CEIL", "FLOOR", "UP", "DOWN", "HALF_UP", "HALF_DOWN")


def both(
    path: Path, operator: str, constants: Mapping[str, Any], values: np.ndarray, **attributes: Any
) -> tuple[np.ndarray, np.ndarray]:
    """What we and what qonnx compute of values, (1, n)."""
    node = onnx_graphs.node(operator, ["x", *constants], "y", **attributes)
    onnx_graphs.save(onnx_graphs.model([node], constants, [1, values.shape[1]]), path)
    ours = evaluate(read_graph(path), {"x": values})["y"]
    return ours, execute(path, values)["y"]


@pytest.fixture
def values() -> np.ndarray:
    """Every quarter from -40 to 40, and what is beyond all ranges: float32, (1, n)."""
    return np.concatenate([np.arange(-160, 161) / 4, [1e9, -1e9]]).astype(np.float32)[None]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("signed", "narrow"), [(0, 0), (0, 1), (1, 0), (1, 1)])
@pytest.mark.parametrize("zero", [0.0, 3.0])
def test_quant(tmp_path: Path, values: np.ndarray, mode: str, signed: int, narrow: int, zero: float) -> None:
    constants = {"s": 0.5, "z": zero, "b": 4.0}
    ours, theirs = both(
        tmp_path / "a.onnx", "Quant", constants, values, signed=signed, narrow=narrow, rounding_mode=mode
    )
    assert (ours == theirs).all()
    assert len(np.unique(ours)) == 16 - narrow


def test_signed_quant_of_one_bit_is_bipolar(tmp_path: Path, values: np.ndarray) -> None:
    constants = {"s": 0.5, "z": 0.0, "b": 1.0}
    ours, theirs = both(tmp_path / "a.onnx", "Quant", constants, values, signed=1, narrow=0, rounding_mode="ROUND")
    assert (ours == theirs).all()
    assert np.unique(ours).tolist() == [-0.5, 0.5]


def test_bipolar_quant_gives_one_at_zero(tmp_path: Path, values: np.ndarray) -> None:
    ours, theirs = both(tmp_path / "a.onnx", "BipolarQuant", {"s": 0.25}, values)
    assert (ours == theirs).all()
    assert ours[values == 0].tolist() == [0.25]


@pytest.mark.parametrize("mode", MODES)
def test_trunc(tmp_path: Path, values: np.ndarray, mode: str) -> None:
    constants = {"s": 0.25, "z": 0.0, "i": 6.0, "o": 4.0}
    ours, theirs = both(tmp_path / "a.onnx", "Trunc", constants, values[:, 100:200], rounding_mode=mode)
    assert (ours == theirs).all()


@pytest.mark.parametrize("channels", [1, 323])
def test_multi_threshold(tmp_path: Path, values: np.ndarray, channels: int) -> None:
    levels = np.sort(np.random.default_rng(0).integers(-80, 80, (channels, 7)) / 2, axis=1)
    ours, theirs = both(
        tmp_path / "a.onnx", "MultiThreshold", {"t": levels}, values, out_dtype="INT3", out_scale=0.5, out_bias=-2.0
    )
    assert (ours == theirs).all()


def test_qcdq(tmp_path: Path, values: np.ndarray) -> None:
    constants = {"s": np.float32(0.5), "z": np.int8(3), "low": np.int8(-5), "high": np.int8(9)}
    nodes = [
        onnx_graphs.node("QuantizeLinear", ["x", "s", "z"], "q"),
        onnx_graphs.node("Clip", ["q", "low", "high"], "c"),
        onnx_graphs.node("DequantizeLinear", ["c", "s", "z"], "y"),
    ]
    path = onnx_graphs.save(onnx_graphs.model(nodes, constants, [1, values.shape[1]]), tmp_path / "a.onnx")
    ours = evaluate(read_graph(path), {"x": values})["y"]
    assert (ours == execute(path, values)["y"]).all()
    assert len(np.unique(ours)) == 15
