"""The bit-serial unit in hardware."""

from __future__ import annotations

from typing import TYPE_CHECKING

from amaranth.hdl import Module, Mux, Signal, Value

from sterna.hw.parts.rom import delay
from sterna.hw.units.bitserial.adders import extended, shift_register, shifted
from sterna.hw.units.bitserial.stage import StageLogic
from sterna.hw.units.framed import FramedUnit
from sterna.hw.units.summing.frame import Frame
from sterna.hw.units.summing.frames import take

if TYPE_CHECKING:
    from sterna.hw.units.bitserial.plan import BitserialPlan


class BitserialUnit(FramedUnit):
    """Every sum of some dense layers at once, or of a convolution's pixel, a digit of each a cycle, from the lowest on.

    A frame begins with its last beat; the beats before are held. A pixel begins once its window is there. Its inputs
    lie in shift registers, which give their lowest digits in the cycle after. Codes of a layer pass to the next one
    digit by digit. A digit is ``plan.lanes`` bits: one, usually.

    Throughput: one frame or pixel in ``plan.period`` cycles. Latency: ``plan.latency`` cycles from its last beat, and
    the outlet's. Cost: two tables and a register for each bit of each adder, and a register.
    """

    _plan: BitserialPlan

    def elaborate(self, platform: object) -> Module:
        m = Module()
        plan = self._plan
        taken, left = Signal(), Signal()
        frame = take(m, self, plan, framed=self._framed, full=plan.outlet.full(m, taken, left))
        m.d.comb += taken.eq(frame.taken)
        digits = self._load(m, frame)
        tokens: list[Value] = [taken]  # where a frame's lowest digits are: token k is there k cycles after it began
        for k in range(plan.latency):
            tokens.append(delay(m, tokens[-1], 1, f"token_{k + 1}"))
        layers = []
        for k, (stage, begin) in enumerate(zip(plan.stages, plan.begins, strict=True)):
            m.submodules[f"layer_{k}"] = part = Module()
            layers.append(StageLogic(part, stage, plan.period, tokens, begin))
        for layer in layers[:-1]:
            digits = [*layer.digits(digits)]
        results = layers[-1].results(digits)
        plan.outlet.emit(m, self.o, results, tokens[plan.latency], left)
        return m

    def _load(self, m: Module, frame: Frame) -> list[Signal | None]:
        """The lowest digit of each input that is used."""
        signed, digit = self._plan.first.input_type.signed, self._plan.lanes
        busy = delay(m, frame.busy, frame.after, "busy")
        digits: list[Signal | None] = []
        for column, code in enumerate(frame.codes):
            if code is None:
                digits.append(None)
                continue
            register = shift_register(code, digit, f"input_{column}")
            loaded = extended(code, len(register), signed=signed)
            # what is loaded and then not taken has no token: nobody reads it
            m.d.sync += register.eq(Mux(busy, shifted(register, digit, signed=signed), loaded))
            lowest = Signal(digit, name=f"input_{column}_bit")
            m.d.comb += lowest.eq(register[:digit])
            digits.append(lowest)
        return digits
