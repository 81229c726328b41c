"""From a file to a proved network, in one call."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sterna.imports.check import Proof, check_inputs, draw_inputs, prove, prove_exported
from sterna.imports.fold import fold
from sterna.imports.graph import Graph, read_graph, read_model
from sterna.imports.options import ImportOptions
from sterna.imports.preflight import Fate, Preflight
from sterna.imports.preprocessing import with_preprocessing
from sterna.imports.restore import restore_network
from sterna.net import ActivationType, Network


@dataclass(frozen=True, kw_only=True, eq=False)
class Imported:
    """A network that was imported and proved.

    Parameters
    ----------
    network : Network
    preflight : Preflight
        Every node of the original, and what became of it.
    proof : Proof
        What was compared.
    """

    network: Network
    preflight: Preflight
    proof: Proof

    def warned(self) -> Network:
        """The network alone, with a warning where its own input rule is not the original's."""
        if not self.preflight.input.get("own_rule", True):
            warnings.warn(
                "the network's own input rule gives other codes than the model for some real inputs: quantize them as "
                "the model does (metadata 'input')",
                stacklevel=3,
            )
        return self.network


def from_qonnx(
    path: str | Path,
    *,
    input_type: ActivationType | None = None,
    input_scale: float | None = None,
    check: np.ndarray | None = None,
    narrow_input: bool = False,
    unequal_scores: bool = False,
) -> Network:
    """The network in a QONNX or ONNX file, proved equal to it.

    It warns where the network's own input rule gives other codes than the model's.

    Parameters
    ----------
    path : path
    input_type, input_scale : ActivationType, float, or None
        For a model that does not quantize its input.
    check : real, (batch, ...), or None
        Inputs to prove it on; 1,000 random ones where none are given.
    narrow_input, unequal_scores : bool
        As in :class:`~sterna.imports.ImportOptions`.

    Raises
    ------
    RefusedError
        If nodes cannot be imported; its ``preflight`` has all of them.
    MismatchError
        If the network does not compute what the model does.
    ModelFileError
        If the file is no whole ONNX model.
    """
    options = ImportOptions(
        input_type=input_type, input_scale=input_scale, narrow_input=narrow_input, unequal_scores=unequal_scores
    )
    return import_model(path, options=options, check=check).warned()


def import_model(
    path: str | Path, *, options: ImportOptions | None = None, check: np.ndarray | None = None
) -> Imported:
    """As :func:`from_qonnx`, with what became of each node, and what was compared."""
    model = read_model(path)
    graph = read_graph(path, model)
    exported = restore_network(model)
    if exported is not None:
        return _import_exported(graph, exported, options or ImportOptions(), check)
    return import_graph(graph, name=Path(path).name, options=options, check=check)


def _import_exported(graph: Graph, network: Network, options: ImportOptions, check: np.ndarray | None) -> Imported:
    """The very network that Sterna exported, proved on the graph as any other is."""
    preflight = Preflight(input={"before": []}, scores={"scale": [1.0], "offset": [0.0]})
    for node in graph.nodes:
        preflight.add(node, Fate.KEPT, f"part of '{node.outputs[0].partition('.')[0]}', which Sterna exported")
    if check is None:
        check = draw_inputs(network, np.random.default_rng(options.seed), options.samples)
    proof = prove_exported(graph, network, check_inputs(np.asarray(check), network.input_shape))
    return Imported(network=network, preflight=preflight, proof=proof)


def import_graph(
    graph: Graph, *, name: str, options: ImportOptions | None = None, check: np.ndarray | None = None
) -> Imported:
    """The same for a graph that was read already; ``name`` is the file's."""
    options = options or ImportOptions()
    preflight = Preflight()
    folded = fold(graph, options, preflight)
    if check is None:
        check = folded.rule.draw(np.random.default_rng(options.seed), options.samples)
    inputs = check_inputs(np.asarray(check), folded.entry.sizes)
    proof = prove(graph, folded, inputs)
    network, own = with_preprocessing(folded.network, folded.rule, inputs)
    preflight.input["own_rule"] = own
    metadata: dict[str, Any] = {**network.metadata, "input": preflight.input, "source": name, "check": proof.as_json()}
    proved = network.with_metadata(metadata)
    return Imported(network=proved, preflight=preflight, proof=proof)
