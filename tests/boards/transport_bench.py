"""What the tests of the transport share: an own reading of docs/protocol.md, written apart from `sterna.boards`."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

from amaranth.sim import Simulator

from sterna.boards.packets import Info
from sterna.boards.transport.transport import Transport


def crc32(content: bytes) -> int:
    """CRC-32 by long division of polynomials over GF(2), highest power first, as a textbook has it."""
    bits = [octet >> place & 1 for octet in content for place in range(8)] + [0] * 32
    for place in range(32):
        bits[place] ^= 1
    divisor = [1, *(0x04C11DB7 >> place & 1 for place in range(31, -1, -1))]
    for place in range(len(bits) - 32):
        if bits[place]:
            for k, bit in enumerate(divisor):
                bits[place + k] ^= bit
    return sum((bit ^ 1) << place for place, bit in enumerate(bits[-32:]))


def stuffed(body: bytes) -> bytes:
    """COBS by its definition: the code of a byte's block is the distance to the next zero, or to the end."""
    line = bytearray()
    padded = b"\0" + body + b"\0"
    for place, octet in enumerate(padded[:-1]):
        line.append(octet or padded.index(0, place + 1) - place)
    return bytes(line)


def body(kind: int, session: int, sequence: int, payload: bytes = b"") -> bytes:
    """A body with its CRC."""
    content = bytes((kind, session, sequence)) + payload
    return content + crc32(content).to_bytes(4, "little")


def to_board(kind: int, session: int, sequence: int, payload: bytes = b"") -> bytes:
    """What a host sends for a packet."""
    return stuffed(body(kind, session, sequence, payload)) + b"\0"


def data(session: int, sequence: int, carried: bytes, kind: int = 2) -> bytes:
    """A data packet, or one of a load."""
    return to_board(kind, session, sequence, bytes((len(carried),)) + carried)


def from_board(line: bytes) -> bytes | None:
    """The body, without its CRC, of the bytes before a zero byte; ``None`` if it is damaged."""
    turned = list(reversed(line))
    out: list[int] = []
    place = 0
    while place < len(turned):
        length = turned[place]
        piece = turned[place + 1 : place + length]
        if len(piece) != length - 1:
            return None
        out += piece
        place += length
        if place < len(turned):
            out.append(0)
    found = bytes(reversed(out))
    if len(found) < 7 or crc32(found[:-4]) != int.from_bytes(found[-4:], "little"):
        return None
    return found[:-4]


def bodies(seed: int) -> Iterator[bytes]:
    """Corners, then random bodies of 1 to 253 bytes, with few and with many zeros."""
    yield from (b"\0", b"\1", b"\0\0", b"\1\0", b"\0\1", b"\xff", bytes(253), bytes(range(1, 254)), b"\xff" * 253)
    rng = random.Random(seed)
    for length in (1, 2, 3, 7, 20, 100, 252, 253):
        for zeros in (0.0, 0.1, 0.5, 0.9):
            yield bytes(0 if rng.random() < zeros else rng.randrange(256) for _ in range(length))


async def send_uart(ctx: Any, rx: Any, line: bytes, divider: int) -> None:
    """Bytes on a pin, bit by bit."""
    for octet in line:
        for bit in (0, *(octet >> place & 1 for place in range(8)), 1):
            ctx.set(rx, bit)
            await ctx.tick().repeat(divider)


class Bench:
    """A transport with a line at its pins and, at its streams, who adds the two beats of a frame up.

    The result of a frame of two beats a, b has the beats a + b + w and a - b (modulo 2^16). w is the first byte of what
    was loaded last, and 0 before. What is loaded has the length that the board says, else it is refused.

    Attributes
    ----------
    frames : list
        Beats of each frame that came.
    loads : list
        Of each load that came: how many frames came before its end, its bytes, and whether it was taken.
    resets : int
    """

    def __init__(
        self, info: Info, *, seed: int = 0, giving: float = 0.5, taking: float = 0.5, loading: float = 0.5
    ) -> None:
        self.info = info
        self.transport = Transport(info)
        self.coin = random.Random(seed)
        self.giving, self.taking, self.loading = giving, taking, loading
        self.frames: list[tuple[int, ...]] = []
        self.loads: list[tuple[int, bytes, bool]] = []
        self.line = bytearray()
        self.resets = 0
        self.weight, self.half, self.loaded = 0, 0, False
        self.swapping: bytes | None = None

    def run(self, *steps: bytes | int) -> list[bytes]:
        """Sends bytes, and waits cycles; gives the bodies of the packets that came, without damaged ones."""
        transport = self.transport

        async def host(ctx: Any) -> None:
            ctx.set(transport.rx, 1)
            for step in steps:
                if isinstance(step, int):
                    await ctx.tick().repeat(step)
                else:
                    await send_uart(ctx, transport.rx, step, self.info.divider)

        simulator = Simulator(transport)
        simulator.add_clock(1e-6)
        simulator.add_testbench(host)
        for other in (self._accelerator, self._listener, *([self._memories] if self.info.load else [])):
            simulator.add_testbench(other, background=True)
        simulator.run()
        *packets, rest = bytes(self.line).split(b"\0")
        assert rest == b"", "the last packet has no end"
        return [found for found in map(from_board, packets) if found is not None]

    async def _accelerator(self, ctx: Any) -> None:
        transport = self.transport
        beats: list[int] = []
        results: list[tuple[int, int]] = []
        keeps = self.info.load is not None and self.info.load.keeps
        while True:
            if self.swapping is not None and not results and not beats:
                self._swap()
            working = self.info.load is None or keeps or self.loaded
            waiting = self.swapping is not None and not beats
            ctx.set(transport.s_axis_tready, working and not waiting and self.coin.random() < self.taking)
            if keeps:
                ctx.set(transport.half, self.half)
            elif self.info.load is not None:
                ctx.set(transport.loaded, self.loaded)
            offered = bool(results) and (ctx.get(transport.m_axis_tvalid) or self.coin.random() < self.giving)
            ctx.set(transport.m_axis_tvalid, offered)
            ctx.set(transport.m_axis_tdata, results[0][0] if offered else 0xA55A)
            ctx.set(transport.m_axis_tlast, results[0][1] if offered else 1)
            _, _, ready, valid, value, last, taken, clear = await ctx.tick().sample(
                transport.s_axis_tready,
                transport.s_axis_tvalid,
                transport.s_axis_tdata,
                transport.s_axis_tlast,
                transport.m_axis_tready,
                transport.clear,
            )
            if offered and taken:
                results.pop(0)
                ctx.set(transport.m_axis_tvalid, 0)
            if ready and valid:
                beats.append(value)
                assert last == (len(beats) == 2)
                if last:
                    self.frames.append(tuple(beats))
                    total = sum(beats) + self.weight
                    results += [(total & 0xFFFF, 0), ((beats[0] - beats[1]) & 0xFFFF, 1)]
                    beats.clear()
            if clear:
                self.resets += 1
                beats.clear()
                results.clear()
                ctx.set(transport.m_axis_tvalid, 0)
            if not working:
                assert not results, "results were on their way when a load began"

    async def _memories(self, ctx: Any) -> None:
        """Takes loads, a byte every other cycle at most, as hw/parts/load_port.py does."""
        transport, came, ready = self.transport, bytearray(), False
        assert self.info.load is not None
        while True:
            ready = self.swapping is None and (ready or self.coin.random() < self.loading)
            ctx.set(transport.load_axis_tready, ready)
            _, _, valid, octet, last, clear = await ctx.tick().sample(
                transport.load_axis_tvalid, transport.load_axis_tdata, transport.load_axis_tlast, transport.clear
            )
            if ready and valid:
                came.append(octet)
                ready = False
                self.loaded = False
                if last:
                    right = len(came) == self.info.load.size
                    self.loads.append((len(self.frames), bytes(came), right))
                    if right:
                        self.swapping = bytes(came)
                    if not self.info.load.keeps and right:
                        self._swap()
                    came.clear()
            if clear:
                came.clear()

    def _swap(self) -> None:
        assert self.swapping is not None
        self.weight, self.half, self.loaded, self.swapping = self.swapping[0], 1 - self.half, True, None

    async def _listener(self, ctx: Any) -> None:
        transport, divider = self.transport, self.info.divider
        while True:
            while ctx.get(transport.tx):
                await ctx.tick()
            await ctx.tick().repeat(divider // 2)
            octet = 0
            for place in range(8):
                await ctx.tick().repeat(divider)
                octet |= ctx.get(transport.tx) << place
            await ctx.tick().repeat(divider)
            assert ctx.get(transport.tx) == 1, "no stop bit"
            self.line.append(octet)
