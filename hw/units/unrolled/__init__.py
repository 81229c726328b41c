"""The unrolled unit: every nonzero weight an adder of all bits, and a frame every cycle."""
