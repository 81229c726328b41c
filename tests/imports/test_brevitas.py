"""Brevitas networks of many kinds, by all exporters: imported, and equal to what qonnx computes."""

from __future__ import annotations

from pathlib import Path

import brevitas_networks
import numpy as np
import pytest
import torch
from import_qonnx import differences, execute

from sterna.imports import ImportOptions, MismatchError, RefusedError, from_brevitas, import_model
from sterna.imports.evaluate import evaluate
from sterna.imports.fold import fold
from sterna.imports.graph import read_graph
from sterna.imports.preflight import Preflight
from sterna.net.errors import InvalidTypeError

pytestmark = pytest.mark.filterwarnings("ignore")  # of Brevitas, qonnx and the exporters

OPTIONS = ImportOptions(narrow_input=True, unequal_scores=True)
#: Networks in which float32 rounds ties otherwise than exact arithmetic.
WITH_TIES = {"residual", "global_average"}
#: What QCDQ has no operators for.
NO_QCDQ = {"binary", "cnn_binary"}
#: Each exporter in the default tests, on one dense and one convolutional network; all with all in the long run.
FAST = [("mlp", form) for form in ("qonnx", "qonnx-dynamo", "qcdq")] + [("cnn_forms", "qonnx-dynamo")]
ALL = [
    (name, form)
    for name in brevitas_networks.NETWORKS
    for form in ("qonnx", "qonnx-dynamo", "qcdq")
    if (name, form) not in FAST and (form != "qcdq" or name not in NO_QCDQ)
]


def check(name: str, form: str, folder: Path) -> None:
    model, example = brevitas_networks.build(name, seed=0)
    path = brevitas_networks.export(model, example, folder / "model.onnx", form)
    found = import_model(path, options=OPTIONS)
    assert found.proof.samples == 1000
    assert found.proof.codes >= 49_000
    assert bool(found.proof.ties) <= (name in WITH_TIES)
    graph = read_graph(path)
    folded = fold(graph, OPTIONS, Preflight())
    assert folded.network.digest == found.network.with_preprocessing(1.0, 0.0).digest
    inputs = brevitas_networks.inputs(tuple(example.shape[1:]), 200, seed=0)
    theirs = execute(path, inputs)
    if name not in WITH_TIES:
        assert differences(folded, theirs, inputs)[0] == 0
    (ours,) = evaluate(graph, {next(iter(graph.inputs)): inputs}).values()
    assert np.allclose(ours, theirs[graph.outputs[0]], rtol=1e-4, atol=1e-4) or name in WITH_TIES


@pytest.mark.parametrize(("name", "form"), FAST)
def test_network(name: str, form: str, tmp_path: Path) -> None:
    check(name, form, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "form"), ALL)
def test_every_network(name: str, form: str, tmp_path: Path) -> None:
    check(name, form, tmp_path)


@pytest.mark.parametrize("name", ["mlp", "residual"])
def test_from_brevitas_is_the_import_of_its_export(name: str, tmp_path: Path) -> None:
    model, example = brevitas_networks.build(name)
    path = brevitas_networks.export(model, example, tmp_path / "model.onnx", "qonnx")
    network = from_brevitas(model, example, options=OPTIONS)
    assert network.digest == import_model(path, options=OPTIONS).network.digest


def test_weights_that_the_export_rounds_otherwise_are_refused() -> None:
    layer = brevitas_networks.dense(20, 5, weights=brevitas_networks.TernaryThreshold)
    model = brevitas_networks.randomized(torch.nn.Sequential(brevitas_networks.signed(), layer), 0)
    with pytest.raises(MismatchError, match=r"of 100 exported weights are not those of layer '1'"):
        from_brevitas(model, torch.rand((1, 20)), options=OPTIONS)


def test_from_brevitas_takes_modules() -> None:
    with pytest.raises(InvalidTypeError, match="takes a torch module"):
        from_brevitas("model", torch.rand((1, 20)))


@pytest.mark.parametrize("ternary", [True, False])
def test_layers_of_torchs_own(ternary: bool) -> None:
    """They have no quantizer to be compared with: what they export is imported, or refused by its weights."""
    model = torch.nn.Sequential(
        brevitas_networks.signed(),
        brevitas_networks.dense(20, 6),
        brevitas_networks.relu(),
        torch.nn.Linear(6, 3, False),
    )
    model = brevitas_networks.randomized(model, 0)
    if ternary:
        weights = torch.tensor(np.random.default_rng(0).choice([-0.5, 0, 0.5], (3, 6)), dtype=torch.float32)
        model[-1].weight.data = weights
        assert from_brevitas(model, torch.rand((1, 20)), options=OPTIONS).nodes[-1].weights.shape == (3, 6)
    else:
        with pytest.raises(RefusedError, match=r"its weights are not -1, 0 and \+1 times a scale: 18 values"):
            from_brevitas(model, torch.rand((1, 20)), options=OPTIONS)
