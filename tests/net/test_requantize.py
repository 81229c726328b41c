import dataclasses

import numpy as np
import pytest

from sterna.net import ActivationType, ShiftRound, Thresholds

U2, S1 = ActivationType(2, False), ActivationType(1, True)


def test_levels_are_a_read_only_int32_copy():
    given = np.array([[1, 2, 3], [4, 4, 4]], dtype=np.int64)
    requantize = Thresholds(output=U2, levels=given)
    given[0, 0] = 0
    assert requantize.levels.dtype == np.int32
    assert requantize.levels.tolist() == [[1, 2, 3], [4, 4, 4]]
    assert requantize.channels == 2
    with pytest.raises(ValueError, match="read-only"):
        requantize.levels[0, 0] = 0
    with pytest.raises(ValueError, match="WRITEABLE"):
        requantize.levels.flags.writeable = True
    with pytest.raises(dataclasses.FrozenInstanceError):
        requantize.levels = given


def test_level_extremes_are_legal():
    extremes = [[-(2**31), 0, 2**31 - 1]]
    assert Thresholds(output=U2, levels=extremes).levels.tolist() == extremes
    assert Thresholds(output=S1, levels=[[7]]).channels == 1


def test_shift_round_for_the_layer_and_for_channels():
    layer = ShiftRound(output=U2, bias=-5, shift=3)
    assert layer.channels is None
    spread = layer.for_channels(3, "fc")
    assert (spread.bias.tolist(), spread.shift.tolist(), spread.channels) == ([-5] * 3, [3] * 3, 3)
    mixed = ShiftRound(output=U2, bias=[1, 2], shift=np.uint8(4))
    assert (mixed.bias.tolist(), mixed.shift.tolist()) == ([1, 2], [4, 4])
    assert mixed.for_channels(2, "fc") is mixed
    other = ShiftRound(output=U2, bias=7, shift=[0, 31])
    assert (other.bias.tolist(), other.shift.tolist()) == ([7, 7], [0, 31])
    assert other.offset.tolist() == [7, 7 + 2**30]
    for requantize in (spread, mixed, other):
        for array in (requantize.bias, requantize.shift):
            assert array.dtype == np.int32
            with pytest.raises(ValueError, match="WRITEABLE"):
                array.flags.writeable = True


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Thresholds(output="u2", levels=[[1]]), TypeError, r"output must be an ActivationType, not 'u2'"),
        (lambda: ShiftRound(output=2, bias=0, shift=0), TypeError, r"output must be an ActivationType, not 2"),
        (lambda: Thresholds(output=U2, levels=[[1.0, 2.0, 3.0]]), TypeError, r"levels must be integers, not float64"),
        (
            lambda: Thresholds(output=U2, levels=[[1, 2, 2**31]]),
            ValueError,
            r"levels must be between -2147483648 and 2147483647, not 2147483648 at \[0, 2\]",
        ),
        (
            lambda: Thresholds(output=U2, levels=[[1, 2]]),
            ValueError,
            r"levels for u2 must have shape \(channels, 3\), not \(1, 2\)",
        ),
        (
            lambda: Thresholds(output=U2, levels=[1, 2, 3]),
            ValueError,
            r"levels for u2 must have shape \(channels, 3\), not \(3,\)",
        ),
        (
            lambda: Thresholds(output=U2, levels=np.zeros((0, 3), int)),
            ValueError,
            r"levels for u2 must have shape \(channels, 3\), not \(0, 3\)",
        ),
        (
            lambda: Thresholds(output=U2, levels=[[1, 2, 3], [4, 6, 5]]),
            ValueError,
            r"levels must not decrease within a channel, but 6 is followed by 5 at \[1, 2\]",
        ),
        (lambda: ShiftRound(output=U2, bias=0.0, shift=0), TypeError, r"bias must be integers, not float64"),
        (lambda: ShiftRound(output=U2, bias=0, shift=[1.5]), TypeError, r"shift must be integers, not float64"),
        (lambda: ShiftRound(output=U2, bias=0, shift=32), ValueError, r"shift must be between 0 and 31, not 32"),
        (
            lambda: ShiftRound(output=U2, bias=0, shift=[0, -1]),
            ValueError,
            r"shift must be between 0 and 31, not -1 at \[1\]",
        ),
        (
            lambda: ShiftRound(output=U2, bias=-(2**31) - 1, shift=0),
            ValueError,
            r"bias must be between -2147483648 and 2147483647, not -2147483649",
        ),
        (
            lambda: ShiftRound(output=U2, bias=[[0]], shift=0),
            ValueError,
            r"bias must be one integer or have shape \(channels,\), not \(1, 1\)",
        ),
        (
            lambda: ShiftRound(output=U2, bias=0, shift=np.zeros(0, int)),
            ValueError,
            r"shift must be one integer or have shape \(channels,\), not \(0,\)",
        ),
        (
            lambda: ShiftRound(output=U2, bias=[0, 1], shift=[0, 1, 2]),
            ValueError,
            r"bias and shift must have one length, not 2 and 3",
        ),
        (
            lambda: ShiftRound(output=U2, bias=[0, 1], shift=0).for_channels(3, "fc"),
            ValueError,
            r"node 'fc' has 3 channels, but its requantize has 2",
        ),
        (
            lambda: Thresholds(output=S1, levels=[[1]]).for_channels(2, "fc"),
            ValueError,
            r"node 'fc' has 2 channels, but its requantize has 1",
        ),
    ],
)
def test_errors(make, error, message):
    with pytest.raises(error, match=f"^{message}$"):
        make()
