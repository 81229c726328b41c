# amaranth: UnusedElaboratable=no
"""Receiver and transmitter at their pins, with lines of other rates, pulses and missing stop bits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from amaranth.sim import Simulator
from bench import run
from transport_bench import send_uart

from sterna.boards.transport.uart import UartReceiver, UartTransmitter, divider_of

CORNERS = [0x00, 0xFF, 0x55, 0xAA, 0x01, 0x80]


def octets(seed: int, count: int = 8) -> list[int]:
    return CORNERS + np.random.default_rng(seed).integers(0, 256, count).tolist()


def received(levels: list[int], divider: int) -> tuple[list[int], list[int], int]:
    """Bytes, their bits one by one, and errors, of a line's levels, one a cycle."""
    uart, got, bits, errors = UartReceiver(divider=divider), [], [], 0

    async def bench(ctx: Any) -> None:
        nonlocal errors
        for level in levels:
            ctx.set(uart.rx, level)
            _, _, valid, data, error, bit, sampled = await ctx.tick().sample(
                uart.valid, uart.data, uart.error, uart.bit, uart.sampled
            )
            errors += error
            if valid:
                got.append(data)
            if sampled:
                bits.append(bit)

    run(uart, bench)
    return got, bits, errors


def line(sent: list[int], clocks: float, *, gap: float = 0.0) -> list[int]:
    """Levels of a line whose bits take ``clocks`` cycles, not always whole, with ``gap`` bits between two bytes."""
    edges, levels, time = [(1, 2.0)], [], 0.0
    for octet in sent:
        edges += [(0, 1.0), *((octet >> place & 1, 1.0) for place in range(8)), (1, 1.0 + gap)]
    for level, length in [*edges, (1, 3.0)]:
        time += length * clocks
        levels += [level] * (round(time) - len(levels))
    return levels


@pytest.mark.parametrize("divider", [4, 5, 8, 13])
def test_every_byte_arrives_once_back_to_back_and_with_gaps(divider: int) -> None:
    sent = octets(divider)
    for gap in (0.0, 0.4, 7.3):
        got, bits, errors = received(line(sent, divider, gap=gap), divider)
        assert (got, errors) == (sent, 0)
        assert bits == [octet >> place & 1 for octet in sent for place in range(8)]


@pytest.mark.parametrize("rate", [0.97, 0.98, 1.02, 1.03])
def test_a_line_may_be_a_little_faster_or_slower(rate: float) -> None:
    sent = octets(7)
    for divider in (8, 12, 25):
        assert received(line(sent, divider * rate), divider)[::2] == (sent, 0)


def test_short_pulses_are_no_bytes_and_a_missing_stop_bit_drops_one() -> None:
    idle, pulse = [1] * 40, [0] * 3
    byte = [0] * 8 + [1] * 32 + [0] * 32 + [1] * 8
    assert received(idle + pulse + idle + byte + idle, 8)[::2] == ([0x0F], 0)
    without = [0] * 8 + [1] * 32 + [0] * 40
    assert received(idle + without + idle + byte + idle, 8)[::2] == ([0x0F], 1)
    assert received(idle + [0] * 1000 + idle + byte + idle, 8)[::2] == ([0x0F], 1), "a long low is one error"


@pytest.mark.parametrize("divider", [4, 9, 16])
def test_what_is_sent_is_on_the_line_for_its_time(divider: int) -> None:
    uart, sent, pause = UartTransmitter(divider=divider), octets(divider), np.random.default_rng(1)
    levels: list[int] = []
    bits: list[int] = []
    at: list[int] = []

    async def bench(ctx: Any) -> None:
        offered, left = False, list(sent)
        for _ in range(14 * divider * len(sent)):
            offered = bool(left) and (offered or pause.random() < 0.5)
            ctx.set(uart.i.valid, offered)
            ctx.set(uart.i.payload, left[0] if offered else 0x5A)
            _, _, ready, tx, bit, shifted = await ctx.tick().sample(uart.i.ready, uart.tx, uart.bit, uart.shifted)
            levels.append(tx)
            if shifted:
                bits.append(bit)
            if offered and ready:
                assert len(bits) == 8 * len(at), "the bits before have not passed"
                at.append(len(levels))
                left.pop(0)
                offered = False

    run(uart, bench)
    assert len(at) == len(sent)
    for octet, start in zip(sent, at, strict=True):
        whole = [0, *(octet >> place & 1 for place in range(8)), 1]
        assert levels[start : start + 10 * divider] == [bit for bit in whole for _ in range(divider)]
    assert levels[0] == 1
    assert bits == [octet >> place & 1 for octet in sent for place in range(8)]
    assert min(np.diff(at)) == 10 * divider


def test_a_line_of_another_writing() -> None:
    uart, sent = UartReceiver(divider=6), octets(3)
    got: list[int] = []

    async def watch(ctx: Any) -> None:
        async for _, _, valid, data in ctx.tick().sample(uart.valid, uart.data):
            if valid:
                got.append(data)
            if len(got) == len(sent):
                return

    async def line(ctx: Any) -> None:
        await send_uart(ctx, uart.rx, bytes(sent), 6)
        await ctx.tick().repeat(20)

    simulator = Simulator(uart)
    simulator.add_clock(1e-6)
    simulator.add_testbench(line)
    simulator.add_testbench(watch, background=True)
    simulator.run()
    assert got == sent


@pytest.mark.parametrize(
    ("clock_hz", "baud", "message"),
    [
        (12e6, 4e6, r"4e\+06 baud needs a clock of 16 MHz or more, not 12 MHz: lower the baud rate"),
        (100e6, 300, "300 baud is too slow for a clock of 100 MHz: raise the baud rate"),
        (12e6, 921600, "no divider of 12 MHz comes within 2% of 921600 baud; the nearest gives 923077"),
    ],
)
def test_a_rate_that_does_not_go(clock_hz: float, baud: float, message: str) -> None:
    if baud == 921600:
        assert divider_of(clock_hz, baud) == 13  # 0.16 % off
        clock_hz, message = 5e6, "no divider of 5 MHz comes within 2% of 921600 baud; the nearest gives 1000000"
    with pytest.raises(ValueError, match=message):
        divider_of(clock_hz, baud)


def test_a_divider_is_a_number_in_range() -> None:
    for kind in (UartReceiver, UartTransmitter):
        with pytest.raises(ValueError, match="divider must be an integer from 4 to 65535, not 3"):
            kind(divider=3)
