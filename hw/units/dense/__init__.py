"""The folded dense unit: lanes over rows, in lockstep on one stream of index words."""
