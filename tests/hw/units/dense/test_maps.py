"""Dense units behind feature maps: beats that end with a row have padding between columns, which nothing reads."""

from __future__ import annotations

import numpy as np
import pytest
from bench import S4, U1, U4, drive, random_codes, random_weights
from maps import map_beats, map_ports

from sterna.hw.graph.lower import lower
from sterna.hw.graph.stream import StreamType
from sterna.hw.graph.timing import transfer_times
from sterna.hw.parts.tables import code_shape
from sterna.hw.units.dense.plan import plan_dense
from sterna.net import ActivationType, Flatten, Linear, Network
from sterna.sim.golden import GoldenModel


def check(
    shape: tuple[int, int, int],
    *,
    order: tuple[int, ...],
    elements: int,
    code: ActivationType = U4,
    zeros: float = 0.6,
    stalls: float = 0.0,
) -> None:
    """Channels that the stream lacks have no weights; of those that it brings, channel 0 has none either."""
    rng = np.random.default_rng(elements)
    weights = random_weights(rng, 7, int(np.prod(shape)), zeros).reshape(7, *shape)
    weights[:, [channel for channel in range(shape[0]) if channel not in order]] = 0
    if shape[0] > 1:
        weights[:, 0] = 0
    nodes = [Flatten(name="flat"), Linear(name="fc", weights=weights.reshape(7, -1), bias=np.arange(7))]
    network = Network(input_shape=shape, input_type=code, input_scale=1.0, nodes=nodes)
    stream = StreamType(element=code_shape(code), shape=shape, order=order, elements=elements)
    (layer,) = lower(network)
    plan = plan_dense(layer, lanes=3, stream=stream)
    assert plan.beats == stream.beats
    frames = random_codes(rng, code, 5, *shape)
    unit = plan.component(framed=False)
    record = drive(
        unit,
        *map_ports(unit),
        map_beats(frames, stream, rng),
        count=5 * 7,
        input_stall=stalls,
        output_stall=stalls,
    )
    width = plan.tables.output_shape.width
    found = np.array(record.results, np.int64)
    if plan.tables.output_shape.signed:
        found -= found >> (width - 1) << width
    np.testing.assert_array_equal(found.reshape(5, 7), GoldenModel(network).predict(frames)[:, list(plan.order)])
    if not stalls:
        inputs, outputs = transfer_times([plan], [[-1]], 5)
        assert record.sent == inputs[: len(record.sent)]
        assert record.received == outputs


@pytest.mark.parametrize("stalls", [0.0, 0.3])
@pytest.mark.parametrize("elements", [1, 2, 4, 8])
@pytest.mark.parametrize(
    ("shape", "order"),
    [
        ((3, 4, 5), (0, 1, 2)),
        ((4, 3, 3), (3, 1, 0)),  # in another order, and one is missing
        ((1, 1, 7), (0,)),
        ((2, 5, 1), (1, 0)),
        ((3, 2, 8), (2, 1)),
    ],
    ids=str,
)
def test_padded_beats(shape: tuple[int, int, int], order: tuple[int, ...], elements: int, stalls: float) -> None:
    check(shape, order=order, elements=elements, stalls=stalls)


@pytest.mark.parametrize("code", [U1, S4], ids=str)
@pytest.mark.parametrize("zeros", [0.0, 0.95, 1.0])
def test_padding_is_anything(code: ActivationType, zeros: float) -> None:
    check((3, 3, 3), order=(0, 2, 1), elements=4, code=code, zeros=zeros)
