"""The buffer: beats that arrive at a join before their partners do."""
