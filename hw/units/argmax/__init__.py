"""The unit that gives the index of the highest score."""
