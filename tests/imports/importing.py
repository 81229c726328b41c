"""What tests of imports do with a small model: import it, read its refusals, compare it with qonnx."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx_graphs
import pytest
from import_qonnx import execute
from onnx import ModelProto

from sterna.imports import Imported, ImportOptions, RefusedError, import_model
from sterna.sim.golden import GoldenModel


def imported(proto: ModelProto, folder: Path, options: ImportOptions | None = None) -> Imported:
    return import_model(onnx_graphs.save(proto, folder / "a.onnx"), options=options)


def refused(proto: ModelProto, folder: Path, options: ImportOptions | None = None) -> dict[str, str]:
    """The reasons of all refused nodes, by node."""
    with pytest.raises(RefusedError) as caught:
        imported(proto, folder, options)
    return {row.node: row.detail for row in caught.value.preflight.refused}


def assert_as_qonnx(
    proto: ModelProto,
    folder: Path,
    inputs: np.ndarray,
    options: ImportOptions | None = None,
    output: str = "y",
    channels_last: bool = False,
) -> Imported:
    """Import a model; of real inputs its own rule and its scores must be those that qonnx computes, to the last bit."""
    found = imported(proto, folder, options)
    inputs = inputs.astype(np.float32)
    real = np.asarray(execute(folder / "a.onnx", inputs)[output])
    own = inputs.transpose(0, 3, 1, 2) if channels_last else inputs.reshape(len(inputs), *found.network.input_shape)
    codes = GoldenModel(found.network).predict(found.network.quantize(own)).reshape(real.shape)
    scores = found.network.metadata["scores"]
    along = (1, -1, *[1] * (real.ndim - 2))
    scale, offset = (np.array(scores[name]).reshape(along) for name in ("scale", "offset"))
    np.testing.assert_array_equal(np.rint((real - offset) / scale), codes)
    return found
