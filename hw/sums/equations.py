"""A matrix as equations, in which what several have in common is named once.

Terms are numbers: the inputs 0 to columns - 1, and sums above them. A row, and a sum, is an equation: signed terms, of
which no two have an input in common. So no term ever cancels, and the order in which terms are found is free.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable
from random import Random

import numpy as np

#: Terms from which on pairs are counted in numpy.
_MANY = 400


class Equations:
    """The equations of a matrix, and what is shared so far.

    Parameters
    ----------
    weights : int8, (rows, columns)
        -1, 0, +1.
    seed : int
        Decides between pairs that are found equally often.

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
        self._users: dict[int, set[int]] = {}
        self._codes: dict[int, np.ndarray] = {}
        self._next = self.columns
        self._before: dict[int, dict[int, int] | None] | None = None
        for row, values in enumerate(weights):
            self._set(~row, {int(column): int(values[column]) for column in np.flatnonzero(values)})

    @property
    def sums(self) -> list[int]:
        """Numbers of the sums, in the order in which they were made."""
        return [equation for equation in self.terms if equation >= 0]

    def share(self, terms: Iterable[int] | None = None) -> None:
        """Names the pair that most equations have, again and again, until no pair is in two.

        Parameters
        ----------
        terms : ints, optional
            Only pairs with one of these, or with a sum that is made meanwhile, are looked for; default: all.
        """
        draw = self._random.random
        heap = [(-len(self._users[term]), draw(), term) for term in (self._users if terms is None else sorted(terms))]
        heapq.heapify(heap)
        while heap:
            most, _, term = heapq.heappop(heap)
            times, other, sign = self._frequent(term)
            if times < 2:
                continue
            heapq.heappush(heap, (-times, draw(), term))
            if times == -most:  # else a pair was named meanwhile, and another term may have more
                made = self._name(term, other, sign)
                heapq.heappush(heap, (-times, draw(), other))
                heapq.heappush(heap, (-len(self._users[made]), draw(), made))

    def dissolve(self, sums: int) -> None:
        """Puts so many neighboring sums back into the equations that use them, and shares these anew."""
        touched: set[int] = set()
        chosen = self._random.choice(self.sums)
        for _ in range(sums):
            touched |= self._dissolve(chosen)
            touched.discard(chosen)
            near = sorted({term for equation in touched for term in self.terms[equation] if term >= self.columns})
            near += sorted(equation for equation in touched if equation >= 0)
            if not near:
                break
            chosen = self._random.choice(near)
        self.share({term for equation in touched for term in self.terms[equation]})

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
        assert self.adders == adders

    def _frequent(self, term: int) -> tuple[int, int, int]:
        """How often the pair of this term that is there most often is there, its other term, and their common sign."""
        equations = self._users.get(term, ())
        if len(equations) < 2:
            return 0, 0, 0
        if sum(len(self.terms[equation]) for equation in equations) > _MANY:
            codes = np.concatenate([self._coded(equation) ^ (self.terms[equation][term] < 0) for equation in equations])
            counts = np.bincount(codes)
            counts[2 * term] = 0
            code = int(counts.argmax())
            return int(counts[code]), code >> 1, -1 if code & 1 else 1
        found: Counter[tuple[int, int]] = Counter()
        for equation in equations:
            terms = self.terms[equation]
            own = terms[term]
            found.update([(other, sign * own) for other, sign in terms.items()])
        del found[term, 1]
        times = max(found.values(), default=0)
        if times < 2:
            return 0, 0, 0
        other, sign = self._random.choice([pair for pair, count in found.items() if count == times])
        return times, other, sign

    def _coded(self, equation: int) -> np.ndarray:
        """Terms as numbers: twice the term, and 1 where it is subtracted."""
        if equation not in self._codes:
            terms = self.terms[equation]
            numbers = np.fromiter(terms, np.int64, len(terms))
            self._codes[equation] = 2 * numbers + (np.fromiter(terms.values(), np.int64, len(terms)) < 0)
        return self._codes[equation]

    def _name(self, first: int, second: int, sign: int) -> int:
        """The sum ``first + sign * second``, which takes the pair's place in every equation."""
        holders = [
            equation
            for equation in sorted(self._users[first] & self._users[second])
            if self.terms[equation][first] * self.terms[equation][second] == sign
        ]
        made = next((holder for holder in holders if holder >= 0 and len(self.terms[holder]) == 2), None)
        if made is None:
            made, self._next = self._next, self._next + 1
            self._set(made, {first: 1, second: sign})
        turn = self.terms[made][first]
        for equation in holders:
            if equation != made:
                left = dict(self.terms[equation])
                own = left.pop(first)
                del left[second]
                self._set(equation, {**left, made: own * turn})
        return made

    def _dissolve(self, chosen: int) -> set[int]:
        """Replaces a sum by its terms wherever it is used; gives the equations that had it."""
        inside = self.terms[chosen]
        users = set(self._users.get(chosen, ()))
        for equation in sorted(users):
            left = dict(self.terms[equation])
            own = left.pop(chosen)
            self._set(equation, left | {term: sign * own for term, sign in inside.items()})
        self._set(chosen, None)
        return users

    def _set(self, equation: int, terms: dict[int, int] | None) -> None:
        """Gives an equation other terms, or takes it away."""
        old = self.terms.get(equation)
        if self._before is not None and equation not in self._before:
            self._before[equation] = old
        self._codes.pop(equation, None)
        for term in old or ():
            if terms is None or term not in terms:
                self._users[term].discard(equation)
        for term in terms or ():
            self._users.setdefault(term, set()).add(equation)
        self.adders += max(0, len(terms or ()) - 1) - max(0, len(old or ()) - 1)
        if terms is None:
            self.terms.pop(equation, None)
        else:
            self.terms[equation] = terms
