"""What a network computes (the golden model), and that the emitted Verilog computes it: simulation and comparison."""
