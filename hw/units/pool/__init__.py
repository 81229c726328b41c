"""The pooling unit: maxima and sums of windows, as beats come."""
