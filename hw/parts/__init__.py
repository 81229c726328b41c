"""Components that units of several kinds are made of: memories, FIFO, requantizers, argmax."""
