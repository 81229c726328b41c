"""The end of a network: biases of whole steps, what is left to the host, scores that are turned or are codes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx_graphs
import pytest
from importing import assert_as_qonnx, imported, refused
from onnx import ModelProto
from onnx_graphs import PARAMETERS, node, quant, trits

from sterna.imports.preflight import Fate
from sterna.net import Flatten, Linear

REALS = np.random.default_rng(0).integers(-8, 8, (40, 6)) * 1.0


def ending(*nodes: Any, scale: float = 0.5, **constants: Any) -> ModelProto:
    """The perceptron with nodes from its sums ``s2`` to its output ``y``."""
    proto = onnx_graphs.perceptron(w2=trits((5, 3), 2, scale), **constants)
    proto.graph.node[-1].output[0] = "s2"
    proto.graph.node.extend(nodes)
    return proto


def test_a_bias_of_whole_steps_but_for_float32(tmp_path: Path) -> None:
    """As Brevitas quantizes it: 3 * (0.11 * 0.07) is not 0.11 times 0.07 times 3 in float32."""
    step = np.float32(0.11) * np.float32(0.07)
    bias = step * np.array([3, -4, 1000], dtype=np.float32)
    proto = onnx_graphs.perceptron(w2=trits((5, 3), 2, 0.11), b2=bias, s7=0.07)
    proto.graph.node[3].input[1] = "s7"
    proto.graph.node[-1].output[0] = "s2"
    proto.graph.node.append(node("Add", ["s2", "b2"], "y"))
    found = imported(proto, tmp_path)
    last = found.network.nodes[-1]
    assert isinstance(last, Linear)
    assert last.bias is not None
    assert last.bias.tolist() == [0, -7, 997]
    assert found.preflight.scores["equal"]
    assert found.preflight.scores["scale"] == [pytest.approx(float(step), rel=1e-6)]


@pytest.mark.parametrize(("off", "shown"), [(2.0**-10, "1.00097656"), (0.25, "1.25")])
def test_a_bias_between_steps_is_refused_in_enough_digits(tmp_path: Path, off: float, shown: str) -> None:
    """A thousandth of a step is none of float32's roundings."""
    proto = ending(node("Add", ["s2", "b2"], "y"), b2=np.array([0.5, 0.5, 1.0 + off]), scale=1.0)
    reason = refused(proto, tmp_path)["y"]
    assert f"scores of different classes have no one offset (0.5 to {shown})" in reason
    assert "whole multiples of 1, or allow it with --unequal-scores" in reason


def test_a_class_without_weights_has_the_scale_of_the_others(tmp_path: Path) -> None:
    weights = trits((5, 3), 2, 0.5)
    weights[:, 1] = 0
    proto = onnx_graphs.perceptron(w2=weights)
    found = assert_as_qonnx(proto, tmp_path, REALS)
    assert found.preflight.scores == {"scale": [0.5], "offset": [0.0], "equal": True, "flipped": 0}


@pytest.mark.parametrize(
    "nodes",
    [
        [node("Softmax", ["s2"], "p"), node("Cast", ["p"], "y", to=1)],
        [node("Softmax", ["s2"], "p"), node("Identity", ["p"], "y")],
        [node("Softmax", ["s2"], "p"), node("Reshape", ["p", "flat"], "y")],
        [node("ArgMax", ["s2"], "p", axis=1), node("Cast", ["p"], "y", to=1)],
        [node("ArgMax", ["s2"], "p", axis=1, keepdims=0), node("Unsqueeze", ["p", "one_axis"], "y")],
        [node("ArgMax", ["s2"], "p", axis=1), node("Reshape", ["p", "all"], "y")],
        [node("Sigmoid", ["s2"], "y")],
        [node("Relu", ["s2"], "p"), node("Softmax", ["p"], "y")],
        [node("Mul", ["s2", "half"], "p"), node("Tanh", ["p"], "y")],
    ],
)
def test_what_the_host_computes_is_left_out(tmp_path: Path, nodes: Any) -> None:
    constants = {"flat": np.array([1, 3]), "all": np.array([-1]), "one_axis": np.array([1])}
    found = imported(ending(*nodes, **constants), tmp_path)
    plain = imported(onnx_graphs.perceptron(w2=trits((5, 3), 2, 0.5)), tmp_path)
    assert found.network.digest == plain.network.digest
    assert found.proof.codes == plain.proof.codes
    assert found.preflight.rows[-1].fate is Fate.LEFT_OUT


def test_a_function_that_a_layer_follows_is_not_the_hosts(tmp_path: Path) -> None:
    nodes = [node("Sigmoid", ["s2"], "p"), node("Mul", ["p", "two"], "y")]
    assert list(refused(ending(*nodes), tmp_path)) == ["y"]


def turned(form: str) -> ModelProto:
    """A convolution whose codes are given out, turned or flattened."""
    constants = {**PARAMETERS, "w": trits((4, 2, 3, 3), 1), "flat": np.array([1, -1])}
    first = [quant("x", "x_q"), node("Conv", ["x_q", "w"], "s", kernel_shape=[3, 3])]
    ends = {
        "flat": [quant("s", "q"), node("Reshape", ["q", "flat"], "y")],
        "turned": [quant("s", "q"), node("Transpose", ["q"], "y", perm=[0, 2, 3, 1])],
        "turned and flat": [
            quant("s", "q"), node("Transpose", ["q"], "t", perm=[0, 2, 3, 1]), node("Reshape", ["t", "flat"], "y"),
        ],
        "turned sums": [node("Transpose", ["s"], "y", perm=[0, 2, 3, 1])],
    }  # fmt: skip
    return onnx_graphs.model([*first, *ends[form]], constants, [1, 2, 6, 6])


@pytest.mark.parametrize("form", ["turned", "turned and flat", "turned sums"])
def test_scores_that_are_turned_are_refused(tmp_path: Path, form: str) -> None:
    reasons = refused(turned(form), tmp_path)
    assert reasons == {"y": "the scores are turned or padded after the last layer: leave that to the host"}


def test_codes_are_scores(tmp_path: Path) -> None:
    reals = np.random.default_rng(0).integers(-8, 8, (20, 2, 6, 6)) * 1.0
    found = assert_as_qonnx(turned("flat"), tmp_path, reals)
    assert isinstance(found.network.nodes[-1], Flatten)
    nodes = [quant("s2", "q"), node("Mul", ["q", "half"], "m"), node("Softmax", ["m"], "y")]
    found = assert_as_qonnx(ending(*nodes), tmp_path, REALS, output="m")
    assert found.preflight.scores["scale"] == [0.5]


def test_negative_codes_are_no_scores(tmp_path: Path) -> None:
    reasons = refused(ending(quant("s2", "q"), node("Mul", ["q", "minus"], "y"), minus=-1.0), tmp_path)
    assert reasons["y"].startswith("the scores are codes times a negative number")
