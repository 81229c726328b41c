"""A pool of a map that comes pixel by pixel, in hardware."""

from __future__ import annotations

from typing import TYPE_CHECKING

from amaranth.hdl import Module, Mux, Signal, Value

from sterna.hw.parts.rom import delay
from sterna.hw.units.framed import FramedUnit
from sterna.hw.units.summing.windows import take_windows

if TYPE_CHECKING:
    from sterna.hw.units.pool.pixel_plan import PixelPoolPlan


class PixelPoolUnit(FramedUnit):
    """The maxima of all channels of a pixel at once: a tree of comparisons for each, a level a cycle.

    Throughput: one position of the map a cycle, padding included. Latency: 1 + ``plan.levels`` cycles from the beat
    that completes a window, and the outlet's. Cost: the rows and the window in registers, and a comparison for each
    channel and tap but one.
    """

    _plan: PixelPoolPlan

    def elaborate(self, platform: object) -> Module:
        m = Module()
        plan = self._plan
        taken, left = Signal(), Signal()
        full = plan.outlet.full(m, taken, left)
        window = take_windows(m, self, plan.windows, period=1, framed=self._framed, full=full)
        m.d.comb += taken.eq(window.taken)
        channels = len(plan.stream.order)
        codes = [Value.cast(code) for code in window.codes if code is not None]
        results = [self._largest(m, codes[channel::channels], channel) for channel in range(channels)]
        plan.outlet.emit(m, self.o, results, delay(m, taken, plan.outlet.pipeline, "token"), left)
        return m

    def _largest(self, m: Module, codes: list[Value], channel: int) -> Value:
        """The largest of some codes, ``plan.levels`` cycles later."""
        shape = self._plan.stream.element
        for level in range(self._plan.levels):
            kept: list[Value] = []
            for k in range(0, len(codes), 2):
                larger = Signal(shape, name=f"largest_{channel}_{level}_{k // 2}", reset_less=True)
                pair = (codes[k], codes[min(k + 1, len(codes) - 1)])
                a, b = (each.as_signed() if shape.signed else each.as_unsigned() for each in pair)
                m.d.sync += larger.eq(Mux(a > b, a, b))
                kept.append(larger)
            codes = kept
        return codes[0]
