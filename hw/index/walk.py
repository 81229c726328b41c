"""Words, and the way that they lead a lane through each row, whatever the other lanes do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np

from sterna.hw.index.columns import Window, carry_width

#: Leading ones of a distance that make it an escape: with an entry's bit, one table of four inputs merges them.
MARK_WIDTH = 3


@dataclass(frozen=True, kw_only=True)
class WordFormat:
    """Bits of one step's index word, and of the escapes.

    Parameters
    ----------
    lanes : int
        Lanes that share the step.
    run_width : int
        Bits of a distance.
    escape_width : int
        Bits of an escape, 2 or more; 0 if there are none: every distance stands for itself, and the word of only
        ones is a filler.
    groups : int
        Groups of neighbouring lanes, each with its own escapes. A lane of each may escape in a step.
    """

    lanes: int
    run_width: int
    escape_width: int = 0
    groups: int = 1

    @property
    def lane_width(self) -> int:
        """Bits of one lane: distance and sign."""
        return self.run_width + 1

    @property
    def width(self) -> int:
        """Bits of a step."""
        return self.lanes * self.lane_width

    @property
    def memories(self) -> int:
        """Streams of escapes."""
        return self.groups if self.escape_width else 0

    @cached_property
    def mark_width(self) -> int:
        """Leading bits of a distance whose ones say that an escape replaces them."""
        return min(MARK_WIDTH, self.run_width) if self.escape_width else 0

    @cached_property
    def low_width(self) -> int:
        """Bits of a distance that an escape leaves."""
        return self.run_width - self.mark_width

    @cached_property
    def mark(self) -> int:
        """The leading bits of a distance that escapes; an escape stands for this, or for more."""
        return (1 << self.mark_width) - 1

    @property
    def high_width(self) -> int:
        """Bits of what an escape stands for, up to ``mark - 2 + 2**escape_width``."""
        return (self.mark - 2 + (1 << self.escape_width)).bit_length() if self.escape_width else 0

    @cached_property
    def filler(self) -> int:
        """The escape that adds nothing and moves as if it stood for ``mark - 1``."""
        return self.escape(self.mark - 1)

    @cached_property
    def direct(self) -> int:
        """Distances below stand for themselves."""
        return self.mark << self.low_width if self.escape_width else 1 << self.run_width

    @cached_property
    def limit(self) -> int:
        """Distances below can be said, with an escape or without."""
        return self.mark - 1 + (1 << self.escape_width) << self.low_width if self.escape_width else self.direct

    @cached_property
    def filler_move(self) -> int:
        """By how much a filler moves; less than by any distance that cannot be said, so that no gap is used up."""
        return self.direct if self.escape_width else self.direct - 1

    def bound(self, negative: int) -> int:
        """A weight's distances below can be said; without escapes, the furthest +1's word is the filler."""
        return self.limit - (not self.escape_width and not negative)

    def escape(self, high: int) -> int:
        """The escape that stands for some leading bits, by its own lowest ones."""
        return high % (1 << self.escape_width)

    @property
    def wait(self) -> int:
        """A lane's word that does nothing: a weight of -1 at no distance."""
        return 1

    @property
    def filler_word(self) -> int:
        """A filler; where there are escapes, with an escape that says so."""
        return (1 << self.lane_width) - 2

    def group(self, lane: int) -> int:
        """The group that a lane belongs to."""
        return lane * self.groups // self.lanes


@dataclass(frozen=True, eq=False, kw_only=True)
class Targets:
    """What rows visit, each in the order of its positions.

    Attributes
    ----------
    bounds : int64, (rows + 1,)
        Where each row's visits begin in the arrays below; none is empty.
    places : int64, (visits,)
        Positions.
    negative : int64, (visits,)
        1 for a weight of -1.
    """

    bounds: np.ndarray
    places: np.ndarray
    negative: np.ndarray

    @classmethod
    def of(cls, weights: np.ndarray, window: Window, *, homing: Sequence[int] = ()) -> Targets:
        """A matrix's nonzeros; a row without any visits the vacant position.

        Rows that are ``homing`` end at the window's last position, which holds the code 0.
        """
        row, column = np.nonzero(weights)
        home = window.size - 1
        empty = np.flatnonzero(~weights.any(axis=1))
        if window.vacant == home:
            empty = np.setdiff1d(empty, np.array(homing, int))
        rows = np.concatenate([row, empty, np.array(homing, int)])
        added = [np.full(len(empty), window.vacant), np.full(len(homing), home)]
        places = np.concatenate([window.positions()[column], *added])
        negative = np.concatenate([weights[row, column] < 0, np.zeros(len(rows) - len(row), bool)]).astype(np.int64)
        order = np.argsort(rows * window.size + places)
        counts = np.bincount(rows, minlength=len(weights))
        return cls(bounds=np.concatenate([[0], np.cumsum(counts)]), places=places[order], negative=negative[order])

    @cached_property
    def inner(self) -> np.ndarray:
        """int64: visits that are not the first of their row."""
        first = np.zeros(len(self.places), bool)
        first[self.bounds[:-1]] = True
        return np.flatnonzero(~first)

    @cached_property
    def inner_gaps(self) -> np.ndarray:
        """int64: how far each of them is from the visit before."""
        return self.places[self.inner] - self.places[self.inner - 1]

    @cached_property
    def inner_rows(self) -> np.ndarray:
        """int64: the row of each of them."""
        return np.repeat(np.arange(len(self.bounds) - 1), np.diff(self.bounds) - 1)


class Ways:
    """The moves that lead through each row, which do not depend on what other lanes do.

    Parameters
    ----------
    fmt : WordFormat
    window : Window
    targets : Targets

    Attributes
    ----------
    first, last, weights : lists of int, (rows,)
        Positions of each row's first and last visit, and their number.
    words : list of int
        Of the moves behind each row's first visit, row by row.
    begin : list of int, (rows,)
        Where a row's moves begin in ``words``.
    stops : list of lists of (int, int, int)
        Of each row, the moves that need leave, and always the last: its place in ``words``, its escape (-1: none), and
        the row's visits that were not made before it.
    fillers : list of int, (rows,)
        Moves in ``words`` that visit nothing.
    escaping : list of int, (rows,)
        Bit k: whether move k behind the row's first visit escapes.
    """

    def __init__(self, fmt: WordFormat, window: Window, targets: Targets) -> None:
        self.format = fmt
        self._size = window.size
        self._around = window.size - window.offset
        self._move = fmt.filler_move
        self._fields, self._entries = _codes(fmt)
        starts, ends = targets.bounds[:-1], targets.bounds[1:] - 1
        self.first = targets.places[starts].tolist()
        self.last = targets.places[ends].tolist()
        self.weights = np.diff(targets.bounds).tolist()
        self._negative = targets.negative[starts].tolist()
        self._bounds = [fmt.bound(negative) for negative in self._negative]
        # a carry leaves no more than what the look-up of the offset takes
        self._near = (targets.places[starts] - window.offset < 1 << carry_width(fmt.run_width)).tolist()
        self._lay_moves(targets)

    def _lay_moves(self, targets: Targets) -> None:
        """Writes the moves behind the rows' first visits."""
        fmt, rows = self.format, len(self.first)
        negative = targets.negative[targets.inner]
        distance = targets.inner_gaps - 1 + negative
        over = distance - np.where(negative, fmt.bound(1), fmt.bound(0))
        fillers = np.where(over < 0, 0, over // self._move + 1)
        distance -= fillers * self._move
        hits = np.cumsum(fillers + 1) - 1
        moves = int(fillers.sum()) + len(fillers)
        words, entries = np.full(moves, fmt.filler_word), np.full(moves, fmt.filler if fmt.escape_width else -1)
        words[hits] = np.array(self._fields)[distance] << 1 | negative
        entries[hits] = np.array(self._entries)[distance]
        row_moves = np.bincount(targets.inner_rows, weights=fillers + 1, minlength=rows).astype(np.int64)
        begin = np.concatenate([[0], np.cumsum(row_moves)])
        last = np.zeros(moves, bool)
        last[begin[1:][row_moves > 0] - 1] = True
        stops = np.flatnonzero(last | (entries >= 0))
        made = np.repeat(targets.inner, fillers + 1)[stops]
        rest = targets.bounds[np.searchsorted(targets.bounds, made, side="right")] - made
        found = list(zip(stops.tolist(), entries[stops].tolist(), rest.tolist(), strict=True))
        cuts = np.searchsorted(stops, begin).tolist()
        self.words: list[int] = words.tolist()
        self.begin: list[int] = begin[:-1].tolist()
        self.stops = [found[a:b] for a, b in pairwise(cuts)]
        self.fillers = (row_moves - np.diff(targets.bounds) + 1).tolist()
        self.escaping = [
            sum(1 << stop - first for stop, entry, _ in row if entry >= 0)
            for first, row in zip(self.begin, self.stops, strict=True)
        ]

    @property
    def moves(self) -> int:
        """Moves that any order of rows takes at least."""
        return len(self.words) + len(self.first)

    @property
    def escapes(self) -> int:
        """Of them, those that escape."""
        return sum(row.bit_count() for row in self.escaping)

    def approach(self, position: int, row: int) -> tuple[int, int]:
        """Fillers from a position in the row before to a row's first visit, and the distance that is left then."""
        distance = self._around + self.first[row] - position - (not self._negative[row])
        over = distance - self._bounds[row]
        fillers = 0 if over < 0 else over // self._move + 1
        if not self._near[row]:
            fillers = max(fillers, self._leaving(position))
        return fillers, distance - fillers * self._move

    def enter(self, position: int, row: int) -> tuple[int, int]:
        """As :meth:`approach`, into a lane's first row: around the window only where the row is not ahead."""
        if self.first[row] <= position:
            return self.approach(position, row)
        distance = self.first[row] - position - (not self._negative[row])
        over = distance - self._bounds[row]
        fillers = 0 if over < 0 else over // self._move + 1
        return fillers, distance - fillers * self._move

    def first_moves(self, fillers: int, distance: int, row: int) -> list[tuple[int, int]]:
        """(word, escape) of each move to a row's first visit; escape -1: none."""
        filler = (self.format.filler_word, self.format.filler if self.format.escape_width else -1)
        hit = (self._fields[distance] << 1 | self._negative[row], self._entries[distance])
        return [filler] * fillers + [hit]

    def first_escaping(self, fillers: int, distance: int) -> int:
        """Bit k: whether move k to a row's first visit escapes."""
        if not self.format.escape_width:
            return 0
        return (1 << fillers + (self._entries[distance] >= 0)) - 1

    def crossing(self, position: int, fillers: int) -> int:
        """Which move of an approach leaves the window's end, and with it the row before."""
        return min(fillers, self._leaving(position) - 1)

    def _leaving(self, position: int) -> int:
        """Fillers that lead out of the window."""
        return -((position - self._size) // self._move)


def _codes(fmt: WordFormat) -> tuple[list[int], list[int]]:
    """For each distance that can be said, the word's field for it and the escape, -1 if there is none."""
    distance = np.arange(fmt.limit)
    escapes = distance >= fmt.direct
    fields = np.where(escapes, distance & (1 << fmt.low_width) - 1 | fmt.direct, distance)
    entries = np.where(escapes, (distance >> fmt.low_width) % (1 << fmt.escape_width), -1)
    return fields.tolist(), entries.tolist()
