import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sterna.net import ActivationType, arithmetic

U1, U4, U8, S1, S4, S8 = (ActivationType(w, s) for s in (False, True) for w in (1, 4, 8))
int32 = st.integers(-(2**31), 2**31 - 1)


@settings(deadline=None)
@given(st.integers(-(2**70), 2**70), st.integers(0, 2**70))
def test_bits_for_range_is_the_narrowest(low, span):
    high = low + span
    bits = arithmetic.bits_for_range(low, high)
    if low < 0:
        assert -(1 << (bits - 1)) <= low <= high < 1 << (bits - 1)
        assert bits == 1 or low < -(1 << (bits - 2)) or high >= 1 << (bits - 2)
    else:
        assert high < 1 << bits
        assert bits == 1 or high >= 1 << (bits - 1)


def test_bits_for_range_refuses_an_empty_range():
    with pytest.raises(ValueError, match=r"^low must not exceed high, but 1 is above 0$"):
        arithmetic.bits_for_range(1, 0)


def test_clamp():
    clamped = arithmetic.clamp(np.array([-(2**40), -9, -8, 0, 7, 8, 2**40]), S4)
    assert clamped.dtype == np.int64
    assert clamped.tolist() == [-8, -8, -8, 0, 7, 7, 7]


def test_quantize_input_rounds_halves_to_even_and_clamps():
    codes = arithmetic.quantize_input(np.array([-1e30, -1.0, -0.25, 0.25, 0.5, 0.75, 1.25, 7.4, 7.5, 99.0]), 0.5, U4)
    assert codes.dtype == np.int64
    assert codes.tolist() == [0, 0, 0, 0, 1, 2, 2, 15, 15, 15]
    assert arithmetic.quantize_input([-2.5, -1.5, 1.5], 1.0, S4).tolist() == [-2, -2, 2]


def test_quantize_input_divides_in_float64():
    x = np.arange(256, dtype=np.float32) / np.float32(255)
    assert arithmetic.quantize_input(x, 1 / 255, U8).tolist() == list(range(256))
    x = np.array([16777217], dtype=np.int64)  # float32 would make 16777216 of it, and a half of the second quotient
    assert arithmetic.quantize_input(x, 16777217.0 / 2.5, U4).tolist() == [2]
    assert arithmetic.quantize_input(x, 16777216.9 / 2.5, U4).tolist() == [3]


@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        ([0.0, np.nan], ValueError, r"input must be finite, not nan at \[1\]"),
        ([[0.0], [-np.inf]], ValueError, r"input must be finite, not -inf at \[1, 0\]"),
        (["a"], TypeError, r"input must be real numbers, not <U1"),
        ([True], TypeError, r"input must be real numbers, not bool"),
    ],
)
def test_quantize_input_errors(x, error, message):
    with pytest.raises(error, match=f"^{message}$"):
        arithmetic.quantize_input(x, 1.0, U4)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(data=st.data(), width=st.integers(1, 8), signed=st.booleans(), channels=st.integers(1, 3))
def test_thresholds_count_the_levels_reached(data, width, signed, channels):
    type = ActivationType(width, signed)
    count = 2**width - 1
    values = data.draw(st.sampled_from([st.integers(-3, 3), st.integers(-300, 300), int32]))
    row = st.lists(values, min_size=count, max_size=count).map(sorted)
    levels = data.draw(st.lists(row, min_size=channels, max_size=channels))
    near = st.sampled_from(levels[0]).flatmap(lambda level: st.integers(level - 1, level + 1))
    acc = data.draw(st.lists(st.lists(near | values, min_size=channels, max_size=channels), min_size=1, max_size=4))
    y = arithmetic.thresholds(np.array(acc), np.array(levels, dtype=np.int32), type.min)
    assert y.dtype == np.int64
    assert y.tolist() == [
        [type.min + sum(a >= level for level in levels[c]) for c, a in enumerate(image)] for image in acc
    ]


def test_thresholds_along_any_axis():
    acc = np.arange(24).reshape(2, 3, 4)
    levels = np.array([[5], [100], [-100]])
    assert np.array_equal(arithmetic.thresholds(acc, levels, 0)[:, 0], acc[:, 0] >= 5)
    moved = arithmetic.thresholds(np.moveaxis(acc, 1, 2), levels, 0, axis=2)
    assert np.array_equal(np.moveaxis(moved, 2, 1), arithmetic.thresholds(acc, levels, 0))


def test_thresholds_of_an_empty_batch():
    assert arithmetic.thresholds(np.empty((0, 2), dtype=np.int64), np.zeros((2, 3), dtype=np.int32), 0).shape == (0, 2)


@settings(max_examples=200, deadline=None)
@given(
    acc=st.integers(-(2**40), 2**40), bias=int32, shift=st.integers(0, 31), type=st.sampled_from([U1, S1, U4, S4, U8])
)
def test_shift_round_is_a_rounded_division(acc, bias, shift, type):
    y = arithmetic.shift_round(np.array([[acc]]), np.array([bias], np.int32), np.array([shift], np.int32), type)
    exact = (2 * (acc + bias) + 2**shift) // (2 * 2**shift) if shift else acc + bias  # halves upward
    assert y.tolist() == [[min(max(exact, type.min), type.max)]]


def test_shift_round_by_hand():
    acc = np.array([[-3, -2, -1, 0, 1, 2, 3, 30]]).T
    assert arithmetic.shift_round(acc, np.array([0]), np.array([1]), S4).ravel().tolist() == [-1, -1, 0, 0, 1, 1, 2, 7]
    assert arithmetic.shift_round(acc, np.array([1]), np.array([0]), U4).ravel().tolist() == [0, 0, 0, 1, 2, 3, 4, 15]
    assert arithmetic.rounding_term(np.array([0, 1, 2, 31])).tolist() == [0, 1, 2, 2**30]


def test_shift_round_along_any_axis():
    acc = np.arange(24).reshape(2, 3, 4) - 12
    bias, shift = np.array([0, 5, -3]), np.array([0, 1, 2])
    moved = arithmetic.shift_round(np.moveaxis(acc, 1, 2), bias, shift, S4, axis=2)
    assert np.array_equal(np.moveaxis(moved, 2, 1), arithmetic.shift_round(acc, bias, shift, S4))


def test_argmax_takes_the_lowest_index_among_equals():
    y = arithmetic.argmax(np.array([[1, 3, 3], [2, 2, 2], [-5, -6, -5]]))
    assert y.dtype == np.int64
    assert y.tolist() == [1, 0, 0]


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int64, np.uint64, np.float16, np.float32, np.float64])
def test_check_input_takes_every_integral_dtype(dtype):
    codes = arithmetic.check_input(np.array([[0, 15]], dtype=dtype), (2,), U4)
    assert codes.dtype == np.int64
    assert codes.tolist() == [[0, 15]]


def test_check_input_takes_both_extremes_and_an_empty_batch():
    assert arithmetic.check_input([[-8, 7]], (2,), S4).tolist() == [[-8, 7]]
    assert arithmetic.check_input(np.array([[7]], dtype=np.uint8), (1,), S4).tolist() == [[7]]
    assert arithmetic.check_input(np.empty((0, 1, 2, 3)), (1, 2, 3), U4).shape == (0, 1, 2, 3)


def test_check_input_copies():
    x = np.zeros((1, 2), dtype=np.int64)
    arithmetic.check_input(x, (2,), U4)[0, 0] = 1
    assert x[0, 0] == 0


@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        ([[True, False]], TypeError, r"input must be integer codes, not bool"),
        ([["1", "2"]], TypeError, r"input must be integer codes, not <U1"),
        ([[1j, 0]], TypeError, r"input must be integer codes, not complex128"),
        ([[None, 0]], TypeError, r"input must be integer codes, not object"),
        ([[0.0, np.nan]], ValueError, r"input must be integer codes, not nan at \[0, 1\]"),
        ([[0.0, 1], [2.5, 1]], ValueError, r"input must be integer codes, not 2\.5 at \[1, 0\]"),
        ([[0.0, np.inf]], ValueError, r"input codes must be 0 to 15 \(u4\), not inf at \[0, 1\]"),
        ([[0, 16]], ValueError, r"input codes must be 0 to 15 \(u4\), not 16 at \[0, 1\]"),
        ([[-1, 0]], ValueError, r"input codes must be 0 to 15 \(u4\), not -1 at \[0, 0\]"),
        (
            np.array([[0, 2**64 - 1]], np.uint64),
            ValueError,
            r"input codes must be 0 to 15 \(u4\), not 18446744073709551615 at \[0, 1\]",
        ),
        ([0, 1], ValueError, r"input must have shape \(batch, 2\), not \(2,\): add a batch axis in front"),
        ([[0, 1, 2]], ValueError, r"input must have shape \(batch, 2\), not \(1, 3\)"),
        ([[[0, 1]]], ValueError, r"input must have shape \(batch, 2\), not \(1, 1, 2\)"),
        (0, ValueError, r"input must have shape \(batch, 2\), not \(\)"),
    ],
)
def test_check_input_errors(x, error, message):
    with pytest.raises(error, match=f"^{message}$"):
        arithmetic.check_input(x, (2,), U4)
