"""Takes a frame's beats: the last one begins it, those before are held."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from amaranth.hdl import Module, Mux, Signal, Value

from sterna.hw.parts.framing import guarded
from sterna.hw.units.summing.plan import SumPlan


@dataclass(frozen=True, eq=False)
class Frame:
    """A frame as it begins.

    Attributes
    ----------
    taken : Signal
        Its last beat is taken.
    busy : Signal
        The frame before is not ``period`` cycles old.
    codes : sequence of Value or None
        The code of each column that is used; what is there without ``taken``, nobody may read.
    """

    taken: Signal
    busy: Signal
    codes: Sequence[Value | None]


def take_frames(m: Module, unit: Any, plan: SumPlan[Any], *, framed: bool, full: Value) -> Frame:
    """Reads a unit's input stream ``i``; no frame begins while ``full``."""
    first, period = plan.first, plan.period
    beats, elements, width = plan.stream.beats, plan.stream.elements, first.input_type.width
    valid, ready, payload = unit.i.valid, unit.i.ready, Value.cast(unit.i.payload)
    if framed:
        valid, ready, payload = guarded(m, unit, beats=beats)
    taken, busy, at_end, beat = Signal(), Signal(), Signal(init=beats == 1), Signal(range(beats))
    if period > 1:
        left = Signal(range(period))  # cycles until the next frame may begin
        with m.If(taken):
            m.d.sync += [busy.eq(1), left.eq(period - 2)]
        with m.Else():
            m.d.sync += [left.eq(left - 1), busy.eq(busy & (left != 0))]
    m.d.comb += [ready.eq(~at_end | ~busy & ~full), taken.eq(valid & ready & at_end)]
    if beats > 1:
        with m.If(valid & ready):
            m.d.sync += [beat.eq(Mux(at_end, 0, beat + 1)), at_end.eq(beat == beats - 2)]
    codes: list[Value | None] = []
    for column, used in enumerate(np.asarray(first.weights.any(axis=0))):
        if not used:
            codes.append(None)
            continue
        code: Value = payload.word_select(column % elements, width)
        if column // elements < beats - 1:
            held = Signal(width, name=f"held_{column}", reset_less=True)
            with m.If(valid & (beat == column // elements) & ~at_end):
                m.d.sync += held.eq(code)
            code = held
        codes.append(code)
    return Frame(taken, busy, codes)
