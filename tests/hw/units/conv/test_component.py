"""Convolution units: exact whatever stalls, each transfer in its cycle, and back after a reset or a wrong frame."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from amaranth.lib.memory import Memory
from bench import S1, S2, S4, S8, U1, U2, U4, U8, Record, elaborated, random_codes, random_weights, run
from maps import (
    check_framed,
    check_maps,
    check_network,
    check_resets,
    exchange,
    expected_maps,
    map_beats,
    map_frames,
    map_results,
    requantize_of,
)

from sterna.hw.graph.lower import lower
from sterna.hw.graph.stream import StreamType, whole
from sterna.hw.parts.tables import code_shape
from sterna.hw.units.conv.layer import ConvLayer
from sterna.hw.units.conv.plan import ConvPlan, plan_conv
from sterna.hw.units.protocol import Delivery
from sterna.net import ActivationType, Conv2d, Network
from sterna.sim.golden import GoldenModel

TYPES = [U1, S1, U2, S2, U4, S4, U8, S8, ActivationType(3, False), ActivationType(5, True), ActivationType(7, False)]
COMPACT = pytest.mark.parametrize("compact", [False, True], ids=["usual", "compact"])
STALLS = [(0.0, 0.0), (0.5, 0.0), (0.0, 0.6), (0.3, 0.4)]


@dataclass(frozen=True, kw_only=True)
class Case:
    """A convolution, and how it is computed: ``shape`` is (channels, height, width), ``streams`` those of indices."""

    shape: tuple[int, int, int]
    rows: int = 4
    kernel: tuple[int, int] = (3, 3)
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    groups: int = 1
    code: ActivationType = U4
    zeros: float = 0.6
    kind: str = "shift"
    elements: int = 1
    streams: int = 1
    natural: bool = False
    compact: bool = False
    empty: tuple[int, ...] = ()


def network_of(case: Case, rng: np.random.Generator) -> Network:
    """A network of one convolution."""
    channels, taps = case.shape[0] // case.groups, case.kernel[0] * case.kernel[1]
    weights = random_weights(rng, case.rows, channels * taps, case.zeros).reshape(case.rows, channels, *case.kernel)
    weights[list(case.empty)] = 0
    node = Conv2d(
        name="conv",
        weights=weights,
        stride=case.stride,
        padding=case.padding,
        groups=case.groups,
        bias=rng.integers(-5, 6, case.rows),
        requantize=requantize_of(case.kind, weights.reshape(case.rows, -1), case.code, rng),
    )
    return Network(input_shape=case.shape, input_type=case.code, input_scale=1.0, nodes=[node])


def plan_of(network: Network, case: Case) -> ConvPlan:
    """Its plan."""
    (layer,) = lower(network)
    stream = whole(case.shape, code_shape(case.code), elements=case.elements)
    lanes = case.streams * layer.geometry.columns
    natural = Delivery(order=tuple(layer.channels.tolist()), elements=1)
    delivery = natural if case.natural else Delivery()
    return plan_conv(layer, lanes=lanes, stream=stream, delivery=delivery, compact=case.compact)


def frames_of(case: Case, count: int, rng: np.random.Generator) -> np.ndarray:
    """Of the case's input."""
    return map_frames(case.code, case.shape, count, rng)


def check(case: Case, *, seed: int, stalls: tuple[float, float], frames: int = 4) -> Record:
    """A case under some stalls."""
    rng = np.random.default_rng(seed)
    network = network_of(case, rng)
    plan, codes = plan_of(network, case), frames_of(case, frames, rng)
    return check_network(plan, network, codes, stalls=stalls, seed=seed)


def drawn(seed: int) -> Case:
    """A case of all sorts."""
    rng = np.random.default_rng([seed, 9])

    def pair(least: int, most: int) -> tuple[int, int]:
        return int(rng.integers(least, most + 1)), int(rng.integers(least, most + 1))

    kernel = pair(1, 7) if seed % 3 == 0 else pair(1, 4)
    padding = (0, 0) if seed % 4 == 1 else (int(rng.integers(kernel[0] + 3)), int(rng.integers(kernel[1] + 3)))
    least = [max(1, size - 2 * border) for size, border in zip(kernel, padding, strict=True)]
    height, width = (int(rng.integers(low, low + 6)) for low in least)
    groups = int(rng.choice([1, 1, 1, 2, 3]))
    depthwise = groups > 1 and rng.random() < 0.5
    channels = groups * (1 if depthwise else int(rng.integers(1, 4)))
    rows = groups * int(rng.integers(1, 4))
    return Case(
        shape=(channels, height, width),
        rows=rows,
        kernel=kernel,
        stride=pair(1, 2) if seed % 5 else pair(1, 3),
        padding=padding,
        groups=groups,
        code=TYPES[int(rng.integers(len(TYPES)))],
        zeros=float(rng.choice([0.0, 0.5, 0.8, 0.95])),
        kind=("shift", "shifts", "search", "line", "")[int(rng.integers(5))],
        elements=int(rng.integers(1, min(width, 4) + 1)),
        streams=int(rng.integers(1, min(rows, 3) + 1)),
        natural=bool(rng.random() < 0.25),
        empty=(int(rng.integers(rows)),) if rng.random() < 0.3 else (),
        compact=bool(rng.random() < 0.5),
    )


CASES = {
    "one pixel": Case(shape=(1, 1, 1), rows=1, kernel=(1, 1), zeros=0.0, code=U1),
    "one pixel in the middle of padding": Case(shape=(2, 1, 1), padding=(3, 3), zeros=0.3, code=S2),
    "more padding than kernel": Case(shape=(1, 2, 3), kernel=(2, 2), padding=(4, 3), zeros=0.0, code=S4, kind=""),
    "a kernel that goes twice around the ring": Case(
        shape=(2, 3, 2), kernel=(6, 1), padding=(5, 0), zeros=0.0, streams=2, kind=""
    ),
    "rows of padding alone": Case(shape=(1, 1, 3), kernel=(1, 1), padding=(2, 1), zeros=0.0),
    "padding and strides": Case(shape=(2, 4, 3), kernel=(2, 3), padding=(5, 4), stride=(3, 3), zeros=0.2, code=S8),
    "a row": Case(shape=(3, 1, 9), kernel=(1, 7), elements=2, code=U8, kind="line", streams=2),
    "a column": Case(shape=(3, 9, 1), kernel=(7, 1), kind="search", code=S1, streams=3),
    "as large as the map": Case(shape=(2, 6, 5), kernel=(6, 5), elements=3, kind="", streams=2),
    "strides above the kernel": Case(shape=(2, 8, 8), kernel=(1, 2), stride=(3, 3), elements=4, zeros=0.2),
    "strides that leave rows over": Case(shape=(1, 8, 7), kernel=(3, 3), stride=(3, 2), elements=2),
    "depthwise": Case(shape=(6, 5, 5), rows=6, groups=6, padding=(1, 1), zeros=0.4, streams=2, kind="search"),
    "depthwise with a multiplier": Case(shape=(2, 4, 4), rows=6, groups=2, padding=(1, 1), zeros=0.4, streams=3),
    "grouped": Case(shape=(4, 5, 4), rows=6, groups=2, padding=(0, 1), stride=(1, 2), elements=3),
    "a channel without weights": Case(shape=(3, 4, 4), empty=(1,), streams=2, padding=(1, 1), code=S4),
    "no weights at all": Case(shape=(1, 3, 3), rows=3, empty=(0, 1, 2), streams=3, kind="", code=S4),
    "no weights, one channel to a power of two": Case(shape=(4, 3, 3), empty=(0, 3), streams=1, kind="line"),
    "no zeros": Case(shape=(2, 4, 4), zeros=0.0, streams=2, kind="shifts"),
    "results set the pace": Case(shape=(1, 4, 9), rows=8, kernel=(1, 1), zeros=0.0, streams=3, elements=2),
    "in natural order": Case(shape=(2, 4, 5), rows=7, streams=3, natural=True, padding=(1, 1), kind=""),
    "loading sets the pace": Case(shape=(8, 4, 4), rows=1, kernel=(1, 1), zeros=0.9),
    "many steps": Case(shape=(5, 4, 3), rows=3, kernel=(4, 3), zeros=0.0, elements=3),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
@pytest.mark.parametrize("stalls", [STALLS[0], STALLS[3]], ids=["free", "both"])
@COMPACT
def test_exact_whatever_stalls(case: Case, stalls: tuple[float, float], compact: bool) -> None:
    check(replace(case, compact=compact), seed=1, stalls=stalls)


@pytest.mark.parametrize("seed", range(32))
def test_random_convolutions(seed: int) -> None:
    check(drawn(seed), seed=seed, stalls=STALLS[seed % 4])


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(32, 432))
def test_four_hundred_random_convolutions(seed: int) -> None:
    check(drawn(seed), seed=seed, stalls=STALLS[seed % 4], frames=6)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100))
def test_each_transfer_comes_in_its_cycle(seed: int) -> None:
    check(drawn(seed), seed=seed, stalls=STALLS[0], frames=12)


@pytest.mark.parametrize("code", [U1, S1, U8, S8], ids=str)
@pytest.mark.parametrize("weight", [1, -1])
def test_accumulators_at_both_extremes(code: ActivationType, weight: int) -> None:
    """All codes are the smallest and the largest ones, in turn and in stripes."""
    weights = np.full((2, 2, 3, 3), weight, np.int8)
    weights[1, 1] *= -1
    node = Conv2d(name="conv", weights=weights, padding=1)
    case = Case(shape=(2, 3, 3), rows=2, padding=(1, 1), code=code, streams=2, kind="")
    network = Network(input_shape=case.shape, input_type=code, input_scale=1.0, nodes=[node])
    frames = np.empty((4, *case.shape), np.int64)
    for k, (first, second) in enumerate(itertools.product((code.min, code.max), repeat=2)):
        frames[k, 0], frames[k, 1] = first, second
    check_maps(plan_of(network, case), frames, GoldenModel(network).predict(frames))


def test_input_channels_come_in_any_order_and_not_all() -> None:
    """What the stream lacks, nothing reads; what the layer does not read, the stream may bring."""
    case = Case(shape=(5, 4, 4), padding=(1, 1), zeros=0.2, kind="", streams=2)
    rng = np.random.default_rng(3)
    weights = random_weights(rng, 4, 5 * 9, 0.2).reshape(4, 5, 3, 3)
    weights[:, [0, 2]] = 0
    node = Conv2d(name="conv", weights=weights, padding=1)
    network = Network(input_shape=case.shape, input_type=U4, input_scale=1.0, nodes=[node])
    (layer,) = lower(network)
    assert isinstance(layer, ConvLayer)
    read = np.array([4, 0, 1, 3])
    layer = replace(layer, inputs=read, weights=layer.weights[:, read])
    stream = StreamType(element=code_shape(U4), shape=case.shape, order=(4, 2, 1, 3), elements=3)
    frames = random_codes(rng, U4, 3, *case.shape)
    plan = plan_conv(layer, lanes=8, stream=stream)
    check_maps(plan, frames, GoldenModel(network).predict(frames))


def test_the_order_of_results_is_that_of_the_plan() -> None:
    case = Case(shape=(2, 4, 4), rows=9, streams=3, zeros=0.8)
    first = check(case, seed=5, stalls=STALLS[0])
    assert check(case, seed=5, stalls=STALLS[3]).results == first.results
    network = network_of(case, np.random.default_rng(5))
    assert plan_of(network, case).output.order != tuple(range(9))


def test_sums_that_wait_make_the_requantizer_wider() -> None:
    rng = np.random.default_rng(0)
    short = Case(shape=(1, 4, 8), rows=8, kernel=(1, 1), zeros=0.0, streams=8)
    plan = plan_of(network_of(short, rng), short)
    assert (plan.elements, plan.schedule.hold, plan.schedule.steps) == (8, 1, 8)
    long = Case(shape=(8, 4, 8), rows=2, kernel=(1, 1), zeros=0.0)
    plan = plan_of(network_of(long, rng), long)
    assert (plan.elements, plan.schedule.hold, plan.schedule.steps) == (1, 8, 16)
    natural = Case(shape=(1, 4, 8), rows=8, kernel=(1, 1), zeros=0.0, streams=8, natural=True)
    plan = plan_of(network_of(natural, rng), natural)
    assert (plan.elements, plan.schedule.hold, plan.schedule.steps) == (1, 8, 64)


@pytest.mark.parametrize(("cycles", "elements"), [(1, 8), (4 * 8, 8), (4 * 16, 4), (4 * 32 - 1, 4), (4 * 64, 1)])
def test_no_wider_than_the_cycles_ask_for(cycles: int, elements: int) -> None:
    """Four rows of eight channels: a beat of so many of a row's eight pixels a cycle."""
    case = Case(shape=(1, 4, 8), rows=8, kernel=(1, 1), zeros=0.0, streams=8)
    (layer,) = lower(network_of(case, np.random.default_rng(0)))
    plan = plan_conv(layer, lanes=64, stream=whole(case.shape, code_shape(U4)), cycles=cycles)
    assert plan.elements == elements


@pytest.mark.parametrize("case", [0, 1, 2, 3])
def test_the_fifo_has_room_for_what_is_on_its_way(case: int) -> None:
    """A sink that stands still for long fills it beyond what may stand in it, and no further than it is deep."""
    chosen = [
        Case(shape=(1, 4, 9), rows=8, kernel=(1, 1), zeros=0.0, streams=3),
        Case(shape=(2, 5, 5), rows=6, streams=6, zeros=0.3, kind="line"),
        Case(shape=(1, 2, 2), rows=1, kernel=(1, 1), zeros=0.0),
        Case(shape=(2, 4, 4), rows=5, streams=2, zeros=0.9, natural=True, kind=""),
    ][case]
    rng = np.random.default_rng(case)
    network = network_of(chosen, rng)
    plan = plan_of(network, chosen)
    frames = frames_of(chosen, max(4, 100 // plan.output.beats), rng)
    reference = GoldenModel(network).predict(frames)
    highest = 0
    for stall in (lambda cycle: cycle < 300, lambda cycle: cycle % 61 >= 20):
        record = check_maps(plan, frames, reference, output_stall=stall)
        highest = max(highest, *(level for (level,) in record.probes))
    assert plan.fifo_ahead < highest <= plan.fifo_depth


@COMPACT
@pytest.mark.parametrize("seed", range(4))
def test_reset_in_the_middle_of_a_frame(seed: int, compact: bool) -> None:
    case = [
        Case(shape=(2, 5, 4), padding=(1, 1), streams=2, elements=2),
        Case(shape=(3, 3, 3), rows=5, kernel=(2, 2), streams=3, kind="line", natural=True),
        Case(shape=(1, 6, 5), rows=6, kernel=(3, 2), stride=(2, 2), elements=3, padding=(1, 2), zeros=0.3),
        Case(shape=(2, 4, 6), rows=8, kernel=(1, 1), zeros=0.0, kind="search"),
    ][seed]
    case = replace(case, compact=compact)
    rng = np.random.default_rng(seed)
    network = network_of(case, rng)
    frames = frames_of(case, 3, rng)
    check_resets(plan_of(network, case), frames, GoldenModel(network).predict(frames), seed=seed)


@pytest.mark.parametrize(("elements", "code"), [(1, U4), (3, S4)], ids=["pixels", "padded beats"])
def test_frames_of_a_wrong_length(elements: int, code: ActivationType) -> None:
    case = Case(shape=(2, 4, 4), padding=(1, 1), code=code, elements=elements, streams=2)
    rng = np.random.default_rng(elements)
    network = network_of(case, rng)
    frames = frames_of(case, 9, rng)
    check_framed(plan_of(network, case), frames, GoldenModel(network).predict, seed=elements)


@pytest.mark.parametrize(
    "case",
    [
        Case(shape=(2, 5, 4), padding=(2, 2), empty=(1,), streams=2, code=S4),
        Case(shape=(3, 5, 4), padding=(0, 1), empty=(3,), streams=2),
        Case(shape=(1, 1, 3), rows=6, kernel=(2, 1), padding=(2, 0), streams=2),
        Case(shape=(1, 6, 3), kernel=(1, 1), stride=(1, 1), padding=(2, 1), streams=4, zeros=0.2),
        Case(shape=(4, 6, 3), kernel=(2, 2), stride=(3, 1), padding=(1, 0), elements=3, zeros=0.9, rows=1),
        Case(shape=(1, 6, 3), kernel=(1, 2), elements=3, zeros=0.0),
    ],
    ids=["padding", "no row in padding", "one row", "padding alone", "loading sets the pace", "rows of a beat"],
)
@COMPACT
def test_memories_hold_anything_where_it_does_not_matter(case: Case, compact: bool) -> None:
    """At power up; and a word that is read in the cycle in which it is written."""
    case = replace(case, compact=compact)
    rng = np.random.default_rng(2)
    network = network_of(case, rng)
    plan = plan_of(network, case)
    unit = plan.component(framed=False)
    core = elaborated(elaborated(unit).submodules.core)
    buffers: list[Memory] = [
        elaborated(getattr(core.submodules, f"group_{k}")).submodules.buffer for k in range(case.streams)
    ]
    ports = [port for buffer in buffers for port in zip(buffer.write_ports, buffer.read_ports, strict=True)]
    watched = [write.en.any() & (write.addr == read.addr) for write, read in ports]
    frames = frames_of(case, 8, rng)
    collisions = []

    def disturb(ctx: Any, collides: tuple[int, ...]) -> None:
        for (_, read), now in zip(ports, collides, strict=True):
            if now:
                ctx.set(read.data, int(rng.integers(1 << len(read.data))))
        collisions.append(any(collides))

    async def bench(ctx: Any) -> None:
        for buffer in buffers:
            for address in range(buffer.depth):
                ctx.set(buffer.data[address], int(rng.integers(1 << buffer.shape.width)))
        beats = map_beats(frames, plan.stream, rng)
        found: list[int] = []
        while len(found) < len(frames) * plan.output.beats:
            found += await exchange(
                ctx,
                unit,
                beats,
                cycles=3000,
                ready=lambda: bool(rng.random() < 0.9),
                after=disturb,
                watched=watched,
            )
            beats = []
        reference = expected_maps(GoldenModel(network).predict(frames), plan.output)
        np.testing.assert_array_equal(map_results(found, plan.output), reference)

    run(unit, bench)


def test_nothing_is_computed_before_a_frame_comes() -> None:
    """Though the first rows lie in the padding, and need no input."""
    case = Case(shape=(1, 2, 2), kernel=(2, 2), padding=(4, 4))
    unit = plan_of(network_of(case, np.random.default_rng(0)), case).component(framed=False)

    async def bench(ctx: Any) -> None:
        for _ in range(200):
            await ctx.tick()
            assert not ctx.get(unit.o.valid)

    run(unit, bench)


def test_frames_follow_each_other_without_a_gap() -> None:
    case = Case(shape=(2, 5, 4), rows=4, kernel=(3, 3), zeros=0.0, kind="")
    rng = np.random.default_rng(0)
    network = network_of(case, rng)
    plan = plan_of(network, case)
    frames = frames_of(case, 5, rng)
    record = check_maps(plan, frames, GoldenModel(network).predict(frames))
    last = record.received[plan.output.beats - 1 :: plan.output.beats]
    assert np.diff(last).tolist() == [plan.schedule.steps * 3] * 4
    loading = Case(shape=(4, 5, 4), rows=1, kernel=(2, 2), zeros=0.7, kind="")
    network = network_of(loading, rng)
    frames = frames_of(loading, 5, rng)
    record = check_maps(plan_of(network, loading), frames, GoldenModel(network).predict(frames))
    assert np.diff(record.sent).tolist() == [1] * (5 * 80 - 1)  # rows come while others are computed


@pytest.mark.parametrize("lanes", [0, -3, 1, 4, 15])
def test_lanes_out_of_range(lanes: int) -> None:
    case = Case(shape=(1, 5, 5))
    (layer,) = lower(network_of(case, np.random.default_rng(0)))
    message = (
        rf"^layer 'conv' computes 3 pixels of a row at once and cannot use {lanes} lanes: give it a multiple of 3 up "
        "to 12$"
    )
    with pytest.raises(ValueError, match=message):
        plan_conv(layer, lanes=lanes, stream=whole(case.shape, code_shape(U4)))


def test_a_plan_says_what_it_holds() -> None:
    case = Case(shape=(3, 6, 5), rows=5, padding=(1, 0), streams=2, elements=2)
    plan = plan_of(network_of(case, np.random.default_rng(0)), case)
    assert (plan.name, plan.nodes, plan.lanes, plan.channels) == ("conv", ("conv",), 6, 5)
    assert plan.output.shape == (5, 6, 3)
    assert plan.work.beats == 6 * 3 * 3
    assert plan.work.steps == 6 * plan.schedule.steps
    assert plan.work.results == plan.output.beats
    memories = {memory.name: (memory.depth, memory.width) for memory in plan.memories}
    assert memories["group_0"] == memories["group_1"] == (plan.slots * 3, 5 * 4)
    assert memories["fifo"] == (plan.fifo_depth, plan.elements * 4)
