"""The golden model against torch's functional operators in float64, which share no code with it, and by hand."""

import subprocess
import sys

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from sterna.net import (
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

U1, U4, U8 = (ActivationType(width, False) for width in (1, 4, 8))
S1, S4, S8 = (ActivationType(width, True) for width in (1, 4, 8))


@pytest.fixture(autouse=True)
def one_thread():
    """Tiny convolutions wait for torch's threads far longer than they compute."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def reference(network, x):
    """Every node's output, by torch in float64."""
    values = {"input": torch.from_numpy(x.astype(np.float64))}
    for node in network.nodes:
        operands = [values[name] for name in node.inputs]
        y = operands[0]
        if isinstance(node, (Linear, Conv2d)):
            weight = torch.from_numpy(node.weights.astype(np.float64))
            bias = None if node.bias is None else torch.from_numpy(node.bias.astype(np.float64))
            if isinstance(node, Linear):
                y = F.linear(y, weight, bias)
            else:
                y = F.conv2d(y, weight, bias, node.stride, node.padding, groups=node.groups)
        elif isinstance(node, MaxPool2d):
            y = F.max_pool2d(y, node.kernel, node.stride, node.padding)
        elif isinstance(node, SumPool2d):
            y = F.avg_pool2d(y, node.kernel, node.stride, node.padding, count_include_pad=True, divisor_override=1)
        elif isinstance(node, Flatten):
            y = torch.flatten(y, 1)
        else:
            assert isinstance(node, Add)
            y = sum(operand * 2.0**shift for operand, shift in zip(operands, node.shifts, strict=True))
        requantize = getattr(node, "requantize", None)
        if requantize is not None:
            width, signed = requantize.output.width, requantize.output.signed
            lowest, highest = (-(2 ** (width - 1)), 2 ** (width - 1) - 1) if signed else (0, 2**width - 1)
            per_channel = (1, -1, *[1] * (y.ndim - 2))
            if isinstance(requantize, Thresholds):
                levels = torch.from_numpy(requantize.levels.astype(np.float64))
                reached = y.unsqueeze(-1) >= levels.reshape(*per_channel, levels.shape[1])
                y = lowest + reached.sum(dim=-1).double()
            else:
                scale = torch.from_numpy(2.0**requantize.shift).reshape(per_channel)
                bias = torch.from_numpy(requantize.bias.astype(np.float64)).reshape(per_channel)
                half = torch.where(scale > 1, scale / 2, 0.0)
                y = torch.clamp(torch.floor((y + bias + half) / scale), lowest, highest)
        values[node.name] = y
    del values["input"]
    return values


types = st.builds(ActivationType, st.integers(1, 8), st.booleans())


@st.composite
def requantizations(draw, rng, channels, span):
    output = draw(types)
    if draw(st.booleans()):
        # Narrow spans give equal levels and accumulators that hit them, wide ones levels that nothing reaches.
        span = draw(st.sampled_from([2, span, 2**31 - 1]))
        levels = np.sort(rng.integers(-span, span, size=(channels, 2**output.width - 1), endpoint=True), axis=1)
        return Thresholds(output=output, levels=levels)
    shift = rng.integers(0, max(1, span.bit_length()), size=channels, endpoint=True)
    bias = rng.integers(-span, span, size=channels, endpoint=True)
    return ShiftRound(output=output, bias=bias, shift=shift if draw(st.booleans()) else int(shift[0]))


@st.composite
def networks(draw):
    """Up to six nodes of any kind that fits, each on any earlier value; what the last does not need is left out."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    if draw(st.integers(0, 3)):
        shape = (draw(st.integers(1, 4)), draw(st.integers(1, 7)), draw(st.integers(1, 7)))
    else:
        shape = (draw(st.integers(1, 40)),)
    input_type = draw(types)
    nodes, shapes, outputs, spans = [], {"input": shape}, {"input": input_type}, {"input": 2**input_type.width}

    def pair(low, high):
        return draw(st.tuples(st.integers(low, high), st.integers(low, high)))

    def fits(shape, kernel, padding):
        return all(k <= s + 2 * p for k, s, p in zip(kernel, shape[1:], padding, strict=True))

    for index in range(draw(st.sampled_from([1, 2, 4, 6]))):
        name = f"n{index}"
        latest = list(shapes)[-3:]
        source = draw(st.sampled_from([*latest, latest[-1], latest[-1]]))
        shape, codes, span = shapes[source], outputs[source], spans[source]
        kinds = ["flatten", "add"] if len(shape) == 1 else ["flatten", "add", "add", "max", "sum"]
        if codes is not None:
            kinds += ["linear"] * 3 if len(shape) == 1 else ["conv"] * 4
        kind = draw(st.sampled_from(kinds))
        density = draw(st.sampled_from([0.0, 0.1, 0.5, 1.0]))
        more, fan_in, channels = {"inputs": (source,)}, 1, shape[0]

        def ternary(*size, density=density):
            return rng.choice([-1, 0, 1], size=size, p=[density / 2, 1 - density, density / 2])

        def bias(channels, span=span):
            return rng.integers(-span, span, size=channels) if draw(st.booleans()) else None

        if kind == "linear":
            channels, fan_in = draw(st.integers(1, 8)), shape[0]
            make, more = Linear, {**more, "weights": ternary(channels, fan_in), "bias": bias(channels)}
        elif kind == "conv":
            kernel, padding = pair(1, 4), pair(0, 3)
            if not fits(shape, kernel, padding):
                continue
            groups = draw(st.sampled_from([g for g in (1, 2, 3, 4) if shape[0] % g == 0]))
            channels, fan_in = groups * draw(st.integers(1, 3)), shape[0] // groups * kernel[0] * kernel[1]
            weights = ternary(channels, shape[0] // groups, *kernel)
            more |= {"weights": weights, "bias": bias(channels), "groups": groups, "padding": padding}
            make, more = Conv2d, {**more, "stride": pair(1, 3)}
        elif kind in ("max", "sum"):
            kernel = pair(1, 4)
            padding = draw(st.tuples(*[st.integers(0, extent // 2) for extent in kernel]))
            if not fits(shape, kernel, padding):
                continue
            fan_in = kernel[0] * kernel[1] if kind == "sum" else 1
            make = MaxPool2d if kind == "max" else SumPool2d
            more |= {"kernel": kernel, "padding": padding, "stride": draw(st.none() | st.just(pair(1, 3)))}
        elif kind == "flatten":
            make = Flatten
        else:
            others = [other for other in shapes if shapes[other] == shape]
            inputs = (source, *draw(st.lists(st.sampled_from(others), min_size=1, max_size=2)))
            shifts = draw(st.tuples(*[st.integers(0, 4)] * len(inputs)))
            span, fan_in = max(spans[other] for other in inputs), len(inputs) * 16
            make, more = Add, {"inputs": inputs, "shifts": shifts}
        if kind not in ("max", "flatten"):
            spans[name] = span * (fan_in + 1)
            outputs[name] = None
            if draw(st.integers(0, 3)):
                more["requantize"] = draw(requantizations(rng, channels, spans[name]))
                outputs[name] = more["requantize"].output
                spans[name] = 2 ** outputs[name].width
        else:
            outputs[name], spans[name] = codes, span
        node = make(name=name, **more)
        nodes.append(node)
        shapes[name] = node.output_shape([shapes[other] for other in node.inputs])
    if not nodes:
        nodes = [Flatten(name="n")]
    needed, kept = set(nodes[-1].inputs), [nodes[-1]]
    for node in reversed(nodes[:-1]):
        if node.name in needed:
            kept.append(node)
            needed.update(node.inputs)
    return Network(input_shape=shapes["input"], input_type=input_type, input_scale=1.0, nodes=kept[::-1])


@settings(
    max_examples=500, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)
@given(network=networks(), seed=st.integers(0, 2**32 - 1))
def test_every_value_equals_torchs(network, seed):
    low, high = network.input_type.min, network.input_type.max
    x = np.random.default_rng(seed).integers(low, high, size=(5, *network.input_shape), endpoint=True)
    x[0], x[1] = low, high
    model = GoldenModel(network)
    trace, expected = model.trace(x), reference(network, x)
    assert list(trace) == list(expected)
    event(f"{len(network.nodes)} nodes")
    for node in network.nodes:
        event(f"{type(node).__name__} {type(getattr(node, 'requantize', None)).__name__}")
        y = trace[node.name]
        assert y.dtype == np.int64
        assert y.shape == (5, *network.shapes[node.name])
        assert np.array_equal(y, expected[node.name].numpy()), node
        assert y.min() >= network.types[node.name].min
        assert y.max() <= network.types[node.name].max
    assert np.array_equal(model.predict(x), trace[network.output_name])


def make(*nodes, shape, type=U4):
    return Network(input_shape=shape, input_type=type, input_scale=1, nodes=nodes)


def predict(*nodes, x, type=U4):
    x = np.array(x)
    return GoldenModel(make(*nodes, shape=x.shape[1:], type=type)).predict(x).tolist()


def test_linear_by_hand():
    node = Linear(name="fc", weights=[[1, 1, 0], [0, -1, 1], [0, 0, 0]], bias=[0, 100, -7])
    assert predict(node, x=[[1, 2, 3], [15, 15, 0], [0, 0, 0]]) == [[3, 101, -7], [30, 85, -7], [0, 100, -7]]


def test_convolution_is_a_cross_correlation_padded_with_zeros():
    x = [[[[1, 2], [3, 4]]]]
    node = Conv2d(name="conv", weights=[[[[1, 0], [0, -1]]]], padding=1)
    assert predict(node, x=x) == [[[[-1, -2, 0], [-3, -3, 2], [0, 3, 4]]]]
    node = Conv2d(name="conv", weights=[[[[1, -1]]]], padding=(0, 1), stride=(2, 1))
    assert predict(node, x=x) == [[[[-1, -1, 2]]]]


def test_groups_keep_apart():
    weights = [[[[1]]], [[[-1]]], [[[1]]], [[[0]]]]
    node = Conv2d(name="conv", weights=weights, groups=2)
    assert predict(node, x=[[[[3]], [[5]]]]) == [[[[3]], [[-3]], [[5]], [[0]]]]


def test_padding_never_wins_a_maximum():
    pool = MaxPool2d(name="pool", kernel=3, stride=2, padding=1)
    assert predict(pool, x=[[[[-8, -7], [-6, -5]]]], type=S4) == [[[[-5]]]]
    assert predict(pool, x=[[[[-8]]]], type=S4) == [[[[-8]]]]


def test_padding_is_code_zero_in_a_sum():
    pool = SumPool2d(name="pool", kernel=2, stride=1, padding=1)
    assert predict(pool, x=[[[[-8, 7]]]], type=S4) == [[[[-8, -1, 7], [-8, -1, 7]]]]


def test_flattening_is_channel_major():
    x = np.arange(12).reshape(1, 3, 2, 2)
    assert predict(Flatten(name="flat"), x=x) == [list(range(12))]


def test_add_shifts_each_input():
    nodes = [
        Linear(name="a", weights=[[1, 0], [0, -1]]),
        Add(name="sum", shifts=(2, 0, 1), inputs=("a", "input", "a")),
    ]
    assert predict(*nodes, x=[[3, 5]]) == [[3 * 4 + 3 + 3 * 2, -5 * 4 + 5 - 5 * 2]]


def test_thresholds_by_hand():
    levels = [[-1, 0, 0], [2, 2, 2], [-(2**31), 2**31 - 1, 2**31 - 1]]
    for type, lowest in ((ActivationType(2, False), 0), (ActivationType(2, True), -2)):
        node = Linear(name="fc", weights=[[1], [1], [1]], requantize=Thresholds(output=type, levels=levels))
        codes = np.array([[0, 0, 1], [1, 0, 1], [3, 0, 1], [3, 3, 1]]) + lowest
        assert predict(node, x=[[-2], [-1], [0], [2]], type=S4) == codes.tolist()


def test_shift_round_by_hand():
    requantize = ShiftRound(output=S4, bias=[0, -1, 0, 2**31 - 1], shift=[1, 2, 0, 31])
    node = Linear(name="fc", weights=[[1]] * 4, requantize=requantize)
    assert predict(node, x=[[-8], [-3], [-1], [3], [7]], type=S4) == [
        [-4, -2, -8, 1],
        [-1, -1, -3, 1],
        [0, 0, -1, 1],
        [2, 1, 3, 1],
        [4, 2, 7, 1],
    ]


def test_signed_width_one_is_minus_one_and_zero():
    node = Linear(name="fc", weights=[[1, -1]], requantize=Thresholds(output=S1, levels=[[1]]))
    assert predict(node, x=[[0, 0], [-1, 0], [0, -1], [-1, -1]], type=S1) == [[-1], [-1], [0], [-1]]


@pytest.mark.parametrize(
    ("inputs", "type", "code", "dtype"),
    [
        (65793, U8, 255, np.float32),  # 65793 * 255 = 2^24 - 1
        (65794, U8, 255, np.float64),
        (131071, S8, -128, np.float32),
        (131072, S8, -128, np.float64),  # 131072 * 128 = 2^24
        (131073, S8, -128, np.float64),
    ],
)
def test_float64_takes_over_where_float32_could_round(inputs, type, code, dtype):
    weights = np.ones((2, inputs), dtype=np.int8)
    weights[1, 0] = -1
    model = GoldenModel(make(Linear(name="fc", weights=weights), shape=(inputs,), type=type))
    assert model._matrices["fc"].dtype == dtype
    step = 1 if code < 0 else -1  # towards the range's inside
    x = np.full((2, inputs), code)
    x[1, 1] += step
    total = code * inputs
    assert model.predict(x).tolist() == [[total, total - 2 * code], [total + step, total - 2 * code + step]]


def test_large_sums_are_exact_in_any_kind():
    """Beyond float32's and into float64's last bits, in the nodes that never see a float."""
    nodes = [
        Add(name="a", shifts=(31, 0), inputs=("input", "input")),
        Add(name="b", shifts=(22, 0), inputs=("a", "a")),
        SumPool2d(name="sum", kernel=2),
    ]
    one = 15 * (2**31 + 1) * (2**22 + 1)
    assert one > 2**53
    assert predict(*nodes, x=np.full((1, 1, 2, 2), 15)) == [[[[4 * one]]]]


def test_chunks_change_nothing(monkeypatch):
    rng = np.random.default_rng(0)
    nodes = [
        Conv2d(
            name="conv", weights=rng.integers(-1, 2, (3, 2, 3, 3)), requantize=ShiftRound(output=U4, bias=0, shift=1)
        ),
        Flatten(name="flat"),
        Linear(name="fc", weights=rng.integers(-1, 2, (4, 27))),
    ]
    network = make(*nodes, shape=(2, 5, 5))
    x = rng.integers(0, 16, size=(11, 2, 5, 5))
    whole = GoldenModel(network).trace(x)
    for elements in (1, 400, 700):
        monkeypatch.setattr("sterna.sim.golden._CHUNK_ELEMENTS", elements)
        model = GoldenModel(network)
        trace = model.trace(x)
        assert all(np.array_equal(trace[name], whole[name]) for name in whole)
        assert np.array_equal(model.predict(x), whole["fc"])


def test_an_empty_batch():
    nodes = [
        Conv2d(
            name="conv",
            weights=np.ones((3, 1, 3, 3), int),
            padding=1,
            requantize=ShiftRound(output=U4, bias=0, shift=1),
        ),
        MaxPool2d(name="max", kernel=2),
        SumPool2d(name="sum", kernel=1, requantize=Thresholds(output=U1, levels=[[1]] * 3)),
        Flatten(name="flat"),
        Linear(name="fc", weights=np.ones((5, 12), int)),
    ]
    model = GoldenModel(make(*nodes, shape=(1, 4, 4)))
    assert model.predict(np.zeros((0, 1, 4, 4))).shape == (0, 5)
    assert model.trace(np.zeros((0, 1, 4, 4)))["max"].shape == (0, 3, 2, 2)


def test_classify_takes_the_lowest_index_among_equals():
    model = GoldenModel(make(Linear(name="fc", weights=[[0, 0], [1, 0], [1, 0], [0, 1]]), shape=(2,)))
    assert model.classify([[1, 0], [0, 0], [1, 2]]).tolist() == [1, 0, 3]


def test_inputs_are_left_alone():
    x = np.arange(4).reshape(1, 4)
    model = GoldenModel(make(Flatten(name="flat"), shape=(4,)))
    model.predict(x)[0, 0] = 9
    assert x.tolist() == [[0, 1, 2, 3]]


def test_integral_floats_are_taken():
    model = GoldenModel(make(Linear(name="fc", weights=[[1, -1]]), shape=(2,)))
    assert model.network.output_name == "fc"
    assert model.predict(np.array([[15.0, 2.0]], dtype=np.float32)).tolist() == [[13]]


@pytest.mark.parametrize("method", ["predict", "trace", "classify"])
@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        ([[0.0, float("nan")]], ValueError, r"input must be integer codes, not nan at \[0, 1\]"),
        ([[0, 0.5]], ValueError, r"input must be integer codes, not 0\.5 at \[0, 1\]"),
        ([[0, 16]], ValueError, r"input codes must be 0 to 15 \(u4\), not 16 at \[0, 1\]"),
        ([0, 1], ValueError, r"input must have shape \(batch, 2\), not \(2,\): add a batch axis in front"),
        ([["a", "b"]], TypeError, r"input must be integer codes, not <U1"),
    ],
)
def test_bad_inputs(method, x, error, message):
    model = GoldenModel(make(Linear(name="fc", weights=[[1, -1]]), shape=(2,)))
    with pytest.raises(error, match=f"^{message}$"):
        getattr(model, method)(x)


def test_other_errors():
    with pytest.raises(TypeError, match=r"^network must be a Network, not 'net'$"):
        GoldenModel("net")
    model = GoldenModel(make(MaxPool2d(name="pool", kernel=1), shape=(1, 2, 2)))
    with pytest.raises(ValueError, match=r"^classify needs an output of shape \(classes,\), not \(1, 2, 2\)$"):
        model.classify(np.zeros((1, 1, 2, 2)))


def test_it_needs_numpy_only():
    program = "import sys, sterna.sim.golden; print([m for m in ('torch', 'cocotb', 'amaranth') if m in sys.modules])"
    result = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert result.stdout == "[]\n"
