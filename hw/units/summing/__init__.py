"""What units with an adder for every nonzero weight have in common, however many bits they add in a cycle."""
