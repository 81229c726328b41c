"""Shapes of inputs and batches, channels last, and operators of other domains."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx_graphs
import pytest
from importing import assert_as_qonnx, imported, refused
from onnx import ModelProto, helper
from onnx_graphs import PARAMETERS, node, quant, trits

from sterna.imports import from_qonnx
from sterna.imports.graph import read_graph
from sterna.sim.golden import GoldenModel

LAST = "qonnx.custom_op.channels_last"


def convolved(*first: Any, shape: tuple[int, ...], **constants: Any) -> ModelProto:
    """Nodes from ``x`` to a map ``m`` of one channel, 6 x 6, and a convolution."""
    known = {**PARAMETERS, "w1": trits((4, 1, 3, 3), 1), "w2": trits((4 * 16, 3), 2)} | constants
    rest = [
        node("Conv", ["m", "w1"], "s1", kernel_shape=[3, 3]),
        quant("s1", "h", signed=0),
        node("Flatten", ["h"], "f"),
        node("MatMul", ["f", "w2"], "y"),
    ]
    return onnx_graphs.model([*first, *rest], known, list(shape))


@pytest.mark.parametrize("late", [True, False])
@pytest.mark.parametrize("shape", [(1, 36), (1, 6, 6), (1, 6, 6, 1), (1, 1, 36), (1, 2, 3, 6)])
def test_an_input_that_is_reshaped_to_a_map(tmp_path: Path, shape: tuple[int, ...], late: bool) -> None:
    reshape = node("Reshape", ["q" if late else "x", "map"], "m" if late else "r")
    nodes = [quant("x", "q"), reshape] if late else [reshape, quant("r", "m")]
    proto = convolved(*nodes, shape=shape, map=np.array([1, 1, 6, 6]))
    found = assert_as_qonnx(proto, tmp_path, np.random.default_rng(0).integers(-8, 8, (20, *shape[1:])))
    assert found.network.input_shape == (1, 6, 6)
    assert found.network.metadata["input"]["shape"] == list(shape[1:])
    assert not found.network.metadata["input"]["channels_last"]


@pytest.mark.parametrize("shape", [(1, 2, 3), (1, 3, 2, 1), (1, 1, 2, 3, 1)])
def test_an_input_that_is_flattened(tmp_path: Path, shape: tuple[int, ...]) -> None:
    proto = onnx_graphs.perceptron()
    proto.graph.node[0].input[0] = "flat"
    proto.graph.node.insert(0, node("Flatten", ["x"], "flat"))
    proto.graph.input[0].CopyFrom(helper.make_tensor_value_info("x", 1, list(shape)))
    found = assert_as_qonnx(proto, tmp_path, np.random.default_rng(0).integers(-8, 8, (20, *shape[1:])))
    assert found.network.metadata["input"]["shape"] == list(shape[1:])


def test_maps_that_change_their_shape_are_refused(tmp_path: Path) -> None:
    nodes = [
        quant("x", "q"),
        node("MatMul", ["q", "w0"], "s0"),
        quant("s0", "h0"),
        node("Reshape", ["h0", "map"], "m"),
    ]
    proto = convolved(*nodes, shape=(1, 5), w0=trits((5, 36), 4), map=np.array([1, 1, 6, 6]))
    assert refused(proto, tmp_path)["make_s1"].startswith(
        "its inputs are (1, 6, 6), reshaped from (36,), and a network"
    )


@pytest.mark.parametrize("target", [[4, -1], [4, 64]])
def test_a_fixed_batch(tmp_path: Path, target: list[int]) -> None:
    """A model that was exported with a batch of 4, and reshapes to it."""
    proto = convolved(quant("x", "m"), shape=(4, 1, 6, 6), flat=np.array(target))
    proto.graph.node[3].CopyFrom(node("Reshape", ["h", "flat"], "f"))
    inputs = np.random.default_rng(0).integers(-8, 8, (4, 1, 6, 6)).astype(np.float32)
    found = assert_as_qonnx(proto, tmp_path, inputs)
    plain = imported(convolved(quant("x", "m"), shape=(1, 1, 6, 6)), tmp_path)
    assert found.network.digest == plain.network.digest


def test_a_part_of_a_shape(tmp_path: Path) -> None:
    """As torch's newer exporter asks for a batch."""
    nodes = [
        node("Shape", ["h"], "b", start=0, end=1),
        node("Concat", ["b", "rest"], "target", axis=0),
        node("Reshape", ["h", "target"], "f"),
    ]
    proto = convolved(quant("x", "m"), shape=(1, 1, 6, 6), rest=np.array([-1]))
    proto.graph.node.pop(3)
    for place, entry in enumerate(nodes):
        proto.graph.node.insert(3 + place, entry)
    proto.opset_import[0].version = 15
    assert_as_qonnx(proto, tmp_path, np.random.default_rng(0).integers(-8, 8, (1, 1, 6, 6)))


def last(operator: str, inputs: list[str], output: str, **attributes: Any) -> Any:
    found = node(operator, inputs, output, **attributes)
    found.domain = LAST
    return found


def channels_last() -> ModelProto:
    """Convolution, normalization and pool of QONNX's domain for maps with their channels last."""
    normal = {name: np.array([0.5, -1, 2, 0.25]) for name in ("gain", "offset", "mean")} | {"var": np.full(4, 3.0)}
    known = {**PARAMETERS, "w1": trits((4, 3, 3, 2), 1), "w2": trits((4 * 9, 3), 2), **normal}
    window = {"dilations": [1, 1], "group": 1}
    nodes = [
        quant("x", "q"),
        last("Conv", ["q", "w1"], "s1", kernel_shape=[3, 3], strides=[1, 1], pads=[0, 0, 0, 0], **window),
        last("BatchNormalization", ["s1", "gain", "offset", "mean", "var"], "n", epsilon=1e-5, momentum=0.9),
        quant("n", "h", signed=0),
        last("MaxPool", ["h"], "p", kernel_shape=[2, 2], strides=[2, 2], pads=[0, 0, 0, 0]),
        node("Flatten", ["p"], "f"),
        node("MatMul", ["f", "w2"], "y"),
    ]
    proto = onnx_graphs.model(nodes, known, [1, 8, 8, 2])
    proto.opset_import.append(helper.make_opsetid(LAST, 14))
    sizes = {"q": (8, 8, 2), "s1": (6, 6, 4), "n": (6, 6, 4), "h": (6, 6, 4), "p": (3, 3, 4), "f": (36,)}
    proto.graph.value_info.extend(helper.make_tensor_value_info(name, 1, [1, *size]) for name, size in sizes.items())
    proto.graph.output[0].CopyFrom(helper.make_tensor_value_info("y", 1, [1, 3]))
    return proto


@pytest.mark.filterwarnings("ignore")  # of packages that qonnx imports
def test_channels_last_operators(tmp_path: Path) -> None:
    from qonnx.core.modelwrapper import ModelWrapper
    from qonnx.core.onnx_exec import execute_onnx

    proto = channels_last()
    network = from_qonnx(onnx_graphs.save(proto, tmp_path / "a.onnx"))
    assert network.metadata["input"]["channels_last"]
    inputs = np.random.default_rng(0).integers(-8, 8, (10, 8, 8, 2)).astype(np.float32)
    theirs = [execute_onnx(ModelWrapper(proto), {"x": entry[None]})["y"][0] for entry in inputs]
    ours = GoldenModel(network).predict(network.quantize(inputs.transpose(0, 3, 1, 2)))
    np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("operator", ["MaxPool", "BatchNormalization", "Conv"])
def test_onnx_names_in_other_domains_are_refused(tmp_path: Path, operator: str) -> None:
    proto = channels_last()
    for entry in proto.graph.node:
        if entry.op_type == operator:
            entry.domain = "com.acme"
    reasons = refused(proto, tmp_path)
    assert list(reasons.values()) == ["this operator is not understood"]
    assert f"com.acme.{operator}" in {entry.operator for entry in read_graph(tmp_path / "a.onnx").nodes}


def test_quantizers_are_known_by_their_names_in_all_domains(tmp_path: Path) -> None:
    proto = onnx_graphs.perceptron()
    plain = imported(proto, tmp_path).network
    for domain in ("onnx.brevitas", "finn.custom_op.general", ""):
        for entry in proto.graph.node:
            if entry.op_type == "Quant":
                entry.domain = domain
        assert imported(proto, tmp_path).network.digest == plain.digest
