"""The bit-serial unit: every nonzero weight an adder of one bit, and a bit of every sum a cycle."""
