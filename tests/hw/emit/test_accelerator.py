# amaranth: UnusedElaboratable=no
"""The top level: bytes, beats, ``tlast`` and frames that are dropped."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from bench import S1, S4, S8, U1, U4, U8, linear_network, random_codes, random_weights, run
from networks import axi_beats, check_accelerator, drive_accelerator, random_frames, random_plan

from sterna.hw import load_design, load_stream
from sterna.hw.config import AcceleratorConfig
from sterna.hw.emit.accelerator import Accelerator, byte_width
from sterna.hw.graph.plan import AcceleratorPlan, plan_accelerator
from sterna.net import ActivationType, Flatten, Linear, Network, ShiftRound
from sterna.sim.golden import GoldenModel


def two_layers(columns: int = 11, *, code: ActivationType = U4, **config: object) -> AcceleratorPlan:
    """A network of two layers, 9 hidden channels and 5 scores."""
    rng = np.random.default_rng(columns)
    hidden = ShiftRound(output=S4, bias=rng.integers(-4, 5, 9), shift=1)
    nodes = [
        Linear(name="fc1", weights=random_weights(rng, 9, columns, 0.4), requantize=hidden),
        Linear(name="fc2", weights=random_weights(rng, 5, 9, 0.3), bias=rng.integers(-9, 10, 5)),
    ]
    network = Network(input_shape=(columns,), input_type=code, input_scale=1.0, nodes=nodes)
    return plan_accelerator(network, AcceleratorConfig(**{"lanes": [3, 2], **config}))


@pytest.mark.parametrize(("width", "bits"), [(1, 8), (7, 8), (8, 8), (9, 16), (16, 16), (17, 24)])
def test_whole_bytes(width: int, bits: int) -> None:
    assert byte_width(width) == bits


def test_ports() -> None:
    dut = Accelerator(two_layers(elements_per_beat=4))
    assert set(dut.signature.members) == {
        *(f"s_axis_t{name}" for name in ("data", "valid", "ready", "last")),
        *(f"m_axis_t{name}" for name in ("data", "valid", "ready", "last")),
        "frame_error",
    }
    assert (len(dut.s_axis_tdata), len(dut.m_axis_tdata)) == (32, 8)


@pytest.mark.parametrize("elements", [1, 2, 4, 8])
@pytest.mark.parametrize("code", [U1, S1, U4, S4, U8, S8], ids=str)
def test_elements_of_a_beat(code: ActivationType, elements: int) -> None:
    """11 elements: the last beat is partial, and its padding is not 0."""
    plan = two_layers(code=code, elements_per_beat=elements)
    check_accelerator(plan, random_frames(plan, 3))


def test_the_upper_bits_of_an_input_byte_are_ignored() -> None:
    plan = two_layers()
    frames = random_frames(plan, 3)
    beats = [(data | 0xA0, last) for data, last in axi_beats(frames.tolist(), plan)]
    record, _ = drive_accelerator(plan, beats, frames=3)
    assert record.results == GoldenModel(plan.network).predict(frames).reshape(-1).tolist()


@pytest.mark.parametrize(("code", "rows"), [(U8, [1, 1, 1]), (S8, [-1, -1, -1]), (U4, [1, -1, 0]), (U1, [-1, -1, -1])])
def test_scores_are_extended_to_whole_bytes(code: ActivationType, rows: list[int]) -> None:
    weights = np.array([rows], np.int8)
    for bias in (None, np.array([-5])):
        plan = plan_accelerator(linear_network(weights, code=code, bias=bias), AcceleratorConfig(lanes=1))
        assert (plan.network.accumulators["fc"].min < 0) == plan.output.element.signed
        frames = np.array(list(itertools.product([code.min, code.max], repeat=3)))
        check_accelerator(plan, frames)


def test_the_input_of_a_feature_map_runs_by_row_channel_pixel() -> None:
    rng = np.random.default_rng(0)
    network = Network(
        input_shape=(2, 3, 4),
        input_type=U4,
        input_scale=1.0,
        nodes=[Flatten(name="flat"), Linear(name="fc", weights=random_weights(rng, 4, 24, 0.4))],
    )
    plan = plan_accelerator(network, AcceleratorConfig(lanes=2, elements_per_beat=4))
    check_accelerator(plan, random_codes(rng, U4, 3, 2, 3, 4))


@pytest.mark.parametrize("argmax", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_stalls_on_both_sides(seed: int, argmax: bool) -> None:
    plan = two_layers(14, argmax=argmax, elements_per_beat=2)
    check_accelerator(plan, random_frames(plan, 4, seed), input_stall=0.4, output_stall=0.5, seed=seed)


@pytest.mark.parametrize("seed", range(100, 108))
def test_random_networks_with_stalls(seed: int) -> None:
    plan = random_plan(seed)
    check_accelerator(plan, random_frames(plan, 3), input_stall=0.3, output_stall=0.4, seed=seed)


def test_the_class_of_equal_scores_is_the_lowest() -> None:
    network = linear_network(np.array([[1, 0], [0, 1], [1, 0]], np.int8))
    plan = plan_accelerator(network, AcceleratorConfig(lanes=1, argmax=True))
    frames = np.array([[1, 1], [0, 1], [1, 0], [15, 15], [0, 0]])
    assert check_accelerator(plan, frames).results == [0, 1, 0, 0, 0]


def test_one_class() -> None:
    plan = plan_accelerator(linear_network(np.ones((1, 2), np.int8)), AcceleratorConfig(lanes=1, argmax=True))
    assert check_accelerator(plan, random_frames(plan, 4)).results == [0] * 4


@pytest.mark.parametrize("beats", [1, 2, 3, 6], ids=["good", "late", "later", "two frames' worth"])
def test_bad_frames_that_are_mended_hold_no_swap_up(beats: int) -> None:
    """Beats that are too wide for the first unit pass a guard, which lets a bad frame leave as a good one."""
    first, second = (
        linear_network(random_weights(np.random.default_rng(seed), 3, 6, 0.3), code=U4) for seed in range(2)
    )
    plan = plan_accelerator(first, AcceleratorConfig(elements_per_beat=6, loadable=4))
    assert plan.is_buffer(0)
    words = load_stream(second, load_design(plan))
    dut = Accelerator(plan)
    codes = np.arange(1, 7)
    ((data, _),) = axi_beats([codes.tolist()], plan)
    expected = GoldenModel(second).predict(codes[None])[0].tolist()

    async def send(ctx: Any, prefix: str, value: int, last: bool) -> None:
        ctx.set(getattr(dut, f"{prefix}_tvalid"), 1)
        ctx.set(getattr(dut, f"{prefix}_tdata"), value)
        ctx.set(getattr(dut, f"{prefix}_tlast"), last)
        for _ in range(500):
            if (await ctx.tick().sample(getattr(dut, f"{prefix}_tready")))[2]:
                break
        else:
            raise AssertionError(f"{prefix} takes nothing any more")
        ctx.set(getattr(dut, f"{prefix}_tvalid"), 0)

    async def bench(ctx: Any) -> None:
        ctx.set(dut.m_axis_tready, 1)
        for beat in range(beats):
            await send(ctx, "s_axis", data, beat == beats - 1)
        for place, byte in enumerate(words):
            await send(ctx, "load_axis", byte, place == len(words) - 1)
        await ctx.tick().repeat(500)
        await send(ctx, "s_axis", data, True)
        assert ctx.get(dut.half)
        found: list[int] = []
        width = len(dut.m_axis_tdata)
        while len(found) < len(expected):
            valid, value = (await ctx.tick().sample(dut.m_axis_tvalid, dut.m_axis_tdata))[2:]
            found += [value - (value >> width - 1 << width)] if valid else []
        assert found == expected

    run(dut, bench)


@pytest.mark.parametrize(
    ("beats", "errors"),
    [
        (1, 1),  # early
        (5, 1),
        (7, 1),  # one too many
        (12, 1),  # two frames' worth without a tlast between
        (15, 1),
    ],
)
@pytest.mark.parametrize("place", [0, 2])
@pytest.mark.parametrize("output_stall", [0.0, 0.8])
def test_tlast_in_the_wrong_place(beats: int, errors: int, place: int, output_stall: float) -> None:
    """The bad frame gives nothing and an error; those before and after are computed."""
    plan = two_layers(elements_per_beat=2)
    good = random_frames(plan, 4)
    codes = random_frames(plan, 3, seed=9).reshape(-1)[: 2 * beats]
    bad = [(data, k == beats - 1) for k, (data, _) in enumerate(axi_beats([codes.tolist()], plan))]
    sent = axi_beats(good[:place].tolist(), plan) + bad + axi_beats(good[place:].tolist(), plan)
    record, _ = drive_accelerator(plan, sent, frames=4, output_stall=output_stall)
    assert record.results == GoldenModel(plan.network).predict(good).reshape(-1).tolist()
    assert sum(error for _, _, error in record.probes) == errors
