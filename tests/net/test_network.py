import itertools

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from sterna.net import (
    AccumulatorType,
    ActivationType,
    Add,
    Conv2d,
    Flatten,
    Linear,
    MaxPool2d,
    Network,
    ShiftRound,
    SumPool2d,
    Thresholds,
)
from sterna.sim.golden import GoldenModel

U1, U2, U4, U8 = (ActivationType(width, False) for width in (1, 2, 4, 8))
S1, S2, S4 = (ActivationType(width, True) for width in (1, 2, 4))


def make(*nodes, shape=(2,), type=U4, scale=0.5, metadata=None):
    return Network(input_shape=shape, input_type=type, input_scale=scale, nodes=nodes, metadata=metadata)


def fc(name="fc", weights=((1, -1),), **more):
    return Linear(name=name, weights=weights, **more)


def ones(*shape):
    return np.ones(shape, dtype=np.int8)


def to_u4(channels):
    return Thresholds(output=U4, levels=np.tile(np.arange(15), (channels, 1)))


def test_a_plain_chain_names_no_inputs():
    network = make(
        Conv2d(name="conv", weights=ones(4, 3, 3, 3), stride=2, padding=1, requantize=to_u4(4)),
        MaxPool2d(name="pool", kernel=2),
        Flatten(name="flat"),
        Linear(name="fc1", weights=ones(5, 16), requantize=ShiftRound(output=S4, bias=1, shift=2)),
        Linear(name="fc2", weights=ones(3, 5), bias=[1, 2, 3]),
        shape=(3, 8, 8),
        type=U8,
    )
    assert [node.inputs for node in network.nodes] == [("input",), ("conv",), ("pool",), ("flat",), ("fc1",)]
    assert dict(network.shapes) == {
        "input": (3, 8, 8), "conv": (4, 4, 4), "pool": (4, 2, 2), "flat": (16,), "fc1": (5,), "fc2": (3,),
    }  # fmt: skip
    assert {name: str(type) for name, type in network.types.items()} == {
        "input": "u8", "conv": "u4", "pool": "u4", "flat": "u4", "fc1": "s4", "fc2": "s7",
    }  # fmt: skip
    assert dict(network.accumulators) == {
        "conv": AccumulatorType(0, 27 * 255),
        "fc1": AccumulatorType(0 + 1 + 2, 16 * 15 + 1 + 2),
        "fc2": AccumulatorType(5 * -8 + 1, 5 * 7 + 3),
    }
    assert (network.output_name, network.output_shape, network.output_type) == ("fc2", (3,), AccumulatorType(-39, 38))
    assert (network.input_shape, network.input_type, network.input_scale) == ((3, 8, 8), U8, 0.5)
    assert network.node("fc1") is network.nodes[3]
    assert network.weight_count == 4 * 27 + 80 + 15
    assert repr(network) == (
        f"<Network {network.digest[:12]}: input u8 (3, 8, 8), conv u4 (4, 4, 4), pool u4 (4, 2, 2), flat u4 (16,), "
        f"fc1 s4 (5,), fc2 s7 (3,)>"
    )


def test_a_residual_network_names_its_inputs():
    network = make(
        Conv2d(name="a", weights=ones(2, 2, 3, 3), padding=1, requantize=to_u4(2)),
        Conv2d(name="b", weights=-ones(2, 2, 1, 1)),
        Add(
            name="sum", shifts=(2, 0, 1), inputs=("a", "b", "input"), requantize=ShiftRound(output=U2, bias=0, shift=4)
        ),
        SumPool2d(name="mean", kernel=(3, 2), requantize=ShiftRound(output=U4, bias=[1, 2], shift=0)),
        shape=(2, 3, 2),
    )
    assert network.types["b"] == AccumulatorType(-30, 0)
    assert network.accumulators["sum"] == AccumulatorType(-30 + 8, 15 * 4 + 15 * 2 + 8)
    assert network.node("sum").requantize.shift.tolist() == [4, 4]
    assert network.accumulators["mean"] == AccumulatorType(1, 6 * 3 + 2)
    low, high = network.channel_bounds("mean")
    assert (low.tolist(), high.tolist()) == ([0, 0], [18, 18])


def test_pools_flatten_and_the_output_take_accumulators():
    network = make(
        Conv2d(name="conv", weights=-ones(1, 1, 1, 1), bias=[3]),
        MaxPool2d(name="max", kernel=2, stride=1),
        SumPool2d(name="sum", kernel=2, padding=1, stride=1),
        Flatten(name="flat"),
        shape=(1, 3, 3),
        type=U1,
    )
    assert network.types["max"] == AccumulatorType(2, 3)
    assert network.types["sum"] == AccumulatorType(2, 12)  # the corners hold one value and three paddings
    assert network.output_type == network.types["sum"]


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_accumulator_ranges_are_reached_and_never_left(data):
    """Over every input there is, so that the range is exact: also where padding hides a part of the kernel."""
    shape = data.draw(st.sampled_from([(1, 2, 2), (2, 1, 2), (1, 1, 3), (4, 1, 1), (2, 2, 1)]))
    type = data.draw(st.sampled_from([U1, S1, U2, S2]))
    kernel, stride = (data.draw(st.tuples(st.integers(1, 3), st.integers(1, 3))) for _ in range(2))
    convolves = data.draw(st.booleans())
    padding = data.draw(st.tuples(*[st.integers(0, 2 if convolves else extent // 2) for extent in kernel]))
    assume(all(extent <= size + 2 * p for extent, size, p in zip(kernel, shape[1:], padding, strict=True)))
    if convolves:
        groups = data.draw(st.sampled_from([1, 2])) if shape[0] % 2 == 0 else 1
        seed = data.draw(st.integers(0, 2**32))
        weights = np.random.default_rng(seed).integers(-1, 2, size=(2, shape[0] // groups, *kernel))
        bias = data.draw(st.sampled_from([None, [-7, 5]]))
        node = Conv2d(name="node", weights=weights, stride=stride, padding=padding, groups=groups, bias=bias)
    else:
        node = SumPool2d(name="node", kernel=kernel, stride=stride, padding=padding)
    network = make(node, shape=shape, type=type)
    x = np.array(list(itertools.product(range(type.min, type.max + 1), repeat=int(np.prod(shape)))))
    acc = GoldenModel(network).predict(x.reshape(-1, *shape))
    low, high = network.channel_bounds("node")
    assert acc.min(axis=(0, 2, 3)).tolist() == low.tolist()
    assert acc.max(axis=(0, 2, 3)).tolist() == high.tolist()
    assert network.accumulators["node"] == AccumulatorType(acc.min(), acc.max())


@pytest.mark.parametrize("type", [U8, ActivationType(8, True), U1, S1])
def test_both_extremes_of_a_large_layer(type):
    rng = np.random.default_rng(1)
    weights = rng.choice([-1, 0, 1], size=(16, 784), p=[0.1, 0.85, 0.05])
    network = make(Linear(name="fc", weights=weights, bias=np.arange(-8, 8)), shape=(784,), type=type)
    highest = np.where(weights > 0, type.max, np.where(weights < 0, type.min, 0))
    lowest = np.where(weights > 0, type.min, np.where(weights < 0, type.max, 0))
    acc = GoldenModel(network).predict(np.concatenate([lowest, highest]))
    low, high = network.channel_bounds("fc")
    assert np.array_equal(np.diag(acc[:16]), low)
    assert np.array_equal(np.diag(acc[16:]), high)
    assert network.accumulators["fc"] == AccumulatorType(low.min(), high.max())


def test_the_range_takes_in_what_shift_round_adds():
    requantize = ShiftRound(output=U4, bias=[100, -3], shift=[0, 3])
    network = make(fc(weights=[[1, 1], [1, -1]], bias=[1, 2], requantize=requantize))
    assert [bound.tolist() for bound in network.channel_bounds("fc")] == [[1, -13], [31, 17]]
    assert network.accumulators["fc"] == AccumulatorType(-13 - 3 + 4, 31 + 100)


def test_an_empty_row_and_no_nonzeros():
    network = make(fc(weights=[[0, 0], [0, 0]], bias=[4, -2]))
    assert network.accumulators["fc"] == AccumulatorType(-2, 4)
    assert network.zeros == 1.0
    assert make(fc(weights=[[0, 0]])).types["fc"].width == 1


def test_zeros_counts_all_layers():
    network = make(fc("a", [[1, 0], [0, 0]], requantize=to_u4(2)), fc("b", [[1, -1], [0, 1]]))
    assert network.zeros == 0.5
    assert make(Flatten(name="flat")).zeros == 0.0


def test_channel_bounds_errors():
    network = make(Flatten(name="flat"), fc())
    with pytest.raises(ValueError, match=r"^node 'flat' has no accumulators$"):
        network.channel_bounds("flat")
    with pytest.raises(ValueError, match=r"^no node is named 'fd'$"):
        network.node("fd")
    with pytest.raises(ValueError, match=r"^no node is named 'input'$"):
        network.channel_bounds("input")


def test_a_network_cannot_be_changed():
    given = {"seed": 1, "log": [1, 2]}
    network = make(fc(), metadata=given)
    given["log"].append(3)
    network.metadata["log"].append(3)
    assert network.metadata == {"seed": 1, "log": [1, 2]}
    for attribute in ("nodes", "input_scale", "digest", "anything"):
        with pytest.raises(AttributeError):
            setattr(network, attribute, None)
    for mapping in (network.shapes, network.types, network.accumulators):
        with pytest.raises(TypeError):
            mapping["fc"] = None
    with pytest.raises(ValueError, match="read-only"):
        network.channel_bounds("fc")[0][0] = 3


def test_the_nodes_given_are_left_alone():
    pool = SumPool2d(name="pool", kernel=1, requantize=ShiftRound(output=U4, bias=0, shift=1))
    network = make(pool, shape=(3, 1, 1))
    assert (pool.inputs, pool.requantize.channels) == ((), None)
    assert (network.nodes[0].inputs, network.nodes[0].requantize.channels) == (("input",), 3)


def pixels(**more):
    return {"shape": (2, 4, 4), **more}


@pytest.mark.parametrize(
    ("build", "error", "message"),
    [
        (lambda: make(fc(), shape=2), TypeError, r"input_shape must be a tuple of integers, not 2"),
        (
            lambda: make(fc(), shape=(2, 2)),
            ValueError,
            r"input_shape must be \(features,\) or \(channels, height, width\), not \(2, 2\)",
        ),
        (lambda: make(fc(), shape=(0,)), ValueError, r"input_shape must be a positive integer, not 0"),
        (lambda: make(fc(), shape=(2.0,)), TypeError, r"input_shape must be a positive integer, not 2\.0"),
        (lambda: make(fc(), type="u4"), TypeError, r"input_type must be an ActivationType, not 'u4'"),
        (lambda: make(fc(), scale="1"), TypeError, r"input_scale must be a positive number, not '1'"),
        (lambda: make(fc(), scale=True), TypeError, r"input_scale must be a positive number, not True"),
        (lambda: make(fc(), scale=0), ValueError, r"input_scale must be a positive number, not 0"),
        (lambda: make(fc(), scale=-1.0), ValueError, r"input_scale must be a positive number, not -1\.0"),
        (lambda: make(fc(), scale=float("nan")), ValueError, r"input_scale must be a positive number, not nan"),
        (lambda: make(fc(), scale=float("inf")), ValueError, r"input_scale must be a positive number, not inf"),
        (lambda: make(fc(), metadata=[1]), TypeError, r"metadata must be a mapping, not \[1\]"),
        (lambda: make(fc(), metadata={"x": {1}}), TypeError, r"metadata must be what JSON can hold: .*set.*"),
        (lambda: make(fc(), metadata={"x": float("nan")}), ValueError, r"metadata must be what JSON can hold: .*"),
        (
            lambda: Network(input_shape=(2,), input_type=U4, input_scale=1, nodes=fc()),
            TypeError,
            r"nodes must be a sequence of nodes, not Linear.*",
        ),
        (lambda: make(), ValueError, r"nodes must hold at least one node"),
        (lambda: make("fc"), TypeError, r"nodes must be nodes, not 'fc'"),
        (lambda: make(fc(), Flatten(name="fc")), ValueError, r"two nodes are named 'fc'"),
        (
            lambda: make(fc(inputs=("inputs",))),
            ValueError,
            r"input 'inputs' of node 'fc' is neither 'input' nor an earlier node",
        ),
        (
            lambda: make(fc(inputs=("later",)), Flatten(name="later")),
            ValueError,
            r"input 'later' of node 'fc' is neither 'input' nor an earlier node",
        ),
        (
            lambda: make(Flatten(name="loop", inputs=("loop",))),
            ValueError,
            r"input 'loop' of node 'loop' is neither 'input' nor an earlier node",
        ),
        (
            lambda: make(fc("dead"), fc(inputs=("input",))),
            ValueError,
            r"node 'dead' is used by no other node, and only the last may be",
        ),
        (
            lambda: make(fc("a", [[1, 1], [1, 1]]), fc("b")),
            ValueError,
            r"node 'b' takes activation codes, but 'a' gives accumulators \(u5\): requantize them",
        ),
        (
            lambda: make(fc(), shape=(3,)),
            ValueError,
            r"node 'fc' takes inputs of shape \(2,\), not \(3,\)",
        ),
        (
            lambda: make(fc(), **pixels()),
            ValueError,
            r"node 'fc' takes inputs of shape \(2,\), not \(2, 4, 4\): put a Flatten before it",
        ),
        (
            lambda: make(Conv2d(name="conv", weights=ones(1, 3, 1, 1)), **pixels()),
            ValueError,
            r"node 'conv' takes inputs of shape \(3, height, width\), not \(2, 4, 4\)",
        ),
        (
            lambda: make(Conv2d(name="conv", weights=ones(2, 2, 1, 1), groups=2), **pixels()),
            ValueError,
            r"node 'conv' takes inputs of shape \(4, height, width\), not \(2, 4, 4\)",
        ),
        (
            lambda: make(Conv2d(name="conv", weights=ones(1, 2, 1, 1)), shape=(2,)),
            ValueError,
            r"node 'conv' takes inputs of shape \(2, height, width\), not \(2,\)",
        ),
        (
            lambda: make(Conv2d(name="conv", weights=ones(1, 2, 5, 7), padding=1), **pixels()),
            ValueError,
            r"kernel \(5, 7\) of node 'conv' does not fit its padded input \(6, 6\)",
        ),
        (
            lambda: make(MaxPool2d(name="pool", kernel=(1, 5)), **pixels()),
            ValueError,
            r"kernel \(1, 5\) of node 'pool' does not fit its padded input \(4, 4\)",
        ),
        (
            lambda: make(SumPool2d(name="pool", kernel=2)),
            ValueError,
            r"node 'pool' takes inputs of shape \(channels, height, width\), not \(2,\)",
        ),
        (
            lambda: make(fc("a"), Add(name="add", shifts=(0, 0), inputs=("a", "input"))),
            ValueError,
            r"node 'add' adds inputs of one shape, but 'a' has \(1,\) and 'input' \(2,\)",
        ),
        (
            lambda: make(Add(name="add", shifts=(0, 0), inputs=("input", "input"), requantize=to_u4(3))),
            ValueError,
            r"node 'add' has 2 channels, but its requantize has 3",
        ),
        (
            lambda: make(SumPool2d(name="pool", kernel=2, requantize=to_u4(3)), **pixels()),
            ValueError,
            r"node 'pool' has 2 channels, but its requantize has 3",
        ),
        (
            lambda: make(
                Add(name="a", shifts=(31, 0), inputs=("input", "input")),
                Add(name="b", shifts=(31, 0), inputs=("a", "a")),
            ),
            ValueError,
            r"accumulators of node 'b' must stay below 2\^62, not reach from 0 to 69175290340835328015",
        ),
    ],
)
def test_errors(build, error, message):
    with pytest.raises(error, match=f"^{message}$"):
        build()


def digest(*nodes, **more):
    return make(*nodes, **more).digest


def forked(*inputs):
    a = fc("a", weights=[[1, 1], [0, 1]])
    return make(a, Add(name="add", shifts=(0, 1), inputs=inputs)).digest


def test_the_digest_follows_the_meaning():
    def shifted(bias=0, shift=1, output=U4):
        return fc(requantize=ShiftRound(output=output, bias=bias, shift=shift))

    def stepped(level, output=U1):
        return fc(requantize=Thresholds(output=output, levels=[[level]]))

    def conv(**more):
        return Conv2d(name="conv", weights=ones(2, 1, 2, 2), **{"groups": 2, **more})

    def pooled(kind, **more):
        return kind(name="pool", **{"kernel": 2, **more})

    def added(*shifts):
        return Add(name="add", shifts=shifts, inputs=("input", "input"))

    digests = [
        digest(fc()),
        digest(fc(weights=[[1, 1]])),
        digest(fc(weights=[[-1, 1]])),
        digest(fc(weights=[[1, -1], [1, -1]])),
        digest(fc(bias=[1])),
        digest(fc(name="other")),
        digest(fc(), scale=0.25),
        digest(fc(), type=S4),
        digest(fc(), type=U8),
        digest(shifted()),
        digest(shifted(bias=1)),
        digest(shifted(shift=2)),
        digest(shifted(output=S4)),
        digest(stepped(1)),
        digest(stepped(2)),
        digest(stepped(1, S1)),
        digest(conv(), **pixels()),
        digest(conv(stride=2), **pixels()),
        digest(conv(stride=(2, 1)), **pixels()),
        digest(conv(padding=1), **pixels()),
        digest(conv(padding=1), shape=(2, 4, 5)),
        digest(pooled(MaxPool2d), **pixels()),
        digest(pooled(MaxPool2d, stride=1), **pixels()),
        digest(pooled(MaxPool2d, padding=1), **pixels()),
        digest(pooled(MaxPool2d, kernel=4), **pixels()),
        digest(pooled(SumPool2d), **pixels()),
        digest(Flatten(name="flat"), **pixels()),
        digest(added(0, 0)),
        digest(added(0, 1)),
        digest(added(1, 0)),
        forked("a", "input"),
        forked("input", "a"),
    ]
    assert len(set(digests)) == len(digests)
    assert all(len(one) == 64 and int(one, 16) >= 0 for one in digests)


def test_the_digest_ignores_what_means_nothing():
    reference = digest(fc())
    assert digest(fc(), metadata={"seed": 3}) == reference
    assert digest(fc(inputs=("input",))) == reference
    assert digest(fc(bias=[0])) == reference
    assert digest(fc(weights=np.array([[1, -1]], dtype=np.int64))) == reference
    requantized = [
        digest(fc(weights=[[1, 1], [0, 1]], requantize=ShiftRound(output=U4, bias=bias, shift=shift)))
        for bias, shift in (([2, 2], [1, 1]), (2, 1), ([2, 2], 1))
    ]
    assert len(set(requantized)) == 1
    assert digest(MaxPool2d(name="pool", kernel=2), **pixels()) == digest(
        MaxPool2d(name="pool", kernel=(2, 2), stride=2), **pixels()
    )
