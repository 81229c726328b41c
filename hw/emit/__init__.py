"""From a plan to files: the accelerator in Amaranth, its Verilog, and its description."""
