import dataclasses

import numpy as np
import pytest

from sterna.net import AccumulatorType, ActivationType


@pytest.mark.parametrize(
    ("width", "signed", "low", "high", "text"),
    [
        (1, False, 0, 1, "u1"),
        (1, True, -1, 0, "s1"),
        (4, False, 0, 15, "u4"),
        (4, True, -8, 7, "s4"),
        (8, False, 0, 255, "u8"),
        (8, True, -128, 127, "s8"),
    ],
)
def test_activation_ranges(width, signed, low, high, text):
    type = ActivationType(width, signed)
    assert (type.min, type.max, str(type)) == (low, high, text)


def test_numpy_values_become_python_values():
    type = ActivationType(np.int64(3), np.bool_(True))
    assert (type.width.__class__, type.signed.__class__) == (int, bool)
    assert type == ActivationType(3, True)
    assert AccumulatorType(np.int8(-1), np.int64(2)).min.__class__ is int


@pytest.mark.parametrize(
    ("low", "high", "width", "signed", "text"),
    [
        (0, 0, 1, False, "u1"),
        (0, 1, 1, False, "u1"),
        (0, 255, 8, False, "u8"),
        (0, 256, 9, False, "u9"),
        (7, 8, 4, False, "u4"),
        (-1, 0, 1, True, "s1"),
        (-1, 1, 2, True, "s2"),
        (-128, 127, 8, True, "s8"),
        (-129, 0, 9, True, "s9"),
        (0 - 1, 128, 9, True, "s9"),
        (-9, -8, 5, True, "s5"),
    ],
)
def test_accumulator_width(low, high, width, signed, text):
    type = AccumulatorType(low, high)
    assert (type.width, type.signed, str(type)) == (width, signed, text)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: ActivationType(0, False), ValueError, r"width must be an integer from 1 to 8, not 0"),
        (lambda: ActivationType(9, False), ValueError, r"width must be an integer from 1 to 8, not 9"),
        (lambda: ActivationType(4.0, False), TypeError, r"width must be an integer from 1 to 8, not 4\.0"),
        (lambda: ActivationType(True, False), TypeError, r"width must be an integer from 1 to 8, not True"),
        (lambda: ActivationType(4, 1), TypeError, r"signed must be True or False, not 1"),
        (lambda: AccumulatorType(0.5, 1), TypeError, r"min must be an integer, not 0\.5"),
        (lambda: AccumulatorType(0, "1"), TypeError, r"max must be an integer, not '1'"),
        (lambda: AccumulatorType(2, 1), ValueError, r"min must not exceed max, but 2 is above 1"),
    ],
)
def test_errors(make, error, message):
    with pytest.raises(error, match=f"^{message}$"):
        make()


def test_immutable():
    with pytest.raises(dataclasses.FrozenInstanceError):
        ActivationType(4, False).width = 5
