"""Folding: what is understood, exactly, and what is refused, with reason and remedy, all at once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx_graphs
import pytest
from onnx import ModelProto
from onnx_graphs import PARAMETERS, node, quant, trits

from sterna.imports import ImportOptions, MismatchError, RefusedError, from_qonnx, import_model
from sterna.imports.check import prove
from sterna.imports.evaluate import evaluate
from sterna.imports.fold import fold
from sterna.imports.graph import read_graph
from sterna.imports.preflight import Fate, Preflight
from sterna.net import ActivationType, Add, Conv2d, Linear, MaxPool2d, Network, SumNode, SumPool2d, Thresholds
from sterna.sim.golden import GoldenModel

FREE = ImportOptions(narrow_input=True, unequal_scores=True)


def imported(proto: ModelProto, folder: Path, options: ImportOptions | None = None) -> Network:
    return import_model(onnx_graphs.save(proto, folder / "a.onnx"), options=options).network


def refused(proto: ModelProto, folder: Path, options: ImportOptions | None = None) -> dict[str, str]:
    """The reasons of all refused nodes, by node."""
    with pytest.raises(RefusedError) as caught:
        imported(proto, folder, options)
    return {row.node: row.detail for row in caught.value.preflight.refused}


def between(*nodes: Any, bits: str = "two", signed: int = 0, **constants: Any) -> ModelProto:
    """The perceptron with other nodes from its first sums ``s1`` to what its quantizer takes, ``t1``."""
    last = quant("t1", "h", bits=bits, signed=signed)
    known = {**PARAMETERS, "w1": trits((6, 5), 1), "w2": trits((5, 3), 2), **constants}
    first = [quant("x", "x_q"), node("MatMul", ["x_q", "w1"], "s1")]
    return onnx_graphs.model([*first, *nodes, last, node("MatMul", ["h", "w2"], "y")], known, [1, 6])


def expected_codes(low: int, high: int, function: Any, bits: int = 2) -> np.ndarray:
    """Codes of every sum, halves to even."""
    return np.clip(np.rint(function(np.arange(low, high + 1.0))), 0, 2**bits - 1).astype(int)


def codes_of(network: Network, name: str, channel: int) -> tuple[np.ndarray, tuple[int, int]]:
    """What the node's thresholds make of every sum of a channel, and the range of the sums."""
    folded = network.node(name)
    assert isinstance(folded, SumNode)
    assert isinstance(folded.requantize, Thresholds)
    low, high = (int(bound[channel]) for bound in network.channel_bounds(name))
    sums = np.arange(low, high + 1)
    return (sums[:, None] >= folded.requantize.levels[channel]).sum(axis=1), (low, high)


@pytest.mark.parametrize(
    ("function", "nodes", "constants"),
    [
        (lambda a: a * 0.3, [node("Mul", ["s1", "c"], "t1")], {"c": np.float32(0.3)}),
        (lambda a: a / 4, [node("Div", ["s1", "c"], "t1")], {"c": 4.0}),
        (lambda a: a + 0.5, [node("Add", ["c", "s1"], "t1")], {"c": 0.5}),
        (lambda a: a - 1.5, [node("Sub", ["s1", "c"], "t1")], {"c": 1.5}),
        (lambda a: np.maximum(a - 2, 0) / 2, [
            node("Sub", ["s1", "c"], "a"), node("Relu", ["a"], "b"), node("Div", ["b", "d"], "t1")
        ], {"c": 2.0, "d": 2.0}),
        (lambda a: np.clip(a, 1, 2), [node("Clip", ["s1", "c", "d"], "t1")], {"c": 1.0, "d": 2.0}),
        (lambda a: 4 / (1 + np.exp(-a)), [node("Sigmoid", ["s1"], "a"), node("Mul", ["a", "c"], "t1")], {"c": 4.0}),
    ],
)  # fmt: skip
def test_a_function_becomes_its_thresholds(tmp_path: Path, function: Any, nodes: Any, constants: Any) -> None:
    network = imported(between(*nodes, **constants), tmp_path)
    for channel in range(5):
        codes, (low, high) = codes_of(network, "make_s1", channel)
        assert codes.tolist() == expected_codes(low, high, function).tolist()


def test_falling_functions_flip_the_row(tmp_path: Path) -> None:
    rising = imported(between(node("Mul", ["s1", "c"], "t1"), c=np.ones(5)), tmp_path)
    proto = between(node("Mul", ["s1", "c"], "t1"), c=np.array([1.0, -1.0, 1.0, 1.0, -1.0]))
    found = import_model(onnx_graphs.save(proto, tmp_path / "b.onnx"))
    assert found.preflight.layers["make_s1"]["flipped"] == 2
    before, after = (network.node("make_s1") for network in (rising, found.network))
    assert isinstance(before, Linear)
    assert isinstance(after, Linear)
    assert (after.weights == before.weights * np.array([1, -1, 1, 1, -1])[:, None]).all()


def test_negative_scales_of_weights_turn_them(tmp_path: Path) -> None:
    weights = trits((6, 5), 1)
    scales = np.array([0.5, -0.25, 1, -1, 2], dtype=np.float32)
    network = imported(between(node("Div", ["s1", "d"], "t1"), w1=weights * scales, d=np.abs(scales)), tmp_path)
    first = network.node("make_s1")
    assert isinstance(first, Linear)
    assert (first.weights == (weights * np.sign(scales)).T).all()


def test_dead_channels_are_counted(tmp_path: Path) -> None:
    proto = between(node("Mul", ["s1", "c"], "t1"), c=np.array([1.0, 1e-6, 1.0, 0.0, 1.0]))
    found = import_model(onnx_graphs.save(proto, tmp_path / "a.onnx"))
    assert found.preflight.layers["make_s1"]["dead"] == 2


def test_everything_at_once(tmp_path: Path) -> None:
    network = imported(onnx_graphs.convolutional(), tmp_path)
    kinds = [type(entry) for entry in network.nodes]
    assert [kind for kind in (Conv2d, MaxPool2d, Add, SumPool2d, Linear) if kind not in kinds] == []
    first = network.nodes[0]
    assert isinstance(first, Conv2d)
    assert first.padding == (1, 2)  # from pads 1, 0, 1, 2: a column of zeros in the kernel at the left ...
    assert first.weights.shape == (4, 2, 3, 5)
    assert not first.weights[:, :, :, :2].any()
    added = next(entry for entry in network.nodes if isinstance(entry, Add))
    assert added.shifts == (0, 1)


def test_bipolar_codes_are_one_bit(tmp_path: Path) -> None:
    constants = {**PARAMETERS, "w1": trits((6, 5), 1), "w2": trits((5, 4), 2), "w3": trits((4, 3), 3)}
    nodes = [
        node("BipolarQuant", ["x", "one"], "x_q"),
        node("MatMul", ["x_q", "w1"], "s1"),
        node("BipolarQuant", ["s1", "half"], "h1"),
        node("MatMul", ["h1", "w2"], "s2"),
        node("BipolarQuant", ["s2", "half"], "h2"),
        node("MatMul", ["h2", "w3"], "y"),
    ]
    network = imported(onnx_graphs.model(nodes, constants, [1, 6]), tmp_path)
    types = [str(network.types[name]) for name in ("input", "make_s1", "make_s2")]
    assert types == ["u1", "u1", "s2"]  # scores are whole only of -1 and 1 themselves


def test_ties_are_reported_and_not_called_equal(tmp_path: Path) -> None:
    """0.1 times 5 is a tie in float64, and none in float32's product."""
    proto = between(node("Mul", ["s1", "c"], "a"), node("Add", ["a", "d"], "t1"), c=np.float32(0.1), d=np.float32(0.4))
    found = import_model(onnx_graphs.save(proto, tmp_path / "a.onnx"))
    assert found.preflight.layers["make_s1"]["ties"] > 0


def test_what_float32_nearly_rounds_otherwise_is_a_tie(tmp_path: Path) -> None:
    """5 times it is one step of float32 above 1/2, in float32 as in float64; sums in another order may be below."""
    factor = np.nextafter(np.float32(0.1), np.float32(1))
    assert np.rint(np.float32(5) * factor) == np.rint(5 * np.float64(factor)) == 1
    found = import_model(onnx_graphs.save(between(node("Mul", ["s1", "c"], "t1"), c=factor), tmp_path / "a.onnx"))
    assert found.preflight.layers["make_s1"]["ties"] > 0


def test_the_check_finds_a_wrong_threshold(tmp_path: Path) -> None:
    graph = read_graph(onnx_graphs.save(onnx_graphs.perceptron(), tmp_path / "a.onnx"))
    folded = fold(graph, ImportOptions(), Preflight())
    inputs = folded.rule.draw(np.random.default_rng(0), 1000)
    assert prove(graph, folded, inputs).ties == 0
    first, last = folded.network.nodes
    assert isinstance(first, Linear)
    assert isinstance(first.requantize, Thresholds)
    levels = first.requantize.levels.copy()
    levels[2] += 1
    wrong = replace(first, requantize=Thresholds(output=first.requantize.output, levels=levels))
    network = Network(input_shape=(6,), input_type=folded.network.input_type, input_scale=1.0, nodes=[wrong, last])
    message = r"node 'make_s1' differs from tensor 'h' in \d+ values; first at input \d+, \[2\]"
    with pytest.raises(MismatchError, match=message):
        prove(graph, replace(folded, network=network), inputs)
    wrong_last = replace(last, bias=np.array([0, 1, 0]))
    network = Network(
        input_shape=(6,), input_type=folded.network.input_type, input_scale=1.0, nodes=[first, wrong_last]
    )
    with pytest.raises(MismatchError, match=r"node 'make_y' differs from tensor 'y' in 1000 values"):
        prove(graph, replace(folded, network=network), inputs)


def test_scores_keep_scale_and_offset(tmp_path: Path) -> None:
    proto = onnx_graphs.perceptron(w2=trits((5, 3), 2, -0.25))
    network = imported(proto, tmp_path)
    assert network.metadata["scores"] == {"scale": [0.25], "offset": [0.0], "equal": True, "flipped": 0}
    codes = np.random.default_rng(0).integers(-8, 8, (50, 6))
    (real,) = evaluate(read_graph(tmp_path / "a.onnx"), {"x": codes.astype(np.float32)}).values()
    assert (GoldenModel(network).predict(codes) * 0.25 == real).all()


def test_scores_of_a_negative_scale_are_turned(tmp_path: Path) -> None:
    plain = imported(onnx_graphs.perceptron(), tmp_path)
    proto = onnx_graphs.perceptron(c=-0.5)
    proto.graph.node[-1].output[0] = "s2"
    proto.graph.node.append(node("Mul", ["s2", "c"], "y"))
    network = imported(proto, tmp_path)
    assert network.metadata["scores"] == {"scale": [0.5], "offset": [0.0], "equal": True, "flipped": 3}
    codes = np.random.default_rng(0).integers(-8, 8, (50, 6))
    assert (GoldenModel(network).predict(codes) == -GoldenModel(plain).predict(codes)).all()


def biased(values: list[float]) -> ModelProto:
    """The perceptron with a bias of the scores."""
    proto = onnx_graphs.perceptron(b2=np.array(values))
    proto.graph.node[-1].output[0] = "s2"
    proto.graph.node.append(node("Add", ["s2", "b2"], "y"))
    return proto


def test_whole_biases_of_scores_are_the_nodes(tmp_path: Path) -> None:
    last = imported(biased([1.0, 3.0, -2.0]), tmp_path).nodes[-1]
    assert isinstance(last, Linear)
    assert last.bias is not None
    assert last.bias.tolist() == [0, 2, -3]


def test_unequal_scores_are_refused_or_counted(tmp_path: Path) -> None:
    reasons = refused(biased([0.5, 0.2, -0.3]), tmp_path)
    assert list(reasons) == ["y"]
    assert "no one offset (" in reasons["y"]
    found = import_model(tmp_path / "a.onnx", options=FREE)
    assert not found.preflight.scores["equal"]
    assert 0 < found.proof.classes_changed < 1000


def test_input_without_a_quantizer(tmp_path: Path) -> None:
    constants = {"w": trits((6, 3), 1), "c": 0.5}
    proto = onnx_graphs.model([node("Mul", ["x", "c"], "a"), node("MatMul", ["a", "w"], "y")], constants, [1, 6])
    assert refused(proto, tmp_path) == {
        "make_y": "the model does not quantize its input: give --input-type and --input-scale"
    }
    network = from_qonnx(tmp_path / "a.onnx", input_type=ActivationType(8, True), input_scale=0.25)
    assert str(network.input_type) == "s8"
    assert network.input_scale == 0.25
    assert network.metadata["scores"]["scale"] == [0.125]


def test_an_annotated_input(tmp_path: Path) -> None:
    proto = onnx_graphs.model([node("MatMul", ["x", "w"], "y")], {"w": trits((6, 3), 1)}, [1, 6])
    entry = proto.graph.quantization_annotation.add()
    entry.tensor_name = "x"
    parameter = entry.quant_parameter_tensor_names.add()
    parameter.key, parameter.value = "finn_datatype", "UINT4"
    network = imported(proto, tmp_path)
    assert (str(network.input_type), network.input_scale) == ("u4", 1.0)


def test_preprocessing_is_said(tmp_path: Path) -> None:
    proto = onnx_graphs.perceptron(c=2.0, d=1.0)
    proto.graph.node[0].input[0] = "p"
    proto.graph.node.extend([node("Mul", ["x", "c"], "m"), node("Sub", ["m", "d"], "p")])
    found = import_model(onnx_graphs.save(proto, tmp_path / "a.onnx"))
    assert found.network.metadata["input"]["before"] == [
        {"factor": [2.0], "term": [0.0]},
        {"factor": [1.0], "term": [-1.0]},
    ]


def test_preprocessing_and_narrow_codes_are_in_the_input_rule(tmp_path: Path) -> None:
    """2x - 1 before a quantizer of -7 to 7: the network takes the original's own inputs."""
    proto = onnx_graphs.perceptron(c=2.0, d=1.0)
    next(attribute for attribute in proto.graph.node[0].attribute if attribute.name == "narrow").i = 1
    proto.graph.node[0].input[0] = "p"
    proto.graph.node.extend([node("Mul", ["x", "c"], "m"), node("Sub", ["m", "d"], "p")])
    found = import_model(onnx_graphs.save(proto, tmp_path / "a.onnx"))
    rule = found.network.input_rule
    assert (rule.range, rule.gain, rule.offset) == ((-7, 7), (2.0,), (-1.0,))
    assert found.preflight.input["own_rule"] is True
    reals = np.random.default_rng(0).uniform(-9, 9, (50, *rule.shape))
    wanted = np.clip(np.rint((2 * reals - 1) / rule.scale), -7, 7)
    np.testing.assert_array_equal(found.network.quantize(reals), wanted)
    assert {wanted.min(), wanted.max()} == {-7, 7}


def test_an_input_that_rounds_away_from_zero_is_not_in_the_input_rule(tmp_path: Path) -> None:
    proto = onnx_graphs.perceptron()
    rounding = next(attribute for attribute in proto.graph.node[0].attribute if attribute.name == "rounding_mode")
    rounding.s = b"UP"
    found = import_model(onnx_graphs.save(proto, tmp_path / "a.onnx"))
    assert found.preflight.input["own_rule"] is False
    assert found.network.metadata["input"]["own_rule"] is False


def test_all_refusals_come_at_once(tmp_path: Path) -> None:
    proto = onnx_graphs.perceptron(w1=np.arange(30.0).reshape(6, 5), w2=np.arange(15.0).reshape(5, 3))
    with pytest.raises(
        RefusedError, match=r"node 'make_s1' \(MatMul\): its weights are not .* \(and 1 more: see"
    ) as caught:
        imported(proto, tmp_path)
    rows = {row.node: row for row in caught.value.preflight.rows}
    assert len(rows) == 5
    assert [name for name, row in rows.items() if row.fate is Fate.REFUSED] == ["make_s1", "make_y"]
    assert rows["make_t1"].fate is Fate.BEHIND
    assert "30 values (steps of 1), 0: 1, 1: 1" in rows["make_s1"].detail


@pytest.mark.parametrize(
    ("nodes", "constants", "where", "reason"),
    [
        ([node("Erf", ["s1"], "t1")], {}, "make_t1", "this operator is not understood"),
        ([node("Abs", ["s1"], "t1")], {}, "make_h", "codes of channel 0 both rise and fall with its sum"),
        ([node("Mul", ["s1", "s1"], "t1")], {}, "make_t1", "only the sum of two branches is understood"),
        ([node("Add", ["s1", "s1"], "t1")], {}, "make_t1", "its inputs are not quantized: put a quantizer before it"),
        ([node("Div", ["s1", "c"], "t1")], {"c": 0.0}, "make_t1", "it divides by the values, or by 0"),
        ([node("Reshape", ["s1", "s1"], "t1")], {}, "make_t1", "'s1' must be a constant, and depends on the input"),
        ([node("Softmax", ["s1"], "t1")], {}, "make_t1", "it is understood at the end only, and 'make_h' follows"),
        (
            [node("Add", ["s1", "c"], "t1")], {"c": np.ones((2, 1))}, "make_t1",
            "a constant of the shape (2, 1) does not go with values of (5,)",
        ),
    ],
)  # fmt: skip
def test_what_is_not_understood(tmp_path: Path, nodes: Any, constants: Any, where: str, reason: str) -> None:
    reasons = refused(between(*nodes, **constants), tmp_path)
    assert reasons[where].startswith(reason)
    assert len(reasons) == 1


def test_scales_of_branches_must_be_powers_of_two_apart(tmp_path: Path) -> None:
    proto = onnx_graphs.convolutional()
    next(tensor for tensor in proto.graph.initializer if tensor.name == "half").raw_data = np.float32(0.3).tobytes()
    assert refused(proto, tmp_path)["make_a"].startswith("it adds scales 0.3 and 1: their ratio must be a power of two")


def test_a_maximum_of_what_falls_is_refused(tmp_path: Path) -> None:
    constants = {**PARAMETERS, "w1": trits((4, 2, 3, 3), 1), "w2": trits((4 * 9, 3), 2), "c": -1.0}
    nodes = [
        quant("x", "x_q"),
        node("Conv", ["x_q", "w1"], "s1", kernel_shape=[3, 3]),
        node("MaxPool", ["s1"], "p1", kernel_shape=[2, 2], strides=[2, 2]),
        node("Mul", ["p1", "c"], "t1"),
        quant("t1", "h", bits="two", signed=0),
        node("Flatten", ["h"], "f"),
        node("MatMul", ["f", "w2"], "y"),
    ]
    proto = onnx_graphs.model(nodes, constants, [1, 2, 8, 8])
    assert refused(proto, tmp_path)["make_h"].startswith("codes of channel 0 fall with what the pool before takes")
    nodes[2:4] = [node("Mul", ["s1", "c"], "p1"), node("MaxPool", ["p1"], "t1", kernel_shape=[2, 2], strides=[2, 2])]
    network = imported(onnx_graphs.model(nodes, constants, [1, 2, 8, 8]), tmp_path)
    assert [type(entry) for entry in network.nodes[:2]] == [Conv2d, MaxPool2d]


def test_a_second_quantizer_passes_codes_on(tmp_path: Path) -> None:
    network = imported(between(node("Mul", ["q1", "c"], "t1"), quant("s1", "q1"), c=0.5), tmp_path)
    passed = network.node("make_h")
    assert isinstance(passed, Linear)
    assert (passed.weights == np.eye(5)).all()
    same = imported(between(quant("s1", "q1", bits="two", signed=0), node("Identity", ["q1"], "t1")), tmp_path)
    assert [entry.name for entry in same.nodes] == ["make_s1", "make_y"]


def test_softmax_and_classes_at_the_end_are_the_hosts(tmp_path: Path) -> None:
    proto = onnx_graphs.perceptron()
    plain = imported(proto, tmp_path)
    proto.graph.node[-1].output[0] = "s2"
    proto.graph.node.extend([node("Softmax", ["s2"], "p"), node("ArgMax", ["p"], "y", axis=1)])
    found = import_model(onnx_graphs.save(proto, tmp_path / "b.onnx"))
    assert (
        found.network.digest
        == Network(
            input_shape=plain.input_shape, input_type=plain.input_type, input_scale=1.0, nodes=plain.nodes
        ).digest
    )
    assert [row.fate for row in found.preflight.rows[-2:]] == [Fate.LEFT_OUT, Fate.LEFT_OUT]


def test_layouts_are_turned_back(tmp_path: Path) -> None:
    """Channels-last input, thresholds, and flattening in that order: the network is the channels-first one's."""
    rng = np.random.default_rng(4)
    levels = np.sort(rng.integers(-9, 9, (4, 3)), axis=1).astype(np.float32)
    last = trits((4 * 9, 3), 2)
    constants = {**PARAMETERS, "w1": trits((4, 2, 3, 3), 1), "t": levels, "w2": last}
    first = [
        quant("x", "x_q"),
        node("Conv", ["x_q", "w1"], "s1", kernel_shape=[3, 3]),
        node("MultiThreshold", ["s1", "t"], "h", out_dtype="UINT2"),
        node("MaxPool", ["h"], "p", kernel_shape=[2, 2], strides=[2, 2]),
        node("Flatten", ["p"], "f"),
        node("MatMul", ["f", "w2"], "y"),
    ]
    plain = imported(onnx_graphs.model(first, constants, [1, 2, 8, 8]), tmp_path)
    turned = [
        node("Transpose", ["x"], "x_t", perm=[0, 3, 1, 2]),
        quant("x_t", "x_q"),
        first[1],
        node("Transpose", ["s1"], "s1_t", perm=[0, 2, 3, 1]),
        node("MultiThreshold", ["s1_t", "t"], "h_t", out_dtype="UINT2", data_layout="NHWC"),
        node("Transpose", ["h_t"], "h", perm=[0, 3, 1, 2]),
        first[3],
        node("Transpose", ["p"], "p_t", perm=[0, 2, 3, 1]),
        node("Flatten", ["p_t"], "f"),
        node("MatMul", ["f", "w2"], "y"),
    ]
    constants["w2"] = last.reshape(4, 3, 3, 3).transpose(1, 2, 0, 3).reshape(36, 3)
    network = imported(onnx_graphs.model(turned, constants, [1, 8, 8, 2]), tmp_path)
    assert network.digest == plain.digest
    assert network.metadata["input"]["channels_last"]


def test_another_order_before_a_convolution_is_refused(tmp_path: Path) -> None:
    nodes = [
        quant("x", "x_q"),
        node("Transpose", ["x_q"], "x_t", perm=[0, 1, 3, 2]),
        node("Conv", ["x_t", "w"], "y", kernel_shape=[3, 3]),
    ]
    proto = onnx_graphs.model(nodes, {**PARAMETERS, "w": trits((4, 2, 3, 3), 1)}, [1, 2, 8, 8])
    assert refused(proto, tmp_path)["make_y"].startswith("its inputs are (2, 8, 8) in another order: convert")
