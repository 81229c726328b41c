"""Dense units: exact whatever stalls, in one order, within their FIFO, and back after a reset."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from amaranth.hdl import ClockDomain
from amaranth.lib.memory import Memory
from bench import (
    S1,
    S4,
    S8,
    U1,
    U4,
    U8,
    Port,
    Record,
    beats_of,
    drive,
    elaborated,
    extremes,
    linear_network,
    plan_of,
    random_codes,
    random_weights,
    run,
)

from sterna.hw.graph.lower import lower
from sterna.hw.index.columns import place_columns
from sterna.hw.index.schedule import compile_format
from sterna.hw.index.walk import WordFormat
from sterna.hw.units.dense.component import DenseUnit
from sterna.hw.units.dense.plan import DensePlan, plan_dense
from sterna.net import ActivationType, Network, ShiftRound, Thresholds
from sterna.sim.golden import GoldenModel


def ports(unit: DenseUnit) -> tuple[Port, Port]:
    source = Port(unit.i.valid, unit.i.ready, unit.i.payload)
    return source, Port(unit.o.valid, unit.o.ready, unit.o.payload)


def memory_ports(memory: Memory) -> tuple[tuple, tuple]:
    return memory.write_ports, memory.read_ports


def check(
    network: Network,
    plan: DensePlan,
    frames: np.ndarray,
    *,
    input_stall: float = 0.0,
    output_stall: float | Callable[[int], bool] = 0.0,
    seed: int = 0,
) -> Record:
    """Every result of every frame, in the plan's order."""
    unit = DenseUnit(plan)
    module = elaborated(unit)
    fifo = module.submodules.fifo
    (write,), (read,) = memory_ports(elaborated(fifo).submodules.storage)
    record = drive(
        unit,
        *ports(unit),
        beats_of(frames, plan.elements),
        count=len(frames) * plan.results,
        input_stall=input_stall,
        output_stall=output_stall,
        seed=seed,
        probes=(fifo.level, write.en & read.en & (write.addr == read.addr)),
    )
    expected = GoldenModel(network).predict(frames)[:, list(plan.order)]
    np.testing.assert_array_equal(np.array(record.results).reshape(expected.shape), expected)
    assert max(level for level, _ in record.probes) <= plan.fifo_depth, "the FIFO overflows"
    assert not any(collides for _, collides in record.probes), "the FIFO is read where it is written"
    return record


def requantize_of(kind: str, rows: int, rng: np.random.Generator) -> ShiftRound | Thresholds | None:
    if kind == "shift":
        return ShiftRound(output=U4, bias=rng.integers(-20, 20, rows), shift=2)
    if kind == "shifts":
        return ShiftRound(output=S4, bias=rng.integers(-20, 20, rows), shift=rng.integers(0, 5, rows))
    if kind == "search":
        return Thresholds(output=U4, levels=np.sort(rng.integers(-60, 60, (rows, 15)), axis=1))
    if kind == "line":
        start, step = rng.uniform(-20, 20, (rows, 1)), rng.uniform(1, 6, (rows, 1))
        return Thresholds(output=S4, levels=np.ceil(start + step * np.arange(15)).astype(int))
    return None


CASES = {
    # rows, columns, zeros, lanes, elements, input type, requantize
    "scores": (16, 20, 0.5, 4, 1, U4, ""),
    "shift": (16, 20, 0.5, 4, 1, U4, "shift"),
    "shifts": (10, 40, 0.9, 3, 1, U4, "shifts"),
    "search": (12, 60, 0.9, 4, 1, U4, "search"),
    "line": (12, 60, 0.9, 5, 2, U4, "line"),
    "as many lanes as rows": (7, 33, 0.8, 7, 4, S8, "search"),
    "more lanes than some rows need": (9, 24, 0.97, 8, 1, U4, "shift"),
    "all zeros": (5, 9, 1.0, 2, 1, U4, ""),
    "no zeros": (5, 9, 0.0, 3, 1, S1, ""),
    "one row, one column": (1, 1, 0.0, 1, 1, U1, ""),
    "one row of zeros": (1, 6, 1.0, 1, 2, U8, ""),
    "fewer steps than stages": (3, 2, 0.5, 3, 2, U4, "line"),
    "one lane": (6, 30, 0.8, 1, 1, S8, "shift"),
    "results only": (48, 4, 0.7, 16, 2, U4, "shift"),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
@pytest.mark.parametrize("stalls", [(0.0, 0.0), (0.5, 0.0), (0.0, 0.6), (0.3, 0.4)], ids=["free", "in", "out", "both"])
def test_exact_whatever_stalls(case: tuple, stalls: tuple[float, float]) -> None:
    rows, columns, zeros, lanes, elements, code, kind = case
    rng = np.random.default_rng(rows * columns)
    bias = rng.integers(-9, 10, rows) if not kind else None
    network = linear_network(
        random_weights(rng, rows, columns, zeros), code=code, bias=bias, requantize=requantize_of(kind, rows, rng)
    )
    frames = random_codes(rng, code, 4, columns)
    check(
        network,
        plan_of(network, lanes=lanes, elements=elements),
        frames,
        input_stall=stalls[0],
        output_stall=stalls[1],
        seed=rows,
    )


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
@pytest.mark.parametrize("stalls", [(0.0, 0.0), (0.3, 0.4)], ids=["free", "both"])
def test_exact_where_other_weights_have_room(case: tuple, stalls: tuple[float, float]) -> None:
    rows, columns, zeros, lanes, elements, code, kind = case
    rng = np.random.default_rng(rows * columns)
    bias = rng.integers(-1, 2, rows) if not kind else None
    network = linear_network(
        random_weights(rng, rows, columns, zeros), code=code, bias=bias, requantize=requantize_of(kind, rows, rng)
    )
    plan = plan_of(network, lanes=lanes, elements=elements, room=1.5)
    frames = np.concatenate([random_codes(rng, code, 3, columns), extremes(network.nodes[0].weights, code)])
    check(network, plan, frames, input_stall=stalls[0], output_stall=stalls[1], seed=rows)


@pytest.mark.parametrize("code", [U1, S1, U8, S8], ids=str)
@pytest.mark.parametrize("rows", [[1] * 9, [-1] * 9, [1, -1] * 4 + [0], [0] * 9])
def test_accumulators_at_both_extremes(code: ActivationType, rows: list[int]) -> None:
    weights = np.array([rows, [0, 0, 1, -1, 0, 0, 0, 0, 1], [1] * 9], np.int8)
    network = linear_network(weights, code=code)
    check(network, plan_of(network, lanes=2, order=range(len(weights))), extremes(weights, code))


def test_an_empty_row_among_full_ones() -> None:
    weights = np.ones((5, 20), np.int8)
    weights[[1, 3]] = 0
    weights[4] = -1
    network = linear_network(weights, bias=np.array([1, 2, 3, -4, 5]))
    frames = np.concatenate([extremes(weights, U4), random_codes(np.random.default_rng(0), U4, 4, 20)])
    for lanes in (1, 2, 5):
        check(network, plan_of(network, lanes=lanes), frames)


def test_columns_without_weights_and_strides() -> None:
    rng = np.random.default_rng(2)
    density = np.where(np.arange(192) % 64 < 16, 0.5, np.where(np.arange(192) < 64, 0.0, 0.02))
    weights = np.where(rng.random((12, 192)) < density, rng.choice([-1, 1], (12, 192)), 0).astype(np.int8)
    network = linear_network(weights)
    for elements in (1, 2):
        plan = plan_of(network, lanes=4, elements=elements, escape_price=0)
        assert not plan.schedule.window.plain
        check(network, plan, random_codes(rng, U4, 4, 192))
        check(network, plan, random_codes(rng, U4, 4, 192), input_stall=0.3, output_stall=0.3)
    assert plan_of(network, lanes=4, escape_price=0).schedule.window.stride > 1


def test_the_order_of_results_is_that_of_the_plan() -> None:
    rng = np.random.default_rng(9)
    network = linear_network(random_weights(rng, 11, 30, 0.8))
    frames = random_codes(rng, U4, 3, 30)
    natural = plan_of(network, lanes=4, order=range(11))
    assert natural.order == tuple(range(11))
    check(network, natural, frames)
    dealt = plan_of(network, lanes=4)
    assert dealt.order != natural.order
    first = check(network, dealt, frames)
    for seed in range(3):
        assert check(network, dealt, frames, input_stall=0.4, output_stall=0.5, seed=seed).results == first.results


ESCAPES = {
    # run_width, escape_width, groups, whether there are any
    "an escape nearly every step": (1, 2, 1, True),
    "no low bits": (3, 4, 1, True),
    "short escapes": (4, 2, 3, True),
    "long escapes": (4, 5, 2, True),
    "a stream for each lane": (2, 3, 6, True),
    "few": (5, 2, 1, True),
    "none": (7, 2, 1, False),
    "no format for any": (9, 0, 1, False),
}


@pytest.mark.parametrize("case", ESCAPES.values(), ids=ESCAPES)
@pytest.mark.parametrize("stalls", [(0.0, 0.0), (0.3, 0.4)], ids=["free", "both"])
def test_escapes(case: tuple[int, int, int, bool], stalls: tuple[float, float]) -> None:
    run_width, escape_width, groups, some = case
    rng = np.random.default_rng(run_width)
    weights = random_weights(rng, 15, 150, 0.93)
    weights[4] = 0
    network = linear_network(weights)
    fmt = WordFormat(lanes=6, run_width=run_width, escape_width=escape_width, groups=groups)
    window = place_columns(weights, elements=1, run_width=run_width)
    schedule = compile_format(weights, fmt, window, natural=True)
    assert all(schedule.escapes) == some
    plan = replace(plan_of(network, lanes=6, order=range(len(weights))), schedule=schedule)
    frames = random_codes(rng, U4, 4, 150)
    check(network, plan, frames, input_stall=stalls[0], output_stall=stalls[1], seed=groups)


@pytest.mark.parametrize("seed", range(4))
def test_reset_while_escapes_are_taken(seed: int) -> None:
    rng = np.random.default_rng(seed)
    weights = random_weights(rng, 8, 40, 0.8)
    network = linear_network(weights)
    fmt = WordFormat(lanes=4, run_width=2, escape_width=4, groups=2)
    window = place_columns(weights, elements=1, run_width=2)
    schedule = compile_format(weights, fmt, window, natural=True)
    check_resets(network, replace(plan_of(network, lanes=4, order=range(len(weights))), schedule=schedule), rng)


def never_first(cycles: int) -> Callable[[int], bool]:
    """A sink that takes nothing for so long."""
    return lambda cycle: cycle < cycles


def bursts(period: int, open_for: int) -> Callable[[int], bool]:
    """A sink that takes results for some cycles of a period."""
    return lambda cycle: cycle % period >= open_for


FIFO_CASES = {
    "one step a row": (40, 3, 0.7, 20, "line"),
    "few steps": (3, 2, 0.5, 3, ""),
    "all rows at once": (5, 2, 0.5, 5, ""),
    "long rows": (12, 40, 0.6, 6, "shift"),
    "one": (1, 1, 0.0, 1, "shift"),
    "all lanes end at once": (16, 9, 0.0, 16, "search"),
}


def highest_level(case: tuple, stalls: list[Callable[[int], bool]]) -> tuple[int, DensePlan]:
    """Most results that the FIFO holds under some stalls."""
    rows, columns, zeros, lanes, kind = case
    rng = np.random.default_rng(1)
    network = linear_network(random_weights(rng, rows, columns, zeros), requantize=requantize_of(kind, rows, rng))
    plan = plan_of(network, lanes=lanes)
    frames = random_codes(rng, U4, max(4, 100 // rows), columns)
    records = [check(network, plan, frames, output_stall=stall) for stall in stalls]
    return max(level for record in records for level, _ in record.probes), plan


@pytest.mark.parametrize("case", FIFO_CASES.values(), ids=FIFO_CASES)
def test_the_fifo_has_room_for_what_is_on_its_way(case: tuple) -> None:
    highest, plan = highest_level(case, [never_first(300), bursts(61, 20)])
    assert plan.fifo_depth & (plan.fifo_depth - 1) == 0
    assert plan.fifo_ahead >= 2
    assert plan.fifo_ahead < highest <= plan.fifo_depth


def test_the_room_is_no_more_than_needed() -> None:
    """Somewhere the bound is met: with one result more ahead, the FIFO would overflow."""
    met = []
    for case in ("few steps", "all rows at once", "long rows"):
        highest, plan = highest_level(FIFO_CASES[case], [never_first(150), bursts(40, 3), bursts(97, 5)])
        met.append(highest == plan.fifo_depth)
    assert any(met)


@pytest.mark.parametrize("case", ["scores", "as many lanes as rows", "one row, one column", "fewer steps than stages"])
def test_no_buffer_is_read_where_it_is_written(case: str) -> None:
    rows, columns, zeros, lanes, elements, code, kind = CASES[case]
    rng = np.random.default_rng(4)
    network = linear_network(
        random_weights(rng, rows, columns, zeros), code=code, requantize=requantize_of(kind, rows, rng)
    )
    plan = plan_of(network, lanes=lanes, elements=elements)
    unit = DenseUnit(plan)
    module = elaborated(unit)
    core = elaborated(module.submodules.core)
    lane = core.submodules.lane_0
    (write,), (read,) = memory_ports(elaborated(lane).submodules.buffer)
    frames = random_codes(rng, code, 8, columns)
    for stall in (0.0, 0.4):
        record = drive(
            unit,
            *ports(unit),
            beats_of(frames, elements),
            count=len(frames) * rows,
            output_stall=stall,
            probes=(
                write.en,
                write.addr,
                read.addr,
                lane.control.write_bank,
                lane.control.bank,
                lane.control.activation,
            ),
        )
        reads = 0
        for now, later in zip(record.probes, record.probes[1:], strict=False):
            used = later[5]  # what is read in one cycle is at the next stage in the other
            written, write_address, read_address, write_bank, bank, _ = now
            reads += used
            if used and written:
                assert write_bank != bank
                assert write_address != read_address
        assert reads >= (len(frames) - 1) * plan.schedule.steps


@pytest.mark.parametrize(("columns", "elements"), [(9, 1), (6, 2), (40, 1)])
def test_memories_hold_anything_at_power_up(columns: int, elements: int) -> None:
    """A row without weights gives its bias, though no beat writes what it reads."""
    rng = np.random.default_rng(columns)
    weights = random_weights(rng, 6, columns, 0.6)
    weights[[1, 4]] = 0
    weights[:, columns // 2 :: 3] = 0  # columns that are left out, where there are many
    network = linear_network(weights, code=U4, bias=np.arange(6))
    plan = plan_of(network, lanes=2, elements=elements)
    unit = DenseUnit(plan)
    core = elaborated(elaborated(unit).submodules.core)
    buffers = [elaborated(getattr(core.submodules, f"lane_{k}")).submodules.buffer for k in range(2)]
    sent = itertools.count()

    def put(ctx: Any, beat: list[int]) -> None:
        if next(sent) == 0:
            for buffer in buffers:
                for address in range(buffer.depth):
                    ctx.set(buffer.data[address], int(rng.integers(1, 1 << buffer.shape.width)))
        ctx.set(unit.i.payload, beat)

    frames = random_codes(rng, U4, 4, columns)
    record = drive(unit, *ports(unit), beats_of(frames, elements), count=4 * plan.results, set_beat=put)
    expected = GoldenModel(network).predict(frames)[:, list(plan.order)]
    np.testing.assert_array_equal(np.array(record.results).reshape(expected.shape), expected)


def test_frames_follow_each_other_without_a_gap() -> None:
    weights = np.ones((8, 10), np.int8)
    network = linear_network(weights)
    plan = plan_of(network, lanes=2)
    assert plan.schedule.steps == 40
    record = check(network, plan, random_codes(np.random.default_rng(0), U4, 6, 10))
    last = record.received[plan.results - 1 :: plan.results]
    assert np.diff(last).tolist() == [40] * 5
    loading = linear_network(np.eye(4, 50, dtype=np.int8))
    plan = plan_of(loading, lanes=4)
    record = check(loading, plan, random_codes(np.random.default_rng(0), U4, 6, 50))
    assert np.diff(record.sent).tolist() == [1] * (6 * 50 - 1)  # loading and computing overlap


@pytest.mark.parametrize("seed", range(6))
def test_reset_in_the_middle_of_a_frame(seed: int) -> None:
    rng = np.random.default_rng(seed)
    network = linear_network(random_weights(rng, 9, 24, 0.7), requantize=requantize_of("line", 9, rng))
    check_resets(network, plan_of(network, lanes=3, elements=2), rng)


def check_resets(network: Network, plan: DensePlan, rng: np.random.Generator) -> None:
    """Resets at any time, and then three frames."""
    unit = DenseUnit(plan)
    domain = ClockDomain("sync")
    frames = random_codes(rng, U4, 3, plan.layer.weights.shape[1])
    beats = beats_of(frames, plan.elements)
    expected = GoldenModel(network).predict(frames)[:, list(plan.order)].reshape(-1).tolist()

    async def attempt(ctx: Any, cycles: int) -> list[int]:
        sent, results = 0, []
        for _ in range(cycles):
            offered = sent < len(beats)
            ctx.set(unit.i.valid, offered)
            if offered:
                ctx.set(unit.i.payload, beats[sent])
            ctx.set(unit.o.ready, int(rng.random() < 0.8))
            accepted = offered and ctx.get(unit.i.ready)
            if ctx.get(unit.o.valid) and ctx.get(unit.o.ready):
                results.append(ctx.get(unit.o.payload))
            await ctx.tick()
            sent += bool(accepted)
        return results

    async def bench(ctx: Any) -> None:
        for _ in range(8):
            cut = await attempt(ctx, int(rng.integers(1, 4 * plan.beats)))
            assert cut == expected[: len(cut)]
            ctx.set(unit.i.valid, int(rng.random() < 0.5))  # whatever is offered while reset is high is not taken
            ctx.set(domain.rst, 1)
            for _ in range(int(rng.integers(1, 3))):
                await ctx.tick()
            ctx.set(domain.rst, 0)
        assert await attempt(ctx, 600) == expected

    run(unit, bench, domain=domain)


@pytest.mark.parametrize("lanes", [0, -2, 4])
def test_lanes_out_of_range(lanes: int) -> None:
    (layer,) = lower(linear_network(np.ones((3, 4), np.int8)))
    message = rf"^layer 'fc' has 3 rows to compute and cannot use {lanes} lanes: give it 1 to 3$"
    with pytest.raises(ValueError, match=message):
        plan_dense(layer, lanes=lanes)


def test_a_plan_says_what_it_holds() -> None:
    network = linear_network(random_weights(np.random.default_rng(0), 6, 13, 0.5))
    plan = plan_of(network, lanes=2, elements=4)
    assert (plan.name, plan.beats, plan.results) == ("fc", 4, 6)
    assert plan.fifo_ahead == plan.fifo_depth - plan.in_flight
