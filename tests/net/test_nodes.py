import dataclasses
import re

import numpy as np
import pytest

from sterna.net import ActivationType, Add, Conv2d, Flatten, Linear, MaxPool2d, ShiftRound, SumPool2d, Thresholds

U1, U2 = ActivationType(1, False), ActivationType(2, False)
SHIFT = ShiftRound(output=U2, bias=1, shift=2)


@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.int32, np.int64])
def test_weights_are_a_read_only_int8_copy(dtype):
    given = np.array([[1, 0, -1]], dtype=dtype)
    node = Linear(name="fc", weights=given, bias=np.array([5], dtype=dtype))
    given[0, 0] = 0
    assert (node.weights.dtype, node.weights.tolist()) == (np.int8, [[1, 0, -1]])
    assert (node.bias.dtype, node.bias.tolist()) == (np.int32, [5])
    for array in (node.weights, node.bias):
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0
        with pytest.raises(ValueError, match="WRITEABLE"):
            array.flags.writeable = True
    with pytest.raises(dataclasses.FrozenInstanceError):
        node.weights = given


def test_transposed_weights_keep_their_order():
    weights = np.array([[1, 0, -1], [0, 0, 1]], dtype=np.int8)
    assert Linear(name="fc", weights=weights.T).weights.tolist() == weights.T.tolist()


def test_lists_and_unsigned_integers_are_taken():
    assert Linear(name="fc", weights=[[1, 0], [-1, 1]]).weights.dtype == np.int8
    assert Linear(name="fc", weights=np.ones((1, 2), dtype=np.uint8)).weights.tolist() == [[1, 1]]


def test_one_integer_stands_for_both_axes():
    conv = Conv2d(name="conv", weights=np.ones((2, 1, 3, 2), int), stride=2, padding=[1, 0])
    assert (conv.stride, conv.padding, conv.kernel) == ((2, 2), (1, 0), (3, 2))
    for pool in (MaxPool2d(name="pool", kernel=3, padding=1), SumPool2d(name="pool", kernel=3, padding=1)):
        assert (pool.kernel, pool.stride, pool.steps, pool.padding) == ((3, 3), (3, 3), (3, 3), (1, 1))
    assert MaxPool2d(name="pool", kernel=(3, 2), stride=(1, 2)).steps == (1, 2)


def test_a_shift_for_the_layer_is_spread_over_the_outputs():
    node = Linear(name="fc", weights=[[1], [0], [-1]], requantize=SHIFT)
    assert (node.requantize.bias.tolist(), node.requantize.shift.tolist()) == ([1, 1, 1], [2, 2, 2])


W = np.ones((4, 2, 3, 3), dtype=np.int8)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Flatten(name=3), TypeError, r"name must be a string, not 3"),
        *[
            (
                lambda name=name: Flatten(name=name),
                ValueError,
                r"name must be made of letters, digits and underscores, .* digit, not " + re.escape(repr(name)),
            )
            for name in ("", "1a", "a.b", "a b", "a\n", "é")
        ],
        (lambda: Flatten(name="input"), ValueError, r"name must not be 'input', which is the network's input"),
        (
            lambda: Flatten(name="f", inputs="a"),
            TypeError,
            r"inputs of node 'f' must be a tuple of node names, not 'a'",
        ),
        (
            lambda: Flatten(name="f", inputs=(1,)),
            TypeError,
            r"inputs of node 'f' must be a tuple of node names, not \(1,\)",
        ),
        (lambda: Flatten(name="f", inputs=("a", "b")), ValueError, r"node 'f' takes one input, not 2"),
        (
            lambda: Linear(name="fc", weights=[[1, 0], [0, 2]]),
            ValueError,
            r"weights of node 'fc' must be -1, 0 or \+1, not 2 at \[1, 1\]",
        ),
        (
            lambda: Conv2d(name="conv", weights=-2 * W),
            ValueError,
            r"weights of node 'conv' must be -1, 0 or \+1, not -2 at \[0, 0, 0, 0\]",
        ),
        (
            lambda: Linear(name="fc", weights=np.array([[255]], np.uint8)),  # -1, had it been cast
            ValueError,
            r"weights of node 'fc' must be -1, 0 or \+1, not 255 at \[0, 0\]",
        ),
        (
            lambda: Linear(name="fc", weights=[[1.0, 0.0]]),
            TypeError,
            r"weights of node 'fc' must be integers, not float64",
        ),
        (
            lambda: Linear(name="fc", weights=[[True]]),
            TypeError,
            r"weights of node 'fc' must be integers, not bool",
        ),
        (
            lambda: Linear(name="fc", weights=[1, 0]),
            ValueError,
            r"weights of node 'fc' must have shape \(out, in\), not \(2,\)",
        ),
        (
            lambda: Linear(name="fc", weights=np.ones((0, 3), int)),
            ValueError,
            r"weights of node 'fc' must have shape \(out, in\), not \(0, 3\)",
        ),
        (
            lambda: Conv2d(name="conv", weights=[[1]]),
            ValueError,
            r"weights of node 'conv' must have shape \(out, in / groups, kernel_h, kernel_w\), not \(1, 1\)",
        ),
        (
            lambda: Linear(name="fc", weights=[[1]], bias=[1, 2]),
            ValueError,
            r"bias of node 'fc' must have shape \(1,\), not \(2,\)",
        ),
        (
            lambda: Linear(name="fc", weights=[[1]], bias=[0.5]),
            TypeError,
            r"bias of node 'fc' must be integers, not float64",
        ),
        (
            lambda: Linear(name="fc", weights=[[1]], bias=[2**31]),
            ValueError,
            r"bias of node 'fc' must be between -2147483648 and 2147483647, not 2147483648 at \[0\]",
        ),
        (
            lambda: Linear(name="fc", weights=[[1]], requantize="u4"),
            TypeError,
            r"requantize of node 'fc' must be Thresholds, ShiftRound or None, not 'u4'",
        ),
        (
            lambda: Linear(name="fc", weights=[[1], [1]], requantize=Thresholds(output=U1, levels=[[1]])),
            ValueError,
            r"node 'fc' has 2 channels, but its requantize has 1",
        ),
        (
            lambda: Conv2d(name="conv", weights=W, stride=0),
            ValueError,
            r"stride of node 'conv' must be a positive integer, not 0",
        ),
        (
            lambda: Conv2d(name="conv", weights=W, stride=(1, 2, 3)),
            ValueError,
            r"stride of node 'conv' must be one integer or two, not 3",
        ),
        (
            lambda: Conv2d(name="conv", weights=W, padding=(0, -1)),
            ValueError,
            r"padding of node 'conv' must be a non-negative integer, not -1",
        ),
        (
            lambda: Conv2d(name="conv", weights=W, padding="same"),
            TypeError,
            r"padding of node 'conv' must be a non-negative integer, not 'same'",
        ),
        (
            lambda: Conv2d(name="conv", weights=W, groups=0),
            ValueError,
            r"groups of node 'conv' must be a positive integer, not 0",
        ),
        (
            lambda: Conv2d(name="conv", weights=W, groups=3),
            ValueError,
            r"3 groups of node 'conv' cannot share 4 outputs",
        ),
        (
            lambda: MaxPool2d(name="pool", kernel=0),
            ValueError,
            r"kernel of node 'pool' must be a positive integer, not 0",
        ),
        (
            lambda: MaxPool2d(name="pool", kernel=2.0),
            TypeError,
            r"kernel of node 'pool' must be a positive integer, not 2\.0",
        ),
        (
            lambda: SumPool2d(name="pool", kernel=2, stride=-1),
            ValueError,
            r"stride of node 'pool' must be a positive integer, not -1",
        ),
        (
            lambda: MaxPool2d(name="pool", kernel=(4, 3), padding=2),
            ValueError,
            r"padding of node 'pool' must be at most half its kernel \(4, 3\), not \(2, 2\)",
        ),
        (
            lambda: SumPool2d(name="pool", kernel=1, padding=(1, 0)),
            ValueError,
            r"padding of node 'pool' must be at most half its kernel \(1, 1\), not \(1, 0\)",
        ),
        (lambda: Add(name="add", shifts=(0,)), ValueError, r"node 'add' must name at least two inputs, not 0"),
        (
            lambda: Add(name="add", shifts=(0,), inputs=("a",)),
            ValueError,
            r"node 'add' must name at least two inputs, not 1",
        ),
        (
            lambda: Add(name="add", shifts=(0,), inputs=("a", "b")),
            ValueError,
            r"node 'add' must have one shift an input, not 1 for 2",
        ),
        (
            lambda: Add(name="add", shifts=(0, 32), inputs=("a", "b")),
            ValueError,
            r"shifts of node 'add' must be an integer from 0 to 31, not 32",
        ),
        (
            lambda: Add(name="add", shifts=(0, 0.5), inputs=("a", "b")),
            TypeError,
            r"shifts of node 'add' must be an integer from 0 to 31, not 0\.5",
        ),
        (
            lambda: Add(name="add", shifts=3, inputs=("a", "b")),
            TypeError,
            r"shifts of node 'add' must be a tuple of integers, not 3",
        ),
    ],
)
def test_errors(make, error, message):
    with pytest.raises(error, match=f"^{message}$"):
        make()


def test_parameters_are_keyword_only():
    with pytest.raises(TypeError, match="positional"):
        Linear("fc", [[1]])
