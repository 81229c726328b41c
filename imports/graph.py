"""ONNX files as plain graphs: nodes in an order that can be computed, and constants as arrays."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError
from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, ValueInfoProto

from sterna.imports.errors import ModelFileError
from sterna.imports.layout import channels_first
from sterna.imports.node import GraphNode, with_batch
from sterna.imports.tensors import element_type, is_element_type, read_tensor
from sterna.net.checks import MAX_ELEMENTS, naming, shown
from sterna.net.container import is_special
from sterna.net.errors import InvalidValueError, SternaError

MAX_BYTES = 1 << 28  # of a file without its external data: a network of 64 million weights in float32
MAX_NODES = 20_000
#: Attributes that are no graphs: their field, as Python has it.
_SCALARS = {AttributeProto.FLOAT: "f", AttributeProto.INT: "i"}
#: QONNX's quantizers, which no other domain has by these names.
QONNX_NAMES = {"Quant", "IntQuant", "BipolarQuant", "Trunc", "MultiThreshold"}
_LISTS = {AttributeProto.FLOATS: "floats", AttributeProto.INTS: "ints"}


@dataclass(frozen=True, kw_only=True, eq=False)
class Graph:
    """A graph without cycles whose tensors all come from somewhere.

    Parameters
    ----------
    nodes : tuple of GraphNode
        In topological order; those without influence on the outputs too.
    inputs : mapping of str to tuple
        Shapes of the inputs that are no constants, the batch first; sizes that the file leaves open are 0.
    outputs : tuple of str
        Tensors.
    constants : mapping of str to array
        From initializers and ``Constant`` nodes.
    datatypes : mapping of str to str
        The ``finn_datatype`` annotations of tensors, as ``"INT4"``.
    opset : int
        Version of ONNX's own operators.
    """

    nodes: tuple[GraphNode, ...]
    inputs: Mapping[str, tuple[int, ...]]
    outputs: tuple[str, ...]
    constants: Mapping[str, np.ndarray]
    datatypes: Mapping[str, str]
    opset: int


def read_model(path: str | Path) -> ModelProto:
    """An ONNX file's model, of which only the graph's parts are not looked at.

    Raises
    ------
    :exc:`ModelFileError`
        If it is no whole ONNX file; the message names it.
    :exc:`OSError`
        If it cannot be read.
    """
    path = Path(path)
    with _naming_file(path):
        if is_special(path):
            raise InvalidValueError("not a regular file")
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise InvalidValueError(f"it has {size} bytes, and at most {MAX_BYTES} are read; keep weights external")
        try:
            return ModelProto.FromString(path.read_bytes())
        except (DecodeError, RecursionError):
            raise InvalidValueError("not a whole ONNX file") from None


def read_graph(path: str | Path, model: ModelProto | None = None) -> Graph:
    """The graph of an ONNX file.

    Parameters
    ----------
    path : path
        External data lie beside it.
    model : ModelProto or None
        What :func:`read_model` gave for it.

    Raises
    ------
    :exc:`ModelFileError`
        If it is no whole ONNX file, or its graph cannot be computed; the message names file and part.
    :exc:`OSError`
        If it cannot be read.
    """
    path = Path(path)
    model = read_model(path) if model is None else model
    with _naming_file(path):
        return graph_of(model, path.parent)


@contextmanager
def _naming_file(path: Path) -> Iterator[None]:
    try:
        yield
    except SternaError as error:
        raise ModelFileError(f"{path}: {error}") from None


def graph_of(model: ModelProto, folder: Path) -> Graph:
    """The graph of a model; ``folder`` has its external data."""
    if not model.HasField("graph") or not model.graph.node:
        raise InvalidValueError("no ONNX model: there is no graph with nodes in it")
    if model.functions:
        model = _inlined(model)
    return _Reader(model.graph, folder, _opset(model)).graph()


def _inlined(model: ModelProto) -> ModelProto:
    """The model with its own functions replaced by their nodes."""
    from onnx.inliner import inline_local_functions

    try:
        return inline_local_functions(model)
    except Exception as error:  # onnx raises bare exceptions of its C++ half
        raise InvalidValueError(f"its local functions cannot be put in place: {shown(str(error))}") from None


def _opset(model: ModelProto) -> int:
    return max((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), default=0)


class _Reader:
    """Reads one graph, part by part."""

    def __init__(self, graph: GraphProto, folder: Path, opset: int) -> None:
        if len(graph.node) > MAX_NODES:
            raise InvalidValueError(f"its graph has {len(graph.node)} nodes, and at most {MAX_NODES} are read")
        if graph.sparse_initializer:
            raise InvalidValueError("sparse initializers are not understood; store them dense")
        self._graph = graph
        self._folder = folder
        self._opset = opset

    def graph(self) -> Graph:
        constants = self._initializers()
        inputs = {_text(entry.name): self._shape(entry) for entry in self._graph.input if entry.name not in constants}
        nodes = []
        for index, proto in enumerate(self._graph.node):
            node = self._node(proto, index)
            if node.operator == "Constant" and not node.inputs:
                constants[node.outputs[0]] = _constant(node)
            else:
                nodes.append(node)
        batch = next(iter(inputs.values()), ())[:1]
        nodes = [with_batch(node, *batch) for node in nodes]
        nodes = _in_order(_named(channels_first(nodes)), {*constants, *inputs})
        outputs = tuple(_text(entry.name) for entry in self._graph.output)
        made = {*constants, *inputs, *(name for node in nodes for name in node.outputs)}
        for name in outputs:
            if name not in made:
                raise InvalidValueError(f"output {shown(name)} is computed by no node")
        if not inputs or not outputs:
            raise InvalidValueError(f"its graph has no {'outputs' if inputs else 'input that is no constant'}")
        return Graph(
            nodes=tuple(nodes), inputs=inputs, outputs=outputs, constants=constants,
            datatypes=self._datatypes(), opset=self._opset,
        )  # fmt: skip

    def _initializers(self) -> dict[str, np.ndarray]:
        """The constants; those of types that no network has are left out where no node takes them."""
        taken = {name for node in self._graph.node for name in node.input}
        taken |= {entry.name for field in (self._graph.output, self._graph.input) for entry in field}
        constants: dict[str, np.ndarray] = {}
        for tensor in self._graph.initializer:
            with naming(f"initializer {shown(tensor.name)}"):
                if tensor.name in constants:
                    raise InvalidValueError("there are two of that name")
                if tensor.name in taken or is_element_type(tensor.data_type):
                    constants[_text(tensor.name)] = read_tensor(tensor, self._folder)
        return constants

    def _shape(self, entry: ValueInfoProto) -> tuple[int, ...]:
        with naming(f"input {shown(entry.name)}"):
            if not entry.type.HasField("tensor_type") or not entry.type.tensor_type.HasField("shape"):
                raise InvalidValueError("its shape is not given")
            element_type(entry.type.tensor_type.elem_type)
            sizes = tuple(int(side.dim_value) for side in entry.type.tensor_type.shape.dim)
            elements = 1
            for size in sizes[1:]:
                elements *= max(size, 1)
                if size < 0 or elements > MAX_ELEMENTS:
                    raise InvalidValueError(f"its shape {shown(sizes)} is too large, or negative")
            return sizes

    def _node(self, proto: NodeProto, index: int) -> GraphNode:
        what = f"node {shown(proto.name or index)}"
        if not proto.op_type or not proto.output or not any(proto.output):
            raise InvalidValueError(f"{what} has no operator, or no output")
        attributes: dict[str, Any] = {}
        for attribute in proto.attribute:
            with naming(f"attribute {shown(attribute.name)} of {what}"):
                attributes[_text(attribute.name)] = self._attribute(attribute)
        return GraphNode(
            name=_text(proto.name or next(filter(None, proto.output))),
            operator=_operator(_text(proto.domain), _text(proto.op_type)),
            inputs=tuple(map(_text, proto.input)),
            outputs=tuple(map(_text, proto.output)),
            attributes=attributes,
        )

    def _attribute(self, attribute: AttributeProto) -> Any:
        if attribute.type in _SCALARS:
            return getattr(attribute, _SCALARS[attribute.type])
        if attribute.type in _LISTS:
            return tuple(getattr(attribute, _LISTS[attribute.type]))
        if attribute.type == AttributeProto.STRING:
            return attribute.s.decode("utf-8", errors="replace")
        if attribute.type == AttributeProto.TENSOR:
            return read_tensor(attribute.t, self._folder)
        return None

    def _datatypes(self) -> dict[str, str]:
        return {
            _text(annotation.tensor_name): _text(entry.value)
            for annotation in self._graph.quantization_annotation
            for entry in annotation.quant_parameter_tensor_names
            if entry.key == "finn_datatype"
        }


def _operator(domain: str, name: str) -> str:
    """The name by which an operator is known: without the domain only if that leaves no doubt of what is meant."""
    return name if domain in ("", "ai.onnx") or name in QONNX_NAMES else f"{domain}.{name}"


def _text(name: object) -> str:
    """A name, which protobuf gives as bytes where it is no UTF-8."""
    if not isinstance(name, str):
        raise InvalidValueError(f"the name {shown(name)} is no UTF-8")
    return name


def _constant(node: GraphNode) -> np.ndarray:
    """The array of a ``Constant`` node."""
    types: dict[str, type[np.generic] | None] = {"value": None, "value_float": np.float32, "value_floats": np.float32}
    types |= {"value_int": np.int64, "value_ints": np.int64}
    for name, dtype in types.items():
        value = node.attributes.get(name)
        if value is not None:
            return np.asarray(value, dtype=dtype)
    raise InvalidValueError(f"node {shown(node.name)}: a constant must hold numbers")


def _named(nodes: Iterable[GraphNode]) -> list[GraphNode]:
    """The nodes with names that are unique: a second one of a name is called by its output."""
    taken: set[str] = set()
    found = []
    for node in nodes:
        name = node.name
        while name in taken:
            name = f"{node.outputs[0]} ({len(taken)})"
        taken.add(name)
        found.append(replace(node, name=name))
    return found


def _in_order(nodes: list[GraphNode], given: set[str]) -> list[GraphNode]:
    """The nodes in topological order, in the file's where that is one."""
    makers: dict[str, int] = {}
    for index, node in enumerate(nodes):
        for name in filter(None, node.outputs):
            if name in makers or name in given:
                raise InvalidValueError(f"tensor {shown(name)} is made twice, the second time by {shown(node.name)}")
            makers[name] = index
    for node in nodes:
        for name in filter(None, node.inputs):
            if name not in makers and name not in given:
                raise InvalidValueError(f"input {shown(name)} of node {shown(node.name)} comes from nowhere")
    waiting = [len({makers[name] for name in node.inputs if name in makers}) for node in nodes]
    takers: dict[int, list[int]] = {}
    for index, node in enumerate(nodes):
        for maker in {makers[name] for name in node.inputs if name in makers}:
            takers.setdefault(maker, []).append(index)
    ready = [index for index, count in enumerate(waiting) if not count][::-1]
    order = []
    while ready:
        index = ready.pop()
        order.append(nodes[index])
        freed = []
        for taker in takers.get(index, []):
            waiting[taker] -= 1
            if not waiting[taker]:
                freed.append(taker)
        ready.extend(sorted(freed, reverse=True))
    if len(order) < len(nodes):
        stuck = next(node.name for node, count in zip(nodes, waiting, strict=True) if count)
        raise InvalidValueError(f"node {shown(stuck)} is in or behind a cycle")
    return order
