"""Files of encoded matrices: whole ones come back, damaged ones are refused with file and field."""

import json
import os
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from matrices import CORNERS, EXAMPLE, is_ternary, matrices
from safetensors import safe_open
from safetensors.numpy import save_file

from sterna.codes import CODE_FORMAT_VERSION, CODES, Base3, Cer, Cser, load_code, save_code
from sterna.net import FileFormatError

CHECKS = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture]
EVERY_CODE = pytest.mark.parametrize("code", CODES.values(), ids=list(CODES))
TERNARY = np.array([[0, 1, 0, -1, 0], [0, 0, 0, 1, 0], [0, 0, 0, 0, -1]], dtype=np.int8)


def read(path):
    with safe_open(path, framework="numpy") as file:
        header = json.loads(file.metadata()["sterna_code"])
        return header, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (it is no mapping)


def write(path, header, arrays):
    save_file(arrays, path, metadata={"sterna_code": json.dumps(header)})


def comes_back(code, matrix, path):
    coded = code.encode(matrix)
    save_code(coded, path)
    loaded = load_code(path)
    assert type(loaded) is code
    assert (loaded.shape, loaded.dtype, loaded.digest) == (coded.shape, coded.dtype, coded.digest)
    assert dict(loaded.parameters) == dict(coded.parameters)
    assert np.array_equal(loaded.decode(), matrix)


@EVERY_CODE
@pytest.mark.parametrize("matrix", CORNERS.values(), ids=list(CORNERS))
def test_corners_come_back(code, matrix, tmp_path):
    if code is not Base3 or is_ternary(matrix):
        comes_back(code, matrix, tmp_path / "matrix.safetensors")


@settings(max_examples=40, deadline=None, suppress_health_check=CHECKS)
@given(matrix=matrices())
def test_random_matrices_come_back(matrix, tmp_path):
    for code in CODES.values():
        if code is not Base3 or is_ternary(matrix):
            comes_back(code, matrix, tmp_path / "matrix.safetensors")


@EVERY_CODE
def test_the_same_matrix_gives_the_same_bytes(code, tmp_path):
    for name in ("a", "b"):
        save_code(code.encode(TERNARY), str(tmp_path / name))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_digests_tell_matrices_codes_and_parameters_apart():
    made = [code.encode(TERNARY) for code in CODES.values()]
    made += [Cer.encode(TERNARY.astype(np.int16)), Cer.encode(TERNARY.reshape(5, 3)), Cer.encode(-TERNARY)]
    made += [CODES["run_length"].encode(TERNARY, run_bits=bits) for bits in (5, 6)]
    made += [CODES["packed"].encode(np.zeros((0, 0), dtype=np.int8), bits=bits) for bits in (0, 1)]
    assert len({coded.digest for coded in made}) == len(made)


def test_a_digest_stays_the_same():
    """It is in files, and does not depend on the machine's byte order."""
    assert Cer.encode(EXAMPLE).digest == "165ee4bae02a693ef5f93f1aba88acfd00a59a9a6cf5077e40bafb4c8cae5eef"


def test_the_header_is_plain_json_beside_plain_arrays(tmp_path):
    path = tmp_path / "matrix.safetensors"
    coded = CODES["run_length"].encode(TERNARY, run_bits=3)
    save_code(coded, path)
    header, arrays = read(path)
    assert header == {
        "version": CODE_FORMAT_VERSION,
        "code": "run_length",
        "shape": [3, 5],
        "dtype": "int8",
        "parameters": {"run_bits": 3, "words": 4},
        "digest": coded.digest,
    }
    assert {name: array.dtype.name for name, array in arrays.items()} == {
        "values": "int8",
        "runs": "uint8",
        "codes": "uint8",
    }


@EVERY_CODE
def test_every_truncation_is_refused(code, tmp_path):
    path = tmp_path / "cut.safetensors"
    save_code(code.encode(TERNARY), path)
    content = path.read_bytes()
    for length in [*range(0, len(content), 7), len(content) - 1]:
        path.write_bytes(content[:length])
        with pytest.raises(FileFormatError, match=f"^{re.escape(str(path))}: "):
            load_code(path)


@EVERY_CODE
def test_every_flipped_bit_is_refused(code, tmp_path):
    path = tmp_path / "changed.safetensors"
    save_code(code.encode(TERNARY), path)
    content = path.read_bytes()
    for position in range(len(content)):
        for bit in [position % 8] if position < len(content) - 40 else range(8):
            changed = bytearray(content)
            changed[position] ^= 1 << bit
            path.write_bytes(changed)
            with pytest.raises(FileFormatError, match=f"^{re.escape(str(path))}: "):
                load_code(path)


def edit(**fields):
    def change(header, arrays):
        for field, value in fields.items():
            if value is None:
                del header[field]
            else:
                header[field] = value

    return change


def array(name, value):
    def change(header, arrays):
        arrays.pop(name, None)
        if value is not None:
            arrays[name] = value

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (edit(version=2), r"its format version is 2, and this Sterna reads version 1"),
        (edit(version=True), r"its format version is True, and this Sterna reads version 1"),
        (edit(version=None), r"its header lacks the field 'version'"),
        (edit(code=None), r"its header lacks the field 'code'"),
        (edit(code="lzw"), r"code must be one of dense, .*, cser, not 'lzw'"),
        (edit(code=["cer"]), r"code must be one of dense, .*, cser, not \['cer'\]"),
        (edit(code="cser"), r"code cser lacks the array 'group_values'"),
        (edit(code="dense"), r"code dense has no array 'columns'"),
        (edit(extra=1), r"its header has an unknown field 'extra'"),
        (edit(shape=[3]), r"shape must be two integers, not \[3\]"),
        (edit(shape=[3, -5]), r"side of the shape must be an integer from 0 to 4294967295, not -5"),
        (edit(shape=[3, "5"]), r"side of the shape must be an integer from 0 to 4294967295, not '5'"),
        (edit(shape=[3, 6]), r"its digest is [0-9a-f]{64}, but its header says [0-9a-f]{64}: it was changed"),
        (edit(shape=[4, 5]), r"array 'row_pointers' must have 5 entries, not 4"),
        (edit(dtype="int16"), r"array 'values' must be int16, not int8"),
        (edit(dtype="object"), r"dtype must be one of int8, .*, float64, not 'object'"),
        (edit(dtype=[]), r"dtype must be one of int8, .*, float64, not \[\]"),
        (edit(parameters=[1]), r"parameters must be an object, not \[1\]"),
        (edit(parameters={"bits": 2}), r"code cer has no parameter 'bits'"),
        (edit(digest="0"), r"digest must be 64 hexadecimal digits, not '0'"),
        (edit(digest="0" * 64), r"its digest is [0-9a-f]{64}, but its header says 0{64}: it was changed"),
        (array("columns", None), r"code cer lacks the array 'columns'"),
        (array("stray", np.zeros(1)), r"code cer has no array 'stray'"),
        (array("columns", np.array([1, 3, 3, 5], dtype=np.uint8)), r"array 'columns' must be below 5, not 5"),
    ],
)
def test_bad_contents_are_named(tmp_path, change, message):
    path = tmp_path / "bad.safetensors"
    save_code(Cer.encode(TERNARY), path)
    header, arrays = read(path)
    change(header, arrays)
    write(path, header, arrays)
    with pytest.raises(FileFormatError, match=f"^{re.escape(str(path))}: {message}$"):
        load_code(path)


def test_a_right_digest_does_not_make_wrong_arrays_right(tmp_path):
    path = tmp_path / "bad.safetensors"
    save_code(Cser.encode(TERNARY), path)
    header, arrays = read(path)
    arrays["group_pointers"] = np.array([0, 1, 3, 2, 4], dtype=np.uint8)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Cser, "_check", lambda self: None)
        fields = {"shape": tuple(header["shape"]), "dtype": np.dtype("int8"), "arrays": arrays}
        header["digest"] = Cser(**fields).digest
    write(path, header, arrays)
    with pytest.raises(FileFormatError, match=r"array 'group_pointers' must not fall, as it does at 3$"):
        load_code(path)


def test_other_files_are_refused(tmp_path):
    path = tmp_path / "other.safetensors"
    path.write_bytes(b"PK\x03\x04" * 50)
    with pytest.raises(FileFormatError, match="not a whole safetensors file"):
        load_code(path)
    save_file({"w": np.zeros(2)}, path, metadata={"sterna": "{}"})
    with pytest.raises(
        FileFormatError, match=r": its metadata has no 'sterna_code' entry, so it holds no encoded matrix$"
    ):
        load_code(path)
    for text, message in (("{", "its header is no JSON: "), ("[]", "its header lacks the field 'version'$")):
        save_file({"w": np.zeros(2)}, path, metadata={"sterna_code": text})
        with pytest.raises(FileFormatError, match=f": {message}"):
            load_code(path)
    with pytest.raises(FileNotFoundError, match="absent"):
        load_code(tmp_path / "absent.safetensors")


def test_what_cannot_be_saved(tmp_path):
    with pytest.raises(TypeError, match=r"^coded must be an encoded matrix, not 3$"):
        save_code(3, tmp_path / "x")
    with pytest.raises(FileNotFoundError):
        save_code(Cer.encode(TERNARY), tmp_path / "none" / "x")


def test_a_failed_save_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "matrix.safetensors"
    path.write_text("old")

    def fail(self, target):
        raise OSError("disk full")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        save_code(Cer.encode(TERNARY), path)
    assert (path.read_text(), os.listdir(tmp_path)) == ("old", ["matrix.safetensors"])
