"""Finds what rows share: greedily, and then by taking sums apart and trying again."""

from __future__ import annotations

import math
from functools import lru_cache
from random import Random

import numpy as np

from sterna.hw.sums.equations import Equations
from sterna.hw.sums.graph import SumGraph, graph_of

#: Changes that are tried, for each weight and effort; of few weights twice as many, up to so many; at most.
_CHANGES, _FEW, _MOST = 4, 1_600, 20_000
#: Sums that are taken apart at a time, at most.
_TOGETHER = 25
#: Adders more that are accepted with a chance of 1/e, at first; it falls to none.
_WARMTH = 0.5
#: Of the results in the last quarter of the changes, as many are compared as have so many adders together.
_COMPARED = 200_000
#: Matrices of which the result is remembered.
_KEPT = 64
#: What an adder takes, where a term's register takes 1: two tables and two registers.
_ADDER = 4


def share_sums(weights: np.ndarray, *, effort: int = 1, seed: int = 0) -> SumGraph:
    """Adders that compute the rows of a matrix, proved to do so.

    Sterna's own method. It names the pair of terms that most rows have, until none is in two rows: two-term common
    subexpressions, as in S. Tridgell et al., "Unrolling Ternary Neural Networks" (2019). Then it tries changes, four
    times ``effort`` for each weight (eight, where there are few) and 20,000 times ``effort`` at most, and keeps what
    is no worse, or at first little worse (simulated annealing). Every second takes up to 25 neighboring sums apart.
    The others let an equation use another of which it has only a part, and subtract the rest. What is touched is
    shared anew. As few adders are found in many ways: of some that come last, that is taken which is smallest with the
    registers in which terms wait.

    Parameters
    ----------
    weights : int8, (rows, columns)
        -1, 0, +1.
    effort : int
        0 for the greedy search alone.
    seed : int
        The result follows from it.

    Returns
    -------
    SumGraph
    """
    graph = _shared(np.asarray(weights, np.int8).tobytes(), weights.shape, effort, seed)
    graph.check(weights)
    return graph


@lru_cache(maxsize=_KEPT)
def _shared(content: bytes, shape: tuple[int, int], effort: int, seed: int) -> SumGraph:
    """Of a matrix, row by row; a search for units or lanes asks for the same one again and again."""
    weights = np.frombuffer(content, np.int8).reshape(shape)
    equations = Equations(weights, seed)
    equations.share()
    usual = _CHANGES * int(np.count_nonzero(weights))
    changes = effort * min(max(usual, min(2 * usual, _FEW)), _MOST)
    every = max(1, equations.adders * changes // (4 * _COMPARED))
    best = graph_of(equations, len(weights))
    random = Random(seed)
    for change in range(changes):
        before = equations.adders
        equations.begin()
        if change % 2:
            equations.borrow()
        else:
            equations.dissolve(random.randint(1, _TOGETHER))
        more = equations.adders - before
        warmth = _WARMTH * (1 - change / changes)
        if more > 0 and random.random() >= math.exp(-more / warmth):
            equations.take_back()
        elif 4 * change > 3 * changes and change % every == 0:
            best = min(best, graph_of(equations, len(weights)), key=_size)
    return best


def _size(graph: SumGraph) -> int:
    """Tables and registers for each bit, about."""
    return _ADDER * graph.adders + int(graph.waits(graph.depth).sum())
