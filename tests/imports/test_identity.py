"""What is exported and imported again is the very same network, and is proved as any other."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest

from sterna.imports import ImportOptions, MismatchError, import_model
from sterna.imports.export import export_qonnx
from sterna.net import Linear, Network
from sterna.net.file import load
from sterna.sim.random_networks import random_dense_network, random_map_network
from sterna.sim.random_residual import random_residual_network

MODELS = Path(__file__).parents[2] / "models"
FEW = ImportOptions(samples=20)


def again(network: Network, folder: Path, options: ImportOptions = FEW) -> Network:
    """Exported, and imported."""
    path = folder / "a.onnx"
    export_qonnx(network, path)
    return import_model(path, options=options).network


@pytest.mark.parametrize("draw", [random_dense_network, random_map_network, random_residual_network])
@pytest.mark.parametrize("seed", range(4))
def test_random_networks(draw: Callable[[np.random.Generator], Network], seed: int, tmp_path: Path) -> None:
    network = draw(np.random.default_rng(seed))
    assert again(network, tmp_path).digest == network.digest


@pytest.mark.parametrize("name", ["digits-mlp", "digits-resnet", "mnist-lenet5-95", "cifar10-vgg-5m"])
def test_committed_networks(name: str, tmp_path: Path) -> None:
    network = load(MODELS / f"{name}.safetensors")
    found = again(network, tmp_path)
    assert found.digest == network.digest
    assert found.metadata == network.metadata


def test_a_changed_weight_is_another_network_or_none(tmp_path: Path) -> None:
    """What says of itself that it is an export, and is not, is imported as what it computes."""
    network = random_dense_network(np.random.default_rng(1))
    path = tmp_path / "a.onnx"
    export_qonnx(network, path)
    model = onnx.load(path)
    layer = next(node for node in network.nodes if isinstance(node, Linear))
    stored = next(tensor for tensor in model.graph.initializer if tensor.name == f"{layer.name}.weights")
    values = onnx.numpy_helper.to_array(stored).copy()
    values.reshape(-1)[0] = 1 if values.reshape(-1)[0] != 1 else -1
    stored.CopyFrom(onnx.numpy_helper.from_array(values, stored.name))
    onnx.save(model, path)
    try:
        found = import_model(path, options=ImportOptions(samples=20, narrow_input=True, unequal_scores=True)).network
    except MismatchError:
        return
    assert found.digest != network.digest
