"""What a unit of adders takes off its stream: frames, whose last beat begins them, or windows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from amaranth.hdl import Module, Mux, Signal, Value

from sterna.hw.parts.framing import guarded
from sterna.hw.units.summing.frame import Frame, hold
from sterna.hw.units.summing.windows import take_windows

if TYPE_CHECKING:
    from sterna.hw.units.summing.plan import SumPlan


def take(m: Module, unit: Any, plan: SumPlan[Any], *, framed: bool, full: Value) -> Frame:
    """What a unit's adders are given at a time; nothing begins while ``full``."""
    if plan.windows is not None:
        return take_windows(m, unit, plan.windows, period=plan.period, framed=framed, full=full)
    return _take_frame(m, unit, plan, framed=framed, full=full)


def _take_frame(m: Module, unit: Any, plan: SumPlan[Any], *, framed: bool, full: Value) -> Frame:
    """Reads a unit's input stream ``i``."""
    first, period = plan.first, plan.period
    beats, elements, width = plan.stream.beats, plan.stream.elements, first.input_type.width
    valid, ready, payload = unit.i.valid, unit.i.ready, Value.cast(unit.i.payload)
    if framed:
        valid, ready, payload = guarded(m, unit, beats=beats, output="guarded")
    taken, busy, at_end, beat = Signal(), Signal(), Signal(init=beats == 1), Signal(range(beats))
    hold(m, taken, busy, period)
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
    return Frame(taken=taken, busy=busy, codes=codes)
