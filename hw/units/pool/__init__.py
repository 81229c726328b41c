"""The pooling unit: windows that do not overlap, as beats come."""
