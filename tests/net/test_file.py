import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save_file

from sterna.net import FORMAT_VERSION, ActivationType, FileFormatError, Linear, Network, Thresholds, load, save
from sterna.sim.golden import GoldenModel

DATA = Path(__file__).parent / "data"
SAMPLES = [DATA / f"version_{version}.safetensors" for version in range(1, FORMAT_VERSION + 1)]
SAMPLE = SAMPLES[-1]
PLAIN_DIGEST = "7b94e344609535712cd974378f7979506a4c96bf2be07977b3a8400ffce5efe3"
DIGESTS = {1: PLAIN_DIGEST, 2: PLAIN_DIGEST, 3: "15f14c8fbcebed00571a319daacf6c015a0dcd1df8af52b57e8d96ef5d4984f1"}
MODELS = sorted((Path(__file__).parents[2] / "models").glob("*.safetensors"))


@pytest.fixture
def tiny():
    u1 = ActivationType(1, False)
    return Network(
        input_shape=(2,),
        input_type=u1,
        input_scale=0.1,
        nodes=[
            Linear(name="a", weights=[[1, -1]], requantize=Thresholds(output=u1, levels=[[1]])),
            Linear(name="b", weights=[[1], [-1]], bias=[0, 1]),
        ],
        metadata={"seed": 3, "log": [0.5, None]},
    )


def read(path):
    with safe_open(path, framework="numpy") as file:
        header = json.loads(file.metadata()["sterna"])
        return header, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (it is no mapping)


def write(path, header, tensors):
    save_file(tensors, path, metadata={"sterna": json.dumps(header)})


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.stem)
def test_every_version_keeps_loading(sample):
    network = load(sample)
    version = int(sample.stem[-1])
    assert read(sample)[0]["version"] == version
    assert network.digest == DIGESTS[version]
    assert network.metadata == {"recipe": "none", "seed": 1}
    x = (np.arange(3 * 72) * 7 % 16).reshape(3, 2, 6, 6)
    assert GoldenModel(network).predict(x).tolist() == [[7, -2, -4], [6, -1, -5], [7, -2, -4]]
    assert [type(node).__name__ for node in network.nodes] == [
        "Conv2d", "Conv2d", "Add", "MaxPool2d", "SumPool2d", "Flatten", "Linear",
    ]  # fmt: skip
    assert str(network.types["stem"]) == "s3"
    assert network.node("branch").groups == 2
    assert network.input_scale == 1 / 15
    assert network.input_rule.is_plain == (version < 3)


def test_the_input_rule_of_version_3_comes_back():
    rule = load(DATA / "version_3.safetensors").input_rule
    assert (rule.range, rule.gain, rule.offset) == ((1, 14), (0.5, 2.0), (0.1,))


@pytest.mark.parametrize("path", [*SAMPLES[1:], *MODELS], ids=lambda path: path.stem)
def test_a_file_is_written_again_byte_for_byte(tmp_path, path):
    save(load(path), tmp_path / "copy.safetensors")
    assert (tmp_path / "copy.safetensors").read_bytes() == path.read_bytes()


def test_version_1_is_written_again_as_version_2(tmp_path):
    save(load(SAMPLES[0]), tmp_path / "copy.safetensors")
    assert (tmp_path / "copy.safetensors").read_bytes() == SAMPLES[1].read_bytes()


def test_every_node_kind_comes_back(tmp_path):
    network = load(SAMPLE)
    save(network, tmp_path / "copy.safetensors")
    copy = load(tmp_path / "copy.safetensors")
    assert copy.digest == network.digest
    assert copy.metadata == network.metadata
    assert dict(copy.types) == dict(network.types)
    assert dict(copy.accumulators) == dict(network.accumulators)
    assert [node.inputs for node in copy.nodes] == [node.inputs for node in network.nodes]
    x = np.random.default_rng(0).integers(0, 16, size=(5, 2, 6, 6))
    assert np.array_equal(GoldenModel(copy).predict(x), GoldenModel(network).predict(x))


def test_loaded_arrays_are_read_only(tmp_path, tiny):
    save(tiny, tmp_path / "tiny.safetensors")
    with pytest.raises(ValueError, match="read-only"):
        load(tmp_path / "tiny.safetensors").node("a").weights[0, 0] = 0


def test_a_path_may_be_a_string_and_a_file_is_replaced(tmp_path, tiny):
    path = tmp_path / "tiny.safetensors"
    path.write_text("old")
    save(tiny, str(path))
    assert load(str(path)).digest == tiny.digest
    assert os.listdir(tmp_path) == ["tiny.safetensors"]


def test_the_same_bytes_from_every_process(tmp_path, tiny):
    save(tiny, tmp_path / "a.safetensors")
    program = "import sys; from sterna.net import load, save; save(load(sys.argv[1]), sys.argv[2])"
    paths = [str(tmp_path / "a.safetensors"), str(tmp_path / "b.safetensors")]
    subprocess.run([sys.executable, "-c", program, *paths], check=True)
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()


def test_a_failed_save_leaves_the_old_file_and_nothing_else(tmp_path, tiny, monkeypatch):
    path = tmp_path / "tiny.safetensors"
    path.write_text("old")

    def fail(self, target):
        raise OSError("disk full")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        save(tiny, path)
    assert (path.read_text(), os.listdir(tmp_path)) == ("old", ["tiny.safetensors"])


def test_save_errors(tmp_path, tiny):
    with pytest.raises(TypeError, match=r"^network must be a Network, not 3$"):
        save(3, tmp_path / "x")
    with pytest.raises(FileNotFoundError):
        save(tiny, tmp_path / "none" / "tiny.safetensors")


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(FileNotFoundError, match="absent"):
        load(tmp_path / "absent.safetensors")
    with pytest.raises(IsADirectoryError):
        load(tmp_path)


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.stem)
def test_every_truncation_is_refused(tmp_path, sample):
    content = sample.read_bytes()
    path = tmp_path / "cut.safetensors"
    for length in [0, 1, 7, 8, 9, *range(10, len(content), 97), len(content) - 1]:
        path.write_bytes(content[:length])
        with pytest.raises(FileFormatError, match=f"^{re.escape(str(path))}: not a whole safetensors file: "):
            load(path)


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.stem)
def test_every_changed_byte_of_a_tensor_is_refused(tmp_path, sample):
    content = bytearray(sample.read_bytes())
    start = 8 + int.from_bytes(content[:8], "little")
    path = tmp_path / "changed.safetensors"
    for position in range(start, len(content), 5):
        changed = content.copy()
        changed[position] ^= 1
        path.write_bytes(changed)
        with pytest.raises(FileFormatError, match=f"^{re.escape(str(path))}: "):
            load(path)


def test_other_files_are_refused(tmp_path):
    path = tmp_path / "other.safetensors"
    path.write_bytes(b"PK\x03\x04" * 50)
    with pytest.raises(FileFormatError, match="not a whole safetensors file"):
        load(path)
    for metadata in (None, {"format": "pt"}):
        save_file({"w": np.zeros(2)}, path, metadata=metadata)
        with pytest.raises(FileFormatError, match=r": its metadata has no 'sterna' entry, so it holds no network$"):
            load(path)
    save_file({"w": np.zeros(2)}, path, metadata={"sterna": "{"})
    with pytest.raises(FileFormatError, match=r": its header is no JSON: "):
        load(path)


def edit(**fields):
    """Changes fields of the header; ``None`` removes one."""

    def change(header, tensors):
        for field, value in fields.items():
            place = header
            *path, last = (int(step) if step.isdigit() else step for step in field.split("__"))
            for step in path:
                place = place[step]
            if value is None:
                del place[last]
            else:
                place[last] = value

    return change


def tensor(name, value):
    """Changes a tensor; ``None`` removes it."""

    def change(header, tensors):
        tensors.pop(name, None)
        if value is not None:
            tensors[name] = value

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (edit(version=4), rf"its format version is 4, and this Sterna reads versions 1 to {FORMAT_VERSION}"),
        (edit(version=0), rf"its format version is 0, and this Sterna reads versions 1 to {FORMAT_VERSION}"),
        (edit(version="1"), rf"its format version is '1', and this Sterna reads versions 1 to {FORMAT_VERSION}"),
        (edit(version=3), r"input lacks the field 'range'"),
        (edit(input__gain=[1.0]), r"input has an unknown field 'gain'"),
        (edit(version=1), r"tensor 'a\.weights' must be I8, not U8"),
        (edit(version=None), r"its header lacks the field 'version'"),
        (edit(digest=None), r"its header lacks the field 'digest'"),
        (edit(extra=1), r"its header has an unknown field 'extra'"),
        (edit(digest="0"), r"digest must be 64 hexadecimal digits, not '0'"),
        (edit(digest="0" * 64), r"its digest is [0-9a-f]{64}, but its header says 0{64}: it was changed"),
        (edit(input__scale=0.2), r"its digest is [0-9a-f]{64}, but its header says [0-9a-f]{64}: it was changed"),
        (edit(input__scale=-1), r"input_scale must be a positive number, not -1"),
        (edit(input__shape=[0]), r"input_shape must be a positive integer, not 0"),
        (edit(input__shape=None), r"input lacks the field 'shape'"),
        (edit(input=[1]), r"input must be an object, not \[1\]"),
        (edit(input__type__width=9), r"type of the input: width must be an integer from 1 to 8, not 9"),
        (edit(input__type__signed=None), r"type of the input lacks the field 'signed'"),
        (edit(input__type="u4"), r"type of the input must be an object, not 'u4'"),
        (edit(metadata=3), r"metadata must be a mapping, not 3"),
        (edit(nodes={}), r"nodes must be a list"),
        (edit(nodes__0=3), r"node 0 must be an object with a name"),
        (edit(nodes__1__name=None), r"node 1 must be an object with a name"),
        (edit(nodes__0__name="c"), r"node 'c' lacks the tensor 'weights'"),
        (edit(nodes__0__weights=None), r"weights of node 'a' must be their shape, a list of sizes, not None"),
        (edit(nodes__0__weights=2), r"weights of node 'a' must be their shape, a list of sizes, not 2"),
        (edit(nodes__0__weights=[1, -1]), r"weights of node 'a' must be their shape, .*, not \[1, -1\]"),
        (edit(nodes__0__weights=[1, 6]), r"tensor 'a\.weights' must have shape \(2,\) for 6 weights, not \(1,\)"),
        (edit(nodes__0__weights=[1, 1]), r"tensor 'a\.weights' must end in zeros"),
        (edit(nodes__0__kind="dense"), r"kind of node 'a' must be one of linear, conv2d, .*, add, not 'dense'"),
        (edit(nodes__0__kind=None), r"kind of node 'a' must be one of linear, .*, not None"),
        (edit(nodes__0__inputs=None), r"node 'a' lacks the field 'inputs'"),
        (edit(nodes__0__inputs=["x"]), r"input 'x' of node 'a' is neither 'input' nor an earlier node"),
        (edit(nodes__0__inputs="x"), r"inputs of node 'a' must be a tuple of node names, not 'x'"),
        (edit(nodes__0__kind="flatten"), r"node 'a' has an unknown field '(requantize|weights)'"),
        (edit(nodes__0__dilation=2), r"node 'a' has an unknown field 'dilation'"),
        (edit(nodes__0__kind="conv2d"), r"node 'a' lacks the field 'stride'"),
        (edit(nodes__0__requantize=3), r"requantize of node 'a' must be an object, not 3"),
        (
            edit(nodes__0__requantize__kind="relu"),
            r"kind of requantize of node 'a' must be thresholds or shift_round, not 'relu'",
        ),
        (edit(nodes__0__requantize__kind="shift_round"), r"node 'a' lacks the tensor 'requantize.bias'"),
        (
            edit(nodes__0__requantize__output__width=0),
            r"output of requantize of node 'a': width must be an integer from 1 to 8, not 0",
        ),
        (
            edit(nodes__0__requantize__output__width=2),
            r"requantize of node 'a': levels for u2 must have shape \(channels, 3\), not \(1, 1\)",
        ),
        (
            tensor("a.weights", np.array([243], dtype=np.uint8)),
            r"tensor 'a\.weights' must be bytes from 0 to 242, not 243",
        ),
        (tensor("a.weights", np.array([1.0])), r"tensor 'a\.weights' must be U8, not F64"),
        (tensor("a.weights", np.array([[1, 0]], dtype=np.int8)), r"tensor 'a\.weights' must be U8, not I8"),
        (tensor("b.bias", np.zeros(2, dtype=np.int8)), r"tensor 'b\.bias' must be I32, not I8"),
        (tensor("a.weights", None), r"node 'a' lacks the tensor 'weights'"),
        (
            tensor("b.bias", np.zeros(3, dtype=np.int32)),
            r"bias of node 'b' must have shape \(2,\), not \(3,\)",
        ),
        (tensor("b.bias", None), r"its digest is .*: it was changed"),
        (tensor("a.requantize.levels", None), r"node 'a' lacks the tensor 'requantize.levels'"),
        (tensor("a.scale", np.zeros(1, dtype=np.int32)), r"node 'a' has an unknown tensor 'scale'"),
        (tensor("z.weights", np.zeros(1, dtype=np.uint8)), r"tensor 'z\.weights' belongs to no node"),
        (tensor("z", np.zeros(1, dtype=np.int32)), r"tensor 'z' belongs to no node"),
    ],
)
def test_bad_contents_are_named(tmp_path, tiny, change, message):
    path = tmp_path / "bad.safetensors"
    save(tiny, path)
    header, tensors = read(path)
    change(header, tensors)
    write(path, header, tensors)
    with pytest.raises(FileFormatError, match=f"^{re.escape(str(path))}: {message}$"):
        load(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (edit(input__range=None), r"input lacks the field 'range'"),
        (edit(input__offset=None), r"input lacks the field 'offset'"),
        (edit(input__mean=[1]), r"input has an unknown field 'mean'"),
        (edit(version=2), r"input has an unknown field 'gain'"),
        (edit(input__range=3), r"range of the input must be a list of numbers, not 3"),
        (edit(input__gain=3), r"gain of the input must be a list of numbers, not 3"),
        (edit(input__range=[0, 16]), r"input_range must be an integer from 0 to 15, not 16"),
        (edit(input__range=[0, 1, 2]), r"input_range must be two integers, not 3"),
        (edit(input__gain=[1, 2, 3]), r"input_gain must be one number, or one for each of 2 channels, not \(3,\)"),
        (edit(input__offset=["1"]), r"input_offset must be numbers, not \['1'\]"),
        (edit(input__offset=[[1], 2]), r"input_offset must be an array: .*"),
        (edit(input__range=[1, 13]), r"its digest is .*: it was changed"),
        (edit(input__gain=[0.5]), r"its digest is .*: it was changed"),
        (edit(input__offset=[0.2]), r"its digest is .*: it was changed"),
    ],
)
def test_bad_input_rules_are_named(tmp_path, change, message):
    path = tmp_path / "bad.safetensors"
    header, tensors = read(DATA / "version_3.safetensors")
    change(header, tensors)
    write(path, header, tensors)
    with pytest.raises(FileFormatError, match=f"^{re.escape(str(path))}: {message}$"):
        load(path)


def test_the_header_is_plain_json_beside_plain_tensors(tmp_path, tiny):
    path = tmp_path / "tiny.safetensors"
    save(tiny, path)
    header, tensors = read(path)
    assert header == {
        "version": 2,
        "digest": tiny.digest,
        "input": {"shape": [2], "type": {"width": 1, "signed": False}, "scale": 0.1},
        "nodes": [
            {
                "name": "a",
                "kind": "linear",
                "inputs": ["input"],
                "weights": [1, 2],
                "requantize": {"kind": "thresholds", "output": {"width": 1, "signed": False}},
            },
            {"name": "b", "kind": "linear", "inputs": ["a"], "weights": [2, 1]},
        ],
        "metadata": {"seed": 3, "log": [0.5, None]},
    }
    assert {name: (array.dtype.name, array.tolist()) for name, array in tensors.items()} == {
        "a.weights": ("uint8", [2 + 0 * 3 + 1 * 9 + 1 * 27 + 1 * 81]),
        "a.requantize.levels": ("int32", [[1]]),
        "b.weights": ("uint8", [2 + 0 * 3 + 1 * 9 + 1 * 27 + 1 * 81]),
        "b.bias": ("int32", [0, 1]),
    }
