import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from sterna.net.trits import pack_trits, unpack_trits

TERNARY = hnp.arrays(
    np.int8, hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=7), elements=st.integers(-1, 1)
)


@given(TERNARY)
def test_what_is_packed_comes_back(weights):
    packed = pack_trits(weights)
    assert (packed.dtype, packed.shape) == (np.uint8, (-(-weights.size // 5),))
    back = unpack_trits(packed, weights.shape)
    assert back.dtype == np.int8
    assert np.array_equal(back, weights)


@given(TERNARY.map(lambda weights: np.asfortranarray(weights)))
def test_the_order_is_cs_whatever_the_layout(weights):
    assert np.array_equal(pack_trits(weights), pack_trits(weights.copy(order="C")))


def test_the_first_weight_is_the_lowest_digit():
    assert pack_trits(np.array([1, 0, -1, 0, 0], dtype=np.int8)).tolist() == [2 + 3 + 0 * 9 + 27 + 81]
    assert pack_trits(np.array([1, 1, 1, 1, 1, -1], dtype=np.int8)).tolist() == [242, 0 + 3 + 9 + 27 + 81]


@pytest.mark.parametrize(
    ("packed", "shape", "message"),
    [
        ([121], (6,), r"must have shape \(2,\) for 6 weights, not \(1,\)"),
        ([121, 121], (5,), r"must have shape \(1,\) for 5 weights, not \(2,\)"),
        ([243], (5,), r"must be bytes from 0 to 242, not 243"),
        ([122], (0,), r"must have shape \(0,\) for 0 weights, not \(1,\)"),
        ([121 + 27], (3,), r"must end in zeros"),
    ],
)
def test_what_was_not_packed_is_refused(packed, shape, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        unpack_trits(np.array(packed, dtype=np.uint8), shape)
