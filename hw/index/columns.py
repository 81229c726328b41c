"""Where a layer's inputs lie in the lanes' address space.

Rows are coded by the distances between their weights, so their order matters: trained layers have columns without a
single weight, and dense ones beside each other. The loader leaves the former out (one bit a beat says so) and writes
the others with a stride, modulo the window, which scatters neighbours; the stride is chosen for the shortest schedule.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import gcd

import numpy as np

#: Upper bits of what a carry leaves that a look-up corrects; see :class:`Window`.
CORRECTED_BITS = 3
#: Share of the weights' steps that a stride must save, and share of the beats that must have no weight, to be worth
#: their logic.
WORTH = 0.005
#: Steps that an escape is thought to cost.
ESCAPE_COST = 0.2
#: Strides that are tried.
MAX_STRIDES = 48


@dataclass(frozen=True, kw_only=True)
class Window:
    """A layout of columns.

    Positions fill ``[offset, 2**address_width)``; a walk that carries out of the address width goes on at ``offset``
    plus what is left. A carry leaves at most :func:`carry_width` bits, and the offset is a multiple of all but their
    upper ``CORRECTED_BITS``, so that adding it is a look-up and no adder.

    Attributes
    ----------
    address_width : int
        Bits of a position.
    offset : int
        First position.
    elements : int
        Columns in a beat, which share an aligned memory word.
    stride : int
        Words from one live beat's word to the next one's, modulo the window.
    live : tuple of bool
        Whether any row has a weight in a beat's columns.
    spare : int
        Words before the first beat's that nothing is written to, in a plain window.
    """

    address_width: int
    offset: int
    elements: int
    stride: int
    live: tuple[bool, ...]
    spare: int = 0

    @property
    def size(self) -> int:
        """Addresses of the space."""
        return 1 << self.address_width

    @property
    def map_bits(self) -> int:
        """Bits that are stored to lay the columns out."""
        return 0 if all(self.live) else len(self.live)

    @property
    def plain(self) -> bool:
        """Whether the beats' words simply follow each other."""
        return self.stride == 1 and all(self.live)

    @property
    def words(self) -> int:
        """Memory words of the window."""
        return (self.size - self.offset) // self.elements

    @property
    def vacant(self) -> int:
        """A position that no beat is written to, so that it holds the code 0 for ever; -1 if there is none."""
        beats = sum(self.live)
        if beats == self.words:
            return -1
        return (beats * self.stride + self.spare) % self.words * self.elements + self.offset

    def positions(self) -> np.ndarray:
        """int64, (beats * elements,): position of each column; of a beat that is not live, -1."""
        live = np.array(self.live)
        rank = np.cumsum(live) - 1
        word = np.where(live, (rank * self.stride + self.spare) % self.words + self.offset // self.elements, -1)
        inside = np.arange(self.elements)
        return np.where(live[:, None], word[:, None] * self.elements + inside, -1).reshape(-1)


def carry_width(run_width: int) -> int:
    """Bits that a carry may leave: a schedule goes no further beyond the window's end in one step."""
    return run_width + 1


def place_columns(weights: np.ndarray, *, elements: int, run_width: int) -> Window:
    """Lays columns out for short walks; where a row has no weight, with a vacant position for it to visit.

    Parameters
    ----------
    weights : int8, (rows, columns)
    elements : int
        Columns in a beat, a power of two.
    run_width : int
        Bits of a distance.
    """
    return place_for_widths(weights, elements=elements, run_widths=[run_width])[0]


def fixed_window(columns: int, *, run_width: int) -> Window:
    """Columns as they are, one a word, at the end of the address space.

    Parameters
    ----------
    columns : int
    run_width : int
        Bits of a distance.
    """
    address_width = max((columns - 1).bit_length(), carry_width(run_width))
    return Window(
        address_width=address_width,
        offset=(1 << address_width) - columns,
        elements=1,
        stride=1,
        live=(True,) * columns,
    )


def homing_window(columns: int, *, elements: int, run_width: int) -> Window:
    """All columns as they come, at the end of the address space but for a last word that no beat is written to.

    Whatever the weights are, a walk can end at the last position, which adds nothing, and leave it by any move.

    Parameters
    ----------
    columns : int
    elements : int
        Columns in a beat, a power of two.
    run_width : int
        Bits of a distance.
    """
    beats = -(-columns // elements)
    window = _natural(np.ones(beats, bool), (beats + 1) * elements, elements, run_width)
    return replace(window, spare=window.words - beats - 1)


def place_for_widths(weights: np.ndarray, *, elements: int, run_widths: Sequence[int]) -> list[Window]:
    """What :func:`place_columns` gives for each width, in one pass: the walks are the same where the windows are."""
    rows, columns = weights.shape
    beats = -(-columns // elements)
    used = np.zeros((rows, beats * elements), bool)
    used[:, :columns] = weights != 0
    live = np.asarray(used.reshape(rows, beats, elements).any(axis=(0, 2)))
    if np.count_nonzero(live) > (1 - WORTH) * beats:
        live[:] = True
    elif not live.any():
        live[0] = True
    needed = (int(np.count_nonzero(live)) + (not used.any(axis=1).all())) * elements
    naturals = [_natural(live, needed, elements, run_width) for run_width in run_widths]
    chosen: dict[int, int] = {}
    for words in {window.words for window in naturals}:
        widths = [width for width, window in zip(run_widths, naturals, strict=True) if window.words == words]
        chosen |= zip(widths, _choose_strides(used, live, words, elements, widths), strict=True)
    return [replace(window, stride=chosen[width]) for width, window in zip(run_widths, naturals, strict=True)]


def _natural(live: np.ndarray, needed: int, elements: int, run_width: int) -> Window:
    """The window in which beats follow each other."""
    address_width = max((needed - 1).bit_length(), carry_width(run_width), elements.bit_length() - 1)
    size = 1 << address_width
    grain = max(1 << max(carry_width(run_width) - CORRECTED_BITS, 0), elements)
    offset = (size - needed) // grain * grain
    return Window(address_width=address_width, offset=offset, elements=elements, stride=1, live=tuple(live.tolist()))


def _choose_strides(
    used: np.ndarray, live: np.ndarray, words: int, elements: int, run_widths: Sequence[int]
) -> list[int]:
    """The stride of the cheapest walks for each width; 1 where no other one is worth it."""
    strides = [1, *_strides(words)]
    row, column = np.nonzero(used)
    beat, inside = np.divmod(column, elements)
    begin = row * (words * elements) + inside
    rank = (np.cumsum(live) - 1)[beat]
    # half the bytes sort in half the time
    narrow = np.int32 if len(used) * words * elements < 1 << 31 else np.int64
    costs = np.empty((len(strides), len(run_widths)))
    for k, stride in enumerate(strides):
        place = begin + (np.arange(words) * stride % words * elements)[rank]
        gaps = np.diff(np.sort(place.astype(narrow)))
        costs[k] = [_cost(gaps, run_width) for run_width in run_widths]
    best = costs[1:].argmin(axis=0) + 1 if len(strides) > 1 else np.zeros(len(run_widths), int)
    saved = costs[0] - costs[best, range(len(run_widths))]
    worth = WORTH * np.count_nonzero(used)
    return [strides[k] if gain > worth else 1 for k, gain in zip(best, saved, strict=True)]


def _strides(words: int) -> list[int]:
    """Strides above 1 without a common factor with the window, evenly spread."""
    coprime = [stride for stride in range(2, words) if gcd(stride, words) == 1]
    picked = np.linspace(0, max(len(coprime) - 1, 0), min(MAX_STRIDES, len(coprime)))
    return [coprime[int(i)] for i in picked]


def walk_gaps(used: np.ndarray, window: Window) -> np.ndarray:
    """int64, (nonzeros - 1,): distances between the weights along one walk through all rows."""
    positions = window.positions()
    row, column = np.nonzero(used)
    place = np.sort(row * (window.size - window.offset) + positions[column] - window.offset)
    return np.diff(place)


def _cost(gaps: np.ndarray, run_width: int) -> float:
    """Steps that long gaps will cost: fillers, and an escape's chance to be refused."""
    beyond = gaps >> run_width
    return float(np.where(beyond == 1, ESCAPE_COST, np.maximum(beyond - 1, 0)).sum())
