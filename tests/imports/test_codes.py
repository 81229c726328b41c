"""What stands behind a quantizer: Relu, Clip, scales, pools and padding of codes; the same quantizer twice."""

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
from sterna.net import Add, Conv2d, Flatten, Linear, MaxPool2d

KNOWN: dict[str, Any] = {
    **PARAMETERS, "w1": trits((4, 2, 3, 3), 1), "w3": trits((4, 4, 3, 3), 3), "last": trits((4 * 64, 3), 2),
    "pooled": trits((4 * 16, 3), 2), "mean": trits((4, 3), 4), "minus": -1.0, "third": 1 / 3, "zp": np.int8(0),
}  # fmt: skip
MAP = (1, 2, 8, 8)
PADS = np.array([0, 0, 1, 1, 0, 0, 1, 1])
POOL = {"kernel_shape": [2, 2], "strides": [2, 2]}
SAME = {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}


def conv(*nodes: Any, first: Any = None, opset: int = 13, last: str = "last", **constants: Any) -> ModelProto:
    """Nodes from the sums ``s1`` of a convolution to the codes ``h``, and a dense layer; others may be ``first``."""
    first = first or [quant("x", "x_q"), node("Conv", ["x_q", "w1"], "s1", **SAME)]
    end = [node("Flatten", ["h"], "f"), node("MatMul", ["f", last], "y")]
    return onnx_graphs.model([*first, *nodes, *end], KNOWN | constants, list(MAP), opset=opset)


def reals() -> np.ndarray:
    return np.random.default_rng(0).integers(-8, 8, (20, *MAP[1:])) * 1.0


def kinds(proto: ModelProto, folder: Path) -> list[type]:
    """The kinds of the network's nodes, once its scores were compared with qonnx."""
    return [type(entry) for entry in assert_as_qonnx(proto, folder, reals()).network.nodes]


@pytest.mark.parametrize(
    ("nodes", "last"),
    [
        ([quant("s1", "q"), node("Relu", ["q"], "h")], "last"),
        ([quant("s1", "q"), node("Clip", ["q", "minus", "two"], "h")], "last"),
        ([quant("s1", "q", scale="half"), node("Clip", ["q", "", "two"], "c"), node("Relu", ["c"], "h")], "last"),
        ([quant("s1", "q"), node("Relu", ["q"], "r"), node("Mul", ["r", "half"], "h")], "last"),
    ],
)
def test_a_relu_or_clip_of_codes_is_the_quantizers(tmp_path: Path, nodes: Any, last: str) -> None:
    assert kinds(conv(*nodes, last=last), tmp_path) == [Conv2d, Flatten, Linear]


def test_a_relu_of_codes_that_are_read_before_it_too_is_a_node(tmp_path: Path) -> None:
    proto = conv(quant("s1", "q"), node("Relu", ["q"], "r"), node("Add", ["r", "q"], "a"), quant("a", "h", scale="two"))
    assert kinds(proto, tmp_path) == [Conv2d, Conv2d, Add, Flatten, Linear]


def test_a_relu_of_the_inputs_codes_is_the_inputs_range(tmp_path: Path) -> None:
    first = [quant("x", "x_q"), node("Relu", ["x_q"], "r"), node("Conv", ["r", "w1"], "s1", **SAME)]
    proto = conv(quant("s1", "h"), first=first)
    found = assert_as_qonnx(proto, tmp_path, reals())
    assert (str(found.network.input_type), found.network.input_rule.range) == ("u3", (0, 7))
    assert found.preflight.input["own_rule"] is True


def test_a_clip_between_codes_is_refused(tmp_path: Path) -> None:
    reasons = refused(conv(quant("s1", "q"), node("Clip", ["q", "minus", "third"], "h")), tmp_path)
    assert list(reasons) == ["make_y"]
    assert reasons["make_y"].endswith("quantize again, or clip at a multiple of the scale")


@pytest.mark.parametrize("step", [("Mul", "half"), ("Add", "one"), ("Div", "two")])
def test_a_pool_behind_a_scale_is_one_of_codes(tmp_path: Path, step: tuple[str, str]) -> None:
    operator, constant = step
    nodes = [quant("s1", "q"), node(operator, ["q", constant], "m"), node("MaxPool", ["m"], "h", **POOL)]
    assert kinds(conv(*nodes, last="pooled"), tmp_path) == [Conv2d, MaxPool2d, Flatten, Linear]


def test_a_pool_behind_a_negative_scale_is_refused(tmp_path: Path) -> None:
    nodes = [quant("s1", "q"), node("Mul", ["q", "minus"], "m"), node("MaxPool", ["m"], "h", **POOL)]
    assert list(refused(conv(*nodes, last="pooled"), tmp_path)) == ["make_y"]


def test_codes_times_0_are_refused(tmp_path: Path) -> None:
    reasons = refused(conv(quant("s1", "q"), node("Mul", ["q", "zero"], "h")), tmp_path)
    assert reasons["make_y"] == "its inputs are multiplied by 0, so that nothing is left of them"


@pytest.mark.parametrize(
    ("between", "last"),
    [
        ([node("MaxPool", ["q"], "c", **POOL)], "pooled"),
        ([node("Relu", ["q"], "c")], "last"),
        ([node("Transpose", ["q"], "t", perm=[0, 2, 3, 1]), node("Transpose", ["t"], "c", perm=[0, 3, 1, 2])], "last"),
    ],
)
def test_between_quantize_and_dequantize_linear(tmp_path: Path, between: Any, last: str) -> None:
    nodes = [
        node("QuantizeLinear", ["s1", "half", "zp"], "q"),
        *between,
        node("DequantizeLinear", ["c", "half", "zp"], "h"),
    ]
    kinds(conv(*nodes, last=last, opset=14), tmp_path)


def test_integers_are_not_taken_for_codes(tmp_path: Path) -> None:
    nodes = [
        node("QuantizeLinear", ["s1", "half", "zp"], "q"),
        node("Cast", ["q"], "c", to=1),
        node("Mul", ["c", "half"], "h"),
    ]
    reasons = refused(conv(*nodes), tmp_path)
    assert reasons == {"make_c": "its inputs are integers of a QuantizeLinear: put a DequantizeLinear before it"}


@pytest.mark.parametrize("opset", [10, 13])
@pytest.mark.parametrize("sides", [(1, 1, 1, 1), (0, 2, 1, 0)])
def test_a_pad_joins_the_convolution(tmp_path: Path, opset: int, sides: tuple[int, ...]) -> None:
    top, left, bottom, right = sides
    pads = [0, 0, top, left, 0, 0, bottom, right]
    pad = node("Pad", ["q"], "p", pads=pads) if opset < 11 else node("Pad", ["q", "pads"], "p")
    nodes = [
        quant("s1", "q"),
        pad,
        node("Conv", ["p", "w3"], "s3", kernel_shape=[3, 3], strides=[2, 2]),
        quant("s3", "h"),
    ]
    side = 4 if sum(sides) == 4 else 1 + (8 + top + bottom - 3) // 2
    wide = 1 + (8 + left + right - 3) // 2
    constants = {"end": trits((4 * side * wide, 3), 5)} | ({"pads": np.array(pads)} if opset > 10 else {})
    assert kinds(conv(*nodes, opset=opset, last="end", **constants), tmp_path) == [Conv2d, Conv2d, Flatten, Linear]


@pytest.mark.parametrize("inside", [True, False])
def test_a_pad_of_the_input(tmp_path: Path, inside: bool) -> None:
    """Before its quantizer, or behind it."""
    pads = [node("Pad", ["x", "pads"], "p"), quant("p", "x_q")]
    if not inside:
        pads = [quant("x", "p"), node("Pad", ["p", "pads"], "x_q")]
    first = [*pads, node("Conv", ["x_q", "w1"], "s1", kernel_shape=[3, 3])]
    assert kinds(conv(quant("s1", "h"), first=first, pads=PADS), tmp_path) == [Conv2d, Flatten, Linear]


def test_a_pad_by_nothing_is_left_out(tmp_path: Path) -> None:
    nodes = [quant("s1", "q"), node("Pad", ["q", "pads"], "p"), node("MaxPool", ["p"], "h", **POOL)]
    found = assert_as_qonnx(conv(*nodes, last="pooled", pads=np.zeros(8, np.int64)), tmp_path, reals())
    rows = {row.node: row for row in found.preflight.rows}
    assert (rows["make_p"].fate, rows["make_p"].detail) == (Fate.LEFT_OUT, "it pads by nothing")


@pytest.mark.parametrize(
    ("nodes", "where", "reason"),
    [
        (
            [quant("s1", "q"), node("Pad", ["q", "pads"], "p"), node("MaxPool", ["p"], "h", **POOL)], "make_h",
            "a Pad is before it, and only convolutions take its zeros: give the padding to this node",
        ),
        ([quant("s1", "q"), node("Pad", ["q", "pads", "two"], "h")], "make_h", "it pads with another number than 0"),
        ([quant("s1", "q"), node("Pad", ["q", "pads"], "h", mode="reflect")], "make_h", "only padding with a constant"),
        ([quant("s1", "q"), node("Pad", ["q", "q"], "h")], "make_h", "'q' must be a constant, and depends on"),
        ([quant("s1", "q"), node("Pad", ["q", "wide"], "h")], "make_h", "it pads by 5000, and at most 128"),
        ([quant("s1", "q"), node("Add", ["q", "one"], "a"), node("Pad", ["a", "pads"], "h")], "make_h", "0 is none of"),
        (
            [node("Pad", ["s1", "pads"], "p"), node("Add", ["p", "one"], "a"), quant("a", "h")], "make_h",
            "a Pad is before it, whose zeros become other codes than 0: put the Pad behind it",
        ),
    ],
)  # fmt: skip
def test_pads_that_are_refused(tmp_path: Path, nodes: Any, where: str, reason: str) -> None:
    wide = np.array([0, 0, 0, 0, 0, 0, 0, 5000])
    reasons = refused(conv(*nodes, pads=PADS, wide=wide), tmp_path)
    assert reasons[where].startswith(reason)


@pytest.mark.parametrize("keep", [0, 1])
@pytest.mark.parametrize("turned", [False, True])
def test_a_mean_over_the_map(tmp_path: Path, keep: int, turned: bool) -> None:
    if turned:
        turn = [node("Transpose", ["s1"], "t", perm=[0, 2, 3, 1]), quant("t", "q", scale="two")]
        mean = [node("ReduceMean", ["q"], "g", axes=[1, 2], keepdims=keep)]
    else:
        turn = [quant("s1", "q", scale="two")]
        mean = [node("ReduceMean", ["q"], "g", axes=[-1, -2], keepdims=keep)]
    found = imported(conv(*turn, *mean, quant("g", "h", scale="half"), last="mean"), tmp_path)
    assert found.proof.samples == 1000


@pytest.mark.parametrize("axes", [[1], [1, 2], [1, 2, 3], [2]])
def test_other_means_are_refused(tmp_path: Path, axes: list[int]) -> None:
    nodes = [quant("s1", "q"), node("ReduceMean", ["q"], "g", axes=axes), quant("g", "h")]
    assert next(iter(refused(conv(*nodes), tmp_path))) == "make_g"


def test_a_maximum_over_the_map(tmp_path: Path) -> None:
    proto = conv(quant("s1", "q"), node("GlobalMaxPool", ["q"], "h"), last="mean")
    assert kinds(proto, tmp_path) == [Conv2d, MaxPool2d, Flatten, Linear]


@pytest.mark.parametrize("form", ["Quant", "QuantizeLinear", "DequantizeLinear"])
def test_the_same_quantizer_twice_is_one(tmp_path: Path, form: str) -> None:
    """Of a layer's sums: the layer is made once, and both tensors are compared."""
    if form == "Quant":
        twice = [quant("s1", "a"), quant("s1", "b", scale="another")]
    else:
        second = "qb" if form == "QuantizeLinear" else "qa"
        once = [node("QuantizeLinear", ["s1", "another", "zp"], "qb")] if second == "qb" else []
        twice = [
            node("QuantizeLinear", ["s1", "one", "zp"], "qa"),
            *once,
            node("DequantizeLinear", ["qa", "one", "zp"], "a"),
            node("DequantizeLinear", [second, "one", "zp"], "b"),
        ]
    branch = [node("Conv", ["a", "w3"], "s3", **SAME), quant("s3", "c")]
    nodes = [*twice, *branch, node("Add", ["b", "c"], "d"), quant("d", "h")]
    found = assert_as_qonnx(conv(*nodes, another=1.0), tmp_path, reals())
    assert [type(entry) for entry in found.network.nodes] == [Conv2d, Conv2d, Add, Flatten, Linear]
    rows = {row.node: row for row in found.preflight.rows}
    assert (rows["make_b"].fate, rows["make_b"].detail) == (Fate.LEFT_OUT, "it computes what 'make_a' does")
    alone = imported(conv(*(n for n in nodes if n.output[0] not in ("b", "qb", "d", "h")), quant("c", "h")), tmp_path)
    assert found.proof.codes - alone.proof.codes == 2 * 1000 * 4 * 64


def test_the_inputs_quantizer_twice_is_one(tmp_path: Path) -> None:
    proto = conv(
        quant("x", "x_r"), node("Conv", ["x_r", "w2"], "s2", **SAME), quant("s1", "a"), quant("s2", "b"),
        node("Add", ["a", "b"], "c"), quant("c", "h"), w2=trits((4, 2, 3, 3), 7),
    )  # fmt: skip
    assert kinds(proto, tmp_path) == [Conv2d, Conv2d, Add, Flatten, Linear]


def test_two_quantizers_of_the_input_are_refused(tmp_path: Path) -> None:
    proto = conv(
        quant("x", "x_r", scale="two"), node("Conv", ["x_r", "w1"], "s2", **SAME), quant("s1", "a"), quant("s2", "b"),
        node("Add", ["a", "b"], "c"), quant("c", "h"),
    )  # fmt: skip
    assert refused(proto, tmp_path)["make_x_r"] == "the input is quantized twice, in two ways: quantize it once"


@pytest.mark.parametrize(
    ("function", "constants"),
    [
        (node("Elu", ["s1"], "t", alpha=0.5), {}),
        (node("Softplus", ["s1"], "t"), {}),
        (node("Softsign", ["s1"], "t"), {}),
        (node("PRelu", ["s1", "slope"], "t"), {"slope": np.array([0.25, 0.5, 0.125, 1]).reshape(4, 1, 1)}),
        (node("Max", ["s1", "zero"], "t"), {}),
        (node("Min", ["one", "s1"], "t"), {}),
    ],
)
def test_functions_between_a_layer_and_its_quantizer(tmp_path: Path, function: Any, constants: Any) -> None:
    found = imported(conv(function, quant("t", "h", scale="half"), **constants), tmp_path)
    assert found.proof.codes == 1000 * (2 * 64 + 4 * 64 + 3)


def test_a_sum_of_two_branches(tmp_path: Path) -> None:
    nodes = [quant("s1", "a"), node("Conv", ["a", "w3"], "s3", **SAME), quant("s3", "b"), node("Sum", ["a", "b"], "c")]
    assert Add in kinds(conv(*nodes, quant("c", "h")), tmp_path)
