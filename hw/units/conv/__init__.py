"""The folded convolution unit: lanes over the pixels of a row share an index stream."""
