"""An accelerator between two pins."""

from __future__ import annotations

import importlib.metadata
from typing import Any

from amaranth.hdl import Module, ResetInserter, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from sterna.boards.packets import Info, Loading, Port
from sterna.boards.transport.transport import Transport
from sterna.boards.transport.uart import divider_of
from sterna.hw import AcceleratorPlan, load_design
from sterna.hw.emit.accelerator import Accelerator, byte_width
from sterna.hw.emit.loading import load_words
from sterna.hw.emit.verilog import to_verilog

#: Data packets that the input buffer holds: so many fit one RAM block of an iCE40.
SLOTS = 2


def describe_board(plan: AcceleratorPlan, *, clock_hz: float, baud: float, slots: int = SLOTS) -> Info:
    """What a board with an accelerator says of itself.

    Parameters
    ----------
    plan : AcceleratorPlan
    clock_hz : float
        Clock of accelerator and UART, in Hz.
    baud : float
        Bits a second on the line.
    slots : int
        Data packets of up to 246 bytes that its input buffer holds: 2 fill one RAM block of an iCE40, 8 one of an ECP5.
        With more, less time is lost where an adapter passes answers on late.

    Raises
    ------
    ValueError
        If there is no divider for the baud rate, or what a host needs to load networks does not fit the registers.
    """
    load = Loading(keeps=plan.halved, size=len(load_words(plan)), design=load_design(plan))
    return Info(
        slots=slots,
        clock_hz=round(clock_hz),
        divider=divider_of(clock_hz, baud),
        digest=plan.network.digest,
        input=_port(plan.input, plan.network.input_shape),
        output=_port(plan.output, (1,) if plan.config.argmax else plan.network.output_shape, plan.config.argmax),
        load=load if plan.images else None,
    )


def _port(stream: Any, shape: tuple[int, ...], argmax: bool = False) -> Port:
    return Port(
        element_width=stream.element.width,
        signed=stream.element.signed,
        bytes_per_element=byte_width(stream.element.width) // 8,
        elements_per_beat=stream.elements,
        shape=tuple(shape),
        argmax=argmax,
    )


class SerialAccelerator(wiring.Component):
    """An accelerator and its transport: what is between the pins of a UART.

    All of it runs in the ``sync`` domain. A new session of the host resets the accelerator.

    Parameters
    ----------
    plan : AcceleratorPlan
        The accelerator.
    clock_hz, baud, slots :
        As of :func:`describe_board`.

    Members
    -------
    rx : ``In(1)``
        From the host; of any clock.
    tx : ``Out(1)``
        To the host, from a flip-flop.

    Raises
    ------
    ValueError
        As of :func:`describe_board`.
    """

    rx: Signal
    tx: Signal

    def __init__(self, plan: AcceleratorPlan, *, clock_hz: float, baud: float, slots: int = SLOTS) -> None:
        self._plan = plan
        self._info = describe_board(plan, clock_hz=clock_hz, baud=baud, slots=slots)
        super().__init__({"rx": In(1), "tx": Out(1)})

    @property
    def info(self) -> Info:
        """What the board says of itself."""
        return self._info

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.transport = transport = Transport(self._info)
        accelerator = Accelerator(self._plan)
        m.submodules.accelerator = ResetInserter(transport.clear)(accelerator)
        m.d.comb += [
            transport.rx.eq(self.rx),
            self.tx.eq(transport.tx),
            accelerator.s_axis_tdata.eq(transport.s_axis_tdata),
            accelerator.s_axis_tvalid.eq(transport.s_axis_tvalid),
            accelerator.s_axis_tlast.eq(transport.s_axis_tlast),
            transport.s_axis_tready.eq(accelerator.s_axis_tready),
            transport.m_axis_tdata.eq(accelerator.m_axis_tdata),
            transport.m_axis_tvalid.eq(accelerator.m_axis_tvalid),
            transport.m_axis_tlast.eq(accelerator.m_axis_tlast),
            accelerator.m_axis_tready.eq(transport.m_axis_tready),
        ]
        if self._info.load is not None:
            m.d.comb += [
                accelerator.load_axis_tdata.eq(transport.load_axis_tdata),
                accelerator.load_axis_tvalid.eq(transport.load_axis_tvalid),
                accelerator.load_axis_tlast.eq(transport.load_axis_tlast),
                transport.load_axis_tready.eq(accelerator.load_axis_tready),
                transport.half.eq(accelerator.half)
                if self._info.load.keeps
                else transport.loaded.eq(accelerator.loaded),
            ]
        return m


def emit_serial(component: SerialAccelerator, *, name: str) -> str:
    """Verilog of a serial accelerator, with the ports ``clk``, ``rst`` (active high, synchronous), ``rx`` and ``tx``.

    The same component gives the same bytes, from any folder.

    Raises
    ------
    ToolError
        If Amaranth finds no Yosys, or it fails.
    """
    text = to_verilog(component, name=name)
    return f"// {name}: made by Sterna {importlib.metadata.version('sterna')}\n// {component.info.digest}\n{text}"
