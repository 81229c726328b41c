# amaranth: UnusedElaboratable=no
"""The receiver's verdicts and the buffer behind it, on lines of whole, damaged and foreign packets."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pytest
from amaranth.hdl import Module, ResetInserter
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from bench import run
from transport_bench import body, data, stuffed, to_board

from sterna.boards.transport.buffer import PacketBuffer
from sterna.boards.transport.receiver import PacketReceiver

STROBES = ("accepted", "opened", "poll", "read", "damaged", "refused", "freed")


class Front(wiring.Component):
    """Receiver and buffer as in the transport."""

    def __init__(self, slots: int) -> None:
        self.receiver, self.buffer = PacketReceiver(), PacketBuffer(slots=slots)
        super().__init__({"o": Out(stream.Signature(8)), "unused": In(1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        receiver, buffer = self.receiver, self.buffer
        m.submodules.receiver = receiver
        m.submodules.buffer = ResetInserter(receiver.opened)(buffer)
        m.d.comb += [
            receiver.room.eq(buffer.room),
            buffer.between.eq(receiver.between),
            buffer.data.eq(receiver.o_data),
            buffer.place.eq(receiver.place),
            buffer.valid.eq(receiver.o_valid),
            buffer.commit.eq(receiver.accepted),
        ]
        wiring.connect(m, buffer.o, wiring.flipped(self.o))
        return m


def seen(line: list[int | None], *, slots: int = 2, taking: float = 1.0, seed: int = 0) -> tuple[Counter, bytes, Front]:
    """What becomes of a line's bytes; ``None`` is a byte that was lost. Gives strobes, payload, and the device."""
    front, found, out = Front(slots), Counter(), bytearray()
    receiver, buffer = front.receiver, front.buffer
    coin = random.Random(seed)

    async def cycle(ctx: Any) -> None:
        ready = coin.random() < taking
        ctx.set(front.o.ready, ready)
        for name in STROBES:
            found[name] += ctx.get(getattr(buffer if name == "freed" else receiver, name))
        if ready and ctx.get(front.o.valid):
            out.append(ctx.get(front.o.payload))
        assert ctx.get(buffer.free) <= slots
        await ctx.tick()

    async def bench(ctx: Any) -> None:
        for octet in line:
            for place in range(8):
                ctx.set(receiver.bit, (octet or 0) >> place & 1)
                ctx.set(receiver.sampled, 1)
                await cycle(ctx)
                ctx.set(receiver.sampled, 0)
            await cycle(ctx)
            ctx.set(receiver.data, octet or 0)
            ctx.set(receiver.valid if octet is not None else receiver.error, 1)
            await cycle(ctx)
            ctx.set(receiver.valid, 0)
            ctx.set(receiver.error, 0)
            await cycle(ctx)
        for _ in range(1200 if taking else 20):
            await cycle(ctx)
        found.update(
            session=ctx.get(receiver.session), expected=ctx.get(receiver.expected), page=ctx.get(receiver.page)
        )
        found.update(free=ctx.get(buffer.free), empty=ctx.get(buffer.empty))

    run(front, bench)
    return found, bytes(out), front


OPEN = to_board(1, 9, 0)


def test_data_packets_in_sequence_come_out_whole() -> None:
    rng = random.Random(1)
    sizes = [0, 1, 245, 100, 3]
    parts = [bytes(rng.choice((0, rng.randrange(256))) for _ in range(size)) for size in sizes]
    line = OPEN + b"".join(data(9, k, part) for k, part in enumerate(parts))
    for taking in (1.0, 0.7):
        found, out, _ = seen(list(line), taking=taking)
        assert out == b"".join(parts)
        assert (found["accepted"], found["freed"], found["expected"], found["session"]) == (5, 5, 5, 9)
        assert found["damaged"] + found["refused"] == 0
        assert (found["free"], found["empty"]) == (2, 1)


@pytest.mark.parametrize("slots", [2, 4])
def test_without_room_a_packet_is_refused_and_what_is_kept_stays(slots: int) -> None:
    parts = [bytes((k + 1,)) * 50 for k in range(slots + 2)]
    line = list(OPEN + b"".join(data(9, k, part) for k, part in enumerate(parts)))
    found, out, _ = seen(line, slots=slots, taking=0.0)
    assert (found["accepted"], found["refused"], found["free"], out) == (slots, 2, 0, b"")
    assert found["expected"] == slots
    found, out, _ = seen([*line, *([None] * 120), *data(9, slots, parts[slots])], slots=slots, taking=0.1)
    assert out[: slots * 50] == b"".join(parts[:slots])


@pytest.mark.parametrize(
    ("packet", "verdict"),
    [
        (data(8, 0, b"abc"), "refused"),
        (data(9, 1, b"abc"), "refused"),
        (data(9, 255, b"abc"), "refused"),
        (to_board(0, 9, 0), "refused"),
        (to_board(5, 9, 0), "refused"),
        (to_board(7, 9, 0), "refused"),
        (to_board(10, 9, 0, b"\1a"), "refused"),
        (to_board(0x82, 9, 0, b"\1a"), "refused"),
        (to_board(3, 77, 5), "poll"),
        (to_board(4, 77, 2), "read"),
        (to_board(1, 200, 0), "opened"),
        (stuffed(b"\0\0\0\0") + b"\0", "damaged"),
        (stuffed(body(2, 9, 0)[:6]) + b"\0", "damaged"),
        (b"\5\0", "damaged"),
        (data(9, 0, b"abc")[:-3] + b"\0", "damaged"),
        (b"\1\2\3\4\0", "damaged"),
        (stuffed(b"\7" * 253)[:-1] + b"\1" * 20 + b"\0", "damaged"),
    ],
)
def test_verdicts(packet: bytes, verdict: str) -> None:
    found, out, _ = seen(list(OPEN + b"\0" + packet + b"\0" + data(9, 0, b"xyz")))
    expected = Counter(opened=1, accepted=1, freed=1)
    if packet != b"\5\0":  # of which nothing came: it is no packet
        expected[verdict] += 1
    if verdict == "opened":
        expected.subtract(accepted=1, freed=1)
        expected["refused"] = 1
    assert {name: found[name] for name in STROBES} == {name: expected[name] for name in STROBES}
    assert out == (b"" if verdict == "opened" else b"xyz")
    assert found["page"] == (2 if verdict == "read" else 0)


def test_a_body_that_is_too_long_is_damaged_though_its_crc_fits() -> None:
    long = body(2, 9, 0, b"\1a" + bytes(300))
    found, out, _ = seen(list(OPEN + stuffed(long) + b"\0" + data(9, 0, b"xyz")))
    assert (found["damaged"], found["accepted"], out) == (1, 1, b"xyz")


def test_a_lost_byte_breaks_its_packet_alone() -> None:
    packet = list(data(9, 0, b"abcdef"))
    found, out, _ = seen([*OPEN, *packet[:5], None, *packet[5:], *data(9, 0, b"xyz")])
    assert (found["damaged"], found["accepted"], out) == (1, 1, b"xyz")


def test_a_new_session_forgets_what_is_kept() -> None:
    line = OPEN + data(9, 0, b"a" * 30) + data(9, 1, b"b" * 30)
    again = to_board(1, 10, 0) + data(9, 2, b"old") + data(10, 0, b"new")
    found, out, _ = seen(list(line + again), taking=0.001, seed=4)
    assert len(out) < 5
    found, out, _ = seen([*line, *again], taking=1.0)
    assert out == b"a" * 30 + b"b" * 30 + b"new"
    assert (found["refused"], found["session"], found["expected"]) == (1, 10, 1)


def test_damage_at_random_never_lets_a_wrong_byte_through() -> None:
    rng = random.Random(5)
    line: list[int | None] = list(OPEN)
    for _ in range(60):
        part = bytes(rng.randrange(256) for _ in range(rng.randrange(1, 30)))
        packet: list[int | None] = list(data(9, 0, part))
        place, how = rng.randrange(len(packet) - 1), rng.randrange(4)
        if how == 0:
            packet[place] = (packet[place] or 0) ^ 1 << rng.randrange(8)
        elif how == 1:
            del packet[place]
        elif how == 2:
            packet.insert(place, packet[place])
        else:
            packet[place] = None
        line += [*packet, 0]
    found, out, _ = seen(line)
    assert out == b""
    assert found["accepted"] == 0
    assert found["damaged"] >= 50


@pytest.mark.parametrize("slots", [2, 8])
def test_slots_are_taken_and_freed_in_any_cycle(slots: int) -> None:
    buffer, coin = PacketBuffer(slots=slots), random.Random(slots)
    kept, out, both = bytearray(), bytearray(), 0

    async def cycle(ctx: Any, **inputs: int) -> None:
        nonlocal both
        for name in ("between", "valid", "commit", "place", "data"):
            ctx.set(getattr(buffer, name), inputs.get(name, 0))
        ctx.set(buffer.o.ready, ready := coin.random() < 0.8)
        both += inputs.get("commit", 0) and ctx.get(buffer.freed)
        if ready and ctx.get(buffer.o.valid):
            out.append(ctx.get(buffer.o.payload))
        await ctx.tick()

    async def bench(ctx: Any) -> None:
        for number in range(150):
            for _ in range(1 + coin.randrange(3)):
                await cycle(ctx, between=1)
            carried = bytes(coin.randrange(256) for _ in range(coin.randrange(4)))
            for place, octet in enumerate(bytes((2, 0, number, len(carried))) + carried):
                await cycle(ctx, valid=1, place=place, data=octet)
            for _ in range(coin.randrange(12)):
                await cycle(ctx)
            if ctx.get(buffer.room) and coin.random() < 0.8:
                kept.extend(carried)
                await cycle(ctx, commit=1)
        for _ in range(200):
            await cycle(ctx, between=1)
        assert (ctx.get(buffer.free), ctx.get(buffer.empty)) == (slots, 1)

    run(buffer, bench)
    assert out == kept
    assert both > 0


def test_slots_are_a_power_of_two() -> None:
    with pytest.raises(ValueError, match="slots must be a power of two, not 3"):
        PacketBuffer(slots=3)
    with pytest.raises(ValueError, match="slots must be an integer from 2 to 32, not 1"):
        PacketBuffer(slots=1)
