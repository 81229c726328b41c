"""From the original graph to a network of integers: each node is kept, folded, left out, or refused with its reason."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from sterna.imports import layers
from sterna.imports.build import Builder
from sterna.imports.clamps import clamping, with_clamps
from sterna.imports.entry import SHAPES, Entry, GivenType, annotated, find_entry, given
from sterna.imports.errors import EvaluationError, NodeRefused, RefusedError
from sterna.imports.evaluate import execute, needed_by_outputs, with_constants
from sterna.imports.functions import line_through
from sterna.imports.graph import Graph
from sterna.imports.meaning import InputRule, Probe
from sterna.imports.neighbors import WEIGHTS, Neighbors
from sterna.imports.node import GraphNode
from sterna.imports.operators import FEWEST_INPUTS, OPERATORS, shape_part
from sterna.imports.options import ImportOptions
from sterna.imports.preflight import Fate, Preflight
from sterna.imports.quantizers import QUANTIZERS, channel_axis
from sterna.imports.recognize import integers, recognize
from sterna.imports.repeats import without_repeats
from sterna.imports.scores import end_network
from sterna.imports.steps import functions_of, narrowed, other_inputs, per_channel
from sterna.imports.values import Codes, Lost, Pending, Reals, Sums, Value, pending, reordered, view
from sterna.net import Network
from sterna.net.checks import shown
from sterna.net.errors import InvalidValueError, SternaError

#: What may follow the scores: the host's. The second kind only where nothing else follows.
_ENDS = {"Softmax", "LogSoftmax", "ArgMax", "TopK"}
_RISING = {"Sigmoid", "HardSigmoid", "Tanh", "Softplus", "Relu"}
_NOTHING = {"Identity", "Dropout", "Cast", "CastLike"}
_HOSTS = _ENDS | _RISING | _NOTHING | SHAPES
_AVERAGES = {"AveragePool", "GlobalAveragePool", "ReduceMean"}
_POOLS = {"MaxPool", "GlobalMaxPool"}
_SYMMETRIC = {"Add", "Sub", "Mul", "Div", "Sum", "Max", "Min", "Clip"}  # their first input may be the constant
_FOLDED = "the quantizer behind it, or the scale of the scores"


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
    entry : Entry
        The input of the graph.
    """

    network: Network
    rule: InputRule
    probes: tuple[Probe, ...]
    entry: Entry


def fold(graph: Graph, options: ImportOptions, preflight: Preflight) -> Folded:
    """The network that a graph is; unproved. ``preflight`` is filled, whatever the end.

    Raises
    ------
    RefusedError
        If nodes cannot be imported; all of them are in ``preflight``.
    """
    found = _Fold(graph, options, preflight)
    with np.errstate(all="ignore"):  # what is not finite is refused where it matters
        found.run()
    preflight.in_order(graph.nodes)
    if preflight.refused:
        raise RefusedError(preflight.summary(), preflight)
    builder = found.builder
    metadata: dict[str, object] = {"input": preflight.input, "scores": preflight.scores}
    assert builder.rule is not None
    assert builder.entry is not None
    probes = (*found.repeated_probes(), *builder.probes)
    return Folded(network=builder.network(metadata), rule=builder.rule, probes=probes, entry=builder.entry)


class _Fold:
    """Walks a graph once, in topological order."""

    def __init__(self, graph: Graph, options: ImportOptions, preflight: Preflight) -> None:
        self._original = graph
        self._pruned = with_constants(graph)
        self._graph, self._same = without_repeats(self._pruned)
        self._constants = dict(self._graph.constants)
        self._options = options
        self._preflight = preflight
        self._values: dict[str, Value] = {}
        self._host: dict[str, str] = {}  # of a tensor that the host computes: the scores' tensor before it
        self._clamps: dict[str, Value] = {}  # of nodes that a quantizer before them has taken in
        self._makers = {name: node for node in self._graph.nodes for name in node.outputs}
        self.builder = Builder(options, preflight)
        self._near = Neighbors(self._graph)

    def run(self) -> None:
        """Fill the builder and the preflight."""
        self._say_left_out()
        self._take_input()
        for node in self._graph.nodes:
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

    def repeated_probes(self) -> list[Probe]:
        """The probes of tensors once more, for those that hold the same values."""
        return [
            replace(probe, tensor=name)
            for name, first in self._same.items()
            for probe in self.builder.probes
            if probe.tensor == first
        ]

    def _say_left_out(self) -> None:
        needed = needed_by_outputs(self._original)
        pruned = {node.name for node in self._pruned.nodes}
        kept = {node.name for node in self._graph.nodes}
        for node in self._original.nodes:
            if node.name not in needed:
                self._preflight.add(node, Fate.LEFT_OUT, "no output depends on it")
            elif node.name not in pruned:
                self._preflight.add(node, Fate.FOLDED, "a constant")
            elif node.name not in kept:
                first = self._makers[self._same[next(filter(None, node.outputs))]]
                self._preflight.add(node, Fate.LEFT_OUT, f"it computes what {shown(first.name)} does")

    def _lose(self, node: GraphNode) -> None:
        for name in node.outputs:
            self._values.setdefault(name, Pending(source=Lost(), shape=None))

    def _take_input(self) -> None:
        names = tuple(self._graph.inputs)
        placeholder = GraphNode(name=names[0], operator="input", inputs=(), outputs=names, attributes={})
        try:
            entry = find_entry(self._graph, self._near)
            self.builder.entry = entry
            self._values[entry.name] = self._entered(entry)
        except NodeRefused as error:
            self._preflight.add(placeholder, Fate.REFUSED, str(error))
            self._lose(placeholder)

    def _entered(self, entry: Entry) -> Value:
        """The input: codes where the user or an annotation gives their type, and no quantizer of the model does."""
        options = self._options
        if any(node.operator in QUANTIZERS for node in self._near.reached(entry.name)):
            if options.input_type is not None:
                self._preflight.input["note"] = "the model quantizes its input itself: the given type is not used"
            return Pending(source=Reals(shape=entry.shape), shape=entry.shape, order=entry.order)
        type: GivenType | None
        if options.input_type is not None and options.input_scale is not None:
            type = given(options.input_type, options.input_scale)
        else:
            zero = self._near.needs_zero(entry.name)
            type = annotated(self._graph.datatypes, entry.name, zero=zero)
        if type is None:
            return Pending(source=Reals(shape=entry.shape), shape=entry.shape, order=entry.order)
        codes = self.builder.given_input(type)
        self.builder.check_input()
        return codes

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
        moving = self._moving(node)
        if node.inputs[0] in self._constants and node.operator == "CastLike":
            self._constants[node.outputs[0]] = self._constants[node.inputs[0]].astype(np.float32)
            return Fate.FOLDED, "a constant"
        if node.inputs[0] in self._constants and node.operator not in _SYMMETRIC:
            raise NodeRefused("its first input is a constant, and others depend on the model's input")
        if node.operator == "Shape":
            sizes = shape_part(node, (1, *view(moving[0])))
            self._constants[node.outputs[0]] = np.array(sizes, dtype=np.int64)
            return Fate.FOLDED, "a constant, but for the batch"
        if node.operator in WEIGHTS:
            return self._weigh(node)
        if node.operator in QUANTIZERS and node.operator != "QuantizeLinear":
            return self._quantize(node, moving[0])
        if any(isinstance(value, Pending) and isinstance(value.source, Lost) for value in moving):
            raise NodeRefused("")
        if node.inputs[0] in self._host:
            return self._leave_to_host(node, moving[0])
        return self._pass(node, moving)

    def _moving(self, node: GraphNode) -> list[Value]:
        """The inputs of a node that are no constants, the first first."""
        names = [name for name in node.inputs if name and name not in self._constants]
        for name in names:
            if name not in self._values:
                raise NodeRefused(f"it takes {shown(name)}, and only a node's first output is understood")
        return [self._values[name] for name in names]

    def _set(self, node: GraphNode, value: Value) -> None:
        self._values[node.outputs[0]] = value

    def _settled(self, name: str) -> Value:
        """A value; where it is a Relu or Clip of codes, the codes of a node that passes them on."""
        value = self._values[name]
        quantizer = clamping(value)
        if quantizer is not None:
            value = self._values[name] = self.builder.quantize(self._makers[name], pending(value), quantizer)
        return value

    def _weigh(self, node: GraphNode) -> tuple[Fate, str]:
        weights, *more = other_inputs(node, self._constants)
        bias = more[0] if more else None
        value = self._settled(node.inputs[0])
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

    def _quantize(self, node: GraphNode, value: Value) -> tuple[Fate, str]:
        constants = other_inputs(node, self._constants)
        if node.operator == "MultiThreshold" and constants[0].ndim == 2 and len(constants[0]) > 1:
            constants[0] = constants[0][self._channels(node, value, len(constants[0]))]
        whole = pending(value).whole
        if whole is None and node.operator == "DequantizeLinear" and isinstance(pending(value).source, Lost):
            raise NodeRefused("")
        if whole is not None and node.operator != "DequantizeLinear":
            raise NodeRefused("its inputs are integers of a QuantizeLinear: put a DequantizeLinear before it")
        quantizer = recognize(node, constants, whole)
        tensor = node.outputs[0]
        quantizer, clamps = with_clamps(quantizer, tensor, self._near, self._constants)
        before = len(self.builder.nodes)
        zero = quantizer.bipolar and self._near.needs_zero(tensor)
        first = self.builder.rule is None
        tensor = clamps[-1].outputs[0] if clamps else tensor
        made = self.builder.quantize(node, replace(pending(value), whole=None), quantizer, zero=zero, tensor=tensor)
        self._set(node, made)
        self._clamps |= {clamp.name: made for clamp in clamps}
        if first and self.builder.rule is not None:
            self.builder.check_input()
            return Fate.FOLDED, f"the input's rule, {made.type}"
        source = pending(value).source
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

    def _pass(self, node: GraphNode, moving: list[Value]) -> tuple[Fate, str]:
        """Nodes that neither weigh nor quantize."""
        value, operator = moving[0], node.operator
        whole = pending(value).whole
        if node.name in self._clamps:
            self._set(node, self._clamps[node.name])
            return Fate.FOLDED, "the quantizer before it"
        if operator in _ENDS or (operator in _RISING and self._is_end(node)):
            return self._leave_to_host(node, value)
        if operator in _NOTHING and not (whole and operator.startswith("Cast")):
            self._set(node, value)
            return self._changes_nothing(node)
        if operator in SHAPES:
            other_inputs(node, self._constants)  # refuses a shape that depends on the input
            turned = reordered(value, lambda x: execute(node, {**self._constants, node.inputs[0]: x})[node.outputs[0]])
            self._set(node, turned)
            return Fate.FOLDED, f"the order of values, now {view(turned)}"
        if operator in _POOLS:
            return self._pool(node)
        if whole is not None and operator not in ("Clip", "Relu"):
            raise NodeRefused("its inputs are integers of a QuantizeLinear: put a DequantizeLinear before it")
        if operator == "Pad":
            return self._pad(node, value)
        if operator in _AVERAGES:
            return self._average(node)
        if len(moving) > 1:
            if operator not in ("Add", "Sum") or len(node.inputs) > 2:
                raise NodeRefused("only the sum of two branches is understood")
            self._set(node, layers.addition(node, *map(self._settled, node.inputs)))
            return Fate.KEPT, "Add"
        return self._step(node, value)

    def _changes_nothing(self, node: GraphNode) -> tuple[Fate, str]:
        """Refuses what does change values: a conversion to integers, a dropout of a training."""
        zero = np.zeros(1, dtype=np.float32)
        known = {name: self._constants.get(name, zero) for name in node.inputs if name}
        probe = execute(node, {**known, node.inputs[0]: zero})[node.outputs[0]]
        if probe.dtype.kind != "f":
            raise NodeRefused(f"it converts to {probe.dtype}, which rounds towards 0: leave it out, or quantize")
        return Fate.LEFT_OUT, "it changes no value"

    def _is_end(self, node: GraphNode) -> bool:
        return all(other.operator in _HOSTS for other in self._near.behind(node))

    def _leave_to_host(self, node: GraphNode, value: Value) -> tuple[Fate, str]:
        for other in (node, *self._near.behind(node)):
            if other.operator not in _HOSTS:
                raise NodeRefused(f"it is understood at the end only, and {shown(other.name)} follows")
        origin = self._host.get(node.inputs[0], node.inputs[0])
        for name in node.outputs:
            self._values[name], self._host[name] = value, origin
        return Fate.LEFT_OUT, "the host's: the network gives the scores before it"

    def _pool(self, node: GraphNode) -> tuple[Fate, str]:
        """A maximum of codes, or one that stands behind the quantizer that follows."""
        value = self._settled(node.inputs[0])
        pool, made = layers.maximum(node, value)
        codes = pending(value).source
        if not isinstance(codes, Codes) or codes.node is None or pending(value).moved:
            self._set(node, made)
            return Fate.KEPT, "MaxPool2d"
        line = line_through(pending(value).functions)
        if line is not None and all(part.size == 1 for part in line) and line[0].ravel()[0] > 0:
            pooled = replace(codes, node=self.builder.add(pool, codes.node), shape=made.shape, order=None)
            made = replace(pending(pooled), steps=pending(value).steps, whole=pending(value).whole)
            self._set(node, pooled if isinstance(value, Codes) else made)
        else:
            self._set(node, made)
        return Fate.KEPT, "MaxPool2d"

    def _pad(self, node: GraphNode, value: Value) -> tuple[Fate, str]:
        """Zeros around a map, which the convolution behind takes over."""
        other_inputs(node, self._constants)  # refuses sizes that depend on the input
        made = layers.padding(node, value, self._constants)
        self._set(node, made)
        if made is value:
            return Fate.LEFT_OUT, "it pads by nothing"
        return Fate.FOLDED, "the padding of the convolution behind it"

    def _average(self, node: GraphNode) -> tuple[Fate, str]:
        value = self._settled(node.inputs[0])
        if node.operator == "ReduceMean":
            constants = other_inputs(node, self._constants)
            axes = tuple(constants[0].ravel().tolist()) if constants else node.integers("axes", ())
            self._set(node, layers.mean(node, value, axes))
        else:
            self._set(node, layers.average(node, value))
        return Fate.KEPT, "SumPool2d, without its division"

    def _step(self, node: GraphNode, value: Value) -> tuple[Fate, str]:
        """A function of each value by itself."""
        before = pending(value)
        if before.whole is not None:
            self._set(node, replace(before, whole=narrowed(node, before.whole, self._constants)))
        elif node.operator == "QuantizeLinear":
            self._set(node, replace(before, whole=integers(node, other_inputs(node, self._constants))))
        else:
            self._set(node, before.then(*functions_of(node, before, self._constants)))
        return Fate.FOLDED, _FOLDED

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
            tensor = self._host.get(names[0], names[0])
            unequal = self._options.unequal_scores
            end_network(self.builder, self._preflight, tensor, value, unequal=unequal)
        except (NodeRefused, InvalidValueError) as error:
            self._preflight.add(end, Fate.REFUSED, str(error))
