"""Imported networks through the emitted Verilog: scores equal the golden model's, which equal the original's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx_graphs
import pytest
from onnx import ModelProto

from sterna.hw import AcceleratorConfig, generate
from sterna.imports import import_model
from sterna.sim.golden import GoldenModel
from sterna.sim.rtl import RtlModel


@pytest.mark.slow
@pytest.mark.parametrize("make", [onnx_graphs.perceptron, onnx_graphs.convolutional, onnx_graphs.binarized])
def test_verilog_of_an_imported_network(make: Callable[[], ModelProto], tmp_path: Path) -> None:
    network = import_model(onnx_graphs.save(make(), tmp_path / "a.onnx")).network
    generate(network, tmp_path / "out", config=AcceleratorConfig(lanes=2, name="imported"))
    kind = network.input_type
    codes = np.random.default_rng(0).integers(kind.min, kind.max + 1, (40, *network.input_shape))
    rtl = RtlModel(tmp_path / "out", simulator="verilator")
    assert (rtl.predict(codes) == GoldenModel(network).predict(codes)).all()
