"""The accelerator: a graph of units between two AXI4-Streams."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from amaranth.hdl import Cat, Module, Mux, Shape, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from sterna.hw.graph.plan import AcceleratorPlan
from sterna.hw.parts.fork import Fork
from sterna.hw.parts.framing import FrameGuard


def byte_width(width: int) -> int:
    """Bits of the whole bytes that hold ``width`` bits."""
    return -(-width // 8) * 8


class Accelerator(wiring.Component):
    """A network between AXI4-Streams, all its units computing at once on successive frames.

    ``tdata`` holds whole bytes an element, element 0 in the low bits; upper bits of an input element are ignored,
    those of an output element extend it. ``s_axis_tlast`` must come with a frame's last beat; a frame where it comes
    early is dropped, one where it does not come is dropped up to and including the next ``tlast``; either way
    ``frame_error`` is high for a cycle. Latency and interval: ``graph/timing.py``.

    Parameters
    ----------
    plan : :class:`AcceleratorPlan`
        What to build.

    Members
    -------
    s_axis_tdata, s_axis_tvalid, s_axis_tready, s_axis_tlast :
        Input frames.
    m_axis_tdata, m_axis_tvalid, m_axis_tready, m_axis_tlast :
        Scores, one a beat (several, where the last unit is a pool whose input has several), or the class.
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
        self._input_lane = byte_width(plan.input.element.width)
        self._output_lane = byte_width(plan.output.element.width)
        super().__init__(
            {
                "s_axis_tdata": In(self._input_lane * plan.input.elements),
                "s_axis_tvalid": In(1),
                "s_axis_tready": Out(1),
                "s_axis_tlast": In(1),
                "m_axis_tdata": Out(self._output_lane * plan.output.elements),
                "m_axis_tvalid": Out(1),
                "m_axis_tready": In(1),
                "m_axis_tlast": Out(1),
                "frame_error": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        plan = self._plan
        readers = self._readers
        guards = self._guards(readers[-1])
        parts: list[Any] = []
        for name, unit, sources in zip(plan.unit_names, plan.units, plan.sources, strict=True):
            part = unit.component(framed=-1 in sources and not guards)
            m.submodules[name] = part
            parts.append(part)
        if guards:
            codes = Value.cast(plan.input.signature.create().payload)
            m.submodules.s_axis__guard = guard = FrameGuard(shape=codes.shape(), beats=plan.input.beats)
            self._connect_input(m, guard, guard.i)
        else:
            ((first, _),) = readers.pop(-1)
            self._connect_input(m, parts[first], parts[first].i)
        for number, ports in readers.items():
            name, output = ("s_axis", guard.o) if number < 0 else (plan.unit_names[number], parts[number].o)
            _connect(m, name, output, [input_ports(parts[k], len(plan.sources[k]))[port] for k, port in ports])
        last = parts[-1].o
        m.d.comb += [
            self.m_axis_tvalid.eq(last.valid),
            self.m_axis_tdata.eq(self._output(last.payload)),
            last.ready.eq(self.m_axis_tready),
        ]
        self._mark_last(m)
        return m

    @property
    def _readers(self) -> dict[int, list[tuple[int, int]]]:
        """Of each unit, or the input, who reads it: unit and input, by number."""
        readers: dict[int, list[tuple[int, int]]] = {}
        for k, sources in enumerate(self._plan.sources):
            for port, number in enumerate(sources):
                readers.setdefault(number, []).append((k, port))
        return readers

    def _guards(self, readers: Sequence[tuple[int, int]]) -> bool:
        """Whether the input's frames are guarded before its readers; else the one unit that reads them does it."""
        first = readers[0][0]
        return len(readers) > 1 or not self._plan.units[first].nodes or len(self._plan.sources[first]) > 1

    def _connect_input(self, m: Module, unit: Any, port: stream.Interface) -> None:
        element = self._plan.input.element.width
        codes = [self.s_axis_tdata.word_select(k, self._input_lane)[:element] for k in range(self._plan.input.elements)]
        m.d.comb += [
            port.valid.eq(self.s_axis_tvalid),
            Value.cast(port.payload).eq(Cat(*codes)),
            unit.i_last.eq(self.s_axis_tlast),
            self.s_axis_tready.eq(port.ready),
            self.frame_error.eq(unit.error),
        ]

    def _output(self, payload: Any) -> Value:
        """Elements extended to whole bytes."""
        element, bits = self._plan.output.element, Value.cast(payload)
        codes = [bits.word_select(k, element.width) for k in range(self._plan.output.elements)]
        return Cat(*(_extended(code, element, self._output_lane) for code in codes))

    def _mark_last(self, m: Module) -> None:
        beats = self._plan.output.beats
        beat = Signal(range(beats))
        m.d.comb += self.m_axis_tlast.eq(beat == beats - 1)
        with m.If(self.m_axis_tvalid & self.m_axis_tready):
            m.d.sync += beat.eq(Mux(self.m_axis_tlast, 0, beat + 1))


def _connect(m: Module, name: str, output: Any, ports: Sequence[Any]) -> None:
    """One unit's output to the inputs that read it; a stream of single elements may be one of arrays to its reader."""
    outputs = [output]
    if len(ports) > 1:
        m.submodules[f"{name}__fork"] = fork = Fork(shape=Value.cast(output.payload).shape(), count=len(ports))
        _pass_on(m, output, fork.i)
        outputs = [getattr(fork, f"o_{k}") for k in range(len(ports))]
    for each, port in zip(outputs, ports, strict=True):
        _pass_on(m, each, port)


def _pass_on(m: Module, output: Any, port: Any) -> None:
    if output.signature == port.signature.flip():
        wiring.connect(m, output, port)
        return
    m.d.comb += [
        port.valid.eq(output.valid),
        Value.cast(port.payload).eq(Value.cast(output.payload)),
        output.ready.eq(port.ready),
    ]


def input_ports(component: Any, count: int) -> list[stream.Interface]:
    """A unit's input streams: ``i``, or ``i_0``, ``i_1``, … where there are several."""
    return [component.i] if count == 1 else [getattr(component, f"i_{k}") for k in range(count)]


def _extended(value: Value, shape: Shape, width: int) -> Value:
    """``value`` extended to ``width`` bits, by its sign if it has one."""
    bits = Value.cast(value)
    fill = bits[-1] if shape.signed else 0
    return Cat(bits[: shape.width], *([fill] * (width - shape.width)))
