"""Brevitas networks, exported to QONNX, imported, and compared with what their own modules compute."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from sterna.imports.api import import_graph
from sterna.imports.errors import MismatchError
from sterna.imports.evaluate import with_constants
from sterna.imports.graph import Graph, read_graph
from sterna.imports.options import ImportOptions
from sterna.net import Network
from sterna.net.errors import InvalidTypeError


def from_brevitas(
    model: Any, example_input: Any, *, options: ImportOptions | None = None, check: np.ndarray | None = None
) -> Network:
    """The network that a Brevitas model is, proved equal to it.

    The model is exported to QONNX in a folder that is removed, and imported from there. Weights are compared with those
    of its own ``quant_weight()``: an export may round others, as that of ternary weights with a threshold that is not
    0.5 does. Layers of torch's own have none: their weights are taken as they are exported, and must be ternary.

    Parameters
    ----------
    model : :class:`torch.nn.Module`
        With Brevitas' layers; it is put into evaluation mode, as the export does.
    example_input : :class:`torch.Tensor`, (batch, ...)
    options : ImportOptions or None
    check : real, (batch, ...), or None
        Inputs to prove the import on; random ones where none are given.

    Raises
    ------
    RefusedError
        If nodes cannot be imported.
    MismatchError
        If weights are not the model's own, or the network does not compute what the export does.
    """
    import torch

    if not isinstance(model, torch.nn.Module) or not isinstance(example_input, torch.Tensor):
        raise InvalidTypeError("from_brevitas takes a torch module and an example tensor")
    model.eval()
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # of the exporter
        from brevitas.export import export_qonnx

        own = _own_weights(model, example_input)
        path = Path(folder) / "model.onnx"
        export_qonnx(model, args=example_input, export_path=str(path), dynamo=False)
        graph = read_graph(path)
    _compare(_exported_weights(graph), own)
    return import_graph(graph, name=type(model).__name__, options=options, check=check).warned()


def _own_weights(model: Any, example_input: Any) -> list[tuple[str, np.ndarray | None]]:
    """The quantized weights of each layer in the order in which they compute, with the layer's name.

    ``None`` for a layer of torch's own, into which the exporter may multiply a normalization.
    """
    import torch

    found: list[tuple[str, np.ndarray | None]] = []

    def note(name: str) -> Callable[..., None]:
        def hook(module: Any, inputs: object, output: object) -> None:
            if not hasattr(module, "quant_weight"):
                found.append((name, None))
                return
            weights = module.quant_weight()
            found.append((name, getattr(weights, "value", weights).detach().cpu().numpy()))

        return hook

    plain = (torch.nn.Linear, torch.nn.Conv1d, torch.nn.Conv2d)
    hooks = [
        module.register_forward_hook(note(name))
        for name, module in model.named_modules()
        if (hasattr(module, "quant_weight") and hasattr(module, "weight")) or isinstance(module, plain)
    ]
    try:
        model(example_input)
    finally:
        for hook in hooks:
            hook.remove()
    return found


def _exported_weights(graph: Graph) -> list[tuple[str, np.ndarray]]:
    """The weights of each weight layer of the graph, (out, ...), with the node's name."""
    graph = with_constants(graph)
    found = []
    for node in graph.nodes:
        if node.operator in ("Conv", "Gemm", "MatMul") and node.inputs[1] in graph.constants:
            weights = graph.constants[node.inputs[1]]
            turned = node.operator == "MatMul" or (node.operator == "Gemm" and not node.integer("transB", 0))
            found.append((node.name, weights.T if turned else weights))
    return found


def _compare(exported: list[tuple[str, np.ndarray]], own: list[tuple[str, np.ndarray | None]]) -> None:
    if len(exported) != len(own):
        raise MismatchError(f"the model has {len(own)} layers with weights, and its export {len(exported)}")
    for (node, theirs), (layer, ours) in zip(exported, own, strict=True):
        if ours is None:
            continue
        if theirs.shape != ours.shape:
            raise MismatchError(
                f"node '{node}': its weights are {theirs.shape}, and those of layer '{layer}' {ours.shape}"
            )
        different = ~np.isclose(theirs, ours, rtol=1e-5, atol=0)
        if different.any():
            raise MismatchError(
                f"node '{node}': {int(different.sum())} of {ours.size} exported weights are not those of layer "
                f"'{layer}', whose quantizer the export does not know (a ternary threshold that is not 0.5, say): "
                "change the quantizer"
            )
