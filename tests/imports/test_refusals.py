"""What is refused, each with a line that helps; and what must not be refused, since nothing depends on it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx_graphs
import pytest
from importing import assert_as_qonnx, imported, refused
from onnx import ModelProto, NodeProto, TensorProto, helper
from onnx_graphs import PARAMETERS, node, quant, trits

from sterna.imports.evaluate import evaluate
from sterna.imports.graph import read_graph
from sterna.imports.preflight import Fate
from sterna.net.errors import InvalidValueError

KNOWN: dict[str, Any] = {**PARAMETERS, "w1": trits((6, 5), 1), "w2": trits((5, 3), 2), "ones": np.ones(5)}
REALS = np.random.default_rng(0).integers(-8, 8, (30, 6))


def between(*nodes: NodeProto, opset: int = 14, **constants: Any) -> ModelProto:
    """The perceptron with other nodes from its first sums ``s1`` to what its quantizer takes, ``t1``."""
    first = [quant("x", "x_q"), node("MatMul", ["x_q", "w1"], "s1")]
    rest = [quant("t1", "h", bits="two", signed=0), node("MatMul", ["h", "w2"], "y")]
    return onnx_graphs.model([*first, *nodes, *rest], KNOWN | constants, [1, 6], opset=opset)


def several(operator: str, inputs: list[str], outputs: list[str], **attributes: Any) -> NodeProto:
    return helper.make_node(operator, inputs, outputs, name=f"make_{outputs[0]}", **attributes)


NORMAL = ["s1", "ones", "ones", "ones", "ones"]


@pytest.mark.parametrize(
    ("nodes", "reason"),
    [
        (
            [node("BatchNormalization", NORMAL, "t1", training_mode=1)],
            "it normalizes by the batch itself: export the model in evaluation mode",
        ),
        ([several("BatchNormalization", NORMAL, ["t1", "m", "v"])], "it normalizes by the batch itself: export"),
        (
            [node("Dropout", ["s1", "half", "yes"], "t1")],
            "it drops values at random: export the model in evaluation mode",
        ),
        (
            [node("Cast", ["s1"], "t1", to=TensorProto.INT8)],
            "it converts to int8, which rounds towards 0: leave it out",
        ),
        ([node("Clip", ["s1", "nan"], "t1")], "its limits must be numbers"),
        ([node("Sub", ["one", "s1"], "u"), node("Softmax", ["u"], "t1")], "it is understood at the end only"),
        ([node("Sum", ["s1", "one", "one"], "t1")], "only two inputs of it are understood"),
        ([node("Quant", ["one", "s1", "zero", "four"], "t1")], "its first input is a constant, and others depend on"),
        (
            [node("MultiThreshold", ["s1", "levels"], "t1", out_scale=1e-30, out_bias=3e38)],
            "its out_scale must be positive, its out_bias one of its codes, not 1e-30, 3e+38",
        ),
        ([node("Bad\nname", ["s1"], "t1")], "this operator is not understood"),
        ([node("Exp", ["s1"], "t1")], "it is not understood between a layer and a quantizer"),
    ],
)
def test_nodes_that_are_refused(tmp_path: Path, nodes: list[NodeProto], reason: str) -> None:
    reasons = list(refused(between(*nodes, yes=np.array(True), nan=np.nan, levels=np.ones((1, 3))), tmp_path).values())
    assert len(reasons) == 1
    assert reasons[0].startswith(reason)


def test_the_evaluator_refuses_a_training_too(tmp_path: Path) -> None:
    """It is the judge, and must not take it for inference where the fold would."""
    proto = between(node("BatchNormalization", NORMAL, "t1", training_mode=1))
    graph = read_graph(onnx_graphs.save(proto, tmp_path / "a.onnx"))
    with pytest.raises(InvalidValueError, match=r"node 'make_t1' .*: only a normalization in evaluation mode"):
        evaluate(graph, {"x": np.zeros((1, 6), dtype=np.float32)})


def test_further_outputs_are_refused(tmp_path: Path) -> None:
    nodes = [several("Dropout", ["s1"], ["d", "mask"]), node("Cast", ["mask"], "t1", to=1)]
    reasons = refused(between(*nodes), tmp_path)
    assert reasons == {"make_t1": "it takes 'mask', and only a node's first output is understood"}


@pytest.mark.parametrize(
    ("layer", "bias", "reason"),
    [
        ("Gemm", np.ones((6, 5)), "its bias has the shape (6, 5), and its sums 5 channels"),
        ("Gemm", np.ones((5, 1)), "its bias has the shape (5, 1), and its sums 5 channels"),
        ("Gemm", np.ones(4), "its bias has the shape (4,), and its sums 5 channels"),
        ("Conv", np.ones(3), "its bias has the shape (3,), and its sums 2 channels"),
    ],
)
def test_biases_of_another_shape(tmp_path: Path, layer: str, bias: np.ndarray, reason: str) -> None:
    proto = between(node("Identity", ["s1"], "t1"), b=bias, w=trits((2, 1, 3, 3), 1))
    if layer == "Gemm":
        proto.graph.node[1].CopyFrom(node("Gemm", ["x_q", "w1", "b"], "s1"))
    else:
        proto.graph.input[0].CopyFrom(helper.make_tensor_value_info("x", 1, [1, 1, 6, 6]))
        proto.graph.node[1].CopyFrom(node("Conv", ["x_q", "w", "b"], "s1"))
    assert refused(proto, tmp_path)["make_s1"] == reason


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("read", [True, False])
def test_a_second_input(tmp_path: Path, first: bool, read: bool) -> None:
    """It is refused where something reads it, and else no matter."""
    proto = between(node("Mul", ["s1", "z" if read else "half"], "t1"))
    proto.graph.input.insert(0 if first else 1, helper.make_tensor_value_info("z", 1, [1, 5]))
    if read:
        (reason,) = refused(proto, tmp_path).values()
        names = "'z', 'x'" if first else "'x', 'z'"
        assert reason == f"the model has 2 inputs ({names}), and a network has one"
    else:
        assert imported(proto, tmp_path).network.input_shape == (6,)


def test_a_node_that_no_output_depends_on_is_left_out(tmp_path: Path) -> None:
    proto = between(node("Identity", ["s1"], "t1"), node("LSTM", ["x_q"], "dead"), node("Sqrt", ["one"], "root"))
    rows = {row.node: row for row in imported(proto, tmp_path).preflight.rows}
    for name in ("make_dead", "make_root"):
        assert (rows[name].fate, rows[name].detail) == (Fate.LEFT_OUT, "no output depends on it")


@pytest.mark.parametrize("type", [TensorProto.STRING, TensorProto.BFLOAT16, TensorProto.COMPLEX64])
def test_constants_of_other_types_that_nothing_reads(tmp_path: Path, type: int) -> None:
    proto = between(node("Identity", ["s1"], "t1"))
    proto.graph.initializer.add(name="odd", data_type=type, dims=[1])
    imported(proto, tmp_path)


def test_functions_of_constants(tmp_path: Path) -> None:
    """Scales that Brevitas and torch leave as logarithms, and types that they take from other tensors."""
    nodes = [
        node("Log", ["half"], "l"),
        node("Exp", ["l"], "e"),
        node("CastLike", ["four_whole", "x_q"], "f"),
        node("Mul", ["e", "f"], "scale"),
        node("Mul", ["s1", "scale"], "t1"),
    ]
    proto = between(*nodes, opset=15, four_whole=np.array(4))
    assert_as_qonnx(proto, tmp_path, REALS)


def test_weights_alike_but_for_float32(tmp_path: Path) -> None:
    weights = trits((6, 5), 1, 0.1)
    weights[::2] = np.nextafter(weights[::2], np.float32(9) * np.sign(weights[::2]), dtype=np.float32)
    assert len(np.unique(np.abs(weights))) == 3
    proto = between(node("Identity", ["s1"], "t1"), w1=weights)
    found = imported(proto, tmp_path)
    assert (found.network.nodes[0].weights == np.sign(weights).T).all()  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("weights", "shown"),
    [
        (np.array([[1, -2, 0.0], [3, 1, -0.0]]), "4 values (steps of 1), -2: 1, 0: 2, 1: 2, 3: 1"),
        (np.array([[0.1, -0.2, 0], [1.1, 2.2, 0]]), "(steps of 0.1 to 1.1 by channel), -2: 1, 0: 2, 1: 2, 2: 1"),
        (np.array([[0.3, -0.2, -0.0], [0.0, 0.7, 0.5]]), "5 values, -0.2: 1, 0: 2, 0.3: 1, 0.5: 1, 0.7: 1"),
    ],
)
def test_the_histogram_of_weights(tmp_path: Path, weights: np.ndarray, shown: str) -> None:
    """By the channel's own step; 0 without a sign."""
    proto = onnx_graphs.model([quant("x", "x_q"), node("MatMul", ["x_q", "w"], "y")], KNOWN | {"w": weights.T}, [1, 3])
    reason = refused(proto, tmp_path)["make_y"]
    assert shown in reason


def test_shapes_in_messages(tmp_path: Path) -> None:
    proto = between(node("Identity", ["s1"], "t1"), w1=trits((1, 6, 5), 1))
    assert refused(proto, tmp_path)["make_s1"] == "its weights must be a matrix, not of the shape (1, 6, 5)"
    proto.graph.input[0].CopyFrom(helper.make_tensor_value_info("x", 1, ["N", "F"]))
    assert refused(proto, tmp_path)["x"] == (
        "its shape (batch, ?) has open sizes: export the model with fixed ones, but the batch"
    )
