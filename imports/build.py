"""Makes the nodes of the network, one after the other, as the quantizers of the original end its layers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from sterna.imports.entry import Entry, GivenType
from sterna.imports.errors import NodeRefused
from sterna.imports.functions import Multiply, Plus, Step, line_through, run
from sterna.imports.levels import Levels, find_levels
from sterna.imports.meaning import BIT, InputRule, Probe
from sterna.imports.node import GraphNode
from sterna.imports.options import ImportOptions
from sterna.imports.order import PADDED
from sterna.imports.preflight import Preflight
from sterna.imports.recognize import Quantizer, type_for
from sterna.imports.values import Codes, Lost, Pending, Reals, Sums
from sterna.net import Conv2d, Flatten, Linear, MaxPool2d, Network, Node, Thresholds, WeightNode
from sterna.net.nodes import INPUT, Bounds


class Builder:
    """The network while it is made.

    Parameters
    ----------
    options : ImportOptions
    preflight : Preflight
        What is worth knowing about layers and input is added to it.
    """

    def __init__(self, options: ImportOptions, preflight: Preflight) -> None:
        self._options = options
        self._preflight = preflight
        self._names = {INPUT}
        self.nodes: list[Node] = []
        self.probes: list[Probe] = []
        self.rule: InputRule | None = None
        self.entry: Entry | None = None
        self._flat: dict[str, str] = {}

    def name(self, base: str) -> str:
        """A name that no node has yet."""
        name, number = base, 2
        while name in self._names:
            name, number = f"{base}_{number}", number + 1
        self._names.add(name)
        return name

    def add(self, node: Node, source: str) -> str:
        """Put a node behind another; its name."""
        named = replace(node, name=self.name(node.name), inputs=(source,))
        self.nodes.append(named)
        return named.name

    def flatten(self, codes: Codes) -> Codes:
        """A node's codes as a vector in its own order."""
        assert codes.node is not None
        assert codes.shape is not None
        node = codes.node
        if len(codes.shape) > 1:
            if node not in self._flat:
                self._flat[node] = self.add(Flatten(name=f"{node}_flat"), node)
            node = self._flat[node]
        return replace(codes, node=node, shape=(math.prod(codes.shape),), order=None)

    def given_input(self, type: GivenType) -> Codes:
        """The input as codes of a type that the model's own nodes do not give it."""
        assert self.entry is not None
        codes = Codes(
            node=INPUT, type=type.type, shape=self.entry.shape, scale=type.scale, offset=type.offset, low=type.low,
            high=type.high, order=self.entry.order,
        )  # fmt: skip
        self.rule = InputRule(codes=codes, order=self.entry.order)
        self._describe_input(codes, bipolar=type.bipolar)
        return codes

    def _describe_input(self, codes: Codes, *, bipolar: bool, before: Sequence[Step] = ()) -> None:
        assert self.entry is not None
        self._preflight.input |= {
            "type": str(codes.type),
            "scale": codes.scale,
            "offset": codes.offset,
            "range": [codes.low, codes.high],
            "bipolar": bipolar,
            "shape": list(self.entry.sizes),
            "channels_last": self.entry.channels_last,
            "before": [_described(step) for step in before],
        }

    def quantize(
        self, node: GraphNode, value: Pending, quantizer: Quantizer, *, zero: bool = False, tensor: str | None = None
    ) -> Codes:
        """The codes that a quantizer gives.

        Parameters
        ----------
        node : GraphNode
            The original's.
        value : Pending
        quantizer : Quantizer
        zero : bool
            Whether what follows needs a code for 0, as padding does.
        tensor : str or None
            Of the original, that has these codes; the node's own unless it is said.
        """
        tensor = tensor or node.outputs[0]
        bit = quantizer.bipolar and not zero
        codes = Codes(
            node=None,
            type=BIT if bit else quantizer.type,
            shape=value.shape,
            scale=quantizer.scale * (2 if bit else 1),
            offset=-quantizer.scale if bit else 0.0,
            low=0 if bit else quantizer.low,
            high=1 if bit else quantizer.high,
            order=value.order,
        )
        if quantizer.channels is not None:
            _check_channels(quantizer.channels, value)
        if value.order is not None and (value.order == PADDED).any():
            _check_zero(value, quantizer, codes)
        match value.source:
            case Reals():
                return self._quantize_input(tensor, value, quantizer, codes)
            case Lost():
                return codes
            case Codes() if not value.moved and quantizer.channels is None and self._same(value, quantizer, codes):
                return replace(value.source, order=value.order)
        return self._quantize_sums(node, tensor, value, quantizer, codes)

    def _quantize_input(self, tensor: str, value: Pending, quantizer: Quantizer, codes: Codes) -> Codes:
        if self.rule is not None:
            raise NodeRefused("the input is quantized twice, in two ways: quantize it once")
        assert isinstance(value.source, Reals)
        assert self.entry is not None
        rule = InputRule(
            steps=value.functions,
            quantizer=quantizer,
            codes=replace(codes, node=INPUT, shape=value.source.shape),
            order=self.entry.order,
        )
        low, high = rule.reached()
        if (low, high) != (codes.low, codes.high):
            codes = replace(codes, type=type_for(low, high), low=low, high=high)
            rule = replace(rule, codes=replace(codes, node=INPUT, shape=value.source.shape))
        self.rule = rule
        self._describe_input(codes, bipolar=quantizer.bipolar, before=value.functions)
        node = INPUT
        for moved in value.moved:
            node = self.add(moved, node)
        made = replace(codes, node=node)
        self._probe(tensor, made)
        return made

    def check_input(self) -> None:
        """Refuses an input of -1 and 1 without the 0 between, unless the user takes it: no range leaves that out."""
        assert self.rule is not None
        type = self.rule.codes.type
        if self._preflight.input["bipolar"] and type != BIT and not self._options.narrow_input:
            raise NodeRefused(
                f"the input has codes -1 and 1 of {type}, and not the 0 between them: allow it with --narrow-input, "
                "and keep 0 away"
            )

    @staticmethod
    def _same(value: Pending, quantizer: Quantizer, codes: Codes) -> bool:
        """Whether the quantizer changes no value of codes: then there is nothing to be made."""
        source = value.source
        assert isinstance(source, Codes)
        before = source.reals()[None]
        integers = quantizer.function(run(value.functions, before)[0])
        return bool(np.allclose(quantizer.scale * integers, before, rtol=1e-6, atol=0))

    def _quantize_sums(
        self, quantized: GraphNode, tensor: str, value: Pending, quantizer: Quantizer, codes: Codes
    ) -> Codes:
        source = value.source
        if isinstance(source, Codes):
            if source.shape is None:
                return codes
            source, value = _passed(source, value, quantized)
        assert isinstance(source, Sums)
        if source.bounds is None:
            return codes
        bit = codes.type == BIT and quantizer.bipolar
        low, high = source.bounds
        levels = find_levels(
            value.functions, _before_pool(value.steps), quantizer, codes.type, source.bounds, source.slack,
            stride=2 if bit else 1, start=-1 if bit else 0,
        )  # fmt: skip
        node = source.node
        if levels.flipped.any():
            if not isinstance(node, WeightNode):
                channel = int(np.argmax(levels.flipped))
                raise NodeRefused(
                    f"codes of channel {channel} fall with a sum that has no weights whose signs could turn: keep the "
                    "gain positive"
                )
            node = replace(node, weights=flipped(node.weights, levels.flipped))
        name = self.name(node.name)
        made: Node = replace(node, name=name, requantize=Thresholds(output=codes.type, levels=levels.levels))
        self.nodes.append(made)
        self._preflight.layers[name] = {
            "node": source.label,
            "quantizer": quantized.name,
            "accumulator": [int(low.min()), int(high.max())],
            "flipped": int(levels.flipped.sum()),
            "dead": int(levels.constant.sum()),
            "ties": levels.ties,
        }
        last = name
        for moved in value.moved:
            last = self.add(moved, last)
        found = replace(codes, node=last)
        self._probe(tensor, found, name, levels)
        return found

    def _probe(self, tensor: str, codes: Codes, folded: str | None = None, levels: Levels | None = None) -> None:
        assert codes.node is not None
        scale, offset = np.array([codes.scale]), np.array([codes.offset])
        self.probes.append(
            Probe(
                tensor=tensor,
                node=codes.node,
                scale=scale,
                offset=offset,
                folded=folded,
                levels=levels,
                order=codes.order,
            )
        )

    def network(self, metadata: dict[str, object]) -> Network:
        """The whole network."""
        assert self.rule is not None
        assert self.rule.codes.shape is not None
        return Network(
            input_shape=self.rule.codes.shape,
            input_type=self.rule.codes.type,
            input_scale=self.rule.codes.scale,
            input_range=(self.rule.codes.low, self.rule.codes.high),
            nodes=self.nodes,
            metadata=metadata,
        )


def _check_channels(channels: int, value: Pending) -> None:
    """Refuses thresholds for other channels than those of what is quantized."""
    match value.source:
        case Sums(bounds=(low, _)):
            found: int | None = len(low)
        case Reals(shape=shape) | Codes(shape=tuple(shape)):
            found = shape[0]
        case _:
            found = None
    if found is not None and found != channels:
        raise NodeRefused(f"it has thresholds for {channels} channels, and its values have {found}")


def _passed(codes: Codes, value: Pending, quantized: GraphNode) -> tuple[Sums, Pending]:
    """Codes as the sums of a node that passes them on, for a quantizer that follows another."""
    assert codes.shape is not None
    channels = codes.shape[0]
    name = quantized.identifier
    inputs = (codes.node or INPUT,)
    node: WeightNode
    if len(codes.shape) == 1:
        node = Linear(name=name, inputs=inputs, weights=np.eye(channels, dtype=np.int8))
    else:
        ones = np.ones((channels, 1, 1, 1), dtype=np.int8)
        node = Conv2d(name=name, inputs=inputs, weights=ones, groups=channels)
    bounds: Bounds = (np.full(channels, codes.low), np.full(channels, codes.high))
    scaled = (Multiply(factor=np.array([[codes.scale]])), Plus(term=np.array([[codes.offset]])))
    sums = Sums(node=node, label=quantized.name, bounds=None if codes.node is None else bounds, slack=0.0)
    return sums, replace(value, source=sums, steps=(*scaled, *value.steps))


def _before_pool(steps: tuple[Step | Node, ...]) -> list[Step] | None:
    """The functions before the first pool; ``None`` where there is no pool."""
    before: list[Step] = []
    for step in steps:
        if isinstance(step, MaxPool2d):
            return before
        assert isinstance(step, Step)
        before.append(step)
    return None


def _check_zero(value: Pending, quantizer: Quantizer, codes: Codes) -> None:
    """Refuses a quantizer behind a ``Pad`` that makes another code than 0 of its zeros."""
    zeros = run(value.functions, np.zeros((quantizer.channels or 1, 1)))[0]
    if codes.offset or quantizer.function(zeros).any():
        raise NodeRefused("a Pad is before it, whose zeros become other codes than 0: put the Pad behind it")


def flipped(weights: np.ndarray, channels: np.ndarray) -> np.ndarray:
    """Weights with the rows of some channels negated."""
    signs = np.where(channels, -1, 1).astype(np.int8)
    return weights * signs.reshape(-1, *[1] * (weights.ndim - 1))


def listed(values: np.ndarray) -> list[float]:
    """Numbers for JSON: one, where all are the same."""
    return [float(value) for value in (values[:1] if np.ptp(values) == 0 else values)]


def _described(step: Step) -> dict[str, object]:
    """A step before the input's quantizer, for JSON."""
    line = line_through([step])
    if line is None:
        return {"function": type(step).__name__.lower()}
    return {"factor": listed(line[0].ravel()), "term": listed(line[1].ravel())}
