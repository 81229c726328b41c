"""The transport: bytes of a UART on one side, an accelerator's AXI4-Streams on the other."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, ResetInserter, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from sterna.boards.packets import Info
from sterna.boards.transport.beats import BeatReader, BeatWriter
from sterna.boards.transport.buffer import PacketBuffer
from sterna.boards.transport.receiver import PacketReceiver
from sterna.boards.transport.registers import Registers
from sterna.boards.transport.sender import PacketSender
from sterna.boards.transport.uart import UartReceiver, UartTransmitter


class Transport(wiring.Component):
    """Joins the pins of a UART to an accelerator, by the protocol of docs/protocol.md.

    A packet reaches the accelerator only if it is whole, of the session, and the next in sequence. A new session resets
    the accelerator, and drops all that is on its way. No multiplier. Cost on an iCE40: two RAM blocks, with two slots.

    Parameters
    ----------
    info : :class:`~sterna.boards.packets.Info`
        What the board says of itself, and the form of its streams.

    Members
    -------
    rx : ``In(1)``; tx : ``Out(1)``
        The pins.
    s_axis_tdata, s_axis_tvalid, s_axis_tready, s_axis_tlast :
        To the accelerator's input.
    m_axis_tdata, m_axis_tvalid, m_axis_tready, m_axis_tlast :
        From the accelerator's output.
    clear : ``Out(1)``
        The accelerator must be reset at the end of this cycle.
    """

    rx: Signal
    tx: Signal
    s_axis_tdata: Signal
    s_axis_tvalid: Signal
    s_axis_tready: Signal
    s_axis_tlast: Signal
    m_axis_tdata: Signal
    m_axis_tvalid: Signal
    m_axis_tready: Signal
    m_axis_tlast: Signal
    clear: Signal

    def __init__(self, info: Info) -> None:
        self._info = info
        super().__init__(
            {
                "rx": In(1),
                "tx": Out(1),
                "s_axis_tdata": Out(8 * info.input.beat_bytes),
                "s_axis_tvalid": Out(1),
                "s_axis_tready": In(1),
                "s_axis_tlast": Out(1),
                "m_axis_tdata": In(8 * info.output.beat_bytes),
                "m_axis_tvalid": In(1),
                "m_axis_tready": Out(1),
                "m_axis_tlast": In(1),
                "clear": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        info = self._info
        m.submodules.uart_rx = uart_rx = UartReceiver(divider=info.divider)
        m.submodules.uart_tx = uart_tx = UartTransmitter(divider=info.divider)
        m.submodules.receiver = receiver = PacketReceiver()
        m.submodules.registers = registers = Registers(constants=info.to_bytes())
        buffer = PacketBuffer(slots=info.slots)
        writer = BeatWriter(beat_bytes=info.input.beat_bytes, beats=info.input.beats)
        reader = BeatReader(beat_bytes=info.output.beat_bytes)
        sender = PacketSender()
        parts = {"buffer": buffer, "beat_writer": writer, "beat_reader": reader, "sender": sender}
        for name, part in parts.items():
            m.submodules[name] = ResetInserter(receiver.opened)(part)
        m.d.comb += [
            uart_rx.rx.eq(self.rx),
            self.tx.eq(uart_tx.tx),
            receiver.data.eq(uart_rx.data),
            receiver.valid.eq(uart_rx.valid),
            receiver.error.eq(uart_rx.error),
            receiver.bit.eq(uart_rx.bit),
            receiver.sampled.eq(uart_rx.sampled),
            receiver.room.eq(buffer.room),
            buffer.between.eq(receiver.between),
            buffer.data.eq(receiver.o_data),
            buffer.place.eq(receiver.place),
            buffer.valid.eq(receiver.o_valid),
            buffer.commit.eq(receiver.accepted),
            self.clear.eq(receiver.opened),
            registers.page.eq(sender.o_page),
            registers.start.eq(sender.start),
            registers.events.eq(
                Cat(sender.i.valid & sender.i.ready & sender.i_last, receiver.damaged, uart_rx.error, receiver.refused)
            ),
            sender.session.eq(receiver.session),
            sender.expected.eq(receiver.expected),
            sender.free.eq(buffer.free),
            sender.quiet.eq(buffer.empty),
            sender.page.eq(receiver.page),
            sender.registers_last.eq(registers.o_last),
            sender.i_last.eq(reader.o_last),
            sender.bit.eq(uart_tx.bit),
            sender.shifted.eq(uart_tx.shifted),
        ]
        # a cycle later: the session is a new one then, and what it forgets is forgotten
        m.d.sync += [
            sender.report.eq(buffer.freed & ~receiver.opened),
            sender.answer.eq(receiver.opened | receiver.poll),
            sender.again.eq(receiver.refused | receiver.damaged),
            sender.read.eq(receiver.read),
        ]
        wiring.connect(m, buffer.o, writer.i)
        wiring.connect(m, reader.o, sender.i)
        wiring.connect(m, registers.o, sender.registers)
        wiring.connect(m, sender.o, uart_tx.i)
        for axis, part in (("s_axis", writer), ("m_axis", reader)):
            for name in ("tdata", "tvalid", "tready", "tlast"):
                outer, inner = getattr(self, f"{axis}_{name}"), getattr(part, name)
                outward = (axis == "s_axis") != (name == "tready")
                m.d.comb += outer.eq(inner) if outward else inner.eq(outer)
        return m
