"""The import proves itself: the original graph, executed, beside the golden model of what was made of it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from sterna.imports.errors import MismatchError
from sterna.imports.evaluate import evaluate, with_constants
from sterna.imports.fold import Folded
from sterna.imports.graph import Graph
from sterna.imports.meaning import Probe
from sterna.net import Network, SumNode, Thresholds
from sterna.net.checks import describe_index
from sterna.net.errors import InvalidTypeError, InvalidValueError
from sterna.net.nodes import INPUT
from sterna.sim.golden import GoldenModel

_ROWS = 1024  # inputs that are compared at a time
_VALUES = 1 << 19  # ... and values of the widest tensor: what is made of them fits memory that is taken again
_STEEP = 2.0**30  # times a code's step: a gain that makes a step of the input's rule
_NEAR = 1e-2  # of a code's step: how far float32 may be off the real value of a code, or of a score


@dataclass(kw_only=True)
class Proof:
    """What was compared.

    Parameters
    ----------
    samples : int
        Inputs.
    codes : int
        Codes and scores, of all inputs.
    ties : int
        Codes that differ where float32 rounds a tie in another way than exact arithmetic.
    classes_changed : int
        Inputs whose largest score is another class's.
    """

    samples: int = 0
    codes: int = 0
    ties: int = 0
    classes_changed: int = 0
    ties_by_node: dict[str, int] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Everything, for JSON."""
        return {
            "samples": self.samples,
            "codes": self.codes,
            "ties": self.ties,
            "ties_by_node": dict(self.ties_by_node),
            "classes_changed": self.classes_changed,
        }


def prove(graph: Graph, folded: Folded, inputs: np.ndarray) -> Proof:
    """Compare all hidden codes and the scores on every input.

    Where float32 rounds a tie otherwise, the golden model's code is put into the original in place of its own, so that
    the layers behind are compared on equal inputs.

    Parameters
    ----------
    graph : Graph
    folded : Folded
    inputs : float32, (batch, ...)
        Real inputs of the original.

    Raises
    ------
    MismatchError
        If a code differs that is no tie, or a score; the message names the node and the place.
    """
    graph = with_constants(graph)
    checker = _Checker(graph, folded)
    for part in _parts(folded.network, inputs):
        checker.compare(part)
    return checker.proof


def _parts(network: Network, inputs: np.ndarray) -> Iterator[np.ndarray]:
    """As many inputs at a time as memory holds all values of."""
    rows = max(1, min(_ROWS, _VALUES // max(math.prod(shape) for shape in network.shapes.values())))
    for start in range(0, len(inputs), rows):
        yield inputs[start : start + rows]


def prove_exported(graph: Graph, network: Network, inputs: np.ndarray) -> Proof:
    """The same for the graph of a network that Sterna exported: tensors of the nodes' names hold their very values.

    Raises
    ------
    MismatchError
        If a value differs; the message names the node.
    """
    graph = with_constants(graph)
    golden, proof = GoldenModel(network), Proof()
    ((name, _),) = graph.inputs.items()
    for part in _parts(network, inputs):
        codes = network.quantize(part)
        wanted = {f"{INPUT}.codes": codes, **golden.trace(codes)}

        def watch(tensor: str, value: np.ndarray, wanted: dict[str, np.ndarray] = wanted) -> np.ndarray:
            ours = wanted.pop(tensor, value)
            if ours is not value:
                proof.codes += ours.size
                if ours.shape != value.shape or (ours != value).any():
                    raise MismatchError(f"node '{tensor}' differs from the tensor of its name")
            return value

        evaluate(graph, {name: part}, watch)
        if wanted:
            raise MismatchError(f"tensor '{min(wanted)}' was not computed, and cannot be compared")
        proof.samples += len(part)
    return proof


def draw_inputs(network: Network, rng: np.random.Generator, count: int) -> np.ndarray:
    """Real inputs over the range of a network's codes, and a little beyond: float32, (count, \\*input shape)."""
    rule = network.input_rule
    along = (-1, *[1] * (len(rule.shape) - 1))
    gain, offset = (np.array(values).reshape(along) for values in (rule.gain, rule.offset))
    low, high = rule.range
    steps = rng.uniform(low - 1, high + 1, (count, *rule.shape))
    gain = np.where(gain == 0, 1, gain)
    steep = np.abs(gain) > _STEEP * rule.scale  # a step: what is drawn over its range would be one float32
    spread = rng.uniform(-1, 1, steps.shape) - offset / gain
    return np.where(steep, spread, (steps * rule.scale - offset) / gain).astype(np.float32)


def check_inputs(values: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Inputs that a user gives, as float32 of the shape (batch, \\*shape); :exc:`ValueError` if they are others."""
    if values.dtype.kind not in "iuf":
        raise InvalidTypeError(f"inputs must be real numbers, not {values.dtype}")
    if values.shape[1:] != shape or not len(values):
        raise InvalidValueError(f"inputs must have the shape (batch, {', '.join(map(str, shape))}), not {values.shape}")
    if not np.isfinite(values).all():
        raise InvalidValueError("inputs must be finite")
    return values.astype(np.float32)


class _Checker:
    """Compares batch by batch."""

    def __init__(self, graph: Graph, folded: Folded) -> None:
        self._graph = graph
        self._folded = folded
        self._golden = GoldenModel(folded.network)
        self._probes = {probe.tensor: probe for probe in folded.probes}
        self._scores = folded.probes[-1].tensor
        self.proof = Proof()

    def compare(self, inputs: np.ndarray) -> None:
        codes = self._folded.rule.quantize(inputs)
        trace = {INPUT: codes, **self._golden.trace(codes)}
        seen: set[str] = set()

        def watch(name: str, value: np.ndarray) -> np.ndarray:
            probe = self._probes.get(name)
            if probe is None:
                return value
            seen.add(name)
            if name == self._scores:
                self.proof.classes_changed += _changed(probe, trace[probe.node])
            ours = trace[probe.node]
            held = ours.size if probe.order is None else len(ours) * probe.order.size
            if value.size != held:
                raise MismatchError(f"node '{probe.node}' has the shape {ours.shape[1:]}, not {value.shape[1:]}")
            turned = probe.to_ours(value, ours.shape[1:])
            return probe.to_theirs(self._compared(probe, turned, ours, inputs, codes), value.shape[1:])

        ((name, _),) = self._graph.inputs.items()
        evaluate(self._graph, {name: inputs}, watch)
        if missing := self._probes.keys() - seen:
            raise MismatchError(f"tensor '{min(missing)}' was not computed, and cannot be compared")
        self.proof.samples += len(inputs)

    def _compared(
        self, probe: Probe, value: np.ndarray, ours: np.ndarray, inputs: np.ndarray, codes: np.ndarray
    ) -> np.ndarray:
        """The values that go on, where all differences are ties."""
        scale, offset = (part.reshape(1, -1, *[1] * (value.ndim - 2)) for part in (probe.scale, probe.offset))
        self.proof.codes += ours.size
        expected = ours.astype(value.dtype) * scale.astype(value.dtype) + offset.astype(value.dtype)
        if np.array_equal(value, expected):
            return value
        theirs = (value.astype(np.float64) - offset) / scale
        nearest = np.rint(theirs)
        different = ~((nearest == ours) & (np.abs(theirs - nearest) < _NEAR))
        if not different.any():
            return value
        low, high = self._admissible(probe, ours, inputs, codes)
        inside = (low <= np.minimum(nearest, ours)) & (np.maximum(nearest, ours) <= high)
        wrong = different & ~(inside & (np.abs(theirs - nearest) < _NEAR))
        if wrong.any():
            sample, *place = (int(i) for i in np.argwhere(wrong)[0])
            where = (sample, *place)
            raise MismatchError(
                f"node '{probe.node}' differs from tensor '{probe.tensor}' in {int(wrong.sum())} values; "
                f"first at input {self.proof.samples + sample}, {describe_index(place)}: {int(ours[where])} instead of "
                f"{theirs[where]:g}"
            )
        ties = int(different.sum())
        self.proof.ties += ties
        self.proof.ties_by_node[probe.node] = self.proof.ties_by_node.get(probe.node, 0) + ties
        return np.where(different, expected, value)

    def _admissible(
        self, probe: Probe, ours: np.ndarray, inputs: np.ndarray, codes: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """The smallest and largest codes that float32 may give at the same inputs of the layer."""
        if probe.levels is not None:
            assert probe.folded is not None
            variants = [
                _with_levels(self._folded.network, probe, levels)
                for levels in (probe.levels.latest, probe.levels.earliest)
            ]
            low, high = (GoldenModel(variant).predict(codes) for variant in variants)
            return low, high
        if probe.tensor == self._scores:
            return ours, ours
        low, high = (self._folded.rule.quantize(inputs, ulps).reshape(ours.shape) for ulps in (-1, 1))
        return np.minimum(low, high), np.maximum(low, high)


def _changed(probe: Probe, ours: np.ndarray) -> int:
    """Inputs at which the largest integer's class has not the largest real score."""
    axes = (1, -1, *[1] * (ours.ndim - 2))
    real = (ours * probe.scale.reshape(axes) + probe.offset.reshape(axes)).reshape(len(ours), -1)
    chosen = ours.reshape(len(ours), -1).argmax(axis=1)
    return int((real[np.arange(len(ours)), chosen] < real.max(axis=1)).sum())


def _with_levels(network: Network, probe: Probe, levels: np.ndarray) -> Network:
    """The network up to the probe's node, with other levels."""
    wanted = {probe.node}
    for node in reversed(network.nodes):
        if node.name in wanted:
            wanted.update(node.inputs)
    nodes = []
    for node in network.nodes:
        if node.name == probe.folded:
            assert isinstance(node, SumNode)
            assert node.requantize is not None
            node = replace(node, requantize=Thresholds(output=node.requantize.output, levels=levels))
        if node.name in wanted:
            nodes.append(node)
    return Network(
        input_shape=network.input_shape, input_type=network.input_type, input_scale=network.input_scale, nodes=nodes
    )
