"""Reading ONNX files: constants from everywhere, and one line for whatever is wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx_graphs
import pytest
from onnx import ModelProto, TensorProto, external_data_helper, helper, load, numpy_helper

from sterna.imports import ModelFileError, import_model
from sterna.imports.graph import graph_of, read_graph


def changed(path: Path, change: Callable[[ModelProto], object]) -> Path:
    """The perceptron's file after a change."""
    proto = onnx_graphs.perceptron()
    change(proto)
    return onnx_graphs.save(proto, path)


def initializer(proto: ModelProto, name: str) -> TensorProto:
    return next(tensor for tensor in proto.graph.initializer if tensor.name == name)


def test_constants_are_initializers_nodes_or_listed_inputs(tmp_path: Path) -> None:
    plain = read_graph(onnx_graphs.save(onnx_graphs.perceptron(), tmp_path / "plain.onnx"))

    def move(proto: ModelProto) -> None:
        tensor = initializer(proto, "w1")
        moved = TensorProto.FromString(tensor.SerializeToString())
        proto.graph.node.insert(0, helper.make_node("Constant", [], ["w1"], value=moved))
        proto.graph.initializer.remove(tensor)
        listed = initializer(proto, "w2")
        proto.graph.input.append(helper.make_tensor_value_info("w2", TensorProto.FLOAT, list(listed.dims)))

    other = read_graph(changed(tmp_path / "other.onnx", move))
    assert list(other.inputs) == ["x"]
    assert {node.name for node in other.nodes} == {node.name for node in plain.nodes}
    for name in ("w1", "w2"):
        assert (other.constants[name] == plain.constants[name]).all()
    digests = {import_model(tmp_path / name).network.digest for name in ("plain.onnx", "other.onnx")}
    assert len(digests) == 1


def test_nodes_may_stand_in_any_order(tmp_path: Path) -> None:
    def turn(proto: ModelProto) -> None:
        nodes = list(proto.graph.node)[::-1]
        del proto.graph.node[:]
        proto.graph.node.extend(nodes)

    graph = read_graph(changed(tmp_path / "a.onnx", turn))
    assert [node.outputs[0] for node in graph.nodes] == ["x_q", "s1", "t1", "h", "y"]


def test_external_data(tmp_path: Path) -> None:
    path = onnx_graphs.save(onnx_graphs.perceptron(), tmp_path / "a.onnx")
    plain = read_graph(path)
    proto = load(path)
    external_data_helper.convert_model_to_external_data(proto, location="weights.bin", size_threshold=0)
    import onnx

    onnx.save(proto, tmp_path / "b.onnx")
    graph = read_graph(tmp_path / "b.onnx")
    assert (graph.constants["w1"] == plain.constants["w1"]).all()
    content = (tmp_path / "weights.bin").read_bytes()
    (tmp_path / "weights.bin").write_bytes(content[:10])
    with pytest.raises(ModelFileError, match=r"b\.onnx: initializer '\w+': its external file 'weights\.bin' does not"):
        read_graph(tmp_path / "b.onnx")
    (tmp_path / "weights.bin").unlink()
    with pytest.raises(ModelFileError, match=r"external file 'weights\.bin' is missing; put it beside the model"):
        read_graph(tmp_path / "b.onnx")


def test_annotations_are_kept(tmp_path: Path) -> None:
    def annotate(proto: ModelProto) -> None:
        entry = proto.graph.quantization_annotation.add()
        entry.tensor_name = "x"
        parameter = entry.quant_parameter_tensor_names.add()
        parameter.key, parameter.value = "finn_datatype", "INT4"

    assert read_graph(changed(tmp_path / "a.onnx", annotate)).datatypes == {"x": "INT4"}


def _loop(proto: ModelProto) -> None:
    proto.graph.node[1].input[0] = "h"


def _nowhere(proto: ModelProto) -> None:
    proto.graph.initializer.remove(initializer(proto, "b1"))


def _huge(proto: ModelProto) -> None:
    initializer(proto, "w1").dims[0] = 2**40


def _negative(proto: ModelProto) -> None:
    initializer(proto, "w1").dims[0] = -6


def _complex(proto: ModelProto) -> None:
    initializer(proto, "w1").data_type = TensorProto.COMPLEX64


def _outside(proto: ModelProto) -> None:
    tensor = initializer(proto, "w1")
    external_data_helper.set_external_data(tensor, location="../../etc/passwd")
    tensor.data_location = TensorProto.EXTERNAL


def _twice(proto: ModelProto) -> None:
    proto.graph.node[1].output[0] = "x_q"


def _no_output(proto: ModelProto) -> None:
    proto.graph.output[0].name = "z"


def _no_shape(proto: ModelProto) -> None:
    proto.graph.input[0].type.tensor_type.ClearField("shape")


def _large_input(proto: ModelProto) -> None:
    proto.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 2**40


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_loop, "node 'make_s1' is in or behind a cycle"),
        (_nowhere, "input 'b1' of node 'make_t1' comes from nowhere"),
        (_huge, r"initializer 'w1': its shape \(1099511627776, 5\) needs 21990232555520 bytes, and there are 120"),
        (_negative, r"initializer 'w1': its shape must be at most 8 sizes, none negative, not \[-6, 5\]"),
        (_complex, "initializer 'w1': elements of type COMPLEX64 are not understood"),
        (_outside, "must lie in the model's folder, not at '../../etc/passwd'"),
        (_twice, "tensor 'x_q' is made twice, the second time by 'make_s1'"),
        (_no_output, "output 'z' is computed by no node"),
        (_no_shape, "input 'x': its shape is not given"),
        (_large_input, r"input 'x': its shape \(1, 1099511627776\) is too large, or negative"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, change: Callable[[ModelProto], None], message: str) -> None:
    path = changed(tmp_path / "a.onnx", change)
    with pytest.raises(ModelFileError, match=message) as caught:
        read_graph(path)
    assert str(caught.value).startswith(f"{path}: ")


def test_what_is_no_model_is_said(tmp_path: Path) -> None:
    path = tmp_path / "a.onnx"
    for content, message in ((b"{}", "not a whole ONNX file"), (b"", "there is no graph with nodes in it")):
        path.write_bytes(content)
        with pytest.raises(ModelFileError, match=message):
            read_graph(path)
    whole = onnx_graphs.perceptron().SerializeToString()
    path.write_bytes(whole[:-20])
    with pytest.raises(ModelFileError, match="not a whole ONNX file"):
        read_graph(path)
    with pytest.raises(FileNotFoundError):
        read_graph(tmp_path / "none.onnx")


@pytest.mark.parametrize("dtype", ["f4", "f8", "f2", "i8", "i4", "i2", "i1", "u1", "u2", "u4", "u8", "?"])
@pytest.mark.parametrize("raw", [True, False])
def test_types_of_constants(dtype: str, raw: bool, tmp_path: Path) -> None:
    values = np.array([[0, 1, 2], [3, 4, 5]]).astype(dtype)
    if raw:
        tensor = numpy_helper.from_array(values, "c")
    else:
        tensor = helper.make_tensor("c", helper.np_dtype_to_tensor_dtype(values.dtype), values.shape, values.ravel())
    proto = onnx_graphs.perceptron()
    proto.graph.initializer.append(tensor)
    found = graph_of(proto, tmp_path).constants["c"]
    assert found.dtype == values.dtype
    assert (found == values).all()
