"""Makes the nodes of the network, one after the other, as the quantizers of the original end its layers."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from sterna.imports.errors import NodeRefused
from sterna.imports.functions import Multiply, Plus, Step, line_through, run
from sterna.imports.graph import GraphNode
from sterna.imports.levels import Levels, find_levels
from sterna.imports.meaning import BIT, InputRule, Probe
from sterna.imports.options import ImportOptions
from sterna.imports.preflight import Preflight
from sterna.imports.recognize import Quantizer
from sterna.imports.values import Codes, Lost, Pending, Reals, Sums
from sterna.net import ActivationType, Conv2d, Flatten, Linear, MaxPool2d, Network, Node, Thresholds, WeightNode
from sterna.net.nodes import INPUT, Bounds, Shape


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
        self.input_order: np.ndarray | None = None
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

    def given_input(self, type: ActivationType, scale: float, shape: Shape) -> Codes:
        """The input as codes of a type and a scale that the model itself does not have."""
        codes = Codes(node=INPUT, type=type, shape=shape, scale=scale, offset=0.0, low=type.min, high=type.max)
        self.rule = InputRule(codes=codes, order=self.input_order)
        self._preflight.input = {"type": str(type), "scale": scale, "range": [type.min, type.max]}
        self._preflight.input |= {"channels_last": self.input_order is not None, "before": []}
        return codes

    def quantize(self, node: GraphNode, value: Pending, quantizer: Quantizer, *, zero: bool) -> Codes:
        """The codes that a quantizer gives.

        Parameters
        ----------
        node : GraphNode
            The original's.
        value : Pending
        quantizer : Quantizer
        zero : bool
            Whether what follows needs a code for 0, as padding does.
        """
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
        match value.source:
            case Reals():
                return self._quantize_input(node.outputs[0], value, quantizer, codes)
            case Lost():
                return codes
            case Codes() if not value.moved and quantizer.channels is None and self._same(value, quantizer, codes):
                return replace(value.source, order=value.order)
        return self._quantize_sums(node, value, quantizer, codes)

    def _quantize_input(self, tensor: str, value: Pending, quantizer: Quantizer, codes: Codes) -> Codes:
        if self.rule is not None:
            raise NodeRefused("the input is quantized twice, in two ways: quantize it once")
        assert isinstance(value.source, Reals)
        type = codes.type
        self._preflight.input = {
            "type": str(type),
            "scale": codes.scale,
            "offset": codes.offset,
            "range": [codes.low, codes.high],
            "bipolar": quantizer.bipolar,
            "channels_last": self.input_order is not None,
            "before": [_described(step) for step in value.functions],
        }
        self.rule = InputRule(
            steps=value.functions,
            quantizer=quantizer,
            codes=replace(codes, node=INPUT, shape=value.source.shape),
            rounded=value.whole is not None,
            order=self.input_order,
        )
        node = INPUT
        for moved in value.moved:
            node = self.add(moved, node)
        made = replace(codes, node=node)
        self._probe(tensor, made)
        return made

    def check_input(self) -> None:
        """Refuses an input of -1 and 1 without the 0 between, unless the user takes it: no range leaves that out."""
        assert self.rule is not None
        type, quantizer = self.rule.codes.type, self.rule.quantizer
        if quantizer is not None and quantizer.bipolar and type != BIT and not self._options.narrow_input:
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

    def _quantize_sums(self, quantized: GraphNode, value: Pending, quantizer: Quantizer, codes: Codes) -> Codes:
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
            node = replace(node, weights=_flipped(node.weights, levels.flipped))
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
        self._probe(quantized.outputs[0], found, name, levels)
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

    def scores(self, tensor: str, value: Codes | Pending) -> None:
        """End the network with the output's node.

        Raises
        ------
        NodeRefused
            If the output is no straight line of sums, or differs between classes.
        """
        if isinstance(value, Codes):
            if not self.nodes or value.node != self.nodes[-1].name:
                raise NodeRefused("the output must come from the last layer")
            self._preflight.scores = {"scale": [value.scale], "offset": [value.offset], "equal": True}
            return
        if not isinstance(value.source, Sums) or any(isinstance(node, MaxPool2d) for node in value.moved):
            raise NodeRefused("the output must be a weight layer's sums, or codes")
        line = line_through(value.functions)
        if line is None:
            raise NodeRefused(
                "only multiplications and additions may follow the last layer: leave the rest to the host"
            )
        node = value.source.node
        if not isinstance(node, WeightNode):
            raise NodeRefused("the last layer must have weights")
        if value.source.bounds is None:
            return
        classes = len(node.weights)
        gain, offset = (np.broadcast_to(part.ravel(), (classes,)).astype(np.float64) for part in line)
        if not (np.isfinite(gain).all() and np.isfinite(offset).all() and gain.all()):
            raise NodeRefused(f"score {int(np.argmin(np.abs(gain)))} has a gain of 0, or none that is finite")
        flipped, scale = gain < 0, np.abs(gain)
        bias, left = _bias(scale, offset)
        equal = bool(np.ptp(scale) == 0 and np.ptp(left) == 0)
        if not equal and not self._options.unequal_scores:
            differs, values = ("scale", scale) if np.ptp(scale) else ("offset", left)
            raise NodeRefused(
                f"scores of different classes have no one {differs} ({values.min():g} to {values.max():g}), so "
                "that the largest integer need not be the largest score: train the last layer with one scale and no "
                "bias, or allow it with --unequal-scores"
            )
        name = self.name(node.name)
        node = replace(node, name=name, weights=_flipped(node.weights, flipped), bias=bias if bias.any() else None)
        self.nodes.append(node)
        last = name
        if value.order is not None:
            if not np.array_equal(value.order, np.arange(value.order.size)):
                raise NodeRefused("the scores are turned after the last layer: leave that to the host")
            last = self.add(Flatten(name=f"{name}_flat"), name)
        self._preflight.scores = {
            "scale": _listed(scale), "offset": _listed(left), "equal": equal, "flipped": int(flipped.sum()),
        }  # fmt: skip
        self.probes.append(Probe(tensor=tensor, node=last, scale=scale, offset=left))

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


def _flipped(weights: np.ndarray, channels: np.ndarray) -> np.ndarray:
    signs = np.where(channels, -1, 1).astype(np.int8)
    return weights * signs.reshape(-1, *[1] * (weights.ndim - 1))


def _bias(scale: np.ndarray, offset: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Integer biases, int64, and what is left of the offsets: nothing more than one number where that can be."""
    if np.ptp(offset) == 0 and np.ptp(scale) == 0:
        return np.zeros(len(offset), dtype=np.int64), offset
    common = offset[0] if np.ptp(scale) == 0 else 0.0
    bias = np.rint((offset - common) / scale)
    if np.abs(bias).max() >= 1 << 31:
        raise NodeRefused("an offset of the scores is beyond 32 bits of their scale")
    left = offset - bias * scale
    whole = np.ptp(scale) == 0 and np.array_equal((offset - common) / scale, bias)
    return bias.astype(np.int64), np.full(len(offset), common) if whole else left


def _listed(values: np.ndarray) -> list[float]:
    return [float(value) for value in (values[:1] if np.ptp(values) == 0 else values)]


def _described(step: Step) -> dict[str, object]:
    """A step before the input's quantizer, for JSON."""
    line = line_through([step])
    if line is None:
        return {"function": type(step).__name__.lower()}
    return {"factor": _listed(line[0].ravel()), "term": _listed(line[1].ravel())}
