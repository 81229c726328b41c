"""Names in the emitted Verilog: none that a simulator, a synthesizer or a file system could take for another."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from sterna.hw.config import identifier
from sterna.hw.units.protocol import Unit
from sterna.net.errors import InvalidValueError

#: Names of the top module itself: its ports, what loads words, the counter of output beats, wires of the first unit.
_OWN = """
    clk rst frame_error beat error i_last
    load_axis_tdata load_axis_tvalid load_axis_tready load_axis_tlast loaded load_error load_port
    s_axis_tdata s_axis_tvalid s_axis_tready s_axis_tlast m_axis_tdata m_axis_tvalid m_axis_tready m_axis_tlast
"""

#: Reserved words of SystemVerilog (IEEE 1800-2017, annex B), which include those of Verilog.
_KEYWORDS = """
    accept_on alias always always_comb always_ff always_latch and assert assign assume automatic before begin bind bins
    binsof bit break buf bufif0 bufif1 byte case casex casez cell chandle checker class clocking cmos config const
    constraint context continue cover covergroup coverpoint cross deassign default defparam design disable dist do edge
    else end endcase endchecker endclass endclocking endconfig endfunction endgenerate endgroup endinterface endmodule
    endpackage endprimitive endprogram endproperty endsequence endspecify endtable endtask enum event eventually expect
    export extends extern final first_match for force foreach forever fork forkjoin function generate genvar global
    highz0 highz1 if iff ifnone ignore_bins illegal_bins implements implies import incdir include initial inout input
    inside instance int integer interconnect interface intersect join join_any join_none large let liblist library local
    localparam logic longint macromodule matches medium modport module nand negedge nettype new nexttime nmos nor
    noshowcancelled not notif0 notif1 null or output package packed parameter pmos posedge primitive priority program
    property protected pull0 pull1 pulldown pullup pulsestyle_ondetect pulsestyle_onevent pure rand randc randcase
    randsequence rcmos real realtime ref reg reject_on release repeat restrict return rnmos rpmos rtran rtranif0
    rtranif1 s_always s_eventually s_nexttime s_until s_until_with scalared sequence shortint shortreal showcancelled
    signed small soft solve specify specparam static string strong strong0 strong1 struct super supply0 supply1
    sync_accept_on sync_reject_on table tagged task this throughout time timeprecision timeunit tran tranif0 tranif1 tri
    tri0 tri1 triand trior trireg type typedef union unique unique0 unsigned until until_with untyped use uwire var
    vectored virtual void wait wait_order wand weak weak0 weak1 while wildcard wire with within wor xnor xor
"""
OWN, KEYWORDS = frozenset(_OWN.split()), frozenset(_KEYWORDS.split())


def module_name(name: str, *, given: bool) -> str:
    """The top module's name.

    Raises
    ------
    ValueError
        If a name that the user gave is a word of the language.
    """
    if name.lower() not in KEYWORDS:
        return name
    if given:
        raise InvalidValueError(f"name must be a Verilog identifier, and {name!r} is a word of the language")
    return f"{name}_"


def instance_names(units: Sequence[Unit], *, top: str) -> tuple[str, ...]:
    """An instance name for each unit, like its node's: names differ by more than their case, from each other too.

    Amaranth calls the wires between units ``INSTANCE__PORT``, so that no instance may have two underscores in a row.
    """
    reserved = {*OWN, top.lower(), *(unit.name for unit in units if not unit.nodes)}
    names: list[str] = []
    for unit in units:
        if not unit.nodes:
            names.append(unit.name)
            continue
        name = _free(re.sub("__+", "_", identifier(unit.name)), KEYWORDS | reserved)
        reserved.add(name.lower())
        names.append(name)
    return tuple(names)


def _free(name: str, taken: Iterable[str]) -> str:
    """The name, or the first of NAME_2, NAME_3, … that is not taken."""
    if name.lower() not in taken:
        return name
    stem = name.rstrip("_")
    return next(other for k in range(2, 1 << 20) if (other := f"{stem}_{k}").lower() not in taken)
