"""Networks as QONNX: ``Quant`` and ``MultiThreshold`` nodes between plain ONNX operators (docs/import.md).

The graph computes codes and sums as float32 integers. All stay below 2^24, where float32 holds every integer and every
sum of them is exact in any order, or export refuses. Only the way from real inputs to codes has real numbers: it is
computed in float64, as rule 2 of docs/arithmetic.md says.
"""

from __future__ import annotations

import functools
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from sterna.net import (
    ActivationType,
    Add,
    Conv2d,
    Flatten,
    InputRule,
    Linear,
    MaxPool2d,
    Network,
    Node,
    ShiftRound,
    SumNode,
    SumPool2d,
    Thresholds,
    WeightNode,
)
from sterna.net.checks import check_integer, shown
from sterna.net.container import replacing
from sterna.net.describe import describe_input, describe_node
from sterna.net.errors import InvalidTypeError, InvalidValueError
from sterna.net.nodes import INPUT

DIGEST_KEY, NETWORK_KEY = "sterna_digest", "sterna_network"  # of metadata_props
#: Every integer of a smaller magnitude is a float32, and so is every sum of them that stays below.
EXACT = 1 << 24
#: Sums whose average, times the taps again, is less than a half away: four roundings of 2^-24 make 1/4 at most.
_EXACT_AVERAGE = 1 << 20
_MOST_WEIGHTS = 1 << 28  # 1 GiB as float32; a protobuf message ends at 2 GiB
_QONNX, _OPSET, _IR_VERSION = "qonnx.custom_op.general", 13, 8
_CODES = f"{INPUT}.codes"
_MOST_BATCH = 1 << 20


def export_qonnx(network: Network, path: str | os.PathLike[str], *, batch: int = 1) -> None:
    """Write :func:`to_qonnx` to a file, whole or not at all.

    Raises
    ------
    :exc:`TypeError`, :exc:`ValueError`
        As :func:`to_qonnx`; nothing is written.
    :exc:`OSError`
        If the file cannot be written.
    """
    content = to_qonnx(network, batch=batch).SerializeToString(deterministic=True)
    with replacing(Path(path)) as beside:
        beside.write_bytes(content)


def to_qonnx(network: Network, *, batch: int = 1) -> onnx.ModelProto:
    """A network as a QONNX model that computes the same codes and scores.

    The graph takes real inputs, float32 of (batch, \\*input shape). The value of each node is the tensor of its name,
    the input's codes are ``input.codes``; all are integers in float32. ``metadata_props`` has the digest, and what a
    file's header says; :func:`~sterna.imports.restore.restore_network` makes the same network of it.

    Parameters
    ----------
    network : :class:`~sterna.net.Network`
    batch : :class:`int`
        Inputs at a time: QONNX's tools want all shapes fixed.

    Raises
    ------
    :exc:`TypeError`, :exc:`ValueError`
        If ``network`` is no network, or has sums that float32 cannot hold exactly; the message names the node.
    """
    if not isinstance(network, Network):
        raise InvalidTypeError(f"network must be a Network, not {shown(network)}")
    batch = check_integer(batch, "batch", low=1, high=_MOST_BATCH)
    if network.weight_count > _MOST_WEIGHTS:
        raise InvalidValueError(f"ONNX files hold up to {_MOST_WEIGHTS:,} weights, not {network.weight_count:,}")
    graph = _Graph(batch)
    _add_input(graph, network.input_rule)
    largest = {INPUT: max(-network.input_type.min, network.input_type.max)}
    for node in network.nodes:
        largest[node.name] = _check_exact(network, node, largest)
        _add_node(graph, network, node)
    values = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [batch, *network.shapes[node]])
        for name, node in ((INPUT, INPUT), (network.output_name, network.output_name))
    ]
    inner = [value for value in graph.values if value.name != network.output_name]
    model = helper.make_model(
        helper.make_graph(graph.nodes, "sterna", values[:1], values[1:], graph.constants, value_info=inner),
        producer_name="sterna",
        opset_imports=[helper.make_opsetid("", _OPSET), helper.make_opsetid(_QONNX, 1)],
        ir_version=_IR_VERSION,
    )
    header = {
        "input": describe_input(network.input_rule),
        "nodes": [_describe(node) for node in network.nodes],
        "metadata": network.metadata,
    }
    helper.set_model_props(
        model, {DIGEST_KEY: network.digest, NETWORK_KEY: json.dumps(header, sort_keys=True, allow_nan=False)}
    )
    return model


def _describe(node: Node) -> dict[str, Any]:
    """A node as the file's header has it, and those of its levels that float32 rounds: [channel, k, level] each."""
    description, tensors = describe_node(node)
    levels = tensors.get("requantize.levels", np.zeros((0, 0), np.int32))
    rounded = np.argwhere(levels.astype(np.float32).astype(np.int64) != levels)
    return description | {"rounded_levels": [[*map(int, place), int(levels[tuple(place)])] for place in rounded]}


def _check_exact(network: Network, node: Node, largest: dict[str, int]) -> int:
    """The largest magnitude of a node's values; :exc:`ValueError` if it, or a sum on the way, may not be exact.

    Parameters
    ----------
    network : :class:`~sterna.net.Network`
    node : one of its nodes
    largest : the same of its inputs
    """
    if not isinstance(node, SumNode):
        return largest[node.inputs[0]]
    limit = EXACT
    if isinstance(node, Add):
        reached = sum(largest[name] << shift for name, shift in zip(node.inputs, node.shifts, strict=True))
    elif isinstance(node, SumPool2d):
        taps = node.kernel[0] * node.kernel[1]
        limit = EXACT if _is_power_of_two(taps) else _EXACT_AVERAGE
        reached = taps * largest[node.inputs[0]]
    else:
        assert isinstance(node, WeightNode)
        sums = network.channel_bounds(node.name)
        products = sums if node.bias is None else tuple(bound - node.bias for bound in sums)
        reached = max(int(np.abs(bound).max()) for bound in (*sums, *products))
    if isinstance(node.requantize, ShiftRound):
        reached += int(np.abs(node.requantize.offset).max())
    if reached >= limit:
        raise InvalidValueError(
            f"node '{node.name}': its sums may reach {reached}, and the float32 of ONNX is exact below {limit} there"
        )
    return reached if node.requantize is None else max(-node.requantize.output.min, node.requantize.output.max)


class _Graph:
    """Nodes, constants and shapes of a graph that is being made; every tensor is called by its node's name.

    Parameters
    ----------
    batch : :class:`int`
        First side of every value that depends on the input.
    """

    def __init__(self, batch: int) -> None:
        self._batch = batch
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.values: list[onnx.ValueInfoProto] = []

    def constant(self, name: str, value: Any, dtype: type[np.floating[Any]] = np.float32) -> str:
        """A constant of its own name."""
        self.constants.append(numpy_helper.from_array(np.asarray(value, dtype=dtype), name))
        return name

    def add(self, operator: str, inputs: list[str], output: str, shape: tuple[int, ...], **attributes: Any) -> str:
        """A node of float32 results, one a frame of ``shape``; its output."""
        return self._add(operator, inputs, output, [self._batch, *shape], TensorProto.FLOAT, attributes)

    def add_real(self, operator: str, inputs: list[str], output: str, shape: tuple[int, ...], **attributes: Any) -> str:
        """The same of float64 results."""
        return self._add(operator, inputs, output, [self._batch, *shape], TensorProto.DOUBLE, attributes)

    def add_weights(self, name: str, weights: np.ndarray) -> str:
        """Ternary weights through a ``Quant`` of 2 bits, which leaves out −2; the output."""
        source, output = self.constant(f"{name}.weights", weights), f"{name}.ternary"
        inputs, attributes = self._quant(output, 2, signed=True, narrow=True)
        return self._add("Quant", [source, *inputs], output, list(weights.shape), TensorProto.FLOAT, attributes)

    def add_quant(self, value: str, output: str, shape: tuple[int, ...], bits: int, **options: Any) -> str:
        """A ``Quant`` of scale 1, whose results are codes; ``options`` are its attributes. Its output."""
        inputs, attributes = self._quant(output, bits, **options)
        return self.add("Quant", [value, *inputs], output, shape, **attributes)

    def _quant(
        self, name: str, bits: int, *, signed: bool, narrow: bool = False, rounding: str = "ROUND"
    ) -> tuple[list[str], dict[str, Any]]:
        """Scale, zero point and width of a ``Quant``, and its attributes."""
        values = {"one": 1, "zero": 0, "bits": bits}
        inputs = [self.constant(f"{name}.{field}", value) for field, value in values.items()]
        return inputs, {"signed": int(signed), "narrow": int(narrow), "rounding_mode": rounding}

    def _add(
        self, operator: str, inputs: list[str], output: str, shape: list[int], type: int, attributes: dict[str, Any]
    ) -> str:
        domain = _QONNX if operator in ("Quant", "MultiThreshold") else ""
        self.nodes.append(helper.make_node(operator, inputs, [output], name=output, domain=domain, **attributes))
        self.values.append(helper.make_tensor_value_info(output, type, shape))
        return output


def _add_input(graph: _Graph, rule: InputRule) -> None:
    """Real inputs to codes: in float64 up to the ``Quant``, wherever there is anything to compute."""
    steps = [
        (operator, field, values)
        for operator, field, values, nothing in (
            ("Mul", "gain", rule.gain, 1.0),
            ("Add", "offset", rule.offset, 0.0),
            ("Div", "scale", (rule.scale,), 1.0),
        )
        if values != (nothing,)
    ]
    name, shape = INPUT, rule.shape
    if steps:
        name = graph.add_real("Cast", [name], f"{INPUT}.real", shape, to=TensorProto.DOUBLE)
    for operator, field, values in steps:
        constant = graph.constant(f"{INPUT}.{field}", _along(np.array(values), shape), np.float64)
        name = graph.add_real(operator, [name, constant], f"{INPUT}.after_{field}", shape)
    low, high = rule.range
    signed, bits = rule.type.signed, max(rule.type.width, 1 + rule.type.signed)
    lowest, highest = _code_range(bits, signed)
    narrow = (low, high) == ((lowest + 1, highest) if signed else (lowest, highest - 1))
    clip = not narrow and (low, high) != (lowest, highest)
    codes = f"{INPUT}.unclipped" if clip else _CODES
    graph.add_quant(name, codes, shape, bits, signed=signed, narrow=narrow)
    if clip:
        _add_clip(graph, codes, _CODES, shape, low, high)


def _code_range(bits: int, signed: bool) -> tuple[int, int]:
    type = ActivationType(bits, signed)
    return type.min, type.max


def _add_clip(graph: _Graph, name: str, output: str, shape: tuple[int, ...], low: int, high: int) -> None:
    limits = [graph.constant(f"{output}.low", low), graph.constant(f"{output}.high", high)]
    graph.add("Clip", [name, *limits], output, shape)


def _add_node(graph: _Graph, network: Network, node: Node) -> None:
    """The ONNX nodes of one of the network's."""
    inputs = [_CODES if name == INPUT else name for name in node.inputs]
    shape = network.shapes[node.name]
    requantize = node.requantize if isinstance(node, SumNode) else None
    sums = node.name if requantize is None else f"{node.name}.sums"
    match node:
        case Linear() | Conv2d():
            _add_weight_node(graph, node, inputs[0], sums, shape)
        case MaxPool2d():
            graph.add("MaxPool", inputs, sums, shape, **_window(node.kernel, node.steps, node.padding))
        case SumPool2d():
            _add_sum_pool(graph, node, inputs[0], sums, shape)
        case Flatten():
            graph.add("Flatten", inputs, sums, shape, axis=1)
        case Add():
            _add_addition(graph, node, inputs, sums, shape)
        case _:
            raise InvalidTypeError(f"no ONNX nodes for {type(node).__name__}")
    if isinstance(requantize, Thresholds):
        _add_thresholds(graph, node.name, requantize, shape)
    elif isinstance(requantize, ShiftRound):
        _add_shift_round(graph, node.name, requantize, shape)


def _add_weight_node(graph: _Graph, node: Linear | Conv2d, value: str, output: str, shape: tuple[int, ...]) -> None:
    biased = node.bias is not None and node.bias.any()
    product = f"{node.name}.product" if biased else output
    if isinstance(node, Linear):
        graph.add("MatMul", [value, graph.add_weights(node.name, node.weights.T)], product, shape)
    else:
        window = _window(node.kernel, node.stride, node.padding)
        graph.add(
            "Conv", [value, graph.add_weights(node.name, node.weights)], product, shape, group=node.groups, **window
        )
    if biased:
        assert node.bias is not None
        graph.add("Add", [product, graph.constant(f"{node.name}.bias", _along(node.bias, shape))], output, shape)


def _add_sum_pool(graph: _Graph, node: SumPool2d, value: str, output: str, shape: tuple[int, ...]) -> None:
    """An average times its taps, rounded where the average may have been: tools know no sum of windows."""
    taps = node.kernel[0] * node.kernel[1]
    window = _window(node.kernel, node.steps, node.padding)
    average = graph.add("AveragePool", [value], f"{node.name}.average", shape, count_include_pad=1, **window)
    factor = graph.constant(f"{node.name}.taps", taps)
    if _is_power_of_two(taps):
        graph.add("Mul", [average, factor], output, shape)
    else:
        graph.add("Round", [graph.add("Mul", [average, factor], f"{node.name}.unrounded", shape)], output, shape)


def _add_addition(graph: _Graph, node: Add, inputs: list[str], output: str, shape: tuple[int, ...]) -> None:
    """Inputs times powers of two, added in pairs."""
    shifted = [
        graph.add("Mul", [name, graph.constant(f"{node.name}.factor{k}", 1 << shift)], f"{node.name}.shifted{k}", shape)
        if shift
        else name
        for k, (name, shift) in enumerate(zip(inputs, node.shifts, strict=True))
    ]
    *first, last = shifted
    names = (f"{node.name}.partial{k}" for k in range(1, len(first)))
    partial = functools.reduce(lambda left, right: graph.add("Add", [left, right], next(names), shape), first)
    graph.add("Add", [partial, last], output, shape)


def _add_thresholds(graph: _Graph, name: str, requantize: Thresholds, shape: tuple[int, ...]) -> None:
    output = requantize.output
    prefix, bits = ("INT", max(output.width, 2)) if output.signed else ("UINT", output.width)
    graph.add(
        "MultiThreshold",
        [f"{name}.sums", graph.constant(f"{name}.levels", requantize.levels)],
        name,
        shape,
        out_dtype=f"{prefix}{bits}",
        out_scale=1.0,
        out_bias=float(output.min),
        data_layout="NCHW" if len(shape) == 3 else "NC",
    )


def _add_shift_round(graph: _Graph, name: str, requantize: ShiftRound, shape: tuple[int, ...]) -> None:
    """``floor((acc + offset) * 2^-shift)``, each step exact, in a ``Quant`` that rounds down."""
    output = requantize.output
    offset = graph.constant(f"{name}.offset", _along(requantize.offset, shape))
    step = graph.constant(f"{name}.step", _along(np.ldexp(1.0, -requantize.shift), shape))
    shifted = graph.add("Add", [f"{name}.sums", offset], f"{name}.with_offset", shape)
    scaled = graph.add("Mul", [shifted, step], f"{name}.scaled", shape)
    one_bit = output.signed and output.width == 1  # which a Quant takes for {−1, +1}
    bits, codes = (2, f"{name}.unclipped") if one_bit else (output.width, name)
    graph.add_quant(scaled, codes, shape, bits, signed=output.signed, rounding="FLOOR")
    if one_bit:
        _add_clip(graph, codes, name, shape, output.min, output.max)


def _window(kernel: tuple[int, int], stride: tuple[int, int], padding: tuple[int, int]) -> dict[str, list[int]]:
    return {"kernel_shape": list(kernel), "strides": list(stride), "pads": [*padding, *padding]}


def _along(values: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """One value a channel, so that it goes along the channels of values of a shape with a batch."""
    return values.reshape(-1, *[1] * (len(shape) - 1))


def _is_power_of_two(number: int) -> bool:
    return number & (number - 1) == 0
