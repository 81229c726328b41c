"""Index streams: a sparse matrix compiled to words, and the blocks that walk along them."""
