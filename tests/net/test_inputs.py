import pickle
from fractions import Fraction

import numpy as np
import pytest

from sterna.net import ActivationType, InputRule, Linear, Network
from sterna.sim.golden import GoldenModel

U4, S4, U8 = ActivationType(4, False), ActivationType(4, True), ActivationType(8, False)


def make(**more):
    nodes = [Linear(name="fc", weights=[[1, -1]])]
    return Network(**{"input_shape": (2,), "input_type": S4, "input_scale": 0.5, "nodes": nodes} | more)


def test_a_narrow_range_clamps_real_inputs_but_no_codes():
    network = make(input_range=(-7, 6))
    assert network.quantize([[-9.0, -3.9], [2.9, 9.0], [-3.5, 0.0]]).tolist() == [[-7, -7], [6, 6], [-7, 0]]
    assert make().quantize([[-9.0, 9.0]]).tolist() == [[-8, 7]]
    assert GoldenModel(network).predict([[-8, 7]]).tolist() == [[-15]]
    assert (network.accumulators["fc"].min, network.accumulators["fc"].max) == (-15, 15)


def test_preprocessing_by_channel_goes_along_the_channels():
    rule = InputRule(shape=(2, 1, 3), type=U8, scale=1.0, gain=(1.0, 10.0), offset=(0.0, -5.0))
    x = np.arange(12).reshape(2, 2, 1, 3)
    assert rule.quantize(x).tolist() == [[[[0, 1, 2]], [[25, 35, 45]]], [[[6, 7, 8]], [[85, 95, 105]]]]
    features = InputRule(shape=(2,), type=U8, scale=1.0, gain=(1.0, 10.0))
    assert features.quantize([[3, 4]]).tolist() == [[3, 40]]


def test_each_step_is_rounded_to_float64_and_halves_go_to_even():
    rng = np.random.default_rng(0)
    gain, offset, scale = 0.1, -0.3, 0.07
    x = rng.normal(size=(200, 2))
    halves = ((np.arange(-20, 20) + 0.5) * scale - offset) / gain
    x = np.concatenate([x, np.stack([halves, np.nextafter(halves, np.inf)], axis=1)])
    network = make(input_gain=gain, input_offset=offset, input_scale=scale)

    def code(value):
        product = float(Fraction(float(value)) * Fraction(gain))
        quotient = float(Fraction(float(Fraction(product) + Fraction(offset))) / Fraction(scale))
        return max(-8, min(7, round(quotient)))

    assert network.quantize(x).tolist() == [[code(value) for value in row] for row in x]
    assert make(input_gain=0.5, input_scale=1.0).quantize([[1, 3]]).tolist() == [[0, 2]]


def test_float32_inputs_are_computed_in_float64():
    x = np.array([[0.1, 0.7]], dtype=np.float32)
    network = make(input_gain=0.1, input_scale=0.001, input_type=U8)
    assert network.quantize(x).tolist() == network.quantize(x.astype(np.float64)).tolist()


def test_what_leaves_float64_is_clamped():
    network = make(input_gain=1e300, input_scale=1e-300)
    assert network.quantize([[1e308, -1e308]]).tolist() == [[7, -8]]


def test_predict_takes_real_inputs_where_it_is_told():
    network = make(input_gain=2.0, input_offset=-1.0, input_range=(-7, 7))
    x = [[0.5, 0.0], [0.25, 1.0]]
    codes = [[0, -2], [-1, 2]]
    golden = GoldenModel(network)
    assert network.quantize(x).tolist() == codes
    assert golden.predict(x, real=True).tolist() == golden.predict(codes).tolist() == [[2], [-3]]
    assert golden.trace(x, real=True)["fc"].tolist() == [[2], [-3]]
    assert golden.classify(x, real=True).tolist() == [0, 0]
    with pytest.raises(ValueError, match=r"^input must be integer codes, not 0\.5 at \[0, 0\]$"):
        golden.predict(x)


def test_the_digest_tells_input_rules_apart_but_not_ways_to_write_them():
    plain = make().digest
    assert make(input_range=(-8, 7), input_gain=1, input_offset=[-0.0, 0.0]).digest == plain
    different = [
        make(input_range=(-7, 7)), make(input_range=(-8, 6)), make(input_gain=2.0), make(input_offset=2.0),
        make(input_gain=[1.0, 2.0]), make(input_gain=[2.0, 1.0]),
    ]  # fmt: skip
    assert len({network.digest for network in different} | {plain}) == 7
    assert make(input_gain=[2.0, 2.0]).digest == make(input_gain=2).digest == make(input_gain=np.float32(2)).digest


def test_a_pickle_keeps_the_rule():
    network = make(input_range=(-7, 7), input_gain=[1.0, 2.0])
    copy = pickle.loads(pickle.dumps(network))
    assert copy.digest == network.digest
    assert copy.input_rule == network.input_rule


def test_other_metadata_change_nothing_else():
    network = make(input_range=(-7, 7), input_gain=[1.0, 2.0], metadata={"seed": 3})
    other = network.with_metadata({"seed": 4})
    assert (other.digest, other.metadata, network.metadata) == (network.digest, {"seed": 4}, {"seed": 3})
    with pytest.raises(TypeError, match=r"^metadata must be a mapping, not 3$"):
        network.with_metadata(3)


@pytest.mark.parametrize(
    ("more", "error", "message"),
    [
        ({"input_range": 3}, TypeError, r"input_range must be \(low, high\) or None, not 3"),
        ({"input_range": (1, 2, 3)}, ValueError, r"input_range must be two integers, not 3"),
        ({"input_range": (-9, 2)}, ValueError, r"input_range must be an integer from -8 to 7, not -9"),
        ({"input_range": (0.0, 2)}, TypeError, r"input_range must be an integer from -8 to 7, not 0\.0"),
        ({"input_range": (2, 2)}, ValueError, r"input_range must rise, but 2 is followed by 2"),
        ({"input_gain": "a"}, TypeError, r"input_gain must be numbers, not 'a'"),
        ({"input_gain": [True, False]}, TypeError, r"input_gain must be numbers, not \[True, False\]"),
        ({"input_gain": [[1.0, 2.0]]}, ValueError, r"input_gain must be .* each of 2 channels, not \(1, 2\)"),
        ({"input_offset": [1, 2, 3]}, ValueError, r"input_offset must be .* each of 2 channels, not \(3,\)"),
        ({"input_offset": [1, np.nan]}, ValueError, r"input_offset must be finite, not nan at \[1\]"),
        ({"input_gain": np.inf}, ValueError, r"input_gain must be finite, not inf"),
    ],
)
def test_errors(more, error, message):
    with pytest.raises(error, match=f"^{message}$"):
        make(**more)


def test_real_inputs_of_another_shape_are_refused():
    with pytest.raises(
        ValueError, match=r"^input must have shape \(batch, 2\), not \(2,\): add a batch axis in front$"
    ):
        make().quantize([1.0, 2.0])
