"""Arrays that no encoder makes are refused before a kernel, which looks at nothing, meets them."""

import numpy as np
import pytest
from matrices import EXAMPLE, PADDED_EXAMPLE

from sterna.codes import Base3, Bitmap, Cer, Cser, Csr, Dense, Packed, RunLength

TERNARY = np.array([[0, 1, 0, -1, 0], [0, 0, 0, 1, 0], [0, 0, 0, 0, -1]], dtype=np.int8)


def remade(coded, changes=None, **fields):
    """The same code with some arrays or fields changed."""
    arrays = {**coded.arrays, **(changes or {})}
    given = {"shape": coded.shape, "dtype": coded.dtype, "arrays": arrays, "parameters": coded.parameters}
    return type(coded)(**{**given, **fields})


def u8(*numbers):
    return np.array(numbers, dtype=np.uint8)


def i8(*numbers):
    return np.array(numbers, dtype=np.int8)


@pytest.mark.parametrize("code", [Dense, Packed, Base3, Bitmap, Csr, RunLength, Cer, Cser])
def test_what_encode_makes_is_taken(code):
    coded = code.encode(TERNARY)
    assert remade(coded).digest == coded.digest


@pytest.mark.parametrize(
    ("code", "changes", "message"),
    [
        (Dense, {"values": i8(1)}, r"array 'values' must have 15 entries for shape \(3, 5\), not 1"),
        (Packed, {"values": i8(0, 1, 1)}, r"array 'values' must hold each value once"),
        (Packed, {"values": i8(0, 1)}, r"array 'codes' must be below 2, not 2"),
        (Packed, {"codes": u8(0)}, r"array 'codes' must have 4 bytes for 15 numbers of 2 bits, not 1"),
        (Packed, {"codes": u8(0, 0, 0, 0x40)}, r"array 'codes' must end in bits that are 0, not in the byte 64"),
        (Base3, {"trits": u8(121, 121)}, r"array 'trits' must have 3 bytes for shape \(3, 5\), not 2"),
        (Base3, {"trits": u8(121, 243, 121)}, r"array 'trits' must be below 243, not 243"),
        (Csr, {"values": i8(1, -1, 0, -1)}, r"array 'values' must not be 0, as it is at 2"),
        (Csr, {"values": i8(1, -1, 1)}, r"array 'columns' must have 3 entries, not 4"),
        (Csr, {"columns": u8(1, 3, 5, 4)}, r"array 'columns' must be below 5, not 5"),
        (Csr, {"columns": u8(3, 3, 3, 4)}, r"array 'columns' must rise inside a run, as it does not at 1"),
        (Csr, {"columns": u8(3, 1, 3, 4)}, r"array 'columns' must rise inside a run, as it does not at 1"),
        (Csr, {"row_pointers": u8(0, 2, 4)}, r"array 'row_pointers' must have 4 entries, not 3"),
        (Csr, {"row_pointers": u8(1, 2, 3, 4)}, r"array 'row_pointers' must go from 0 to 4, not from 1 to 4"),
        (Csr, {"row_pointers": u8(0, 2, 3, 5)}, r"array 'row_pointers' must go from 0 to 4, not from 0 to 5"),
        (Csr, {"row_pointers": u8(0, 3, 2, 4)}, r"array 'row_pointers' must not fall, as it does at 2"),
        (Bitmap, {"values": i8(0, 0, 1)}, r"array 'values' must hold each value once"),
        (Bitmap, {"values": i8(0)}, r"array 'values' must have 2 entries or more, not 1"),
        (Bitmap, {"values": i8(0, 1), "codes": u8()}, None),
        (Bitmap, {"values": i8(0, 1, -1, 2, 3), "codes": u8(0b11100100)}, None),
        (Bitmap, {"values": i8(0, 1, -1, 2), "codes": u8(0b11100100)}, r"array 'codes' must be below 3, not 3"),
        (Bitmap, {"mask": u8(1)}, r"array 'mask' must have 2 bytes for 15 numbers of 1 bits, not 1"),
        (Bitmap, {"mask": u8(1, 0x80)}, r"array 'mask' must end in bits that are 0, not in the byte 128"),
        (Bitmap, {"mask": u8(255, 1)}, r"array 'codes' must have 2 bytes for 9 numbers of 1 bits, not 1"),
        (Bitmap, {"mask": u8(1, 0)}, r"array 'codes' must end in bits that are 0, not in the byte \d+"),
        (RunLength, {"values": i8()}, r"array 'values' must have 2 entries or more, not 0"),
        (RunLength, {"runs": u8()}, r"array 'runs' must have 2 bytes for 6 numbers of 2 bits, not 0"),
        (Cer, {"values": i8(0, 1, 1)}, r"array 'values' must hold each value once"),
        (Cer, {"values": i8()}, r"array 'values' must not be empty"),
        (Cer, {"values": i8(0, 1)}, r"array 'row_pointers' must give a row at most 1 groups, not 2"),
        (Cer, {"columns": u8(3, 1, 3)}, r"array 'group_pointers' must go from 0 to 3, not from 0 to 4"),
        (Cer, {"columns": u8(3, 1, 3, 9)}, r"array 'columns' must be below 5, not 9"),
        (Cer, {"columns": u8(1, 1, 3, 4)}, r"array 'columns' must not have column 1 twice in row 0"),
        (Cer, {"group_pointers": u8()}, r"array 'row_pointers' must go from 0 to 0, not from 0 to 5"),
        (Cer, {"group_pointers": u8(0, 2, 1, 2, 3, 4)}, r"array 'group_pointers' must not fall, as it does at 2"),
        (Cer, {"group_pointers": u8(0, 1, 1, 2, 3, 4)}, r"array 'group_pointers' must not end a row with an empty .*"),
        (Cer, {"row_pointers": u8(0, 2, 4)}, r"array 'row_pointers' must have 4 entries, not 3"),
        (Cer, {"row_pointers": u8(0, 2, 1, 5)}, r"array 'row_pointers' must not fall, as it does at 2"),
        (Cser, {"group_values": u8(1, 2, 2)}, r"array 'group_values' must have 4 entries, not 3"),
        (Cser, {"group_values": u8(0, 2, 2, 1)}, r"array 'group_values' must be from 1 to 2, not 0 to 2"),
        (Cser, {"group_values": u8(1, 2, 3, 1)}, r"array 'group_values' must be from 1 to 2, not 1 to 3"),
        (Cser, {"group_pointers": u8(0, 1, 1, 3, 4)}, r"array 'group_pointers' must have no empty group"),
        (Cser, {"group_values": u8(1, 1, 2, 1)}, r"array 'group_values' must not have one value twice in a row"),
    ],
)  # fmt: skip
def test_wrong_arrays(code, changes, message):
    coded = code.encode(TERNARY)
    if message is None:
        remade(coded, changes)
        return
    with pytest.raises(ValueError, match=f"^{message}$"):
        remade(coded, changes)


def test_wrong_runs():
    coded = RunLength.encode(TERNARY, run_bits=2)  # runs 1, 1, 4 = escape and 1, 5 = escape and 2
    assert coded.parameters["words"] == 6
    with pytest.raises(ValueError, match=r"^array 'runs' must end with a kept element, not with an escape$"):
        remade(coded, {"runs": u8(0b11_01_01_11, 0b11_11)})
    with pytest.raises(ValueError, match=r"^array 'runs' must stay within 15 elements, not reach 15$"):
        remade(coded, {"runs": u8(0b01_11_01_10, 0b10_11)})
    with pytest.raises(ValueError, match=r"^words must be an integer from 0 to 9007199254740992, not -1$"):
        remade(coded, parameters={"run_bits": 2, "words": -1})
    with pytest.raises(ValueError, match=r"^code run_length lacks the parameter 'words'$"):
        remade(coded, parameters={"run_bits": 2})
    with pytest.raises(ValueError, match=r"^code run_length has no parameter 'word'$"):
        remade(coded, parameters={"run_bits": 2, "words": 6, "word": 1})


def test_wrong_ends_of_trits():
    with pytest.raises(ValueError, match=r"^array 'trits' must be filled with elements 0 at its end$"):
        remade(Base3.encode([[1, 0]]), {"trits": u8(122 + 81)})
    with pytest.raises(ValueError, match=r"^array 'trits' must hold no -1 for uint8$"):
        remade(Base3.encode([[1, 0]]), dtype=np.dtype("uint8"), changes={"trits": u8(120)})


def test_wrong_kinds_of_arrays():
    coded = Cer.encode(PADDED_EXAMPLE)
    with pytest.raises(TypeError, match=r"^array 'columns' must be uint8, not uint16$"):
        remade(coded, {"columns": coded.arrays["columns"].astype(np.uint16)})
    with pytest.raises(TypeError, match=r"^array 'columns' must be uint8, not int64$"):
        remade(coded, {"columns": coded.arrays["columns"].astype(np.int64)})
    with pytest.raises(ValueError, match=r"^array 'columns' must have one dimension, not 2$"):
        remade(coded, {"columns": coded.arrays["columns"][None]})
    with pytest.raises(TypeError, match=r"^array 'values' must be int8, not float64$"):
        remade(coded, {"values": coded.arrays["values"].astype(float)})
    with pytest.raises(TypeError, match=r"^array 'mask' must be uint8, not uint16$"):
        remade(Bitmap.encode(EXAMPLE), {"mask": np.zeros(8, dtype=np.uint16)})
    with pytest.raises(ValueError, match=r"^array 'values' must be finite, not nan at \[1\]$"):
        remade(Cer.encode([[0.0, 1.0]]), {"values": np.array([0, np.nan])})
    with pytest.raises(TypeError, match=r"^matrix must hold integers, or floats of 16, 32 or 64 bits, not bool$"):
        remade(coded, dtype=np.dtype(bool))
    with pytest.raises(ValueError, match=r"^side of the shape must be an integer from 0 to 4294967295, not -1$"):
        remade(coded, shape=(-1, 4))
    with pytest.raises(ValueError, match=r"^code cer has no array 'mask'$"):
        remade(coded, {"mask": u8()})


ONE_VALUE = {"values": np.zeros(1, dtype=np.int8), "codes": np.zeros(0, dtype=np.uint8)}


@pytest.mark.parametrize("shape", [(65536, 65536), (2**32 - 1, 2)])
def test_elements_are_counted_in_32_bits(shape):
    """Decoded, the matrix would have them all, however little is stored."""
    message = rf"^matrix must have fewer than 2\^32 elements, not the shape \({shape[0]}, {shape[1]}\)$"
    with pytest.raises(ValueError, match=message):
        Packed(shape=shape, dtype=np.dtype("int8"), arrays=ONE_VALUE, parameters={"bits": 0})
    with pytest.raises(ValueError, match=message):
        Packed.encode(np.broadcast_to(np.int8(0), shape))


def test_the_largest_matrix():
    coded = Packed(shape=(65535, 65537), dtype=np.dtype("int8"), arrays=ONE_VALUE, parameters={"bits": 0})
    assert coded.storage().bits == 8
