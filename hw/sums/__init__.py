"""Sums that the rows of a sparse ternary matrix share: every nonzero weight an adder, and as few of these as can be."""
