"""What runs over an edge of the graph: the type of a stream between two units."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod

import numpy as np
from amaranth.hdl import Shape
from amaranth.lib import data, stream

from sterna.net.errors import InvalidValueError


@dataclass(frozen=True, kw_only=True)
class StreamType:
    """Elements of a frame, in which order, and how many a beat.

    Vectors run by ``order``. Feature maps run row, then channel (by ``order``), then pixel; a beat holds neighboring
    pixels of one row and channel. Or they run pixel by pixel, and a beat holds channels of one pixel. A partial last
    beat is padded. The order belongs to the edge: whoever reads it maps its own weights to it.

    Attributes
    ----------
    element : Shape
        Of one element.
    shape : tuple of int
        Of the value in the network: (features,) or (channels, height, width).
    order : tuple of int
        Network's channel (or feature) of each one that is sent.
    elements : int
        Elements in a beat.
    by_pixel : bool
        A map runs row, then pixel, then channel.
    """

    element: Shape
    shape: tuple[int, ...]
    order: tuple[int, ...]
    elements: int = 1
    by_pixel: bool = False

    @property
    def run(self) -> int:
        """Neighboring elements that begin with a beat of their own: a row of a channel, a pixel, or a whole vector."""
        return self.shape[2] if len(self.shape) == 3 and not self.by_pixel else len(self.order)

    @property
    def beats(self) -> int:
        """Beats of a frame."""
        runs = prod(self.shape[1:]) * len(self.order) // self.run
        return runs * -(-self.run // self.elements)

    @property
    def signature(self) -> stream.Signature:
        """The stream in hardware: an array of elements, element 0 in the low bits."""
        return stream.Signature(data.ArrayLayout(self.element, self.elements))

    def index(self) -> np.ndarray:
        """int64, (elements sent in a frame,): flat index in the network's value of each, padding left out."""
        places = self.places()
        return places[places >= 0]

    def places(self) -> np.ndarray:
        """int64, (beats * elements,): flat index in the network's value of each element that is sent; -1: padding."""
        size = prod(self.shape[1:])
        flat = np.array(self.order, np.int64)[:, None] * size + np.arange(size)
        if len(self.shape) == 3:
            turned = (1, 2, 0) if self.by_pixel else (1, 0, 2)
            flat = flat.reshape(len(self.order), *self.shape[1:]).transpose(turned)
        runs = flat.reshape(-1, self.run)
        padded = np.full((len(runs), -(-self.run // self.elements) * self.elements), -1, np.int64)
        padded[:, : self.run] = runs
        return padded.reshape(-1)


def whole(shape: Sequence[int], element: Shape, *, elements: int = 1) -> StreamType:
    """A value of which everything is sent, channels in their own order."""
    shape = tuple(shape)
    return StreamType(element=element, shape=shape, order=tuple(range(shape[0])), elements=elements)


def by_rows(stream: StreamType, name: str) -> StreamType:
    """The stream, for a layer of this name that takes maps row by row.

    Raises
    ------
    ValueError
        If it runs pixel by pixel.
    """
    if stream.by_pixel:
        raise InvalidValueError(
            f"layer '{name}' takes its input row by row, and bit-serial and unrolled convolutions give theirs pixel by "
            f"pixel: choose the same kind of unit for the layers before and behind"
        )
    return stream


def narrowed(stream: StreamType, *, most: int, cycles: int | None) -> StreamType:
    """The same for a reader that takes a power of two of elements a beat, ``most`` at most.

    Where the stream brings more or another number, as few as give a frame in ``cycles``, or else as can be: each of its
    beats becomes several (``graph/joins.py``).
    """
    if stream.elements <= most and not stream.elements & (stream.elements - 1):
        return stream
    elements = 1
    while 2 * elements <= most and stream.elements % (2 * elements) == 0:
        if cycles is not None and replace(stream, elements=elements).beats <= cycles:
            break
        elements *= 2
    return replace(stream, elements=elements)
