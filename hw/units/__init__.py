"""Units: what a network's nodes become in hardware, one folder a kind."""
