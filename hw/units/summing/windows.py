"""Windows over a map that comes pixel by pixel: where they lie, and the rows that are kept for them.

The map is scanned with its padding around it, a position a cycle. A position takes a pixel, or is padding; where it
completes a window, the window is given, unless the one before is not ``period`` cycles old.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, unsigned
from amaranth.lib.memory import Memory

from sterna.hw.graph.stream import StreamType
from sterna.hw.parts.framing import guarded
from sterna.hw.units.convolution import WindowSizes
from sterna.hw.units.protocol import MemoryUse
from sterna.hw.units.summing.frame import Frame, hold
from sterna.net.errors import InvalidValueError


@dataclass(frozen=True, kw_only=True)
class Windows:
    """Windows over a stream.

    Attributes
    ----------
    sizes : WindowSizes
    stream : StreamType
        Pixel by pixel, or of one channel; all channels of a pixel in a beat.
    fill : int
        What stands in the padding.
    """

    sizes: WindowSizes
    stream: StreamType
    fill: int = 0

    @property
    def height(self) -> int:
        """Rows that are scanned."""
        return self.sizes.height + 2 * self.sizes.padding[0]

    @property
    def width(self) -> int:
        """Positions of a row that are scanned."""
        return self.sizes.width + 2 * self.sizes.padding[1]

    @property
    def pixel(self) -> int:
        """Bits of a pixel."""
        return len(self.stream.order) * self.stream.element.width

    @property
    def kept(self) -> int:
        """Rows that are kept besides the one that comes."""
        return self.sizes.kernel[0] - 1

    @cached_property
    def inside(self) -> tuple[list[bool], list[bool]]:
        """Which rows, and which positions of a row, are of the map."""
        (top, left), sizes = self.sizes.padding, self.sizes
        return (
            [top <= y < top + sizes.height for y in range(self.height)],
            [left <= x < left + sizes.width for x in range(self.width)],
        )

    @cached_property
    def gives(self) -> tuple[list[bool], list[bool]]:
        """Which rows, and which positions of a row, complete windows."""
        sizes = self.sizes
        return (
            _ends(self.height, sizes.kernel[0], sizes.stride[0]),
            _ends(self.width, sizes.kernel[1], sizes.stride[1]),
        )

    @cached_property
    def scanned(self) -> list[tuple[bool, bool]]:
        """Of every position of a frame, in order: whether it is of the map, and whether it completes a window."""
        (rows, positions), (down, across) = self.inside, self.gives
        return [
            (rows[y] and positions[x], down[y] and across[x]) for y in range(self.height) for x in range(self.width)
        ]

    def steps(self, period: int) -> int:
        """Cycles of a frame, one after the other, if input and output never stall."""
        time, given, begins = 0, -period, []
        for _ in range(3):  # the third frame begins as all later ones do
            begins.append(time)
            for _, gives in self.scanned:
                if gives:
                    time = given = max(time, given + period)
                time += 1
        return begins[2] - begins[1]

    @property
    def memories(self) -> tuple[MemoryUse, ...]:
        """The rows that are kept."""
        if not self.kept:
            return ()
        return (MemoryUse(name="rows", depth=self.width, width=self.kept * self.pixel, writable=True, at_once=True),)

    def check(self, name: str) -> None:
        """Whether the stream comes as it must.

        Raises
        ------
        ValueError
            If it does not; ``name`` is the layer's.
        """
        channels, stream = len(self.stream.order), self.stream
        if stream.elements != channels or (channels > 1 and not stream.by_pixel):
            raise InvalidValueError(
                f"layer '{name}' takes its input pixel by pixel, all channels in a beat, and gets it row by row: "
                "choose bit-serial or unrolled units from the first convolution on; the network's input has to have "
                "one channel for that, and to come one element a beat"
            )


def _ends(positions: int, kernel: int, stride: int) -> list[bool]:
    """Whether a window ends at each position."""
    return [end >= kernel - 1 and (end - kernel + 1) % stride == 0 for end in range(positions)]


def take_windows(m: Module, unit: Any, windows: Windows, *, period: int, framed: bool, full: Value) -> Frame:
    """Reads a unit's input stream ``i``; no window is given while ``full``.

    The codes are those of the kernel's rows from the top, then its columns, then channels.
    """
    valid, ready, payload = unit.i.valid, unit.i.ready, Value.cast(unit.i.payload)
    if framed:
        valid, ready, payload = guarded(m, unit, beats=windows.stream.beats, output="guarded")
    row, position = Signal(range(windows.height)), Signal(range(windows.width))
    inside, gives = (_of(marks[0], row) & _of(marks[1], position) for marks in (windows.inside, windows.gives))
    taken, busy, free, moves = Signal(), Signal(), Signal(), Signal()
    hold(m, taken, busy, period)
    m.d.comb += [
        free.eq(~gives | ~busy & ~full),
        ready.eq(inside & free),
        moves.eq(free & (valid | ~inside)),
        taken.eq(moves & gives),
    ]
    at_end = Signal()
    m.d.comb += at_end.eq(position == windows.width - 1)
    with m.If(moves):
        m.d.sync += position.eq(Mux(at_end, 0, position + 1))
        with m.If(at_end):
            m.d.sync += row.eq(Mux(row == windows.height - 1, 0, row + 1))
    fill = Cat(*(Const(windows.fill, windows.stream.element) for _ in windows.stream.order))
    pixel = Signal(windows.pixel)
    m.d.comb += pixel.eq(Mux(inside, payload, fill))
    return Frame(taken=taken, busy=busy, codes=_shifted(m, windows, pixel, position, moves), after=1)


def _of(marks: list[bool], place: Value) -> Value:
    """Whether a place is marked."""
    return Const(sum(mark << k for k, mark in enumerate(marks)), len(marks)).bit_select(place, 1)


def _shifted(m: Module, windows: Windows, pixel: Value, position: Value, moves: Value) -> list[Value]:
    """The window's codes, from registers: a column of pixels comes in at its right."""
    column: list[Value] = [pixel]  # from the bottom up
    if windows.kept:
        rows: Memory = Memory(shape=unsigned(windows.kept * windows.pixel), depth=windows.width, init=[])
        m.submodules.rows = rows
        above, write = rows.read_port(domain="comb"), rows.write_port()
        column += [above.data.word_select(k, windows.pixel) for k in range(windows.kept)]
        m.d.comb += [
            above.addr.eq(position),
            write.addr.eq(position),
            write.en.eq(moves),
            write.data.eq(Cat(*column[:-1])),
        ]
    codes: list[Value] = []
    width = windows.stream.element.width
    for k, new in enumerate(reversed(column)):
        pixels: list[Signal] = []
        for _ in range(windows.sizes.kernel[1]):
            pixels.append(Signal(windows.pixel, name=f"pixel_{k}_{len(pixels)}", reset_less=True))
        with m.If(moves):
            m.d.sync += [own.eq(behind) for own, behind in zip(pixels, [*pixels[1:], new], strict=True)]
        codes += [each.word_select(c, width) for each in pixels for c in range(len(windows.stream.order))]
    return codes
