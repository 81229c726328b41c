"""Every code gives back what it was given, and the worked examples hold to the entry."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from matrices import CORNERS, EXAMPLE, ORDERS, PADDED_EXAMPLE, is_ternary, laid_out, matrices

from sterna.codes import CODES, Base3, Bitmap, Cer, Cser, Csr, Dense, MatrixCode, Packed, RunLength, encode
from sterna.codes.packing import pack, packed_bytes, unpack, words

CHECKS = [HealthCheck.too_slow, HealthCheck.data_too_large]
EVERY_CODE = pytest.mark.parametrize("code", CODES.values(), ids=list(CODES))


def arrays(coded):
    return {name: array.tolist() for name, array in coded.arrays.items()}


def comes_back(code, matrix):
    """Encodes and decodes; ``None`` where base 3 refuses a matrix that is not ternary."""
    if code is Base3 and not is_ternary(matrix):
        with pytest.raises(ValueError, match=r"^matrix must be -1, 0 or \+1 for code base3, not "):
            code.encode(matrix)
        return None
    coded = code.encode(matrix)
    decoded = coded.decode()
    assert coded.shape == decoded.shape == matrix.shape
    assert coded.dtype == decoded.dtype == matrix.dtype.newbyteorder("=")
    assert decoded.flags.c_contiguous
    assert decoded.flags.writeable
    assert decoded.tobytes() == np.ascontiguousarray(matrix, dtype=coded.dtype).tobytes()
    return coded


def test_the_worked_example_in_cer():
    assert arrays(Cer.encode(EXAMPLE)) == {
        "values": [0, 4, 3, 2],
        "columns": [4, 9, 11, 1, 8, 3, 7, 0, 1, 5, 8, 9, 11, 0, 3, 7, 2, 9, 1, 2, 3, 6, 7, 5, 1, 2, 5, 7],
        "group_pointers": [0, 3, 5, 7, 13, 16, 17, 18, 23, 24, 28],
        "row_pointers": [0, 3, 4, 7, 9, 10],
    }


def test_the_worked_example_in_cser():
    assert arrays(Cser.encode(EXAMPLE)) == {
        "values": [0, 2, 3, 4],
        "columns": [4, 9, 11, 1, 8, 3, 7, 0, 1, 5, 8, 9, 11, 0, 3, 7, 2, 9, 1, 2, 3, 6, 7, 5, 1, 2, 5, 7],
        "group_values": [3, 2, 1, 3, 3, 2, 1, 3, 2, 3],
        "group_pointers": [0, 3, 5, 7, 13, 16, 17, 18, 23, 24, 28],
        "row_pointers": [0, 3, 4, 7, 9, 10],
    }


def test_the_lengths_of_the_worked_example():
    lengths = {code.NAME: code.encode(EXAMPLE).storage().entries for code in (Dense, Csr, Cer, Cser)}
    assert lengths == {"dense": 60, "csr": 62, "cer": 49, "cser": 59}


def test_the_example_with_empty_groups():
    coded = Cer.encode(PADDED_EXAMPLE)
    assert arrays(coded) == {
        "values": [0, 1, 2],
        "columns": [2, 0, 1, 0, 3],
        "group_pointers": [0, 0, 1, 3, 4, 5],
        "row_pointers": [0, 2, 3, 5, 5],
    }
    assert (coded.group_count, coded.empty_group_count) == (4, 1)


def test_ties_go_to_zero_and_then_to_the_lesser_value():
    assert Cer.encode([[3, 3, 0, 0, -1, -1]]).arrays["values"].tolist() == [0, -1, 3]
    assert Cer.encode([[3, 3, 1, 1, 2]]).arrays["values"].tolist() == [1, 3, 2]
    assert Cser.encode([[3, 3, 1, 1, 2]]).arrays["values"].tolist() == [1, 2, 3]


def test_small_codes_by_hand():
    matrix = np.array([[0, 1, 0, 0], [0, 0, 0, -1]], dtype=np.int8)
    assert arrays(Dense.encode(matrix)) == {"values": [0, 1, 0, 0, 0, 0, 0, -1]}
    assert arrays(Packed.encode(matrix)) == {"values": [0, -1, 1], "codes": [0b00_00_10_00, 0b01_00_00_00]}
    assert arrays(Base3.encode(matrix)) == {"trits": [1 + 2 * 3 + 9 + 27 + 81, 1 + 3 + 0 * 9 + 27 + 81]}
    assert arrays(Bitmap.encode(matrix)) == {"values": [0, -1, 1], "mask": [0b10000010], "codes": [0b01]}
    assert arrays(Csr.encode(matrix)) == {"values": [1, -1], "columns": [1, 3], "row_pointers": [0, 1, 2]}
    coded = RunLength.encode(matrix, run_bits=2)  # runs 1 and 5 = an escape of 3, and 2
    assert arrays(coded) == {"values": [0, -1, 1], "runs": [0b10_11_01], "codes": [0b01]}
    assert coded.parameters == {"run_bits": 2, "words": 3}


@EVERY_CODE
@pytest.mark.parametrize("matrix", CORNERS.values(), ids=list(CORNERS))
def test_corners_come_back(code, matrix):
    comes_back(code, matrix)


@EVERY_CODE
@pytest.mark.parametrize("order", ORDERS)
def test_memory_order_does_not_matter(code, order):
    matrix = PADDED_EXAMPLE % 2
    coded = comes_back(code, laid_out(matrix, order))
    assert arrays(coded) == arrays(code.encode(matrix))


@settings(max_examples=80, deadline=None, suppress_health_check=CHECKS)
@given(matrix=matrices())
def test_random_matrices_come_back(matrix):
    for code in CODES.values():
        comes_back(code, matrix)


@pytest.mark.slow
@settings(max_examples=2000, deadline=None, suppress_health_check=CHECKS)
@given(matrix=matrices())
def test_many_random_matrices_come_back(matrix):
    for code in CODES.values():
        comes_back(code, matrix)


@pytest.mark.parametrize("run_bits", [1, 2, 3, 8, 13, 16])
def test_every_run_width_comes_back(run_bits):
    for matrix in CORNERS.values():
        coded = RunLength.encode(matrix, run_bits=run_bits)
        assert coded.parameters["run_bits"] == run_bits
        assert np.array_equal(coded.decode(), matrix)


@pytest.mark.parametrize("bits", [2, 3, 7, 9, 32])
def test_every_packed_width_comes_back(bits):
    coded = Packed.encode(EXAMPLE, bits=bits)
    assert len(coded.arrays["codes"]) == -(-60 * bits // 8)
    assert np.array_equal(coded.decode(), EXAMPLE)


@EVERY_CODE
def test_a_negative_zero_becomes_zero(code):
    coded = code.encode(np.array([[0.0, -0.0, 1.0, -0.0]]))
    assert np.signbit(coded.decode()).tolist() == [[False] * 4]
    if code is Cer:
        assert coded.arrays["values"].tolist() == [0, 1]


@EVERY_CODE
def test_what_was_encoded_may_change_afterwards(code):
    matrix = np.array([[1, 0, -1]])
    coded = code.encode(matrix)
    matrix[0, 0] = 0
    assert coded.decode().tolist() == [[1, 0, -1]]
    for array in coded.arrays.values():
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0
    with pytest.raises(TypeError):
        coded.arrays["values"] = None


@EVERY_CODE
@pytest.mark.parametrize(
    ("matrix", "kind", "message"),
    [
        ([[True]], TypeError, "matrix must hold integers, or floats of 16, 32 or 64 bits, not bool"),
        ([["a"]], TypeError, "matrix must hold integers, or floats of 16, 32 or 64 bits, not <U1"),
        ([[1j]], TypeError, "matrix must hold integers, or floats of 16, 32 or 64 bits, not complex128"),
        (None, TypeError, "matrix must hold integers, or floats of 16, 32 or 64 bits, not object"),
        ([1, 2], ValueError, "matrix must have two dimensions, not 1"),
        (3, ValueError, "matrix must have two dimensions, not 0"),
        ([[1.0, np.nan]], ValueError, r"matrix must be finite, not nan at \[0, 1\]"),
        ([[1.0], [-np.inf]], ValueError, r"matrix must be finite, not -inf at \[1, 0\]"),
        (np.broadcast_to(np.int8(0), (0, 1 << 32)), ValueError, r"sides of matrix must be below 2\^32, not \(0, 42949"),
    ],
)
def test_what_cannot_be_encoded(code, matrix, kind, message):
    with pytest.raises(kind, match=f"^{message}"):
        code.encode(matrix)


def test_base_3_takes_ternary_matrices_only():
    with pytest.raises(ValueError, match=r"^matrix must be -1, 0 or \+1 for code base3, not 2 at \[1, 0\]$"):
        Base3.encode([[0, 1], [2, 0]])
    with pytest.raises(ValueError, match=r"^matrix must be -1, 0 or \+1 for code base3, not 255 at \[0, 0\]$"):
        Base3.encode(np.array([[255]], dtype=np.uint8))
    assert Base3.encode([[0.0, -1.0]]).decode().tolist() == [[0.0, -1.0]]


def test_wrong_parameters():
    with pytest.raises(ValueError, match=r"^4 values need 2 bits, not 1$"):
        Packed.encode(EXAMPLE, bits=1)
    with pytest.raises(ValueError, match=r"^bits must be an integer from 0 to 32, not 33$"):
        Packed.encode(EXAMPLE, bits=33)
    with pytest.raises(ValueError, match=r"^run_bits must be an integer from 1 to 16, not 0$"):
        RunLength.encode(EXAMPLE, run_bits=0)
    with pytest.raises(TypeError, match=r"^run_bits must be an integer from 1 to 16, not 2\.0$"):
        RunLength.encode(EXAMPLE, run_bits=2.0)


def test_codes_by_name():
    assert list(CODES) == ["dense", "packed", "base3", "bitmap", "csr", "run_length", "cer", "cser"]
    assert isinstance(encode(EXAMPLE, "cer"), Cer)
    assert encode(EXAMPLE, "run_length", run_bits=5).parameters["run_bits"] == 5
    for name in ("lzw", 3, None):
        with pytest.raises(ValueError, match=rf"^code must be one of dense, .*, cser, not {name!r}$"):
            encode(EXAMPLE, name)


def test_a_code_says_what_it_is():
    assert repr(encode(EXAMPLE, "dense")) == "Dense(5 x 12, int8, 480 bits)"
    with pytest.raises(TypeError, match="abstract"):
        MatrixCode(shape=(1, 1), dtype=np.int8, arrays={})


@pytest.mark.parametrize("width", [0, 1, 2, 3, 5, 8, 13, 31, 32])
@pytest.mark.parametrize("count", [0, 1, 7, 8, 9, 100])
def test_packed_streams(width, count):
    rng = np.random.default_rng(width)
    numbers = rng.integers(0, 1 << width, size=count, dtype=np.uint64)
    stream = pack(numbers, width)
    assert len(stream) == packed_bytes(count, width)
    whole = sum(int(number) << (i * width) for i, number in enumerate(numbers))
    assert int.from_bytes(stream.tobytes(), "little") == whole
    assert unpack(stream, width, count).tolist() == numbers.tolist()
    assert sum(int(word) << (64 * i) for i, word in enumerate(words(stream))) == whole
    assert len(words(stream)) * 8 >= len(stream) + 8


def test_packed_streams_of_several_blocks(monkeypatch):
    monkeypatch.setattr("sterna.codes.packing._BLOCK", 16)
    numbers = np.arange(100, dtype=np.uint32) % 32
    stream = pack(numbers, 5)
    assert int.from_bytes(stream.tobytes(), "little") == sum(int(n) << (5 * i) for i, n in enumerate(numbers))
    assert unpack(stream, 5, 100).tolist() == numbers.tolist()
