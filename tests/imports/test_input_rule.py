"""Real inputs: the network's own rule gives the original's codes, ties included, or says that it does not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx_graphs
import pytest
from importing import assert_as_qonnx, imported, refused
from onnx import ModelProto, TensorProto
from onnx_graphs import PARAMETERS, node, quant, trits

from sterna.imports import Imported, ImportOptions, from_qonnx
from sterna.imports.check import draw_inputs
from sterna.imports.fold import fold
from sterna.imports.graph import read_graph
from sterna.imports.preflight import Preflight

KNOWN: dict[str, Any] = {**PARAMETERS, "w1": trits((6, 5), 1), "w2": trits((5, 3), 2)}


def network_of(*first: Any, opset: int = 13, **constants: Any) -> ModelProto:
    """Nodes from ``x`` to the codes ``x_q``, and two layers behind."""
    layers = [
        node("MatMul", ["x_q", "w1"], "s1"),
        quant("s1", "h", bits="two", signed=0),
        node("MatMul", ["h", "w2"], "y"),
    ]
    return onnx_graphs.model([*first, *layers], KNOWN | constants, [1, 6], opset=opset)


def codes_of(found: Imported, folder: Path, reals: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The codes of the network's own rule, and the original's."""
    rule = fold(read_graph(folder / "a.onnx"), ImportOptions(narrow_input=True), Preflight()).rule
    return found.network.quantize(reals), rule.quantize(reals)


def sweep() -> np.ndarray:
    """Every eighth from -40 to 40, float32, (n, 6): all ties of scales that are powers of two are among them."""
    return np.tile((np.arange(-320, 321) / 8).astype(np.float32)[:, None], (1, 6))


@pytest.mark.parametrize("scale", [1.0, 0.75, -0.5])
def test_bipolar_inputs_with_a_line_before(tmp_path: Path, scale: float) -> None:
    nodes = [node("Mul", ["x", "two"], "a"), node("Sub", ["a", "one"], "b"), node("BipolarQuant", ["b", "s"], "x_q")]
    found = assert_as_qonnx(network_of(*nodes, s=scale), tmp_path, np.random.default_rng(0).uniform(0, 1, (50, 6)))
    own, wanted = codes_of(found, tmp_path, sweep())
    np.testing.assert_array_equal(own, wanted)
    assert found.preflight.input["own_rule"] is True
    assert str(found.network.input_type) == "u1"
    assert set(own.ravel()) == {0, 1}


def test_bipolar_inputs_that_need_a_zero(tmp_path: Path) -> None:
    """-1 and 1 as two bits: the rule leaves 0 out."""
    constants = {**PARAMETERS, "w1": trits((4, 2, 3, 3), 1), "w2": trits((4 * 16, 3), 2)}
    nodes = [
        node("BipolarQuant", ["x", "half"], "x_q"),
        node("Conv", ["x_q", "w1"], "s1", kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
        quant("s1", "h", signed=0),
        node("Flatten", ["h"], "f"),
        node("MatMul", ["f", "w2"], "y"),
    ]
    proto = onnx_graphs.model(nodes, constants, [1, 2, 4, 4])
    reals = np.random.default_rng(0).integers(-2, 3, (40, 2, 4, 4)) / 4
    found = assert_as_qonnx(proto, tmp_path, reals, ImportOptions(narrow_input=True))
    assert found.preflight.input["own_rule"] is True
    assert set(found.network.quantize(reals).ravel()) == {-1, 1}
    drawn = draw_inputs(found.network, np.random.default_rng(0), 20)  # as for its export
    assert set(found.network.quantize(drawn).ravel()) == {-1, 1}


@pytest.mark.parametrize(("kind", "zero"), [(np.int8, 0), (np.uint8, 128), (np.uint8, 0)])
def test_a_line_before_qcdq(tmp_path: Path, kind: Any, zero: int) -> None:
    nodes = [
        node("Mul", ["x", "two"], "a"),
        node("Sub", ["a", "one"], "b"),
        node("QuantizeLinear", ["b", "half", "zp"], "q"),
        node("DequantizeLinear", ["q", "half", "zp"], "x_q"),
    ]
    found = assert_as_qonnx(network_of(*nodes, zp=kind(zero)), tmp_path, sweep()[::7])
    assert found.preflight.input["own_rule"] is True
    assert (found.network.input_rule.gain, found.network.input_rule.offset) == ((2.0,), (-1.0,))
    own, wanted = codes_of(found, tmp_path, sweep())
    np.testing.assert_array_equal(own, wanted)


@pytest.mark.parametrize(
    ("before", "codes"),
    [
        (node("Relu", ["a"], "b"), (0, 7)),
        (node("Clip", ["a", "low", "high"], "b"), (-4, 6)),
        (node("Max", ["a", "low"], "b"), (-4, 7)),
        (node("Round", ["a"], "b"), (-8, 7)),
    ],
)
def test_what_the_quantizer_repeats_is_no_bend(tmp_path: Path, before: Any, codes: tuple[int, int]) -> None:
    proto = network_of(node("Mul", ["x", "two"], "a"), before, quant("b", "x_q"), low=-4.0, high=6.0)
    found = assert_as_qonnx(proto, tmp_path, sweep()[::5])
    assert found.preflight.input["own_rule"] is True
    assert found.network.input_rule.range == codes
    own, wanted = codes_of(found, tmp_path, sweep())
    np.testing.assert_array_equal(own, wanted)


def test_even_thresholds_are_a_line(tmp_path: Path) -> None:
    levels = (np.arange(15) - 7.5).reshape(1, 15) * 0.5 + 3
    nodes = [
        node("MultiThreshold", ["x", "t"], "m", out_dtype="INT4", out_bias=-8.0),
        node("Mul", ["m", "half"], "x_q"),
    ]
    found = assert_as_qonnx(network_of(*nodes, t=levels), tmp_path, sweep()[::5])
    assert found.preflight.input["own_rule"] is True
    own, wanted = codes_of(found, tmp_path, sweep())
    np.testing.assert_array_equal(own, wanted)


def test_even_thresholds_by_channel_are_lines(tmp_path: Path) -> None:
    levels = np.arange(3) * np.array([[1], [0.5], [2], [1], [0.25], [1]]) + np.arange(6)[:, None]
    nodes = [node("MultiThreshold", ["x", "t"], "x_q", out_dtype="UINT2")]
    found = assert_as_qonnx(network_of(*nodes, t=levels), tmp_path, sweep()[::5])
    assert found.preflight.input["own_rule"] is True
    own, wanted = codes_of(found, tmp_path, sweep())
    np.testing.assert_array_equal(own, wanted)


def test_roundings_that_the_quantizer_does_not_repeat_are_none(tmp_path: Path) -> None:
    """To integers, and then to multiples of 2."""
    found = imported(network_of(node("Round", ["x"], "r"), quant("r", "x_q", scale="two")), tmp_path)
    assert found.preflight.input["own_rule"] is False


def test_normalizations_before_a_bipolar_quantizer(tmp_path: Path) -> None:
    normal = {"g": np.array([1, -1, 0.5, -2, 1, 3]), "z": np.zeros(6), "m": np.arange(6.0) - 2, "v": np.full(6, 4.0)}
    nodes = [
        node("BatchNormalization", ["x", "g", "z", "m", "v"], "n", epsilon=0.0),
        node("BipolarQuant", ["n", "one"], "x_q"),
    ]
    found = imported(network_of(*nodes, **normal), tmp_path)
    own, wanted = codes_of(found, tmp_path, sweep())
    np.testing.assert_array_equal(own, wanted)
    assert found.preflight.input["own_rule"] is True


def test_uneven_thresholds_are_none(tmp_path: Path) -> None:
    nodes = [node("MultiThreshold", ["x", "t"], "x_q", out_dtype="UINT2")]
    found = imported(network_of(*nodes, t=np.array([[-1.0, 0.5, 1.0]])), tmp_path)
    assert found.preflight.input["own_rule"] is False


@pytest.mark.parametrize(
    ("mode", "signed", "own"),
    [
        ("ROUND", 1, True),
        ("FLOOR", 1, True),
        ("CEIL", 1, True),
        ("HALF_UP", 0, True),
        ("HALF_DOWN", 0, True),
        ("HALF_UP", 1, False),
        ("HALF_DOWN", 1, False),
        ("DOWN", 1, False),
    ],
)
def test_roundings_are_told_by_their_ties(tmp_path: Path, mode: str, signed: int, own: bool) -> None:
    """Away from zero or towards it is no line; where all ties go one way, it is."""
    proto = network_of(quant("x", "x_q", scale="two", signed=signed, rounding_mode=mode))
    found = imported(proto, tmp_path)
    assert found.preflight.input["own_rule"] is own
    ours, wanted = codes_of(found, tmp_path, sweep())
    assert (ours == wanted).all() == own


def test_an_odd_zero_point_turns_ties(tmp_path: Path) -> None:
    proto = network_of(node("Quant", ["x", "half", "z", "four"], "x_q", signed=0, narrow=0), z=3.0)
    assert imported(proto, tmp_path).preflight.input["own_rule"] is False


def test_from_qonnx_warns_of_another_rule(tmp_path: Path) -> None:
    path = onnx_graphs.save(network_of(node("Tanh", ["x"], "t"), quant("t", "x_q")), tmp_path / "a.onnx")
    with pytest.warns(UserWarning, match="own input rule gives other codes than the model for some real inputs"):
        from_qonnx(path)


def test_a_gain_of_0(tmp_path: Path) -> None:
    proto = network_of(node("Mul", ["x", "g"], "a"), quant("a", "x_q"), g=np.array([0, 1, -2, 0.5, 0, 3]))
    found = assert_as_qonnx(proto, tmp_path, sweep()[::5])
    assert found.preflight.input["own_rule"] is True
    assert found.network.input_rule.gain == (0.0, 1.0, -2.0, 0.5, 0.0, 3.0)


@pytest.mark.parametrize(
    ("type", "known", "low"),
    [
        (TensorProto.INT8, {}, -128),
        (TensorProto.UINT8, {}, 0),
        (0, {}, 0),
        (0, {"zp": np.int8(0)}, -128),
    ],
)
def test_the_type_of_a_quantize_linear(tmp_path: Path, type: int, known: Any, low: int) -> None:
    """Without a zero point its attribute has it, from opset 21."""
    stated = {"output_dtype": type} if type else {}
    nodes = [
        node("QuantizeLinear", ["x", "half", *known], "q", **stated),
        node("DequantizeLinear", ["q", "half", *known], "x_q"),
    ]
    found = assert_as_qonnx(network_of(*nodes, opset=21, **known), tmp_path, sweep()[::5])
    assert found.network.input_rule.range[0] == low


def test_other_types_of_a_quantize_linear_are_refused(tmp_path: Path) -> None:
    nodes = [
        node("QuantizeLinear", ["x", "half"], "q", output_dtype=TensorProto.INT4),
        node("DequantizeLinear", ["q", "half"], "x_q"),
    ]
    reasons = refused(network_of(*nodes, opset=21), tmp_path)
    assert reasons == {"make_q": "output_dtype 22 is not understood: quantize to 8 or 16 bits"}


@pytest.mark.parametrize(
    ("datatype", "type", "codes"),
    [("BIPOLAR", "u1", (0, 1)), ("BINARY", "u1", (0, 1)), ("TERNARY", "s2", (-1, 1)), ("INT3", "s3", (-4, 3))],
)
def test_annotations(tmp_path: Path, datatype: str, type: str, codes: tuple[int, int]) -> None:
    proto = network_of()
    proto.graph.node[0].input[0] = "x"
    entry = proto.graph.quantization_annotation.add()
    entry.tensor_name = "x"
    parameter = entry.quant_parameter_tensor_names.add()
    parameter.key, parameter.value = "finn_datatype", datatype
    values = [-1, 1] if datatype == "BIPOLAR" else np.arange(codes[0], codes[1] + 1)
    found = assert_as_qonnx(proto, tmp_path, np.random.default_rng(0).choice(values, (30, 6)))
    assert (str(found.network.input_type), found.network.input_rule.range) == (type, codes)


def given_twice(pool: bool) -> ModelProto:
    """An input without a quantizer, that two layers read, perhaps behind a pool."""
    constants = {**PARAMETERS, "w1": trits((4, 2, 3, 3), 1), "w2": trits((4, 2, 3, 3), 2), "w3": trits((64, 3), 3)}
    first = (
        [node("MaxPool", ["x"], "p", kernel_shape=[2, 2], strides=[2, 2])] if pool else [node("Identity", ["x"], "p")]
    )
    layers = [
        node("Conv", ["p", "w1"], "sa", pads=[1, 1, 1, 1]),
        node("Conv", ["p", "w2"], "sb", pads=[1, 1, 1, 1]),
        quant("sa", "a"),
        quant("sb", "b"),
        node("Add", ["a", "b"], "c"),
        quant("c", "h"),
        node("Flatten", ["h"], "f"),
        node("MatMul", ["f", "w3"], "y"),
    ]
    side = 8 if pool else 4
    return onnx_graphs.model([*first, *layers], constants, [1, 2, side, side])


@pytest.mark.parametrize("pool", [True, False])
def test_an_input_of_a_given_type(tmp_path: Path, pool: bool) -> None:
    from sterna.net import ActivationType

    side = 8 if pool else 4
    reals = np.random.default_rng(0).integers(-8, 8, (30, 2, side, side)) * 1.0
    options = ImportOptions(input_type=ActivationType(4, True), input_scale=1.0)
    assert_as_qonnx(given_twice(pool), tmp_path, reals, options)


def test_a_given_type_that_is_not_used_is_said(tmp_path: Path) -> None:
    from sterna.net import ActivationType

    options = ImportOptions(input_type=ActivationType(4, True), input_scale=1.0)
    found = imported(network_of(quant("x", "x_q", bits="two")), tmp_path, options)
    assert found.preflight.input["note"] == "the model quantizes its input itself: the given type is not used"
    assert str(found.network.input_type) == "s2"
