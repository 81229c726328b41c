"""What the tests of hw/ share: random layers, a bench that drives two streams cycle by cycle, a look inside."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from amaranth.hdl import ClockDomain, Elaboratable, Module, Signal, ValueLike
from amaranth.sim import Simulator

from sterna.hw.graph.lower import lower
from sterna.hw.units.dense.plan import DensePlan, plan_dense
from sterna.net import ActivationType, Linear, Network, Requantization

U1, U2, U4, U8 = (ActivationType(width, False) for width in (1, 2, 4, 8))
S1, S2, S4, S8 = (ActivationType(width, True) for width in (1, 2, 4, 8))


def random_weights(rng: np.random.Generator, rows: int, columns: int, zeros: float) -> np.ndarray:
    """int8, (rows, columns), of which about the share ``zeros`` is 0."""
    signs = rng.choice(np.array([-1, 1], np.int8), (rows, columns))
    return np.where(rng.random((rows, columns)) >= zeros, signs, np.int8(0))


def random_codes(rng: np.random.Generator, code: ActivationType, *shape: int) -> np.ndarray:
    """int64, of a type's whole range."""
    return rng.integers(code.min, code.max + 1, shape)


def extremes(weights: np.ndarray, code: ActivationType) -> np.ndarray:
    """int64, (2 * rows, columns): inputs that give each row its largest and its smallest sum."""
    largest = np.where(weights > 0, code.max, code.min)
    smallest = np.where(weights > 0, code.min, code.max)
    return np.concatenate([largest, smallest]).astype(np.int64)


def linear_network(
    weights: np.ndarray,
    *,
    code: ActivationType = U4,
    bias: np.ndarray | None = None,
    requantize: Requantization | None = None,
) -> Network:
    """A network of one dense layer."""
    node = Linear(name="fc", weights=weights, bias=bias, requantize=requantize)
    return Network(input_shape=(weights.shape[1],), input_type=code, input_scale=1.0, nodes=[node])


def plan_of(network: Network, *, lanes: int, **options: Any) -> DensePlan:
    """The plan of a network's only layer."""
    (layer,) = lower(network)
    return plan_dense(layer, lanes=lanes, **options)


def beats_of(frames: np.ndarray, elements: int) -> list[list[int]]:
    """The frames' beats, one after the other, the last of each padded with code 0."""
    padding = -frames.shape[1] % elements
    padded = np.pad(frames, ((0, 0), (0, padding)))
    return padded.reshape(-1, elements).tolist()


def elaborated(component: Any) -> Module:
    """Elaborates a component once and for all, so that its submodules can be watched."""
    module = component.elaborate(None)
    component.elaborate = lambda platform: module
    return module


@dataclass
class Port:
    """A stream as its signals; ``set_payload`` takes what a beat is."""

    valid: Signal
    ready: Signal
    payload: ValueLike
    extra: tuple[ValueLike, ...] = ()


@dataclass
class Record:
    """What crossed two streams, and when.

    Attributes
    ----------
    results : list
        Payloads of the output's transfers, in order.
    sent, received : list of int
        Cycle of each transfer.
    probes : list of tuples
        The probes' values in each cycle.
    """

    results: list[Any] = field(default_factory=list)
    sent: list[int] = field(default_factory=list)
    received: list[int] = field(default_factory=list)
    probes: list[tuple[Any, ...]] = field(default_factory=list)


def drive(
    dut: Elaboratable,
    source: Port,
    sink: Port,
    beats: Sequence[Any],
    *,
    count: int,
    input_stall: float = 0.0,
    output_stall: float | Callable[[int], bool] = 0.0,
    seed: int = 0,
    probes: Iterable[ValueLike] = (),
    set_beat: Callable[[Any, Any], None] | None = None,
    limit: int = 50_000,
) -> Record:
    """Sends ``beats`` and takes ``count`` results, each side pausing at random.

    A beat, once offered, stays until it is taken; a result that is offered and not taken must not change.

    Parameters
    ----------
    output_stall : float or function of the cycle
        Share of the cycles in which the sink is not ready, or whether it is not in a cycle.
    probes : values
        Recorded in each cycle.
    set_beat : function of (context, beat), optional
        Puts a beat on the source's payload.
    """
    record = Record()
    watched = list(probes)
    coin_in, coin_out = np.random.default_rng([seed, 0]), np.random.default_rng([seed, 1])
    put = set_beat or (lambda ctx, beat: ctx.set(source.payload, beat))

    async def bench(ctx: Any) -> None:
        offered, waiting = False, None
        for cycle in range(limit):
            if not offered and len(record.sent) < len(beats) and coin_in.random() >= input_stall:
                put(ctx, beats[len(record.sent)])
                offered = True
            ctx.set(source.valid, offered)
            stalled = output_stall(cycle) if callable(output_stall) else bool(coin_out.random() < output_stall)
            ctx.set(sink.ready, not stalled)
            sampled = await ctx.tick().sample(source.ready, sink.valid, sink.payload, *watched)
            ready, valid, payload = sampled[2:5]
            record.probes.append(tuple(sampled[5:]))
            if offered and ready:
                record.sent.append(cycle)
                offered = False
            if waiting is not None:
                assert (valid, payload) == (1, waiting), "an offered result changed"
            waiting = payload if valid and stalled else None
            if valid and not stalled:
                record.results.append(payload)
                record.received.append(cycle)
                if len(record.results) == count:
                    return
        raise AssertionError(f"{len(record.results)} of {count} results after {limit} cycles")

    run(dut, bench)
    return record


def run(dut: Elaboratable, bench: Callable[[Any], Any], *, domain: ClockDomain | None = None) -> None:
    """Simulates until the bench ends; with a domain, the bench can drive its reset."""
    m = Module()
    m.domains.sync = domain or ClockDomain("sync")
    m.submodules.dut = dut
    m.d.sync += Signal(name="clocked").eq(1)  # a device without a register can be clocked too
    simulator = Simulator(m)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
