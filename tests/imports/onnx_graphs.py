"""Small ONNX models made node by node, without torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

QONNX = "qonnx.custom_op.general"
CUSTOM = {"Quant", "IntQuant", "BipolarQuant", "Trunc", "MultiThreshold"}


def node(operator: str, inputs: Sequence[str], output: str, **attributes: Any) -> NodeProto:
    """A node named after its output."""
    domain = QONNX if operator in CUSTOM else ""
    return helper.make_node(operator, list(inputs), [output], name=f"make_{output}", domain=domain, **attributes)


def model(
    nodes: Sequence[NodeProto],
    constants: Mapping[str, Any],
    shape: Sequence[int | str],
    output: str = "y",
    *,
    opset: int = 13,
) -> ModelProto:
    """A model with the input ``x`` of ``shape``, the batch first."""
    tensors = [numpy_helper.from_array(_array(value), name) for name, value in constants.items()]
    graph = helper.make_graph(
        list(nodes),
        "small",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, list(shape))],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, None)],
        tensors,
    )
    imports = [helper.make_opsetid("", opset), helper.make_opsetid(QONNX, 1)]
    return helper.make_model(graph, opset_imports=imports)


def _array(value: Any) -> np.ndarray:
    array = np.asarray(value)
    return array.astype(np.float32) if array.dtype == np.float64 else array


def quant(source: str, output: str, *, scale: str = "one", bits: str = "four", **attributes: Any) -> NodeProto:
    """A ``Quant`` whose parameters are named constants."""
    settings = {"signed": 1, "narrow": 0, "rounding_mode": "ROUND", **attributes}
    return node("Quant", [source, scale, "zero", bits], output, **settings)


#: What :func:`quant` names.
PARAMETERS: dict[str, Any] = {
    "one": 1.0,
    "half": 0.5,
    "zero": 0.0,
    "one_bit": 1.0,
    "two": 2.0,
    "four": 4.0,
    "eight": 8.0,
}


def trits(shape: tuple[int, ...], seed: int = 0, scale: float = 1.0) -> np.ndarray:
    """Random weights, float32."""
    return (np.random.default_rng(seed).choice([-1, 0, 1], shape) * scale).astype(np.float32)


def perceptron(**changes: Any) -> ModelProto:
    """Input of 6 features in s4, 5 hidden units in u2, 3 scores; ``changes`` replace constants."""
    constants = {**PARAMETERS, "w1": trits((6, 5), 1, 0.5), "b1": np.linspace(-1, 1, 5), "w2": trits((5, 3), 2)}
    constants |= changes
    nodes = [
        quant("x", "x_q"),
        node("MatMul", ["x_q", "w1"], "s1"),
        node("Add", ["s1", "b1"], "t1"),
        quant("t1", "h", bits="two", signed=0),
        node("MatMul", ["h", "w2"], "y"),
    ]
    return model(nodes, constants, [1, 6])


def convolutional() -> ModelProto:
    """A convolution of uneven padding, a pool, a branch that is added, an average, a dense layer."""
    constants = {
        **PARAMETERS, "w1": trits((4, 2, 3, 3), 1), "w2": trits((4, 4, 3, 3), 2), "w3": trits((4, 3), 3),
        "gain": np.array([1.0, -0.5, 2.0, 0.3]), "offset": np.zeros(4), "mean": np.ones(4), "var": np.full(4, 2.0),
    }  # fmt: skip
    nodes = [
        quant("x", "x_q"),
        node("Conv", ["x_q", "w1"], "s1", pads=[1, 0, 1, 2], kernel_shape=[3, 3]),
        node("BatchNormalization", ["s1", "gain", "offset", "mean", "var"], "n1"),
        quant("n1", "h1", bits="two", signed=0),
        node("MaxPool", ["h1"], "p1", kernel_shape=[2, 2], strides=[2, 2]),
        node("Conv", ["p1", "w2"], "s2", pads=[1, 1, 1, 1], kernel_shape=[3, 3]),
        node("Relu", ["s2"], "r2"),
        quant("r2", "h2", scale="half", bits="four", signed=0),
        node("Add", ["h2", "p1"], "a"),
        quant("a", "h3", signed=0),
        node("GlobalAveragePool", ["h3"], "g"),
        quant("g", "h4", signed=0),
        node("Flatten", ["h4"], "f", axis=1),
        node("MatMul", ["f", "w3"], "y"),
    ]
    return model(nodes, constants, [1, 2, 8, 8])


def binarized() -> ModelProto:
    """Bipolar weights and activations, thresholds, and a quantizer of QCDQ's form at the input."""
    rng = np.random.default_rng(3)
    signs = rng.choice([-1.0, 1.0], (5, 6)), rng.choice([-1.0, 1.0], (6, 3))
    constants = {
        **PARAMETERS, "zero_point": np.int8(0), "step": 0.25, "low": np.int8(-8), "high": np.int8(7), "w1": signs[0],
        "w2": signs[1], "levels": np.sort(rng.integers(-9, 9, (6, 3)), axis=1).astype(np.float32),
    }  # fmt: skip
    nodes = [
        node("QuantizeLinear", ["x", "step", "zero_point"], "q"),
        node("Clip", ["q", "low", "high"], "c"),
        node("DequantizeLinear", ["c", "step", "zero_point"], "x_q"),
        node("BipolarQuant", ["w1", "one"], "w1_q"),
        node("MatMul", ["x_q", "w1_q"], "s1"),
        node("MultiThreshold", ["s1", "levels"], "h", out_dtype="UINT2"),
        node("MatMul", ["h", "w2"], "y"),
    ]
    return model(nodes, constants, [1, 5])


def roundabout() -> ModelProto:
    """A reshaped input, pads, codes that are clipped, repeats, a mean without its axes, and a host's end."""
    constants = {
        **PARAMETERS, "map": np.array([1, 2, 6, 6]), "pads": np.array([0, 0, 1, 0, 0, 0, 0, 1]), "zp": np.int8(0),
        "w1": trits((4, 2, 3, 3), 1), "w2": trits((4, 4, 3, 3), 2), "w3": trits((4, 3), 3),
        "slope": np.full((4, 1, 1), 0.5), "levels": np.arange(15.0).reshape(1, 15) - 7.5,
        "bias": np.array([1.0, -2.0, 3.0]),
    }  # fmt: skip
    nodes = [
        node("Mul", ["x", "two"], "a"),
        node("Relu", ["a"], "b"),
        node("Reshape", ["b", "map"], "m"),
        node("MultiThreshold", ["m", "levels"], "x_q", out_dtype="INT4", out_bias=-8.0),
        node("Pad", ["x_q", "pads"], "p"),
        node("Conv", ["p", "w1"], "s1", kernel_shape=[3, 3], pads=[1, 0, 1, 0]),
        node("PRelu", ["s1", "slope"], "t1"),
        node("QuantizeLinear", ["t1", "half", "zp"], "i"),
        node("MaxPool", ["i"], "j", kernel_shape=[2, 2], strides=[1, 1]),
        node("DequantizeLinear", ["j", "half", "zp"], "h1"),
        node("Conv", ["h1", "w2"], "s2", kernel_shape=[3, 3], auto_pad="SAME_UPPER"),
        quant("s2", "h2", scale="half", bits="eight"),
        quant("s2", "h3", scale="half", bits="eight"),
        node("Clip", ["h3", "zero", "two"], "c"),
        node("Add", ["h1", "c"], "d"),
        quant("d", "h4"),
        node("Transpose", ["h4"], "t", perm=[0, 2, 3, 1]),
        node("ReduceMean", ["t"], "g", axes=[1, 2], keepdims=0),
        quant("g", "h5", scale="half"),
        node("MatMul", ["h5", "w3"], "s3"),
        node("Add", ["s3", "bias"], "u"),
        node("Sigmoid", ["u"], "v"),
        node("ArgMax", ["v"], "y", axis=1),
    ]
    return model(nodes, constants, [1, 72])


def save(proto: ModelProto, path: Path) -> Path:
    """The model as a file."""
    path.write_bytes(proto.SerializeToString())
    return path
