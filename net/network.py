"""The integer network: immutable, validated when it is made, and knowing every shape, type and range in it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from sterna.net.checks import check_elements, shown
from sterna.net.describe import describe_node
from sterna.net.errors import InvalidTypeError, InvalidValueError
from sterna.net.immutable import Immutable
from sterna.net.inputs import InputRule
from sterna.net.nodes import INPUT, Bounds, Node, Shape, SumNode, WeightNode
from sterna.net.types import AccumulatorType, ActivationType, ValueType

MAX_DEPTH = 64  # of metadata: what is nested deeper cannot be read again from deep in a program's stack


class Network(Immutable):
    """A network of integers: what training exports, the golden model computes and the generator builds.

    Its last node is its output. Everything about it is known from the moment it is made, and nothing of it can change:
    arrays are read-only copies. A copy is the network itself; a pickle is checked like a new one.

    Parameters
    ----------
    input_shape : tuple of :class:`int`
        (features,) or (channels, height, width).
    input_type : :class:`ActivationType`
        Type of the input's codes.
    input_scale : :class:`float`
        Real value of one step of the input's code; positive (rule 2).
    nodes : sequence of :class:`Node`
        In topological order. A node without ``inputs`` takes the previous node's output, the first one the input. Every
        node but the last is used by another.
    metadata : mapping, JSON only, or ``None``
        What is worth knowing and changes nothing: recipe, seed, accuracy. Not part of the digest.
    input_range, input_gain, input_offset
        ``range``, ``gain`` and ``offset`` of the :class:`InputRule`: a narrower range of codes for real inputs, and
        preprocessing before they are quantized, ``x * gain + offset``, for all or by channel.

    Raises
    ------
    :exc:`TypeError`, :exc:`ValueError`
        If anything does not fit; the message names the node and the parameter.
    """

    __slots__ = (
        "_accumulators", "_bounds", "_digest", "_input_rule", "_metadata", "_nodes", "_shapes", "_types",
    )  # fmt: skip

    def __init__(
        self,
        *,
        input_shape: Sequence[int],
        input_type: ActivationType,
        input_scale: float,
        nodes: Sequence[Node],
        metadata: Mapping[str, Any] | None = None,
        input_range: tuple[int, int] | None = None,
        input_gain: float | Sequence[float] | np.ndarray = 1.0,
        input_offset: float | Sequence[float] | np.ndarray = 0.0,
    ) -> None:
        self._input_rule = InputRule(
            shape=input_shape,  # type: ignore[arg-type]  # what the rule takes, it makes tuples of
            type=input_type,
            scale=input_scale,
            range=() if input_range is None else input_range,
            gain=input_gain,  # type: ignore[arg-type]  # likewise
            offset=input_offset,  # type: ignore[arg-type]  # likewise
        )
        self._metadata = _check_metadata(metadata)
        shapes: dict[str, Shape] = {INPUT: self.input_shape}
        types: dict[str, ValueType] = {INPUT: input_type}
        accumulators: dict[str, AccumulatorType] = {}
        bounds: dict[str, Bounds] = {}
        resolved: list[Node] = []
        for node in _check_nodes(nodes):
            inputs = node.inputs or (resolved[-1].name if resolved else INPUT,)
            for name in inputs:
                if name not in shapes:
                    raise InvalidValueError(
                        f"input {shown(name)} of node '{node.name}' is neither 'input' nor an earlier node"
                    )
            if node.name in shapes:
                raise InvalidValueError(f"two nodes are named '{node.name}'")
            input_shapes = [shapes[name] for name in inputs]
            input_types = [types[name] for name in inputs]
            if isinstance(node, WeightNode) and not isinstance(input_types[0], ActivationType):
                raise InvalidValueError(
                    f"node '{node.name}' takes activation codes, but '{inputs[0]}' gives accumulators "
                    f"({input_types[0]}): requantize them"
                )
            shape = node.output_shape(input_shapes)
            check_elements(shape, f"the output of node '{node.name}'")
            node = node.resolve(inputs, shape[0])
            resolved.append(node)
            shapes[node.name] = shape
            types[node.name] = input_types[0]
            if isinstance(node, SumNode):
                low, high = node.channel_bounds(input_shapes, input_types)
                bounds[node.name] = np.broadcast_to(low, shape[:1]), np.broadcast_to(high, shape[:1])
                accumulators[node.name] = node.accumulator((low, high))
                types[node.name] = node.requantize.output if node.requantize else accumulators[node.name]
        used = {name for node in resolved for name in node.inputs}
        for node in resolved[:-1]:
            if node.name not in used:
                raise InvalidValueError(f"node '{node.name}' is used by no other node, and only the last may be")
        self._nodes = tuple(resolved)
        self._shapes = MappingProxyType(shapes)
        self._types = MappingProxyType(types)
        self._accumulators = MappingProxyType(accumulators)
        self._bounds = MappingProxyType(bounds)
        self._digest = self._compute_digest()

    @property
    def input_shape(self) -> Shape:
        """(features,) or (channels, height, width)."""
        return self._input_rule.shape

    @property
    def input_type(self) -> ActivationType:
        """Type of the input's codes."""
        return self._input_rule.type

    @property
    def input_scale(self) -> float:
        """Real value of one step of the input's code."""
        return self._input_rule.scale

    @property
    def input_rule(self) -> InputRule:
        """How real inputs become codes: shape, type, scale, range and preprocessing."""
        return self._input_rule

    @property
    def nodes(self) -> tuple[Node, ...]:
        """All nodes in topological order, with ``inputs`` named and requantizations spread over their channels."""
        return self._nodes

    @property
    def metadata(self) -> dict[str, Any]:
        """A copy of the metadata, as JSON keeps it."""
        return dict(json.loads(self._metadata))

    @property
    def shapes(self) -> Mapping[str, Shape]:
        """Output shape by name, ``"input"`` included."""
        return self._shapes

    @property
    def types(self) -> Mapping[str, ValueType]:
        """Output type by name, ``"input"`` included."""
        return self._types

    @property
    def accumulators(self) -> Mapping[str, AccumulatorType]:
        """Exact range over all channels of each :class:`Linear`, :class:`Conv2d`, :class:`SumPool2d` and :class:`Add`.

        It is the range of the value that is compared, shifted or given out: with the node's bias, and with ShiftRound's
        bias and rounding term (rule 6).
        """
        return self._accumulators

    def channel_bounds(self, name: str) -> Bounds:
        """Smallest and largest accumulator of each channel before requantization; int64, (channels,) each.

        :exc:`ValueError` if the node computes no sums.
        """
        self.node(name)
        if name not in self._bounds:
            raise InvalidValueError(f"node '{name}' has no accumulators")
        return self._bounds[name]

    @property
    def output_name(self) -> str:
        """Name of the last node."""
        return self._nodes[-1].name

    @property
    def output_shape(self) -> Shape:
        """Shape of the output."""
        return self._shapes[self.output_name]

    @property
    def output_type(self) -> ValueType:
        """Type of the output."""
        return self._types[self.output_name]

    @property
    def digest(self) -> str:
        """SHA-256 of what the network means, in hexadecimal; neither its metadata nor its file's bytes enter it."""
        return self._digest

    @property
    def weight_count(self) -> int:
        """Weights of all nodes, zeros included."""
        return sum(node.weights.size for node in self._nodes if isinstance(node, WeightNode))

    @property
    def zeros(self) -> float:
        """Share of zero weights over all nodes, 0 to 1; 0 without weights."""
        nonzeros = sum(int(np.count_nonzero(node.weights)) for node in self._nodes if isinstance(node, WeightNode))
        return 1 - nonzeros / self.weight_count if self.weight_count else 0.0

    def quantize(self, x: npt.ArrayLike) -> np.ndarray:
        """Codes of real inputs, with preprocessing, as every ``predict`` takes them (:meth:`InputRule.quantize`)."""
        return self._input_rule.quantize(x)

    def with_metadata(self, metadata: Mapping[str, Any] | None) -> Network:
        """The same network with other metadata; :exc:`TypeError` or :exc:`ValueError` if JSON cannot hold it."""
        return Network(**self._arguments() | {"metadata": metadata})

    def with_preprocessing(self, gain: npt.ArrayLike, offset: npt.ArrayLike) -> Network:
        """The same network with other preprocessing, as :class:`InputRule` takes it."""
        return Network(**self._arguments() | {"input_gain": gain, "input_offset": offset})

    def node(self, name: str) -> Node:
        """The node of that name; :exc:`ValueError` if there is none."""
        for node in self._nodes:
            if node.name == name:
                return node
        raise InvalidValueError(f"no node is named '{name}'")

    def _arguments(self) -> dict[str, Any]:
        return {
            **{f"input_{field}": value for field, value in self._input_rule._arguments().items()},
            "nodes": self._nodes,
            "metadata": self.metadata,
        }

    def __repr__(self) -> str:
        chain = ", ".join(f"{node.name} {self._types[node.name]} {self._shapes[node.name]}" for node in self._nodes)
        return f"<Network {self._digest[:12]}: {INPUT} {self.input_type} {self.input_shape}, {chain}>"

    def _compute_digest(self) -> str:
        sha = hashlib.sha256()
        descriptions = []
        for node in self._nodes:
            description, tensors = describe_node(node)
            descriptions.append(description)
            for field in sorted(tensors):
                if field != "bias" or tensors[field].any():  # a bias of zeros means the same as none
                    label = f"{node.name}.{field}:{tensors[field].dtype.name}:{tensors[field].shape};"
                    sha.update(label.encode())
                    sha.update(tensors[field].astype(tensors[field].dtype.newbyteorder("<")).tobytes())
        rule = self._input_rule
        meaning: list[Any] = [list(rule.shape), str(rule.type), rule.scale.hex(), descriptions]
        if not rule.is_plain:
            meaning.append([rule.range, *([number.hex() for number in values] for values in (rule.gain, rule.offset))])
        sha.update(json.dumps(meaning, sort_keys=True, separators=(",", ":")).encode())
        return sha.hexdigest()


def _check_metadata(metadata: object) -> str:
    if metadata is None:
        return "{}"
    if not isinstance(metadata, Mapping):
        raise InvalidTypeError(f"metadata must be a mapping, not {shown(metadata)}")
    try:
        text = json.dumps(dict(metadata), sort_keys=True, allow_nan=False)
    except TypeError as error:
        raise InvalidTypeError(f"metadata must be what JSON can hold: {error}") from None
    except (ValueError, RecursionError) as error:
        raise InvalidValueError(f"metadata must be what JSON can hold: {error}") from None
    level: list[Any] = [metadata]
    for _ in range(MAX_DEPTH):
        level = [child for item in level if isinstance(item, (Mapping, list, tuple)) for child in _children(item)]
    if any(isinstance(item, (Mapping, list, tuple)) for item in level):
        raise InvalidValueError(f"metadata must be nested at most {MAX_DEPTH} deep")
    return text


def _children(item: Mapping[str, Any] | list[Any] | tuple[Any, ...]) -> Iterable[Any]:
    return item.values() if isinstance(item, Mapping) else item


def _check_nodes(nodes: object) -> Sequence[Node]:
    if not isinstance(nodes, (tuple, list)):
        raise InvalidTypeError(f"nodes must be a sequence of nodes, not {shown(nodes)}")
    if not nodes:
        raise InvalidValueError("nodes must hold at least one node")
    for node in nodes:
        if not isinstance(node, Node):
            raise InvalidTypeError(f"nodes must be nodes, not {shown(node)}")
    return nodes
