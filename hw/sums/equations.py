"""A matrix as equations, in which what several have in common is named once.

Terms are numbers: the inputs 0 to columns - 1, and sums above them. A row, and a sum, is an equation: terms, each added
or subtracted once. A sum that a single equation uses is written out there, so that what is shared with others is seen.

Terms may cancel: where ``a`` is ``x + y + z``, an equation with ``x + y`` may have ``a - z`` instead.
"""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from itertools import chain
from random import Random

import numpy as np

#: Terms from which on pairs are counted in numpy.
_MANY = 2000
#: Draws for an equation that may borrow.
_TRIES = 8


class Equations:
    """The equations of a matrix, and what is shared so far.

    Parameters
    ----------
    weights : int8, (rows, columns)
        -1, 0, +1.
    seed : int
        Decides between pairs that are found equally often, and what is tried.

    Attributes
    ----------
    terms : dict of int to dict
        Sign of each term, by equation: rows are ``~row``, sums have their own number.
    adders : int
        What all equations take: one less than their terms.
    """

    def __init__(self, weights: np.ndarray, seed: int = 0) -> None:
        self.columns = weights.shape[1]
        self.terms: dict[int, dict[int, int]] = {}
        self.adders = 0
        self._random = Random(seed)
        self._users: defaultdict[int, set[int]] = defaultdict(set)
        self._codes: tuple[dict[int, frozenset[int]], dict[int, frozenset[int]]] = {}, {}
        self._next = self.columns
        self._before: dict[int, dict[int, int] | None] | None = None
        self._numbers: list[int] = []
        self._places: dict[int, int] = {}
        self._levels: dict[int, int] = {}
        self._loose: list[int] = []
        self._fresh: set[int] = set()
        for row, values in enumerate(weights):
            self._set(~row, {int(column): int(values[column]) for column in np.flatnonzero(values)})

    def share(self) -> None:
        """Names the pair that most equations have, again and again, until no pair is in two.

        A pair that is in two has a term that an equation got since the last time, so only those terms are looked at.
        """
        draw, users, fresh = self._random.random, self._users, self._fresh
        heap: list[tuple[int, float, int, int, int]] = []
        latest: dict[int, float] = {}

        def push(times: int, term: int, other: int, sign: int) -> None:
            latest[term] = drawn = draw()
            heapq.heappush(heap, (-times, drawn, term, other, sign))

        while fresh or heap:
            for term in sorted(fresh):
                if len(users[term]) > 1:
                    push(len(users[term]), term, -1, 0)
            fresh.clear()
            if not heap:
                break
            most, drawn, term, other, sign = heapq.heappop(heap)
            if latest[term] != drawn:
                continue
            holders = self._holders(term, other, sign) if other >= 0 else []
            if len(holders) == -most:
                if self._name(term, other, sign, holders):
                    fresh.add(term)
            else:  # a pair was named meanwhile, and another term may have more
                times, other, sign = self._frequent(term)
                if times > 1:
                    push(times, term, other, sign)

    def dissolve(self, sums: int) -> None:
        """Puts so many neighboring sums back into the equations that use them, and shares these anew."""
        touched: list[int] = []
        for _ in range(sums):
            equation = self._choice(touched or self._numbers)
            chosen = [term for term in self.terms[equation] if term >= self.columns]
            if equation >= 0:
                chosen.append(equation)
            if chosen:
                changed = self._dissolve(self._choice(chosen))
                changed |= self._settle()
                touched = sorted(equation for equation in changed.union(touched) if equation in self.terms)
        self.share()

    def borrow(self) -> None:
        """One equation uses another in whose terms it has a part, at one adder more or less, and they are shared anew.

        What the other has and it has not is subtracted.
        """
        for _ in range(_TRIES):
            equation = self._choice(self._numbers)
            mine = self.terms[equation]
            if len(mine) > 1:
                term = self._choice(list(mine))
                other = self._choice(sorted(self._users[term]))
                inside = self.terms[other]
                sign = mine[term] * inside[term]
                left = _added(mine, inside, -sign)
                if other == equation or left is None or len(left) > len(mine) or left.get(other) == sign:
                    continue
                if not self._depends(other, equation):
                    self._use(equation, left, other, sign)
                    return

    def begin(self) -> None:
        """What happens from now on can be taken back."""
        self._before = {}
        self._start = (self._next, self.adders)

    def take_back(self) -> None:
        """All is as it was at :meth:`begin`."""
        assert self._before is not None
        before, self._before = self._before, None
        for equation, terms in before.items():
            self._set(equation, terms)
        self._next, adders = self._start
        self._fresh.clear()
        assert self.adders == adders

    def _choice(self, values: list[int]) -> int:
        return values[int(self._random.random() * len(values))]

    def _use(self, equation: int, left: dict[int, int], other: int, sign: int) -> None:
        """``equation`` becomes ``left + sign * other``; ``other`` may be a row, which then is a sum's."""
        if other < 0:
            made = self._new(self.terms[other])
            self._set(other, {made: 1})
            other = made
        self._set(equation, _plain(left, {other: sign}))
        self._settle()
        self.share()

    def _depends(self, first: int, second: int) -> bool:
        """Whether one equation uses another, itself or by its terms."""
        seen = {first}
        waiting = [first] if second >= 0 else []
        while waiting:
            equation = waiting.pop()
            if equation == second:
                return True
            new = {term for term in self.terms[equation] if term >= self.columns} - seen
            seen |= new
            waiting += new
        return False

    def _frequent(self, term: int) -> tuple[int, int, int]:
        """How often the pair of this term that is there most often is there, its other term, and their common sign."""
        equations = self._users.get(term, ())
        if len(equations) < 2:
            return 0, 0, 0
        codes = [self._coded(equation, self.terms[equation][term]) for equation in equations]
        if len(codes) == 2:
            common = list(codes[0] & codes[1])
            common.remove(2 * term)
            if not common:
                return 0, 0, 0
            code, times = self._shallow(common), 2
        elif sum(map(len, codes)) > _MANY:
            counts = np.bincount(np.fromiter(chain.from_iterable(codes), np.int64))
            counts[2 * term] = 0
            code = int(counts.argmax())
            times = int(counts[code])
        else:
            found = Counter(chain.from_iterable(codes))
            del found[2 * term]
            times = max(found.values(), default=0)
            if times < 2:
                return 0, 0, 0
            code = self._shallow([code for code, count in found.items() if count == times])
        return times, code >> 1, -1 if code & 1 else 1

    def _shallow(self, codes: list[int]) -> int:
        """One of some terms' codes: of two that are drawn, that whose term had fewer levels when it was made."""
        if len(codes) == 1:
            return codes[0]
        first, second = self._choice(codes), self._choice(codes)
        return first if self._levels.get(first >> 1, 0) <= self._levels.get(second >> 1, 0) else second

    def _coded(self, equation: int, sign: int) -> frozenset[int]:
        """Terms of an equation, or of its negative, as numbers: twice the term, and 1 where it is subtracted."""
        known = self._codes[sign < 0]
        codes = known.get(equation)
        if codes is None:
            terms = self.terms[equation].items()
            codes = known[equation] = frozenset([2 * term if own == sign else 2 * term + 1 for term, own in terms])
        return codes

    def _holders(self, first: int, second: int, sign: int) -> list[int]:
        """Equations with ``first + sign * second``, or its negative."""
        both = self._users.get(first, set()) & self._users.get(second, set())
        return [equation for equation in both if self.terms[equation][first] * self.terms[equation][second] == sign]

    def _name(self, first: int, second: int, sign: int, holders: list[int]) -> bool:
        """The sum ``first + sign * second`` takes the pair's place in the equations that have it.

        It does not where an equation has the sum too, and would have it twice. Gives whether it does anywhere.
        """
        made = next((holder for holder in holders if holder >= 0 and len(self.terms[holder]) == 2), None)
        if made is None:
            made = self._new({first: 1, second: sign})
        turn = self.terms[made][first]
        changed = False
        for equation in holders:
            own = self.terms[equation][first] * turn
            if equation != made and self.terms[equation].get(made) != own:
                left = {term: value for term, value in self.terms[equation].items() if term not in (first, second)}
                self._set(equation, _plain(left, {made: own}))
                changed = True
        self._settle()
        return changed

    def _settle(self) -> set[int]:
        """Writes sums out that one equation uses, or that are one term; gives the equations that changed."""
        changed: set[int] = set()
        while self._loose:
            term = self._loose.pop()
            if term in self.terms:
                if not self._users.get(term):
                    self._set(term, None)
                elif len(self._users[term]) == 1 or len(self.terms[term]) == 1:
                    changed |= self._dissolve(term)
        return changed

    def _dissolve(self, chosen: int) -> set[int]:
        """Replaces a sum by its terms wherever it is used, unless one would be twice; gives those equations."""
        changed = {}
        for equation in sorted(self._users[chosen]):
            left = dict(self.terms[equation])
            own = left.pop(chosen)
            made = _added(left, self.terms[chosen], own)
            if made is None:
                return set()
            changed[equation] = made
        for equation, terms in changed.items():
            self._set(equation, terms)
        self._set(chosen, None)
        return set(changed)

    def _new(self, terms: dict[int, int]) -> int:
        """A sum's number."""
        self._next += 1
        self._levels[self._next - 1] = (sum(1 << self._levels.get(term, 0) for term in terms) - 1).bit_length()
        self._set(self._next - 1, terms)
        return self._next - 1

    def _set(self, equation: int, terms: dict[int, int] | None) -> None:
        """Gives an equation other terms, or takes it away."""
        old = self.terms.get(equation)
        if self._before is not None and equation not in self._before:
            self._before[equation] = old
        self._codes[0].pop(equation, None)
        self._codes[1].pop(equation, None)
        mine, before = terms or {}, old or {}
        for term in before.keys() - mine.keys():
            users = self._users[term]
            users.discard(equation)
            if len(users) < 2 and term >= self.columns:
                self._loose.append(term)
        added = mine.keys() - before.keys()
        for term in added:
            self._users[term].add(equation)
        self._fresh |= added
        self.adders += max(0, len(mine) - 1) - max(0, len(before) - 1)
        if terms is not None:
            if old is None:
                self._places[equation] = len(self._numbers)
                self._numbers.append(equation)
            if equation >= 0 and len(terms) < 2:
                self._loose.append(equation)
            self.terms[equation] = terms
        elif old is not None:
            del self.terms[equation]
            last, place = self._numbers.pop(), self._places.pop(equation)
            if last != equation:
                self._numbers[place] = last
                self._places[last] = place


def _added(terms: dict[int, int], others: dict[int, int], sign: int) -> dict[int, int] | None:
    """Terms plus or minus others: those cancel that are in both; none where one is twice then."""
    made = dict(terms)
    for term, own in others.items():
        old = made.pop(term, None)
        if old is None:
            made[term] = own * sign
        elif old == own * sign:
            return None
    return made


def _plain(terms: dict[int, int], others: dict[int, int]) -> dict[int, int]:
    """The same, where no term can be twice."""
    made = _added(terms, others, 1)
    assert made is not None
    return made
