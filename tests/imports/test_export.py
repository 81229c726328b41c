import json
import warnings
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from sterna.imports.export import DIGEST_KEY, EXACT, NETWORK_KEY, export_qonnx, to_qonnx
from sterna.imports.restore import restore_network
from sterna.net import (
    ActivationType,
    Add,
    Conv2d,
    Linear,
    Network,
    ShiftRound,
    SumPool2d,
    Thresholds,
    load,
)
from sterna.sim.golden import GoldenModel
from sterna.sim.random_networks import random_dense_network, random_frames, random_map_network
from sterna.sim.random_residual import random_residual_network

MODELS = sorted((Path(__file__).parents[2] / "models").glob("*.safetensors"))
S1, U1, U4, S4, U8 = (ActivationType(*type) for type in ((1, True), (1, False), (4, False), (4, True), (8, False)))
KINDS = [random_dense_network, random_map_network, random_residual_network]


def execute(model, x, name="input"):
    """All tensors by name, as qonnx computes them: other people's code, the judge of the export."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # qonnx's own
        from qonnx.core.modelwrapper import ModelWrapper
        from qonnx.core.onnx_exec import execute_onnx

        return execute_onnx(ModelWrapper(model, make_deepcopy=True), {name: x}, return_full_exec_context=True)


def differences(network, model, x):
    """How many values of each node, and of the input's codes, differ from the golden model's; empty if none does."""
    x = x.astype(np.float32)
    found = execute(model, x)
    wanted = {"input.codes": network.quantize(x)} | GoldenModel(network).trace(x, real=True)
    for name, values in wanted.items():
        assert found[name].shape == values.shape, name
    counts = {name: int((found[name] != values).sum()) for name, values in wanted.items()}
    return {name: count for name, count in counts.items() if count}


def network(*nodes, shape=(2,), type=S4, scale=1.0, **more):
    return Network(input_shape=shape, input_type=type, input_scale=scale, nodes=nodes, **more)


def fc(**more):
    return Linear(**{"name": "fc", "weights": [[1, -1]]} | more)


def check(network, x):
    """qonnx computes every node's values, and the file is the network again."""
    model = onnx.load_from_string(to_qonnx(network, batch=len(x)).SerializeToString())
    onnx.checker.check_model(model, full_check=True)
    assert differences(network, model, x) == {}
    restored = restore_network(model)
    assert restored is not None
    assert restored.digest == network.digest
    assert restored.metadata == network.metadata


@pytest.mark.parametrize("make", KINDS)
def test_random_networks(make):
    for seed in range(12):
        rng = np.random.default_rng(seed)
        drawn = make(rng)
        check(drawn, random_frames(rng, drawn, 5))


@pytest.mark.slow
@pytest.mark.parametrize("make", KINDS)
def test_many_random_networks(make):
    for seed in range(1000, 1100):
        rng = np.random.default_rng(seed)
        drawn = make(rng)
        check(drawn, random_frames(rng, drawn, 8))


@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.stem)
def test_committed_networks(path):
    committed = load(path)
    rng = np.random.default_rng(0)
    high = committed.input_scale * committed.input_type.max
    check(committed, rng.uniform(-0.1 * high, 1.1 * high, (3, *committed.input_shape)))


def test_other_tools_see_codes_and_ternary_weights():
    """qonnx's cleanup and its inference of data types, as FINN begins with."""
    committed = load(next(path for path in MODELS if path.stem == "digits-mlp"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from qonnx.core.modelwrapper import ModelWrapper
        from qonnx.transformation.infer_datatypes import InferDataTypes
        from qonnx.util.cleanup import cleanup_model

        cleaned = cleanup_model(ModelWrapper(to_qonnx(committed))).transform(InferDataTypes())
    types = {node.op_type: set() for node in cleaned.graph.node}
    for node in cleaned.graph.node:
        types[node.op_type].add(str(cleaned.get_tensor_datatype(node.output[0])))
    assert types["MultiThreshold"] == {"UINT4"}
    assert types["Quant"] == {"UINT4", "INT2"}
    assert types["MatMul"] == {"INT32"}
    x = np.random.default_rng(0).uniform(0, 17, (1, 64)).astype(np.float32)
    scores = execute(cleaned.model, x, name=cleaned.graph.input[0].name)[cleaned.graph.output[0].name]
    assert scores.tolist() == GoldenModel(committed).predict(x, real=True).tolist()


@pytest.mark.parametrize(
    "rule",
    [
        {"input_scale": 0.1},
        {"input_range": (-7, 7)},
        {"input_range": (-6, 3)},
        {"input_type": U4, "input_range": (0, 14), "input_scale": 0.3},
        {"input_type": U4, "input_range": (1, 15)},
        {"input_type": S1, "input_scale": 0.7},
        {"input_type": U1},
        {"input_type": U8, "input_scale": 1 / 255},
        {"input_gain": 0.1, "input_offset": -0.3, "input_scale": 0.07},
        {"input_gain": [0.3, -1.7], "input_range": (-2, 3)},
        {"input_offset": [0.5, 0.1], "input_scale": 1 / 3},
    ],
)
def test_input_rules(rule):
    """Real inputs of all sizes, halves of the rule among them, as near as float32 comes."""
    rng = np.random.default_rng(3)
    arguments = {"input_shape": (2, 3, 5), "input_type": S4, "input_scale": 1.0} | rule
    made = Network(nodes=[Conv2d(name="c", weights=rng.integers(-1, 2, (3, 2, 2, 2)))], **arguments)
    parts = made.input_rule
    gain, offset = (np.reshape(values, (-1, 1, 1)) for values in (parts.gain, parts.offset))
    steps = rng.integers(-40, 560, (64, 2, 3, 5)) / 2
    x = ((steps * parts.scale - offset) / gain).astype(np.float32)
    x[32:] = np.nextafter(x[32:], np.float32(np.inf))
    check(made, x)


def test_corners_of_requantizers():
    first = Thresholds(output=S1, levels=[[-(2**31)], [2**31 - 1], [3]])
    halves = ShiftRound(output=S1, bias=[0, -1, 2], shift=[0, 1, 3])
    w = [[1, -1], [1, 1], [0, 0]]
    x = np.array([[a, b] for a in range(-8, 8) for b in range(-8, 8)])
    check(network(fc(weights=w, requantize=first), Linear(name="last", weights=[[1, 1, -1]])), x)
    check(network(fc(weights=w, requantize=halves, bias=[0, 0, 0]), Linear(name="last", weights=[[1, 1, -1]])), x)
    check(network(fc(weights=w, requantize=ShiftRound(output=U1, bias=1, shift=2))), x)


def test_levels_that_float32_rounds_come_back():
    levels = np.array([[-(2**31) + 1, -EXACT - 1, 2**30 + 3], [0, 1, 2**31 - 1]])
    requantize = Thresholds(output=ActivationType(2, False), levels=levels)
    check(network(fc(weights=[[1, 1], [1, -1]], requantize=requantize)), np.array([[1, 2], [-8, 7], [7, -8]]))


@pytest.mark.parametrize("kernel", [(7, 7), (1, 7), (11, 1), (3, 3), (2, 4)])
def test_sums_of_windows_are_exact_where_their_average_is_not(kernel):
    x = np.random.default_rng(1).integers(0, 256, (200, 1, 12, 9))
    check(network(SumPool2d(name="pool", kernel=kernel, stride=1), shape=(1, 12, 9), type=U8), x)


def codes(width, **more):
    """A dense layer that gives codes of ``width`` bits: the first of two features, as it is."""
    levels = [list(range(1, 2**width))]
    return fc(
        **{"weights": [[1, 0]], "requantize": Thresholds(output=ActivationType(width, False), levels=levels)} | more
    )


def biased_map(bias):
    """One pixel's code and a bias, at each pixel of a map."""
    return Conv2d(name="map", weights=[[[[1]]]], bias=[bias])


@pytest.mark.parametrize(
    ("make", "most", "reached"),
    [
        (lambda n: network(fc(weights=[[1, 1]], bias=[n]), type=U8), EXACT - 511, EXACT),
        (lambda n: network(fc(weights=[[-1, -1]], bias=[-n]), type=U8), EXACT - 511, EXACT),
        (
            lambda n: network(fc(weights=[[1, 1]], requantize=ShiftRound(output=U8, bias=n, shift=16)), type=U8),
            EXACT - 1 - 510 - 2**15,
            EXACT,
        ),
        (
            lambda n: network(codes(8), Add(name="sum", inputs=("fc", "fc", "fc"), shifts=(16, n, n - 1)), type=U8),
            7,
            (255 << 16) + (255 << 8) + (255 << 7),
        ),
        (
            lambda n: network(biased_map(n), SumPool2d(name="pool", kernel=3), shape=(1, 5, 6), type=U1),
            (2**20 - 1) // 9 - 1,
            9 * ((2**20 - 1) // 9 + 1),
        ),
        (
            lambda n: network(biased_map(n), SumPool2d(name="pool", kernel=2, padding=1), shape=(1, 5, 6), type=U1),
            EXACT // 4 - 2,
            EXACT,
        ),
    ],
)
def test_sums_are_exact_to_the_limit_and_refused_beyond(make, most, reached):
    made = make(most)
    x = np.random.default_rng(0).integers(0, made.input_type.max + 1, (64, *made.input_shape))
    x[0], x[1] = 0, made.input_type.max
    check(made, x)
    limit = 2**20 if reached < EXACT - 2**20 else EXACT
    name = make(most + 1).output_name
    message = rf"^node '{name}': its sums may reach {reached}, and the float32 of ONNX is exact below {limit} there$"
    with pytest.raises(ValueError, match=message):
        to_qonnx(make(most + 1))


def test_errors(tmp_path):
    made = network(fc())
    with pytest.raises(TypeError, match=r"^network must be a Network, not 3$"):
        to_qonnx(3)
    with pytest.raises(ValueError, match=r"^batch must be an integer from 1 to 1048576, not 0$"):
        to_qonnx(made, batch=0)
    refused = network(fc(bias=[EXACT]))
    (tmp_path / "a.onnx").write_text("as it was")
    with pytest.raises(ValueError, match=r"^node 'fc': its sums may reach"):
        export_qonnx(refused, tmp_path / "a.onnx")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("a.onnx", "as it was")]


def test_a_file_is_written_with_the_same_bytes_each_time(tmp_path):
    made = network(codes(3), fc(name="last", weights=[[-1]]), metadata={"seed": 3})
    export_qonnx(made, tmp_path / "a.onnx", batch=2)
    export_qonnx(made, str(tmp_path / "b.onnx"), batch=2)
    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()
    model = onnx.load(tmp_path / "a.onnx")
    properties = {entry.key: entry.value for entry in model.metadata_props}
    assert properties[DIGEST_KEY] == made.digest
    assert json.loads(properties[NETWORK_KEY])["metadata"] == {"seed": 3}
    assert differences(made, model, np.array([[7, 0], [-8, 0]])) == {}


def changed(model, change):
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    change(copy)
    return copy


def constant(name, value, dtype=np.float32):
    """Changes an initializer."""

    def change(model):
        (tensor,) = (tensor for tensor in model.graph.initializer if tensor.name == name)
        tensor.CopyFrom(numpy_helper.from_array(np.array(value, dtype), name))

    return change


def properties(**entries):
    """Changes metadata; ``None`` removes it."""

    def change(model):
        held = {entry.key: entry.value for entry in model.metadata_props}
        held |= {f"sterna_{key}": value for key, value in entries.items()}
        onnx.helper.set_model_props(model, {key: value for key, value in held.items() if value is not None})

    return change


def edit_header(change):
    """Changes the header of the network."""

    def edit(model):
        (entry,) = (entry for entry in model.metadata_props if entry.key == NETWORK_KEY)
        header = json.loads(entry.value)
        change(header)
        entry.value = json.dumps(header)

    return edit


@pytest.mark.parametrize(
    "change",
    [
        constant("fc.weights", [[1, 1], [0, -1]]),
        constant("fc.weights", [[0.5, 1], [0, 1]]),
        constant("fc.weights", [[np.nan, 1], [0, 1]]),
        constant("fc.weights", [[1, 1], [0, 1]], np.float64),
        constant("fc.bias", [[3, 5]]),
        constant("fc.step", [[0.25, 0.3]]),
        constant("fc.step", [[0.25, 0]]),
        constant("last.levels", [[0, 1, 3]]),
        constant("last.levels", [0, 1, 2]),
        constant("fc.one", 2),
        lambda model: model.graph.initializer.pop(),
        lambda model: model.graph.node.pop(),
        lambda model: setattr(model.graph.node[0], "op_type", "Relu"),
        lambda model: model.graph.node[-1].attribute.pop(),
        lambda model: model.graph.input.pop(),
        lambda model: setattr(model.graph.input[0].type.tensor_type.shape.dim[0], "dim_value", 0),
        lambda model: model.graph.input[0].type.Clear(),
        lambda model: setattr(model.graph.initializer[0], "data_location", onnx.TensorProto.EXTERNAL),
        properties(digest="0" * 64),
        properties(digest=None),
        properties(network=None),
        properties(network="{"),
        properties(network="[" * 100000),
        properties(network="3"),
        edit_header(lambda header: header.pop("input")),
        edit_header(lambda header: header.update(nodes=3)),
        edit_header(lambda header: header.update(input=3)),
        edit_header(lambda header: header["nodes"].append(3)),
        edit_header(lambda header: header["nodes"].pop()),
        edit_header(lambda header: header["nodes"][0].pop("rounded_levels")),
        edit_header(lambda header: header["nodes"][1].update(rounded_levels=[[0, 0, 5]])),
        edit_header(lambda header: header["nodes"][1].update(rounded_levels=[[0, 9, 5]])),
        edit_header(lambda header: header["nodes"][1].update(rounded_levels=[3])),
        edit_header(lambda header: header["nodes"][0].update(name=3)),
        edit_header(lambda header: header["input"].update(scale=2.0)),
    ],
)
def test_a_changed_model_is_not_restored(change):
    made = network(
        fc(weights=[[1, 0], [1, 1]], bias=[3, 4], requantize=ShiftRound(output=U4, bias=1, shift=[2, 1])),
        Linear(
            name="last", weights=[[1, -1]], requantize=Thresholds(output=ActivationType(2, False), levels=[[0, 1, 2]])
        ),
    )
    model = to_qonnx(made)
    assert restore_network(model).digest == made.digest
    names = {tensor.name for tensor in model.graph.initializer}
    assert {"fc.weights", "fc.bias", "fc.step", "fc.one", "last.levels"} < names
    assert restore_network(changed(model, change)) is None


def test_what_is_no_part_of_the_network_may_change():
    made = network(fc(), metadata={"seed": 3})
    edited = changed(to_qonnx(made), edit_header(lambda header: header.update(metadata={"seed": 4})))
    restored = restore_network(edited)
    assert (restored.digest, restored.metadata) == (made.digest, {"seed": 4})
