"""The accelerator: units in a chain between two AXI4-Streams."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Shape, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from sterna.hw.graph.plan import AcceleratorPlan
from sterna.hw.parts.argmax import Argmax
from sterna.hw.units.dense.dense import DenseUnit


def byte_width(width: int) -> int:
    """Bits of the whole bytes that hold ``width`` bits."""
    return -(-width // 8) * 8


class Accelerator(wiring.Component):
    """A network between AXI4-Streams, all its units computing at once on successive frames.

    ``tdata`` holds whole bytes an element, element 0 in the low bits; upper bits of an input element are ignored,
    those of an output element extend it. ``s_axis_tlast`` must come with a frame's last beat; a frame where it comes
    early is dropped, one where it does not come is dropped up to and including the next ``tlast``; either way
    ``frame_error`` is high for a cycle. Latency and interval: ``cycles.py``.

    Parameters
    ----------
    plan : :class:`AcceleratorPlan`
        What to build.

    Members
    -------
    s_axis_tdata, s_axis_tvalid, s_axis_tready, s_axis_tlast :
        Input frames.
    m_axis_tdata, m_axis_tvalid, m_axis_tready, m_axis_tlast :
        Scores, one a beat, or the class.
    frame_error : ``Out(1)``
        An input frame was dropped.
    """

    s_axis_tdata: Signal
    s_axis_tvalid: Signal
    s_axis_tready: Signal
    s_axis_tlast: Signal
    m_axis_tdata: Signal
    m_axis_tvalid: Signal
    m_axis_tready: Signal
    m_axis_tlast: Signal
    frame_error: Signal

    def __init__(self, plan: AcceleratorPlan) -> None:
        self._plan = plan
        self._element_width = plan.units[0].layer.input_type.width
        self._input_lane = byte_width(self._element_width)
        self._output_width = byte_width(plan.output_shape.width)
        super().__init__(
            {
                "s_axis_tdata": In(self._input_lane * plan.units[0].elements),
                "s_axis_tvalid": In(1),
                "s_axis_tready": Out(1),
                "s_axis_tlast": In(1),
                "m_axis_tdata": Out(self._output_width),
                "m_axis_tvalid": Out(1),
                "m_axis_tready": In(1),
                "m_axis_tlast": Out(1),
                "frame_error": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        plan = self._plan
        previous = None
        for k, (name, unit_plan) in enumerate(zip(plan.unit_names, plan.units, strict=True)):
            unit = DenseUnit(unit_plan, framed=k == 0)
            m.submodules[name] = unit
            if previous is None:
                self._connect_input(m, unit)
            else:
                m.d.comb += [
                    unit.i.valid.eq(previous.o.valid),
                    unit.i.payload[0].eq(previous.o.payload),
                    previous.o.ready.eq(unit.i.ready),
                ]
            previous = unit
        assert previous is not None
        last = previous.o
        if plan.config.argmax:
            m.submodules.argmax = argmax = Argmax(count=plan.units[-1].results, shape=plan.score_shape)
            wiring.connect(m, last, argmax.i)
            last = argmax.o
        m.d.comb += [
            self.m_axis_tvalid.eq(last.valid),
            self.m_axis_tdata.eq(_extended(last.payload, plan.output_shape, self._output_width)),
            last.ready.eq(self.m_axis_tready),
        ]
        self._mark_last(m)
        return m

    def _connect_input(self, m: Module, unit: DenseUnit) -> None:
        codes = [
            self.s_axis_tdata.word_select(k, self._input_lane)[: self._element_width]
            for k in range(self._plan.units[0].elements)
        ]
        m.d.comb += [
            unit.i.valid.eq(self.s_axis_tvalid),
            unit.i.payload.as_value().eq(Cat(*codes)),
            unit.i_last.eq(self.s_axis_tlast),
            self.s_axis_tready.eq(unit.i.ready),
            self.frame_error.eq(unit.error),
        ]

    def _mark_last(self, m: Module) -> None:
        beats = self._plan.output_beats
        beat = Signal(range(beats))
        m.d.comb += self.m_axis_tlast.eq(beat == beats - 1)
        with m.If(self.m_axis_tvalid & self.m_axis_tready):
            m.d.sync += beat.eq(Mux(self.m_axis_tlast, 0, beat + 1))


def _extended(value: Value, shape: Shape, width: int) -> Value:
    """``value`` extended to ``width`` bits, by its sign if it has one."""
    bits = Value.cast(value)
    fill = bits[-1] if shape.signed else 0
    return Cat(bits[: shape.width], *([fill] * (width - shape.width)))
