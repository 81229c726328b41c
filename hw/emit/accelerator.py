"""The accelerator: a graph of units between two AXI4-Streams."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, ResetInserter, Shape, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from sterna.hw.graph.plan import AcceleratorPlan
from sterna.hw.parts.fork import Fork
from sterna.hw.parts.framing import FrameGuard
from sterna.hw.parts.load_port import LOAD_WIDTH, LoadPort
from sterna.hw.parts.swap import HalfSwap
from sterna.hw.units.protocol import Unit


def byte_width(width: int) -> int:
    """Bits of the whole bytes that hold ``width`` bits."""
    return -(-width // 8) * 8


_LOAD_MEMBERS = {
    "load_axis_tdata": In(LOAD_WIDTH),
    "load_axis_tvalid": In(1),
    "load_axis_tready": Out(1),
    "load_axis_tlast": In(1),
    "loaded": Out(1),
    "load_error": Out(1),
}


class Accelerator(wiring.Component):
    """A network between AXI4-Streams, all its units computing at once on successive frames.

    ``tdata`` holds whole bytes an element, element 0 in the low bits; upper bits of an input element are ignored,
    those of an output element extend it. ``s_axis_tlast`` must come with a frame's last beat; a frame where it comes
    early is dropped, one where it does not come is dropped up to and including the next ``tlast``; either way
    ``frame_error`` is high for a cycle. Where anything but a dense unit comes first, it is not dropped but mended,
    with 0 for what is missing. Latency and interval: ``graph/timing.py``.

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
    load_axis_tdata, load_axis_tvalid, load_axis_tready, load_axis_tlast :
        The words that are loaded, where the plan has some: a byte a beat, see :class:`LoadPort`. Until all are there,
        no frame is taken, and the units are held in reset. With halved memories, the other half works meanwhile; then
        the halves are swapped between two frames, see :class:`HalfSwap`.
    loaded, load_error : ``Out(1)``
        All words are there; a load had a wrong length.
    half : ``Out(1)``
        Of halved memories, which half works.
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
    load_axis_tdata: Signal
    load_axis_tvalid: Signal
    load_axis_tready: Signal
    load_axis_tlast: Signal
    loaded: Signal
    load_error: Signal
    half: Signal

    def __init__(self, plan: AcceleratorPlan) -> None:
        self._plan = plan
        self._hold = Signal()  # no frame may begin
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
                **(_LOAD_MEMBERS if plan.images else {}),
                **({"half": Out(1)} if plan.halved else {}),
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
            m.submodules[name] = self._held(part)
            parts.append(part)
        if guards:
            codes = Value.cast(plan.input.signature.create().payload)
            guard = FrameGuard(shape=codes.shape(), beats=plan.input.beats)
            m.submodules.s_axis__guard = self._held(guard)
            self._connect_input(m, guard, guard.i)
        else:
            ((first, _),) = readers.pop(-1)
            self._connect_input(m, parts[first], parts[first].i)
        for number, ports in readers.items():
            name, output = ("s_axis", guard.o) if number < 0 else (plan.unit_names[number], parts[number].o)
            self._connect(m, name, output, [input_ports(parts[k], len(plan.sources[k]))[port] for k, port in ports])
        if plan.images:
            # a frame that a guard has to mend leaves like any other one
            self._load(m, parts, dropped=Const(0) if guards else self.frame_error)
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
        ready: Value = port.ready
        valid: Value = self.s_axis_tvalid
        if self._plan.halved:
            ready, valid = ready & ~self._hold, valid & ~self._hold
        elif self._plan.images:  # until then, the unit is in reset, and takes nothing, whatever it sees
            ready = ready & self.loaded
        m.d.comb += [
            port.valid.eq(valid),
            Value.cast(port.payload).eq(Cat(*codes)),
            unit.i_last.eq(self.s_axis_tlast),
            self.s_axis_tready.eq(ready),
            self.frame_error.eq(unit.error),
        ]

    def _connect(self, m: Module, name: str, output: Any, ports: Sequence[Any]) -> None:
        """One unit's output to the inputs that read it."""
        outputs = [output]
        if len(ports) > 1:
            fork = Fork(shape=Value.cast(output.payload).shape(), count=len(ports))
            m.submodules[f"{name}__fork"] = self._held(fork)
            _pass_on(m, output, fork.i)
            outputs = [getattr(fork, f"o_{k}") for k in range(len(ports))]
        for each, port in zip(outputs, ports, strict=True):
            _pass_on(m, each, port)

    def _held(self, component: Any) -> Any:
        """A component that is in reset until all words are loaded, if some are."""
        return ResetInserter(~self.loaded)(component) if self._plan.images and not self._plan.halved else component

    def _load(self, m: Module, units: Sequence[Any], *, dropped: Value) -> None:
        """Fills the memories of some units, in their order; ``dropped``: an input frame was, and gives no results."""
        images = self._plan.images
        m.submodules.load_port = port = LoadPort(images=[image for _, image in images])
        for k, (number, _) in enumerate(images):
            earlier = sum(other == number for other, _ in images[:k])
            wiring.connect(m, port.memory(k), load_interface(units[number], earlier))
        taken: Value = Const(1)
        if self._plan.halved:
            taken = ~self._swap(m, port, [units[number] for number in dict(images)], dropped)
        m.d.comb += [
            port.i.valid.eq(self.load_axis_tvalid & taken),
            port.i.payload.eq(self.load_axis_tdata),
            port.i_last.eq(self.load_axis_tlast),
            self.load_axis_tready.eq(port.i.ready & taken),
            self.loaded.eq(1 if self._plan.halved else port.loaded),
            self.load_error.eq(port.error),
        ]

    def _swap(self, m: Module, port: LoadPort, units: Sequence[Any], dropped: Value) -> Value:
        """Tells units which half of their memories works; whether a whole load waits for that."""
        m.submodules.half_swap = swap = HalfSwap(frames=sum(map(_frames_inside, self._plan.units)))
        m.d.comb += [
            swap.complete.eq(port.complete),
            swap.settled.eq(port.loaded),
            swap.taken.eq(self.s_axis_tvalid & self.s_axis_tready),
            swap.taken_last.eq(self.s_axis_tlast),
            swap.dropped.eq(dropped),
            swap.left.eq(self.m_axis_tvalid & self.m_axis_tready & self.m_axis_tlast),
            self._hold.eq(swap.hold),
            self.half.eq(swap.half),
            *(unit.half.eq(swap.half) for unit in units),
        ]
        return swap.waiting

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
        if self._plan.images and not self._plan.halved:
            with m.If(~self.loaded):
                m.d.sync += beat.eq(0)


def _pass_on(m: Module, output: Any, port: Any) -> None:
    """A stream to its reader; one of single elements may be one of arrays to it."""
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


def _frames_inside(unit: Unit) -> int:
    """Frames that a unit has begun to take and not ended to give, at most: in its buffers, its pipeline, its FIFO."""
    kept = sum(memory.depth for memory in unit.memories if memory.name == "fifo")
    return 4 + kept // unit.work.results


def load_interface(component: Any, number: int) -> Any:
    """What fills a unit's memory of a number: ``load`` the first, ``load_0``, ``load_1``, … the others."""
    return component.load if number == 0 else getattr(component, f"load_{number - 1}")


def _extended(value: Value, shape: Shape, width: int) -> Value:
    """``value`` extended to ``width`` bits, by its sign if it has one."""
    bits = Value.cast(value)
    fill = bits[-1] if shape.signed else 0
    return Cat(bits[: shape.width], *([fill] * (width - shape.width)))
