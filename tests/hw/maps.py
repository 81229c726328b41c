"""What the tests of units over feature maps share: beats and results of maps, and what every such unit must do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from amaranth.hdl import ClockDomain, Value
from bench import Port, Record, drive, elaborated, random_codes, run

from sterna.hw.graph.events import Channel, Kernel
from sterna.hw.graph.stream import StreamType
from sterna.hw.graph.timing import transfer_times
from sterna.net import ActivationType, Network, Requantization, ShiftRound, Thresholds
from sterna.sim.golden import GoldenModel


def as_bits(codes: Sequence[int], width: int) -> int:
    """Codes beside each other, the first in the low bits."""
    return sum((int(code) & ((1 << width) - 1)) << k * width for k, code in enumerate(codes))


def requantize_of(kind: str, taps: np.ndarray, code: ActivationType, rng: np.random.Generator) -> Requantization | None:
    """Of sums of random codes: most of them neither the smallest nor the largest result. ``taps`` is (rows, taps)."""
    rows = len(taps)
    mean = taps.sum(axis=1) * (code.min + code.max) // 2
    spread = np.sqrt(np.abs(taps).sum(axis=1)) * (code.max - code.min) / 3.5 + 1
    mean = mean + (spread * rng.uniform(-0.7, 0.7, rows)).astype(int)  # no two rows alike
    if kind == "shift":
        shift = max(int(np.log2(spread.max() / 3)), 0)
        return ShiftRound(output=ActivationType(4, False), bias=(8 << shift) - mean, shift=shift)
    if kind == "shifts":
        shift = np.maximum(np.log2(spread / 2).astype(int), 0) + rng.integers(0, 2, rows)
        return ShiftRound(output=ActivationType(5, True), bias=-mean, shift=shift)
    if kind == "search":
        levels = mean[:, None] + rng.normal(0, 1, (rows, 7)) * spread[:, None]
        return Thresholds(output=ActivationType(3, False), levels=np.sort(levels.astype(int), axis=1))
    if kind == "line":
        step = spread * rng.uniform(0.2, 0.4, rows)
        levels = mean[:, None] + step[:, None] * np.arange(-7, 8)
        return Thresholds(output=ActivationType(4, True), levels=np.ceil(levels).astype(int))
    return None


def map_beats(frames: np.ndarray, stream: StreamType, rng: np.random.Generator) -> list[int]:
    """Each frame's beats as bits: row, channel, pixel; padding is anything. ``frames`` is (frames, *stream.shape)."""
    width, elements = stream.element.width, stream.elements
    rows = frames[:, list(stream.order)].transpose(0, 2, 1, 3).reshape(-1, stream.shape[2])
    padding = rng.integers(0, 1 << width, (len(rows), -stream.run % elements))
    beats = np.concatenate([rows, padding], axis=1).reshape(-1, elements)
    return [as_bits(beat, width) for beat in beats.tolist()]


def map_results(results: Sequence[int], output: StreamType) -> np.ndarray:
    """int64, (frames, channels in the stream's order, rows, columns): what beats of results say."""
    width, signed = output.element.width, output.element.signed
    mask, places = (1 << width) - 1, range(0, output.elements * width, width)
    codes = np.array([[bits >> place & mask for place in places] for bits in results], np.int64)
    if signed:
        codes -= codes >> (width - 1) << width
    channels, rows, columns = len(output.order), *output.shape[1:]
    run = output.beats // (rows * channels) * output.elements
    return codes.reshape(-1, rows, channels, run)[:, :, :, :columns].transpose(0, 2, 1, 3)


def map_ports(unit: Any) -> tuple[Port, Port]:
    """Both streams, their beats as bits."""
    source = Port(unit.i.valid, unit.i.ready, Value.cast(unit.i.payload))
    return source, Port(unit.o.valid, unit.o.ready, Value.cast(unit.o.payload).as_unsigned())


def expected_maps(reference: np.ndarray, output: StreamType) -> np.ndarray:
    """The channels that leave, in their order."""
    return reference[:, list(output.order)]


def map_frames(code: ActivationType, shape: Sequence[int], count: int, rng: np.random.Generator) -> np.ndarray:
    """Random frames, and in the middle those of the smallest and of the largest code."""
    frames = random_codes(rng, code, count, *shape)
    frames[count // 2] = code.min
    frames[count // 2 - 1] = code.max
    return frames


def check_network(plan: Any, network: Network, frames: np.ndarray, *, stalls: tuple[float, float], seed: int) -> Record:
    """A unit under some stalls against the golden model of its network."""
    return check_maps(
        plan,
        frames,
        GoldenModel(network).predict(frames),
        input_stall=stalls[0],
        output_stall=stalls[1],
        seed=seed,
    )


def check_maps(
    plan: Any,
    frames: np.ndarray,
    reference: np.ndarray,
    *,
    input_stall: float = 0.0,
    output_stall: float | Callable[[int], bool] = 0.0,
    seed: int = 0,
) -> Record:
    """Every result of every frame, and the cycle of every transfer; the FIFO holds what comes."""
    unit = plan.component(framed=False)
    fifo = elaborated(unit).submodules.fifo
    record = drive(
        unit,
        *map_ports(unit),
        map_beats(frames, plan.stream, np.random.default_rng(seed)),
        count=len(frames) * plan.output.beats,
        input_stall=input_stall,
        output_stall=output_stall,
        seed=seed,
        probes=(fifo.level,),
    )
    np.testing.assert_array_equal(map_results(record.results, plan.output), expected_maps(reference, plan.output))
    assert max(level for (level,) in record.probes) <= plan.fifo_depth, "the FIFO overflows"
    # what is offered, and taken, as soon as can be, but for the stalls that there were
    offered = record.sent if input_stall else [0] * len(record.sent)
    ready = record.received if output_stall else [0] * len(record.received)
    assert transfers(plan, offered, ready) == (record.sent, record.received)
    return record


def transfers(plan: Any, offered: Sequence[int], ready: Sequence[int]) -> tuple[list[int], list[int]]:
    """The cycles of all transfers that a unit's timing computes, beats and the sink being there from given ones on."""
    sent: list[int] = []
    received: list[int] = []
    beats, results, kernel = Channel(log=sent), Channel(log=received), Kernel()
    work = plan.clockwork([beats], results)
    kernel.watch([beats, results, *work.marks])
    for process in work.processes():
        kernel.start(process)
    for time in ready:
        results.ready(time)
    for time in offered:
        beats.offer(time)
        kernel.run()
    return sent, received


async def exchange(
    ctx: Any,
    unit: Any,
    beats: Sequence[int],
    *,
    cycles: int,
    ready: Callable[[], bool],
    after: Callable[[Any, tuple[int, ...]], None] | None = None,
    watched: Sequence[Any] = (),
) -> list[int]:
    """Sends beats for some cycles and gives the results; ``after`` gets what was watched just before each edge."""
    source, sink = map_ports(unit)
    sent, results = 0, []
    for _ in range(cycles):
        ctx.set(source.valid, sent < len(beats))
        if sent < len(beats):
            ctx.set(source.payload, beats[sent])
        ctx.set(sink.ready, ready())
        accepted = ctx.get(source.valid) and ctx.get(source.ready)
        if ctx.get(sink.valid) and ctx.get(sink.ready):
            results.append(ctx.get(sink.payload))
        before = tuple(ctx.get(value) for value in watched)
        await ctx.tick()
        if after is not None:
            after(ctx, before)
        sent += bool(accepted)
    ctx.set(source.valid, 0)
    return results


def check_resets(plan: Any, frames: np.ndarray, reference: np.ndarray, *, seed: int, attempts: int = 6) -> None:
    """Resets at any time, and then all frames."""
    rng = np.random.default_rng(seed)
    unit = plan.component(framed=False)
    domain = ClockDomain("sync")
    beats = map_beats(frames, plan.stream, rng)
    expected = expected_maps(reference, plan.output)
    cycles = transfer_times([plan], [[-1]], len(frames))[1][-1] + 1

    def check(results: Sequence[int]) -> None:
        whole = len(results) // plan.output.beats
        found = map_results(results[: whole * plan.output.beats], plan.output)
        np.testing.assert_array_equal(found, expected[:whole])

    def ready() -> bool:
        return bool(rng.random() < 0.8)

    async def bench(ctx: Any) -> None:
        for _ in range(attempts):
            check(await exchange(ctx, unit, beats, cycles=int(rng.integers(1, cycles)), ready=ready))
            ctx.set(unit.i.valid, int(rng.random() < 0.5))  # whatever is offered while reset is high is not taken
            ctx.set(domain.rst, 1)
            for _ in range(int(rng.integers(1, 3))):
                await ctx.tick()
            ctx.set(domain.rst, 0)
        results = await exchange(ctx, unit, beats, cycles=cycles, ready=lambda: True)
        assert len(results) == len(frames) * plan.output.beats
        check(results)

    run(unit, bench, domain=domain)


#: By how many beats frames of a framed stream are too long.
WRONG_LENGTHS = (0, -1, 0, 3, 1, -2, 0, -10_000, 0)


def check_framed(plan: Any, frames: np.ndarray, compute: Callable[[np.ndarray], np.ndarray], *, seed: int) -> None:
    """Frames that are too short end in zeros, of those that are too long the rest is dropped, and errors say so."""
    rng = np.random.default_rng(seed)
    stream, count = plan.stream, len(frames)
    whole = map_beats(frames, stream, rng)
    beats: list[tuple[int, bool]] = []
    seen, errors = frames.copy(), 0
    for k in range(count):
        wrong = WRONG_LENGTHS[k % len(WRONG_LENGTHS)]
        frame = whole[k * stream.beats : (k + 1) * stream.beats]
        length = max(stream.beats + wrong, 1)
        errors += length != stream.beats
        sent = (frame + rng.integers(0, 1 << stream.element.width, max(length - stream.beats, 0)).tolist())[:length]
        beats += [(beat, place == length - 1) for place, beat in enumerate(sent)]
        lost = stream.places()[length * stream.elements :]
        seen[k].reshape(-1)[lost[lost >= 0]] = 0
    expected = expected_maps(compute(seen), plan.output)
    for stalls in ((0.0, 0.0), (0.3, 0.3)):
        record = _drive_framed(plan, beats, count * plan.output.beats, stalls, seed)
        np.testing.assert_array_equal(map_results(record.results, plan.output), expected)
        assert sum(error for (error,) in record.probes) == errors


def _drive_framed(
    plan: Any, beats: Sequence[tuple[int, bool]], count: int, stalls: tuple[float, float], seed: int
) -> Record:
    unit = plan.component(framed=True)
    source, sink = map_ports(unit)

    def put(ctx: Any, beat: tuple[int, bool]) -> None:
        ctx.set(source.payload, beat[0])
        ctx.set(unit.i_last, beat[1])

    return drive(
        unit,
        source,
        sink,
        beats,
        count=count,
        input_stall=stalls[0],
        output_stall=stalls[1],
        seed=seed,
        set_beat=put,
        probes=(unit.error,),
    )
