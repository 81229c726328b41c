"""Where the zeros go: over a network, by layer, by row."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sterna.train import functional
from sterna.train.methods.targets import (
    Balance,
    CycleLimit,
    ZerosScope,
    above_dropped,
    cut,
    gap,
    ramp,
    shares_by_size,
)

SHAPES = st.one_of(
    st.tuples(st.integers(1, 7), st.integers(1, 12)),
    st.tuples(st.integers(1, 5), st.integers(1, 3), st.sampled_from([1, 3]), st.sampled_from([1, 3])),
)

ANY_TARGET = given(
    shapes=st.lists(SHAPES, min_size=1, max_size=3),
    seed=st.integers(0, 10**6),
    percent=st.integers(0, 99),
    scope=st.sampled_from(ZerosScope),
    balance=st.sampled_from(Balance),
)


def distinct(shapes: list[tuple[int, ...]], seed: int) -> list[torch.Tensor]:
    """Scores without equals, in all layers together."""
    sizes = [math.prod(shape) for shape in shapes]
    order = torch.randperm(sum(sizes), generator=torch.Generator().manual_seed(seed)) / 8
    return [part.reshape(shape) for part, shape in zip(order.split(sizes), shapes, strict=True)]


def nonzeros(scores: list[torch.Tensor], thresholds: list[torch.Tensor]) -> list[list[int]]:
    """Kept scores of every row, by layer."""
    for score, threshold in zip(scores, thresholds, strict=True):
        assert threshold.shape == (len(score), *[1] * (score.dim() - 1))
    return [(s >= t).flatten(1).sum(dim=1).tolist() for s, t in zip(scores, thresholds, strict=True)]


def parts(scores: list[torch.Tensor], scope: ZerosScope) -> list[list[int]]:
    """Numbers of the layers that meet a share of zeros together."""
    return [list(range(len(scores)))] if scope is ZerosScope.NETWORK else [[i] for i in range(len(scores))]


@settings(deadline=None)
@ANY_TARGET
def test_distinct_scores_are_cut_exactly(
    shapes: list[tuple[int, ...]], seed: int, percent: int, scope: ZerosScope, balance: Balance
) -> None:
    scores = distinct(shapes, seed)
    kept = nonzeros(scores, cut(scores, percent / 100, scope, balance))
    for part in parts(scores, scope):
        count = sum(scores[i].numel() for i in part)
        wanted = -(-percent * count // 100)
        assert sum(sum(kept[i]) for i in part) == count - wanted
    unbalanced = nonzeros(scores, cut(scores, percent / 100, scope, Balance.NONE))
    assert [sum(rows) for rows in kept] == [sum(rows) for rows in unbalanced]
    if balance is Balance.ROWS:
        assert all(max(rows) - min(rows) <= 1 for rows in kept)


@settings(deadline=None)
@given(
    shapes=st.lists(SHAPES, min_size=1, max_size=3),
    seed=st.integers(0, 10**6),
    values=st.integers(1, 6),
    percent=st.integers(0, 99),
    scope=st.sampled_from(ZerosScope),
    balance=st.sampled_from(Balance),
)
def test_equal_scores_leave_at_least_the_wanted_zeros(
    shapes: list[tuple[int, ...]], seed: int, values: int, percent: int, scope: ZerosScope, balance: Balance
) -> None:
    generator = torch.Generator().manual_seed(seed)
    scores = [torch.randint(0, values, shape, generator=generator) / 4 for shape in shapes]
    kept = nonzeros(scores, cut(scores, percent / 100, scope, balance))
    for part in parts(scores, scope):
        count = sum(scores[i].numel() for i in part)
        assert (count - sum(sum(kept[i]) for i in part)) * 100 >= percent * count


@given(seed=st.integers(0, 10**6), scope=st.sampled_from(ZerosScope), percent=st.integers(1, 90))
def test_the_smallest_fall(seed: int, scope: ZerosScope, percent: int) -> None:
    scores = distinct([(4, 5), (3, 2, 3, 3)], seed)
    thresholds = cut(scores, percent / 100, scope, Balance.NONE)
    for part in parts(scores, scope):
        flat = torch.cat([scores[i].flatten() for i in part])
        kept = torch.cat([(scores[i] >= thresholds[i]).flatten() for i in part])
        assert flat[~kept].max() < flat[kept].min()
    balanced = cut(scores, percent / 100, scope, Balance.ROWS)
    for score, threshold in zip(scores, balanced, strict=True):
        for row, t in zip(score.flatten(1), threshold.flatten(), strict=True):
            kept = row >= t
            if kept.any() and not kept.all():
                assert row[~kept].max() < t <= row[kept].min()


@settings(deadline=None)
@ANY_TARGET
def test_gaps_part_as_cuts_do_halfway(
    shapes: list[tuple[int, ...]], seed: int, percent: int, scope: ZerosScope, balance: Balance
) -> None:
    scores = distinct(shapes, seed)
    cuts, gaps = (function(scores, percent / 100, scope, balance) for function in (cut, gap))
    sharing: list[list[tuple[torch.Tensor, torch.Tensor, float]]] = []  # those with one gap: scores, what falls, gap
    for score, threshold, middle in zip(scores, cuts, gaps, strict=True):
        assert middle.shape == threshold.shape
        rows = [
            (row, row < t, float(m))
            for row, t, m in zip(score.flatten(1), threshold.flatten(), middle.flatten(), strict=True)
        ]
        sharing += [[row] for row in rows] if balance is Balance.ROWS else [rows]
    if balance is Balance.NONE and scope is ZerosScope.NETWORK:
        sharing = [[row for rows in sharing for row in rows]]
    for rows in sharing:
        row, falls = torch.cat([r for r, _, _ in rows]), torch.cat([f for _, f, _ in rows])
        (middle,) = {m for _, _, m in rows}
        below = float(row[falls].max()) if falls.any() else 0.0
        if falls.all():
            assert middle >= below
        else:
            assert middle == (below + float(row[~falls].min())) / 2


def test_rows_that_do_not_divide_give_the_rest_to_those_with_most() -> None:
    scores = torch.tensor([[1.0, 2, 3, 10], [4, 11, 12, 13], [5, 6, 14, 15]])  # above 5.5: 1, 3 and 3 of a row
    (threshold,) = cut([scores], 5 / 12, ZerosScope.LAYER, Balance.ROWS)
    assert (scores >= threshold).sum(dim=1).tolist() == [2, 3, 2]
    assert threshold.tolist() == [[2.5], [7.5], [10.0]]  # halfway between what falls and what stays


def test_more_rows_than_nonzeros_leave_rows_empty() -> None:
    scores = torch.tensor([[1.0, 2], [9, 3], [4, 5], [8, 6]])
    (threshold,) = cut([scores], 0.75, ZerosScope.NETWORK, Balance.ROWS)
    assert (scores >= threshold).tolist() == [[False, False], [True, False], [False, False], [True, False]]
    assert torch.isfinite(threshold).all()


@pytest.mark.parametrize("scope", ZerosScope)
@pytest.mark.parametrize("balance", Balance)
def test_no_zeros_wanted_drops_nothing(scope: ZerosScope, balance: Balance) -> None:
    scores = [torch.tensor([[0.0, 1.0], [0.5, 0.0]]), torch.tensor([[0.25, 0.0]])]
    assert all((threshold == 0).all() for threshold in cut(scores, 0.0, scope, balance))


def test_a_row_of_equals_falls_whole() -> None:
    scores = torch.tensor([[1.0, 1, 1, 1], [2, 3, 4, 5]])
    (threshold,) = cut([scores], 0.5, ZerosScope.NETWORK, Balance.ROWS)
    assert (scores >= threshold).tolist() == [[False] * 4, [False, False, True, True]]


def test_scopes_differ_where_layers_do() -> None:
    scores = [torch.tensor([[1.0, 2, 3, 4]]), torch.tensor([[5.0, 6, 7, 8]])]
    assert nonzeros(scores, cut(scores, 0.5, ZerosScope.NETWORK, Balance.NONE)) == [[0], [4]]
    assert nonzeros(scores, cut(scores, 0.5, ZerosScope.LAYER, Balance.NONE)) == [[2], [2]]


def test_shares_that_are_no_binary_fractions_take_no_weight_too_many() -> None:
    scores = distinct([(10, 10)], seed=1)  # 0.07 * 100 is a little above 7 in floating point
    assert sum(nonzeros(scores, cut(scores, 0.07, ZerosScope.LAYER, Balance.NONE))[0]) == 93


@settings(deadline=None)
@given(shape=SHAPES, seed=st.integers(0, 10**6), share=st.floats(0, 1))
def test_above_dropped_drops_those_and_no_others(shape: tuple[int, ...], seed: int, share: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    (magnitude,) = distinct([shape], seed)
    magnitude += 0.125  # a weight of 0 would be zero at any threshold
    limit = torch.rand((shape[0], *[1] * (len(shape) - 1)), generator=generator) * magnitude.max() * share
    dropped = magnitude < limit
    thresholds = above_dropped(magnitude, dropped)
    assert thresholds.shape == limit.shape
    assert torch.equal(functional.ternarize(magnitude, thresholds) == 0, dropped)


@settings(deadline=None)
@given(shapes=st.lists(SHAPES, min_size=1, max_size=4), percent=st.integers(0, 99))
def test_shares_by_size_meet_the_target_together(shapes: list[tuple[int, ...]], percent: int) -> None:
    weights = [torch.empty(shape) for shape in shapes]
    shares = shares_by_size(weights, percent / 100, ZerosScope.NETWORK)
    kept = [(1 - share) * w.numel() for share, w in zip(shares, weights, strict=True)]
    assert all(0 <= share < 1 for share in shares)
    assert sum(kept) == pytest.approx((1 - percent / 100) * sum(w.numel() for w in weights))
    # what is not full has nonzeros in proportion to rows + columns, and what is full would get no fewer
    units = [len(w) + w[0].numel() for w in weights]
    densities = [k / u for k, u, share in zip(kept, units, shares, strict=True) if share > 0]
    assert densities == pytest.approx([max(densities)] * len(densities)) if densities else True
    for k, u, share in zip(kept, units, shares, strict=True):
        assert share > 0 or not densities or k / u <= max(densities) * (1 + 1e-9)


def test_shares_by_size_of_lenet() -> None:
    weights = [torch.empty(shape) for shape in ((20, 1, 5, 5), (50, 20, 5, 5), (500, 800), (10, 500))]
    shares = shares_by_size(weights, 0.98, ZerosScope.NETWORK)
    each = 0.02 * 430500 / 2405  # rows + columns together
    assert shares == pytest.approx(
        [1 - each * u / n for u, n in ((45, 500), (550, 25000), (1300, 400000), (510, 5000))]
    )
    assert shares_by_size(weights, 0.8, ZerosScope.NETWORK)[0] == 0.0
    assert shares_by_size(weights, 0.8, ZerosScope.LAYER) == [0.8] * 4


PLACES = [1, 64, 7]


@settings(deadline=None)
@given(
    shapes=st.lists(SHAPES, min_size=1, max_size=3),
    seed=st.integers(0, 10**6),
    per_mille=st.integers(1, 1100),
    percent=st.sampled_from([0, 30, 90]),
    balance=st.sampled_from(Balance),
)
def test_cuts_keep_as_much_as_the_limit_of_lane_cycles_lets_them(
    shapes: list[tuple[int, ...]], seed: int, per_mille: int, percent: int, balance: Balance
) -> None:
    scores, places = distinct(shapes, seed), PLACES[: len(shapes)]
    limit = CycleLimit(
        most=per_mille * sum(s.numel() * p for s, p in zip(scores, places, strict=True)) // 1000, positions=places
    )
    kept = nonzeros(scores, cut(scores, percent / 100, ZerosScope.NETWORK, balance, limit))
    # one by one, the largest first
    ranked = sorted(((float(x), p) for s, p in zip(scores, places, strict=True) for x in s.flatten()), reverse=True)
    count, left = 0, limit.most
    while count < len(ranked) and ranked[count][1] <= left:
        left -= ranked[count][1]
        count += 1
    wanted = len(ranked) - -(-percent * len(ranked) // 100)
    assert sum(map(sum, kept)) == min(count, wanted)
    assert sum(sum(rows) * p for rows, p in zip(kept, places, strict=True)) <= limit.most


def test_equal_scores_do_not_exceed_the_limit_of_lane_cycles() -> None:
    scores = [torch.ones(2, 3), torch.tensor([[1.0, 2, 2]])]
    limit = CycleLimit(most=60, positions=[4, 20])
    assert nonzeros(scores, cut(scores, 0.0, ZerosScope.NETWORK, Balance.NONE, limit)) == [[0, 0], [2]]


@settings(deadline=None)
@given(shapes=st.lists(SHAPES, min_size=1, max_size=3), percent=st.integers(0, 99), per_mille=st.integers(1, 1100))
def test_shares_by_size_keep_to_a_limit_of_lane_cycles(
    shapes: list[tuple[int, ...]], percent: int, per_mille: int
) -> None:
    weights, places = [torch.empty(shape) for shape in shapes], PLACES[: len(shapes)]
    cycles = [w.numel() * p for w, p in zip(weights, places, strict=True)]
    limit = CycleLimit(most=per_mille * sum(cycles) / 1000, positions=places)
    free = shares_by_size(weights, percent / 100, ZerosScope.NETWORK)
    shares = shares_by_size(weights, percent / 100, ZerosScope.NETWORK, limit)
    assert all(f <= s < 1 for f, s in zip(free, shares, strict=True))
    taken = sum((1 - share) * n for share, n in zip(shares, cycles, strict=True))
    if sum((1 - share) * n for share, n in zip(free, cycles, strict=True)) <= limit.most:
        assert shares == free
    else:
        assert taken <= limit.most * (1 + 1e-9)
    if percent == 0:
        assert taken == pytest.approx(min(limit.most, sum(cycles)))


def test_places_get_fewer_nonzeros_the_more_of_them_there_are() -> None:
    weights = [torch.empty(10, 10), torch.empty(10, 10)]
    limit = CycleLimit(most=440, positions=[1, 10])
    assert shares_by_size(weights, 0.0, ZerosScope.NETWORK, limit) == pytest.approx([0.0, 0.66])
    assert shares_by_size(weights, 0.5, ZerosScope.NETWORK, limit) == pytest.approx([0.5, 0.66])


def test_ramp_is_the_papers() -> None:
    assert ramp(0.4, 0.9, 0.0) == 0.4
    assert ramp(0.4, 0.9, 1.0) == 0.9
    assert ramp(0.4, 0.9, 0.5) == pytest.approx(0.9 - 0.5 / 8)
    assert ramp(0.9, 0.4, 0.5) == pytest.approx(0.4 + 0.5 / 8)
    assert (ramp(0.4, 0.9, -1.0), ramp(0.4, 0.9, 7.0)) == (0.4, 0.9)
