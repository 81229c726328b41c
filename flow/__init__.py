"""From Verilog to figures and bitstreams with open tools: devices, Yosys, nextpnr, netlists, clock, gate level."""
