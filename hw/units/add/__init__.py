"""The addition unit: branches of a residual network, element by element."""
