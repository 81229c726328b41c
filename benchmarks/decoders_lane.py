"""What turns index words into positions in a unit: the lanes' own stages, their escapes, and the program counter."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Const, Module, Signal, unsigned
from amaranth.lib.memory import Memory
from decoders import FILL, Decoder, Found

from sterna.hw.index.escapes import Escapes
from sterna.hw.index.position import Walker
from sterna.hw.index.schedule import Schedule
from sterna.hw.index.sequencer import Sequencer
from sterna.hw.parts.rom import delay
from sterna.hw.units.dense.lane import Lane
from sterna.net import ActivationType

#: Cycles from the issue of a step to the position that it leads to.
ISSUE_TO_POSITION = 4


class LaneFront(Lane):
    """Stages 2 and 3 of a lane, from its word to its position, and nothing behind them; what is found, in ``found``."""

    found: Any

    def __init__(self, schedule: Schedule, lane: int) -> None:
        super().__init__(
            word_format=schedule.format,
            window=schedule.window,
            start=schedule.start[lane],
            activation=ActivationType(1, False),
            elements=1,
            acc_width=1,
        )
        self.found = Found(schedule.window.address_width).create()

    def elaborate(self, platform: object) -> Module:
        m = Module()
        walker = Walker(word_format=self._format, window=self._window, start=self._start)
        move = walker.decode(m, self.word, high=self.high, filler=self.filler, escapes=self.escapes)
        place = walker.move(m, move, valid=self.control.position, entering=self.control.entering)
        m.d.comb += [
            self.found.address.eq(place.position),
            self.found.valid.eq(place.adds),
            self.found.negative.eq(~place.plus),
            self.found.begins.eq(place.first),
        ]
        return m


class UnitFront(Decoder):
    """All lanes of a unit with what they share: index memory, escapes, program counter. Wired as in ``DenseCore``.

    Throughput: a step a cycle, a weight a lane where it does not wait.

    Parameters
    ----------
    schedule : :class:`Schedule`
    shape : (rows, columns) of its matrix.
    """

    fill = FILL + ISSUE_TO_POSITION

    def __init__(self, schedule: Schedule, shape: tuple[int, ...]) -> None:
        fmt = schedule.format
        escapes = {f"escapes_{k}": (fmt.escape_width, group) for k, group in enumerate(schedule.escapes)}
        super().__init__(
            shape=shape,
            offset=schedule.window.offset,
            address_width=schedule.window.address_width,
            lanes=fmt.lanes,
            memories={"index": (fmt.width, schedule.packed()), **(escapes if fmt.escape_width else {})},
        )
        self._schedule = schedule
        self.rows = schedule.rows
        self.columns = {int(p): column for column, p in enumerate(schedule.window.positions()) if p >= 0}
        self.columns[schedule.window.vacant] = None  # where rows without a weight go

    def elaborate(self, platform: object) -> Module:
        m = Module()
        schedule, fmt = self._schedule, self._schedule.format
        m.submodules.sequencer = sequencer = Sequencer(steps=schedule.steps, entry=schedule.entry)
        m.d.comb += sequencer.waiting.eq(delay(m, Const(1), FILL, "waiting"))
        index: Memory = Memory(shape=unsigned(fmt.width), depth=schedule.steps, init=schedule.packed())
        m.submodules.index = index
        fetch, word = index.read_port(), Signal(fmt.width, reset_less=True)
        m.d.comb += fetch.addr.eq(sequencer.step)
        m.d.sync += word.eq(fetch.data)
        issued = delay(m, sequencer.issue, 2, "issued")
        entering, moves = delay(m, sequencer.entering, 3, "entering"), delay(m, issued, 1, "moves")
        lanes = [LaneFront(schedule, k) for k in range(fmt.lanes)]
        for k, lane in enumerate(lanes):
            m.submodules[f"lane_{k}"] = lane
            m.d.comb += [
                lane.word.eq(word.word_select(k, fmt.lane_width)),
                lane.control.position.eq(moves),
                lane.control.entering.eq(entering),
                *(getattr(self.o[k], name).eq(getattr(lane.found, name)) for name in Found(1).members),
            ]
        if fmt.escape_width:
            self._hand_out(m, lanes, issued)
        return m

    def _hand_out(self, m: Module, lanes: list[LaneFront], issued: Signal) -> None:
        fmt = self._schedule.format
        for group, entries in enumerate(self._schedule.escapes):
            m.submodules[f"escapes_{group}"] = escapes = Escapes(word_format=fmt, entries=entries)
            members = [lane for k, lane in enumerate(lanes) if fmt.group(k) == group]
            m.d.comb += escapes.take.eq(issued & Cat(*(lane.escapes for lane in members)).any())
            for lane in members:
                m.d.comb += [lane.high.eq(escapes.high), lane.filler.eq(escapes.filler)]
