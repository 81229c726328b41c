import re

import numpy as np
import pytest

from sterna.imports import from_arrays
from sterna.net import (
    ActivationType,
    Add,
    Conv2d,
    FileFormatError,
    Flatten,
    Linear,
    MaxPool2d,
    Network,
    ShiftRound,
    SumPool2d,
    Thresholds,
)

U2, S4 = ActivationType(2, False), ActivationType(4, True)
DENSE = """
[input]
shape = [3]
type = "s4"
scale = 0.125
range = [-7, 7]
gain = 2  # of all features
offset = [0.0, 0.5, -1.0]

[[nodes]]
name = "hidden"
kind = "linear"
weights = "first"
bias = "first_bias"
requantize = { kind = "thresholds", output = "u2", levels = "steps" }

[[nodes]]
name = "scores"
kind = "linear"
weights = "second"

[metadata]
author = "somebody"
"""
ARRAYS = {
    "first": np.array([[1, -1, 0], [0, 1, 1]]),
    "first_bias": np.array([3, -4]),
    "steps": np.array([[-2, 0, 2], [1, 1, 5]]),
    "second": np.array([[1, -1]]),
}


def dense():
    nodes = [
        Linear(
            name="hidden",
            weights=ARRAYS["first"],
            bias=ARRAYS["first_bias"],
            requantize=Thresholds(output=U2, levels=ARRAYS["steps"]),
        ),
        Linear(name="scores", weights=ARRAYS["second"]),
    ]
    rule = {"input_range": (-7, 7), "input_gain": 2, "input_offset": [0, 0.5, -1]}
    return Network(input_shape=(3,), input_type=S4, input_scale=0.125, nodes=nodes, **rule)


def write_folder(folder, manifest=DENSE, **changes):
    """A folder of .csv files; ``None`` leaves an array out, a string is a file's text."""
    folder.mkdir(exist_ok=True)
    for name, array in (ARRAYS | changes).items():
        if isinstance(array, str):
            (folder / f"{name}.csv").write_text(array)
        elif array is not None:
            np.savetxt(folder / f"{name}.csv", np.atleast_2d(array), delimiter=",", fmt="%g")
    if manifest is not None:
        (folder / "manifest.toml").write_text(manifest)
    return folder


def test_a_folder_of_csv(tmp_path):
    network = from_arrays(write_folder(tmp_path / "net"))
    assert network.digest == dense().digest
    assert network.metadata == {"author": "somebody"}


@pytest.mark.parametrize("dtype", [np.int8, np.int64, np.float32])
def test_an_npz_with_its_manifest_beside_it_or_elsewhere(tmp_path, dtype):
    np.savez(tmp_path / "net.npz", **{name: array.astype(dtype) for name, array in ARRAYS.items()})
    (tmp_path / "net.toml").write_text(DENSE)
    assert from_arrays(tmp_path / "net.npz").digest == dense().digest
    (tmp_path / "net.toml").rename(tmp_path / "other.toml")
    assert from_arrays(str(tmp_path / "net.npz"), manifest=tmp_path / "other.toml").digest == dense().digest


def test_every_kind_of_node(tmp_path):
    manifest = """
[[nodes]]
name = "stem"
kind = "conv2d"
weights = "w"
kernel = [3, 1]
padding = [1, 0]
bias = "b"
requantize = { kind = "shift_round", output = "s4", bias = "rb", shift = 2 }
[[nodes]]
name = "branch"
kind = "conv2d"
weights = "deep"
groups = 2
inputs = ["input"]
requantize = { kind = "shift_round", output = "s4", shift = "sh" }
[[nodes]]
name = "join"
kind = "add"
inputs = ["stem", "branch"]
shifts = [1, 0]
[[nodes]]
name = "max"
kind = "max_pool2d"
kernel = 2
stride = 1
padding = 1
[[nodes]]
name = "sum"
kind = "sum_pool2d"
kernel = 3
requantize = { kind = "thresholds", output = "u2", levels = "l" }
[[nodes]]
name = "flat"
kind = "flatten"
[[nodes]]
name = "scores"
kind = "linear"
weights = "fc"
[input]
shape = [2, 3, 5]
type = "u2"
scale = 1
"""
    rng = np.random.default_rng(1)
    weights = rng.integers(-1, 2, (2, 2, 3, 1))
    deep, levels, scores = np.ones((2, 1, 1, 1), int), np.sort(rng.integers(-9, 9, (2, 3)), axis=1), np.ones((3, 4))
    nodes = [
        Conv2d(
            name="stem", weights=weights, padding=(1, 0), bias=[1, -1],
            requantize=ShiftRound(output=S4, bias=[5, 6], shift=2),
        ),
        Conv2d(
            name="branch", inputs=("input",), weights=deep, groups=2,
            requantize=ShiftRound(output=S4, bias=0, shift=[0, 1]),
        ),
        Add(name="join", inputs=("stem", "branch"), shifts=(1, 0)),
        MaxPool2d(name="max", kernel=2, stride=1, padding=1),
        SumPool2d(name="sum", kernel=3, requantize=Thresholds(output=U2, levels=levels)),
        Flatten(name="flat"),
        Linear(name="scores", weights=scores.astype(int)),
    ]  # fmt: skip
    wanted = Network(input_shape=(2, 3, 5), input_type=U2, input_scale=1, nodes=nodes)
    flat = weights.reshape(2, 6)
    np.savez(tmp_path / "a.npz", w=flat, b=[1, -1], rb=[5, 6], deep=deep, sh=[0, 1], l=levels, fc=scores[:, :4])
    (tmp_path / "a.toml").write_text(manifest)
    assert wanted.shapes["flat"] == (4,)
    assert from_arrays(tmp_path / "a.npz").digest == wanted.digest


def test_a_column_is_one_number_a_channel_too(tmp_path):
    folder = write_folder(tmp_path / "net", first_bias="3\n-4\n")
    assert from_arrays(folder).digest == dense().digest


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("[input]", "[input", r"not a TOML file: .*"),
        ("shape = [3]", "", r"input lacks the field 'shape'"),
        ("shape = [3]", "shape = [4]", r"input_offset must be one number, or one for each of 4 channels, not \(3,\)"),
        ('"s4"', '"s9"', r"type of the input must be u1 to u8, or s1 to s8, not 's9'"),
        ('"s4"', "4", r"type of the input must be u1 to u8, or s1 to s8, not 4"),
        ("[-7, 7]", "[-7, 9]", r"input_range must be an integer from -8 to 7, not 9"),
        ("[metadata]", "[extra]", r"the manifest has an unknown field 'extra'"),
        ('name = "hidden"', "", r"node 0 must be a table with a name"),
        ('name = "hidden"', 'name = "a b"', r"node 0: name must be made of letters, .*, not 'a b'"),
        ('kind = "linear"', 'kind = "dense"', r"kind of node 'hidden' must be one of linear, .*, not 'dense'"),
        ('kind = "linear"', "", r"kind of node 'hidden' must be one of linear, .*, not None"),
        ('weights = "first"', "", r"node 'hidden' lacks the field 'weights'"),
        ('weights = "first"', "weights = 3", r"weights of node 'hidden' must be the name of an array, not 3"),
        (
            'weights = "first"',
            'weights = "w"',
            r"weights of node 'hidden': .*net has no array 'w', but first, first_bias, second, steps",
        ),
        ('bias = "first_bias"', "", r"no node names the array 'first_bias' of .*net"),
        ('bias = "first_bias"', 'bias = "steps"', r"bias of node 'hidden' must have shape \(2,\), not \(2, 3\)"),
        ('bias = "first_bias"', "stride = 2", r"node 'hidden' has an unknown field 'stride'"),
        ('"u2"', '"u3"', r"requantize of node 'hidden': levels for u3 must have shape \(channels, 7\), not \(2, 3\)"),
        ('"thresholds"', '"relu"', r"requantize of node 'hidden' must be a table of kind thresholds or .*"),
        ('"thresholds"', '"shift_round"', r"requantize of node 'hidden' lacks the field 'shift'"),
        (', levels = "steps"', "", r"requantize of node 'hidden' lacks the field 'levels'"),
        (
            'kind = "thresholds", output = "u2", levels = "steps"',
            'kind = "shift_round", output = "u2", shift = 32',
            r"requantize of node 'hidden': shift must be between 0 and 31, not 32",
        ),
        ('author = "somebody"', "at = 2000-01-01", r"metadata must be what JSON can hold: .*"),
    ],
)
def test_a_bad_manifest_is_one_line(tmp_path, old, new, message):
    assert old in DENSE
    folder = write_folder(tmp_path / "net", DENSE.replace(old, new, 1))
    with pytest.raises(FileFormatError, match=f"^{re.escape(str(folder / 'manifest.toml'))}: {message}$"):
        from_arrays(folder)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"first": "1,-1,0\n0,0.5,1\n"}, r"manifest\.toml: .* 'hidden': array 'first': must hold .* 0\.5 at \[1, 1\]"),
        ({"first": "1,-1,0\n0,nan,1\n"}, r"manifest\.toml: .*: its numbers must be finite, not nan at \[1, 1\]"),
        ({"first": "1,-1,0\n0,2,1\n"}, r"manifest\.toml: weights of node 'hidden' must be .* not 2 at \[1, 1\]"),
        ({"first": "1,-1,0\n0,1\n"}, r"first\.csv: not rows of numbers with commas between: the number of columns .*"),
        ({"first": "1,x\n"}, r"first\.csv: not rows of numbers with commas between: could not convert string 'x' .*"),
        ({"first": ""}, r"first\.csv: there are no numbers in it"),
        ({"first_bias": "1,1e300"}, r"manifest\.toml: .*: array 'first_bias': must hold .* 1e\+300 at .*"),
        ({"first": None}, r"manifest\.toml: weights of node 'hidden': .*net has no array 'first', but first_bias, .*"),
    ],
)  # fmt: skip
def test_bad_arrays_are_one_line(tmp_path, arrays, message):
    folder = write_folder(tmp_path / "net", **arrays)
    with pytest.raises(FileFormatError, match=f"^{re.escape(str(folder))}.{message}$"):
        from_arrays(folder)


def test_a_kernel_must_divide_the_rows(tmp_path):
    manifest = '[input]\nshape = [1, 3, 3]\ntype = "u1"\nscale = 1\n[[nodes]]\nname = "c"\nkind = "conv2d"\n'
    np.savez(tmp_path / "a.npz", w=np.ones((2, 5), int))
    for kernel, message in [
        ("[2, 2]", r"weights of node 'c' with a kernel of 2 x 2 must have rows of a multiple of 4 .*\(2, 5\)"),
        ("0", r"kernel of node 'c' must be a positive integer, not 0"),
    ]:
        (tmp_path / "a.toml").write_text(manifest + f'weights = "w"\nkernel = {kernel}\n')
        with pytest.raises(FileFormatError, match=rf"a\.toml: {message}$"):
            from_arrays(tmp_path / "a.npz")


def test_files_that_are_none(tmp_path):
    folder = write_folder(tmp_path / "net", None)
    with pytest.raises(FileNotFoundError):
        from_arrays(folder)
    (folder / "manifest.toml").write_bytes(b"a = 1 # \xff")
    with pytest.raises(FileFormatError, match=r"manifest\.toml: byte 0xff at 8 is not UTF-8$"):
        from_arrays(folder)
    (folder / "manifest.toml").write_text("a = " + "[" * 5000)
    with pytest.raises(
        FileFormatError, match=r"manifest\.toml: (its lists or tables are nested too deeply|not a TOML)"
    ):
        from_arrays(folder)
    (folder / "manifest.toml").write_text("a = " + "1" * 5000)
    with pytest.raises(FileFormatError, match=r"manifest\.toml: not a TOML file: "):
        from_arrays(folder)
    (tmp_path / "a.npz").write_text("no archive")
    (tmp_path / "a.toml").write_text(DENSE)
    with pytest.raises(FileFormatError, match=r"a\.npz: not a whole \.npz file"):
        from_arrays(tmp_path / "a.npz")
