"""Shared sums: the adders compute the matrix, for all inputs, and there are few of them."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from bench import random_weights
from hypothesis import given, settings
from hypothesis import strategies as st

from sterna.hw.sums.equations import Equations
from sterna.hw.sums.graph import SumGraph, graph_of
from sterna.hw.sums.sharing import share_sums
from sterna.net import load


def by_definition(graph: SumGraph, row: int) -> np.ndarray:
    """How often a row has each input, found by following its adders one by one."""
    counts = np.zeros(graph.inputs, np.int64)
    waiting = [(int(graph.outputs[row]), -1 if graph.negative[row] else 1)] if graph.outputs[row] >= 0 else []
    while waiting:
        term, sign = waiting.pop()
        if term < graph.inputs:
            counts[term] += sign
            continue
        k = term - graph.inputs
        waiting += [(int(graph.left[k]), sign), (int(graph.right[k]), -sign if graph.subtract[k] else sign)]
    return counts


def check(weights: np.ndarray, graph: SumGraph) -> None:
    np.testing.assert_array_equal([by_definition(graph, row) for row in range(len(weights))], weights)
    terms = graph.inputs + np.arange(graph.adders)
    assert (graph.left < terms).all()
    assert (graph.right < terms).all()


@given(st.integers(0, 1 << 20), st.integers(1, 12), st.integers(1, 16), st.sampled_from([0.0, 0.3, 0.6, 0.9, 1.0]))
@settings(max_examples=60, deadline=None)
def test_every_row_is_computed(seed: int, rows: int, columns: int, zeros: float) -> None:
    weights = random_weights(np.random.default_rng(seed), rows, columns, zeros)
    plain = int(np.maximum(np.count_nonzero(weights, axis=1) - 1, 0).sum())
    greedy, more = share_sums(weights, effort=0, seed=seed), share_sums(weights, effort=2, seed=seed)
    for graph in (greedy, more):
        check(weights, graph)
        assert graph.adders <= plain


def test_many_terms_are_counted_as_few_are() -> None:
    """Above some hundred terms, pairs are counted in numpy."""
    weights = random_weights(np.random.default_rng(0), 40, 200, 0.5)
    check(weights, share_sums(weights, effort=0))


def test_what_two_rows_share_is_added_once() -> None:
    shared = [1, -1, 1, 0, 1]
    weights = np.array([[*shared, 1, 0, 0], [*(-value for value in shared), 0, 1, 0], [*shared, 0, 0, -1]], np.int8)
    assert share_sums(weights).adders == 3 + 3


def test_equal_opposite_and_contained_rows() -> None:
    row = [1, 1, -1, 0, 1, 0]
    weights = np.array([row, row, [-value for value in row], [1, 1, 0, 0, 0, 0], [0, 0, 0, 0, 0, -1], [0] * 6], np.int8)
    graph = share_sums(weights)
    check(weights, graph)
    assert graph.adders == 3
    assert graph.outputs[4] == 5
    assert graph.outputs[5] == -1


def test_more_effort_finds_more() -> None:
    weights = load_weights("fc1")
    greedy = share_sums(weights, effort=0, seed=1).adders
    assert (
        share_sums(weights, effort=1, seed=1).adders
        < greedy
        < np.count_nonzero(weights) - np.count_nonzero(weights.any(1))
    )


def test_few_adders_are_not_paid_for_in_registers() -> None:
    """A result is never larger than the greedy one, an adder as four and a waiting term as one."""
    for seed in range(3):
        weights = random_weights(np.random.default_rng(seed), 12, 24, 0.6)
        sizes = [
            4 * graph.adders + graph.waits(graph.depth).sum()
            for graph in (share_sums(weights, effort=effort, seed=seed) for effort in (1, 0))
        ]
        assert sizes[0] <= sizes[1]


def load_weights(name: str) -> np.ndarray:
    (node,) = (node for node in load("models/digits-mlp.safetensors").nodes if node.name == name)
    return node.weights


def test_a_result_follows_from_its_seed() -> None:
    weights = random_weights(np.random.default_rng(1), 20, 30, 0.7)
    first, second = share_sums(weights, seed=3), share_sums(weights, seed=3)
    for name in ("left", "right", "subtract", "outputs", "negative"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))


def test_trees_are_as_shallow_as_can_be() -> None:
    """17 terms in five levels, whatever comes first."""
    assert share_sums(np.ones((1, 17), np.int8)).depth == 5


@pytest.mark.parametrize("field", ["left", "right", "subtract", "outputs", "negative"])
def test_a_wrong_graph_is_found(field: str) -> None:
    """Each of its arrays is looked at, at every place that a row depends on."""
    weights = random_weights(np.random.default_rng(2), 6, 9, 0.4)
    graph = share_sums(weights)
    graph.check(weights)
    values = getattr(graph, field)
    for place in range(len(values)):
        wrong = values.copy()
        wrong[place] = ~wrong[place] if wrong.dtype == bool else (wrong[place] + 1) % graph.inputs
        with pytest.raises(ValueError, match=r"^the shared sums are wrong: row \d is not that of the matrix$"):
            replace(graph, **{field: wrong}).check(weights)


def test_ranges_are_exact() -> None:
    check_ranges(share_sums(random_weights(np.random.default_rng(3), 5, 6, 0.3)))


def test_ranges_are_exact_where_inputs_cancel_or_count_twice() -> None:
    """``x0 + x1``, ``x0 + x1 - x2``, ``x0 - x2``, and ``2 x0 + x1 - x2``."""
    graph = SumGraph(
        inputs=6,
        left=np.array([0, 6, 7, 6]),
        right=np.array([1, 2, 1, 8]),
        subtract=np.array([False, True, True, False]),
        outputs=np.array([9]),
        negative=np.array([False]),
    )
    check_ranges(graph)


def test_ranges_of_many_inputs_are_found_some_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sterna.hw.sums.graph._NUMBERS", 50)
    weights = random_weights(np.random.default_rng(3), 5, 6, 0.3)
    check_ranges(share_sums(weights))
    share_sums(weights).check(weights)


def check_ranges(graph: SumGraph) -> None:
    """All inputs are tried."""
    low, high = np.array([-1, 0, -2, 0, -1, 0]), np.array([1, 2, 0, 1, 1, 3])
    inputs = np.array(list(itertools.product(*(range(a, b + 1) for a, b in zip(low, high, strict=True)))))
    every = replace(graph, outputs=np.arange(6 + graph.adders), negative=np.zeros(6 + graph.adders, bool))
    sums = every.compute(inputs)
    lows, highs = graph.ranges(low, high)
    np.testing.assert_array_equal(lows, sums.min(axis=0))
    np.testing.assert_array_equal(highs, sums.max(axis=0))


def test_terms_wait_for_their_last_reader() -> None:
    """An adder reads at the level below its own; rows are read at the depth."""
    weights = random_weights(np.random.default_rng(4), 8, 12, 0.4)
    graph = share_sums(weights)
    levels, waits = graph.levels, graph.waits(graph.depth)
    for term in range(graph.inputs + graph.adders):
        readers = [levels[graph.inputs + k] - 1 for k in range(graph.adders) if term in (graph.left[k], graph.right[k])]
        ends = [graph.depth] * int((graph.outputs == term).any())
        assert waits[term] == max([levels[term], *readers, *ends]) - levels[term]


def test_taking_back_leaves_all_as_it_was() -> None:
    weights = random_weights(np.random.default_rng(5), 16, 24, 0.5)
    equations = Equations(weights)
    equations.share()
    before = {equation: dict(terms) for equation, terms in equations.terms.items()}
    adders = equations.adders
    for _ in range(20):
        equations.begin()
        equations.dissolve(3)
        equations.borrow()
        equations.take_back()
        assert equations.terms == before
        assert equations.adders == adders
    check(weights, graph_of(equations, len(weights)))


def test_rows_may_be_a_row_less_what_they_have_not() -> None:
    """All of ten inputs, and ten times all but one: terms cancel, since without it takes 25 adders."""
    weights = np.vstack([np.ones((1, 10), np.int8), 1 - np.eye(10, dtype=np.int8)])
    graph = share_sums(weights, seed=1)  # the search finds it with most seeds
    check(weights, graph)
    assert graph.adders < 20 < 25 == share_sums(weights, effort=0).adders


def test_a_sum_that_one_equation_uses_is_written_out() -> None:
    """So that its terms are seen beside the equation's others."""
    weights = random_weights(np.random.default_rng(6), 20, 30, 0.5)
    equations = Equations(weights)
    equations.share()
    for _ in range(200):
        equations.borrow()
        equations.dissolve(3)
    for number in (equation for equation in equations.terms if equation >= 0):
        users = [terms for terms in equations.terms.values() if number in terms]
        if len(users) == 1:  # it is not, where a term would be twice
            assert any(users[0].get(t) == sign * users[0][number] for t, sign in equations.terms[number].items())
        else:
            assert len(users) > 1
    check(weights, graph_of(equations, len(weights)))


def test_what_cancels_is_gone() -> None:
    """Two rows have ``x0 + x1 + x2 - (x0 + x1)``: that is ``x2``, and no sum is left."""
    equations = with_terms(5, {~0: {6: 1, 5: -1, 3: 1}, ~1: {6: 1, 5: -1, 4: 1}, 5: {0: 1, 1: 1}, 6: {5: 1, 2: 1}})
    equations.share()
    assert equations.terms == {~0: {3: 1, 2: 1}, ~1: {4: 1, 2: 1}}
    assert equations.adders == 2


def test_a_pair_beside_its_own_sum_is_left() -> None:
    """Twice ``x0 + x1`` cannot be shared: no term is twice in an equation."""
    equations = with_terms(4, {~0: {4: 1, 2: 1}, ~1: {0: 1, 1: 1, 4: 1, 3: 1}, 4: {0: 1, 1: 1}})
    equations.share()
    assert equations.terms == {~0: {4: 1, 2: 1}, ~1: {0: 1, 1: 1, 4: 1, 3: 1}, 4: {0: 1, 1: 1}}


def with_terms(columns: int, terms: dict[int, dict[int, int]]) -> Equations:
    """Equations in the midst of it."""
    equations = Equations(np.zeros((0, columns), np.int8))
    equations._next = 1 + max(terms)
    for equation, own in terms.items():
        equations._set(equation, own)
    return equations


def test_no_equation_uses_itself() -> None:
    """Rows that are nearly equal borrow from each other, and from sums that use them."""
    rng = np.random.default_rng(7)
    weights = np.where(rng.random((12, 16)) < 0.1, 0, np.ones(16, int)).astype(np.int8)
    equations = Equations(weights, seed=1)
    equations.share()
    for _ in range(300):
        equations.borrow()
        for equation in equations.terms:
            assert not uses(equations, equation, equation)
    check(weights, graph_of(equations, len(weights)))


def uses(equations: Equations, first: int, second: int) -> bool:
    waiting, seen = list(equations.terms[first]), set()
    while waiting:
        term = waiting.pop()
        if term == second:
            return True
        if term not in seen and term in equations.terms:
            seen.add(term)
            waiting += equations.terms[term]
    return False


def test_of_equal_pairs_one_of_few_levels_is_drawn_more_often() -> None:
    """A sum of five terms has three levels; of two draws, that with fewer is taken."""
    equations = Equations(np.zeros((0, 6), np.int8))
    deep = equations._new(dict.fromkeys(range(5), 1))
    drawn = [equations._shallow([2 * deep, 2 * 5]) for _ in range(1000)]
    assert 700 < drawn.count(2 * 5) < 800
