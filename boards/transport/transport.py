"""The transport: bytes of a UART on one side, an accelerator's AXI4-Streams on the other."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, ResetInserter, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from sterna.boards.packets import DIGEST_PAGE, LOAD_PAGES, PAGES, Info, Loading
from sterna.boards.transport.beats import BeatReader, BeatWriter
from sterna.boards.transport.buffer import PacketBuffer
from sterna.boards.transport.load import LoadWriter
from sterna.boards.transport.receiver import PacketReceiver
from sterna.boards.transport.registers import Registers
from sterna.boards.transport.sender import PacketSender
from sterna.boards.transport.uart import UartReceiver, UartTransmitter


class Transport(wiring.Component):
    """Joins the pins of a UART to an accelerator, by the protocol of docs/protocol.md.

    A packet reaches the accelerator only if it is whole, of the session, and the next in sequence. A new session resets
    the accelerator, and drops all that is on its way. No multiplier. Cost on an iCE40: two RAM blocks, with two slots.

    Where networks can be loaded, their bytes come in the same order as frames, so what was sent before a load's end
    reaches the accelerator before it. The registers say which network answers: of two halves that change places, the
    half's; else the one that was loaded, and none from a load's first byte on until ``loaded`` rises again.

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
    load_axis_tdata, load_axis_tvalid, load_axis_tready, load_axis_tlast :
        To the accelerator's memories, where networks can be loaded.
    loaded : ``In(1)``
        All words are there, where nothing answers meanwhile.
    half : ``In(1)``
        Which half answers, where one does.
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
    load_axis_tdata: Signal
    load_axis_tvalid: Signal
    load_axis_tready: Signal
    load_axis_tlast: Signal
    loaded: Signal
    half: Signal

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
                **({} if info.load is None else _LOAD_MEMBERS | {_answers(info.load): In(1)}),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        info = self._info
        m.submodules.uart_rx = uart_rx = UartReceiver(divider=info.divider)
        m.submodules.uart_tx = uart_tx = UartTransmitter(divider=info.divider)
        loads = info.load is not None
        m.submodules.receiver = receiver = PacketReceiver(loads=loads)
        m.submodules.registers = registers = Registers(constants=info.to_bytes(), more=info.load_pages())
        buffer = PacketBuffer(slots=info.slots, loads=loads)
        writer = BeatWriter(beat_bytes=info.input.beat_bytes, beats=info.input.beats)
        reader = BeatReader(beat_bytes=info.output.beat_bytes)
        sender = PacketSender(pages=LOAD_PAGES if loads else PAGES)
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
        if info.load is None:
            wiring.connect(m, buffer.o, writer.i)
        else:
            self._load(m, info.load, buffer, writer, registers, sender)
        wiring.connect(m, reader.o, sender.i)
        wiring.connect(m, registers.o, sender.registers)
        wiring.connect(m, sender.o, uart_tx.i)
        for axis, part in (("s_axis", writer), ("m_axis", reader)):
            for name in ("tdata", "tvalid", "tready", "tlast"):
                outer, inner = getattr(self, f"{axis}_{name}"), getattr(part, name)
                outward = (axis == "s_axis") != (name == "tready")
                m.d.comb += outer.eq(inner) if outward else inner.eq(outer)
        return m

    def _load(
        self,
        m: Module,
        load: Loading,
        buffer: PacketBuffer,
        writer: BeatWriter,
        registers: Registers,
        sender: PacketSender,
    ) -> None:
        """Where what the buffer gives goes to, and whose digest is read."""
        loader = LoadWriter()
        m.submodules.load_writer = ResetInserter(self.clear)(loader)
        m.d.comb += [
            writer.i.payload.eq(buffer.o.payload),
            writer.i.valid.eq(buffer.o.valid & ~buffer.load),
            loader.i.payload.eq(buffer.o.payload),
            loader.i.valid.eq(buffer.o.valid & buffer.load),
            loader.i_last.eq(buffer.last),
            buffer.o.ready.eq(Mux(buffer.load, loader.i.ready, writer.i.ready)),
        ]
        wiring.connect(m, loader.digest, registers.digest)
        for name in ("tdata", "tvalid", "tlast"):
            m.d.comb += getattr(self, f"load_axis_{name}").eq(getattr(loader, name))
        m.d.comb += loader.tready.eq(self.load_axis_tready)
        # Of the two pages of digests, the one that is read: the half's, or the second, which holds zeros. It stays as
        # long as a page is sent. A host that begins another load meanwhile would read a mixture (docs/protocol.md),
        # but where nothing answers: there, what is overwritten is read no more.
        second, read_second, choose = Signal(), Signal(), Signal()
        if load.keeps:
            m.d.comb += [
                second.eq(self.half),
                choose.eq(sender.start),
                registers.place.eq(Cat(loader.place, ~self.half)),
            ]
        else:
            begun = Signal(reset_less=True)  # the digest is not that of the words, which are there still
            with m.If(~self.loaded):
                m.d.sync += begun.eq(0)
            with m.Elif(registers.digest.valid & registers.digest.ready):
                m.d.sync += begun.eq(1)
            m.d.comb += [
                second.eq(~self.loaded | begun),
                choose.eq(sender.start | second),
                registers.place.eq(loader.place),
            ]
        with m.If(choose):
            m.d.sync += read_second.eq(second)
        with m.If(sender.o_page == DIGEST_PAGE):
            m.d.comb += registers.page[0].eq(read_second)


_LOAD_MEMBERS = {
    "load_axis_tdata": Out(8),
    "load_axis_tvalid": Out(1),
    "load_axis_tready": In(1),
    "load_axis_tlast": Out(1),
}


def _answers(load: Loading) -> str:
    """The accelerator's port that says what answers."""
    return "half" if load.keeps else "loaded"
