"""The bit-serial unit: every nonzero weight an adder, and a bit or a few of every sum a cycle."""
