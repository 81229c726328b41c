"""The unrolled unit in hardware."""

from __future__ import annotations

from typing import TYPE_CHECKING

from amaranth.hdl import Module, Signal, Value

from sterna.hw.parts.rom import delay
from sterna.hw.parts.tables import code_shape
from sterna.hw.units.framed import FramedUnit
from sterna.hw.units.summing.frame import Frame
from sterna.hw.units.summing.frames import take
from sterna.hw.units.unrolled.stage import StageLogic

if TYPE_CHECKING:
    from sterna.hw.units.unrolled.plan import UnrolledPlan


class UnrolledUnit(FramedUnit):
    """Every sum of some dense layers at once, or of a convolution's pixel, all bits of it.

    A frame begins with its last beat; the beats before are held. A pixel begins once its window is there.
    Nothing stops a frame on its way: it begins only if its results have a place.

    Throughput: one frame or pixel a cycle. Latency: ``plan.latency`` cycles from its last beat, and the outlet's.
    Cost: an adder for each nonzero weight, less what rows share, and the registers between.
    """

    _plan: UnrolledPlan

    def elaborate(self, platform: object) -> Module:
        m = Module()
        plan = self._plan
        taken, left = Signal(), Signal()
        frame = take(m, self, plan, framed=self._framed, full=plan.outlet.full(m, taken, left))
        m.d.comb += taken.eq(frame.taken)
        codes: list[Value | None] = self._registered(m, frame)
        for k, stage in enumerate(plan.stages):
            m.submodules[f"layer_{k}"] = part = Module()
            codes = [*StageLogic(part, stage).results(codes)]
        results = [
            Signal(plan.element, name=f"result_{row}") for row in range(len(codes))
        ]  # scores have widths of their own
        m.d.comb += [result.eq(code) for result, code in zip(results, codes, strict=True)]
        plan.outlet.emit(m, self.o, results, delay(m, taken, plan.latency, "token"), left)
        return m

    def _registered(self, m: Module, frame: Frame) -> list[Value | None]:
        """The inputs that are used, a cycle after the frame begins, whether it does or not."""
        shape = code_shape(self._plan.first.input_type)
        registers: list[Value | None] = []
        for column, code in enumerate(frame.codes):
            if code is None:
                registers.append(None)
                continue
            register = Signal(shape, name=f"input_{column}", reset_less=True)
            if frame.after:  # a window's are in registers already
                m.d.comb += register.eq(code)
            else:
                m.d.sync += register.eq(code)
            registers.append(register)
        return registers
