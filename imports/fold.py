"""From the original graph to a network of integers: each node is kept, folded, left out, or refused with its reason."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from sterna.imports import layers
from sterna.imports.build import Builder
from sterna.imports.errors import EvaluationError, NodeRefused, RefusedError
from sterna.imports.evaluate import execute, with_constants
from sterna.imports.graph import Graph, GraphNode
from sterna.imports.meaning import InputRule, Probe
from sterna.imports.operators import FEWEST_INPUTS, OPERATORS
from sterna.imports.options import ImportOptions
from sterna.imports.preflight import Fate, Preflight
from sterna.imports.quantizers import QUANTIZERS, channel_axis
from sterna.imports.recognize import recognize
from sterna.imports.steps import functions_of, other_inputs, per_channel
from sterna.imports.values import Codes, Lost, Pending, Reals, Sums, Value, pending, reordered, view
from sterna.net import ActivationType, Network
from sterna.net.errors import InvalidValueError, SternaError

MAX_INPUT = 1 << 19  # values of an input: 400 x 400 pixels in three colors

#: What may follow the scores: the host's.
_ENDS = {"Softmax", "LogSoftmax", "ArgMax", "TopK"}
_NOTHING = {"Identity", "Dropout", "Cast"}
_SHAPES = {"Flatten", "Reshape", "Squeeze", "Unsqueeze", "Transpose"}
_AVERAGES = {"AveragePool", "GlobalAveragePool", "ReduceMean"}
_WEIGHTS = {"Conv", "Gemm", "MatMul"}


@dataclass(frozen=True, kw_only=True, eq=False)
class Folded:
    """A network, and how it hangs together with the graph it was folded from.

    Parameters
    ----------
    network : Network
    rule : InputRule
        How real inputs become codes.
    probes : tuple of Probe
        Tensors of the graph and what they must equal, the scores last.
    """

    network: Network
    rule: InputRule
    probes: tuple[Probe, ...]


def fold(graph: Graph, options: ImportOptions, preflight: Preflight) -> Folded:
    """The network that a graph is; unproved.

    Parameters
    ----------
    graph : Graph
    options : ImportOptions
    preflight : Preflight
        Is filled, whatever the end.

    Raises
    ------
    RefusedError
        If nodes cannot be imported; all of them are in ``preflight``.
    """
    found = _Fold(graph, options, preflight)
    found.run()
    preflight.in_order(graph.nodes)
    if preflight.refused:
        raise RefusedError(preflight.summary(), preflight)
    builder = found.builder
    metadata: dict[str, object] = {"input": preflight.input, "scores": preflight.scores}
    assert builder.rule is not None
    return Folded(network=builder.network(metadata), rule=builder.rule, probes=tuple(builder.probes))


class _Fold:
    """Walks a graph once, in topological order."""

    def __init__(self, graph: Graph, options: ImportOptions, preflight: Preflight) -> None:
        self._original = graph
        self._graph = with_constants(graph)
        self._constants = dict(self._graph.constants)
        self._options = options
        self._preflight = preflight
        self._values: dict[str, Value] = {}
        self._real: dict[str, str] = {}  # the tensor whose values a tensor that is left out would change
        self.builder = Builder(options, preflight)
        self._consumers: dict[str, list[GraphNode]] = {}
        for node in self._graph.nodes:
            for name in node.inputs:
                self._consumers.setdefault(name, []).append(node)

    def run(self) -> None:
        with np.errstate(all="ignore"):  # what is not finite is refused where it matters
            self._run()

    def _run(self) -> None:
        left = {node.name for node in self._graph.nodes}
        for node in self._original.nodes:
            if node.name not in left:
                self._preflight.add(node, Fate.FOLDED, "a constant")
        needed = self._needed()
        self._take_input()
        for node in self._graph.nodes:
            if node.name not in needed:
                self._preflight.add(node, Fate.LEFT_OUT, "no output depends on it")
                continue
            try:
                fate, detail = self._take(node)
            except (NodeRefused, SternaError) as error:
                reason = error.reason if isinstance(error, EvaluationError) else str(error)
                fate, detail = Fate.REFUSED, reason
                if not detail:
                    fate, detail = Fate.BEHIND, "its inputs are not known"
                self._lose(node)
            self._preflight.add(node, fate, detail)
        self._end()

    def _needed(self) -> set[str]:
        """The nodes that an output depends on."""
        wanted, names = set(self._graph.outputs), set()
        for node in reversed(self._graph.nodes):
            if wanted & set(node.outputs):
                names.add(node.name)
                wanted.update(node.inputs)
        return names

    def _lose(self, node: GraphNode) -> None:
        for name in node.outputs:
            self._values.setdefault(name, Pending(source=Lost(), shape=None))

    def _take_input(self) -> None:
        (name, shape), *others = self._graph.inputs.items()
        placeholder = GraphNode(name=name, operator="input", inputs=(), outputs=(name,), attributes={})
        sizes = shape[1:]
        try:
            if others:
                raise NodeRefused(f"the model has {1 + len(others)} inputs, and a network has one")
            if len(sizes) not in (1, 3):
                raise NodeRefused(
                    f"its shape is {shape}: it must be (batch, features) or (batch, channels, height, width)"
                )
            if math.prod(sizes) > MAX_INPUT:
                raise NodeRefused(f"its shape {shape} has more than {MAX_INPUT} values, too many to prove an import on")
            if 0 in sizes:
                raise NodeRefused(f"its shape {shape} has open sizes: export the model with fixed ones, but the batch")
        except NodeRefused as error:
            self._preflight.add(placeholder, Fate.REFUSED, str(error))
            self._lose(placeholder)
            return
        order = None
        if len(sizes) == 3 and self._is_channels_last(name):
            sizes = (sizes[2], *sizes[:2])
            order = np.arange(math.prod(sizes)).reshape(sizes).transpose(1, 2, 0)
        self.builder.input_order = order
        self._values[name] = Pending(source=Reals(shape=sizes), shape=sizes, order=order)
        self._input_name = name

    def _is_channels_last(self, name: str) -> bool:
        """Whether the input is turned to channels first before its first layer."""
        waiting, seen = [name], {name}
        while waiting:
            for node in self._consumers.get(waiting.pop(), []):
                if node.operator == "Transpose":
                    return node.integers("perm", ()) == (0, 3, 1, 2)
                if node.operator not in _WEIGHTS:
                    fresh = set(node.outputs) - seen
                    seen |= fresh
                    waiting.extend(fresh)
        return False

    def _take(self, node: GraphNode) -> tuple[Fate, str]:
        """What a node becomes; its outputs are known then."""
        if all(not name or name in self._constants for name in node.inputs) and node.inputs:
            self._constants |= execute(node, self._constants)
            return Fate.FOLDED, "a constant"
        if node.operator not in OPERATORS and node.operator not in QUANTIZERS:
            raise NodeRefused("this operator is not understood")
        fewest = FEWEST_INPUTS.get(node.operator, 1)
        if not all((*node.inputs, *[""] * fewest)[:fewest]):
            raise NodeRefused(f"it has {len(list(filter(None, node.inputs)))} inputs, and takes at least {fewest}")
        inputs = [self._values.get(name) for name in node.inputs]
        if node.operator == "Shape":
            value = inputs[0]
            if value is None:
                raise NodeRefused("")
            self._constants[node.outputs[0]] = np.array([1, *view(value)], dtype=np.int64)
            return Fate.FOLDED, "a constant, but for the batch"
        if node.operator in _WEIGHTS:
            return self._weigh(node, inputs)
        moving = [value for value in inputs if value is not None]
        if node.operator in QUANTIZERS and node.operator != "QuantizeLinear":
            return self._quantize(node, moving[0])
        if any(isinstance(value, Pending) and isinstance(value.source, Lost) for value in moving):
            raise NodeRefused("")
        return self._pass(node, moving)

    def _set(self, node: GraphNode, value: Value) -> None:
        self._values[node.outputs[0]] = value

    def _weigh(self, node: GraphNode, inputs: list[Value | None]) -> tuple[Fate, str]:
        value = inputs[0]
        if value is None:
            raise NodeRefused("its weights must be its second input, and its first depend on the model's input")
        weights, *more = other_inputs(node, self._constants)
        bias = more[0] if more else None
        if isinstance(value, Pending) and isinstance(value.source, Reals):
            value = self._given(value)
        if node.operator == "Conv":
            made = layers.convolution(node, value, weights, bias)
        elif node.operator == "MatMul":
            made = layers.linear(node, value, weights.T, None, self.builder.flatten)
        else:
            if node.integer("transA", 0):
                raise NodeRefused("transA turns the batch into features")
            alpha, beta = np.float32(node.number("alpha", 1.0)), np.float32(node.number("beta", 1.0))
            matrix = weights if node.integer("transB", 0) else weights.T
            bias = None if bias is None else beta * bias
            made = layers.linear(node, value, alpha * matrix, bias, self.builder.flatten)
        self._set(node, made)
        assert isinstance(made.source, Sums)
        return Fate.KEPT, type(made.source.node).__name__

    def _given(self, value: Pending) -> Value:
        """The input's codes, of the type that the user or an annotation gives."""
        assert isinstance(value.source, Reals)
        kind, scale = self._options.input_type, self._options.input_scale
        if kind is None:
            kind, scale = _annotated(self._graph.datatypes.get(self._input_name, "")), 1.0
        if kind is None or scale is None or self.builder.rule is not None:
            return value
        codes = self.builder.given_input(kind, scale, value.source.shape)
        return Pending(source=codes, shape=value.shape, steps=value.functions, order=value.order)

    def _quantize(self, node: GraphNode, value: Value) -> tuple[Fate, str]:
        constants = other_inputs(node, self._constants)
        if node.operator == "MultiThreshold" and constants[0].ndim == 2 and len(constants[0]) > 1:
            constants[0] = constants[0][self._channels(node, value, len(constants[0]))]
        whole = value.whole if isinstance(value, Pending) else None
        quantizer = recognize(node, constants, whole)
        before = len(self.builder.nodes)
        zero = quantizer.bipolar and self._needs_zero(node.outputs[0])
        first = self.builder.rule is None
        made = self.builder.quantize(node, pending(value), quantizer, zero=zero)
        self._set(node, made)
        if first and self.builder.rule is not None:
            self.builder.check_input()
            return Fate.FOLDED, f"the input's rule, {made.type}"
        source = value.source if isinstance(value, Pending) else value
        if isinstance(source, Codes) and made.node == source.node and made.node is not None:
            return Fate.LEFT_OUT, "it changes no code"
        if len(self.builder.nodes) == before:
            return Fate.FOLDED, f"{made.type}"
        return Fate.FOLDED, f"the thresholds of '{self.builder.probes[-1].folded or made.node}', {made.type}"

    def _channels(self, node: GraphNode, value: Value, count: int) -> np.ndarray:
        """Which of ``count`` rows of thresholds is that of each of the value's own channels."""
        shape = view(value)
        axis = channel_axis(node, len(shape) + 1)
        if not 1 <= axis <= len(shape) or shape[axis - 1] != count:
            raise NodeRefused(f"it has thresholds for {count} channels, and its values are {shape}")
        rows = np.arange(count).reshape([-1 if k == axis else 1 for k in range(len(shape) + 1)])
        return per_channel(rows, value).ravel()

    def _needs_zero(self, tensor: str) -> bool:
        """Whether a code for 0 is needed behind a tensor, so that a bit is not enough for -1 and 1.

        So it is where it is padded, and before scores, whose rows would be half a step apart.
        """
        return any(_is_padded(node) for node in self._reached(tensor)) or any(
            not self._is_quantized(output) for node in self._reached(tensor) if node.operator in _WEIGHTS
            for output in node.outputs
        )  # fmt: skip

    def _is_quantized(self, tensor: str) -> bool:
        """Whether quantizers stand between a tensor and all outputs."""
        seen = {tensor, *(name for node in self._reached(tensor) for name in node.outputs)}
        ends = {name for node in self._reached(tensor) if node.operator in QUANTIZERS for name in node.outputs}
        return not (seen - ends) & set(self._graph.outputs)

    def _reached(self, tensor: str) -> list[GraphNode]:
        """The nodes behind a tensor up to weight layers and quantizers, these included."""
        found: dict[str, GraphNode] = {}
        waiting = [tensor]
        while waiting:
            for node in self._consumers.get(waiting.pop(), []):
                if node.name not in found:
                    found[node.name] = node
                    if node.operator not in _WEIGHTS and node.operator not in QUANTIZERS:
                        waiting.extend(node.outputs)
        return list(found.values())

    def _pass(self, node: GraphNode, moving: list[Value]) -> tuple[Fate, str]:
        """Nodes that neither weigh nor quantize."""
        value = moving[0]
        operator = node.operator
        if operator in _ENDS:
            return self._leave_to_host(node, value)
        if operator in _NOTHING:
            self._set(node, value)
            return Fate.LEFT_OUT, "it changes no value"
        if operator in _SHAPES:
            other_inputs(node, self._constants)  # refuses a shape that depends on the input
            turned = reordered(value, lambda x: execute(node, {**self._constants, node.inputs[0]: x})[node.outputs[0]])
            self._set(node, turned)
            return Fate.FOLDED, f"the order of values, now {view(turned)}"
        if operator == "MaxPool":
            pool, made = layers.maximum(node, value)
            if isinstance(value, Codes):
                assert value.node is not None
                self._set(node, replace(value, node=self.builder.add(pool, value.node), shape=made.shape))
            else:
                self._set(node, made)
            return Fate.KEPT, "MaxPool2d"
        if operator in _AVERAGES:
            if operator == "ReduceMean" and not self._is_global(node):
                raise NodeRefused("only a mean over the whole map, with its two axes kept, is understood")
            self._set(node, layers.average(node, value))
            return Fate.KEPT, "SumPool2d, without its division"
        if len(moving) > 1:
            if operator != "Add":
                raise NodeRefused("only the sum of two branches is understood")
            self._set(node, layers.addition(node, *moving))
            return Fate.KEPT, "Add"
        return self._step(node, value)

    def _leave_to_host(self, node: GraphNode, value: Value) -> tuple[Fate, str]:
        waiting = list(node.outputs)
        while waiting:
            for consumer in self._consumers.get(waiting.pop(), []):
                if consumer.operator not in _ENDS | _NOTHING | _SHAPES:
                    raise NodeRefused(f"it is understood at the end only, and '{consumer.name}' follows")
                waiting.extend(consumer.outputs)
        origin = self._real.get(node.inputs[0], node.inputs[0])
        for name in node.outputs:
            self._values[name], self._real[name] = value, origin
        return Fate.LEFT_OUT, "the host's: the network gives the scores before it"

    def _is_global(self, node: GraphNode) -> bool:
        axes = node.integers("axes", ())
        constants = other_inputs(node, self._constants)
        axes = tuple(int(axis) for axis in constants[0].ravel()) if constants else axes
        return sorted(axis % 4 for axis in axes) == [2, 3] and bool(node.integer("keepdims", 1))

    def _step(self, node: GraphNode, value: Value) -> tuple[Fate, str]:
        """A function of each value by itself."""
        before = pending(value)
        steps, whole = functions_of(node, before, self._constants)
        self._set(node, replace(before.then(*steps), whole=whole))
        return Fate.FOLDED, "the quantizer behind it, or the scale of the scores"

    def _end(self) -> None:
        """The output becomes the scores."""
        names = self._graph.outputs
        values = [self._values.get(name) for name in names]
        end = GraphNode(name=names[0], operator="output", inputs=(), outputs=(), attributes={})
        value = values[0]
        if isinstance(value, Pending) and isinstance(value.source, Lost):
            return
        try:
            if value is None or any(other is not value for other in values):
                raise NodeRefused("the model has several outputs, or one that is constant: keep the scores alone")
            self.builder.scores(self._real.get(names[0], names[0]), value)
        except (NodeRefused, InvalidValueError) as error:
            self._preflight.add(end, Fate.REFUSED, str(error))


def _is_padded(node: GraphNode) -> bool:
    if node.operator not in ("Conv", "AveragePool"):
        return False
    return any(node.integers("pads", (0, 0, 0, 0))) or node.text("auto_pad", "NOTSET").startswith("SAME")


def _annotated(datatype: str) -> ActivationType | None:
    """The type that a ``finn_datatype`` such as INT4 or UINT8 names."""
    signed = datatype.startswith("INT")
    digits = datatype.removeprefix("INT" if signed else "UINT")
    if digits == datatype or not digits.isdigit() or not 1 <= int(digits[:3]) <= 8:
        return None
    return ActivationType(int(digits), signed)
