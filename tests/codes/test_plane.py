"""The plane of entropy and p0: its limits, the distributions on it, and what wins where."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sterna.codes import matrix_costs
from sterna.codes.plane import Measure, Plane, compute_plane, distribution, entropy_limits
from sterna.net.cost import entropy, expected_statistics, matrix_statistics

PAPER = ("dense", "csr", "cer", "cser")


def bits(shares: np.ndarray) -> float:
    positive = shares[shares > 0]
    return float(-(positive * np.log2(positive)).sum())


@pytest.mark.parametrize(
    ("share", "values", "least", "greatest"),
    [
        (0.5, 3, [0.5, 0.5], [0.5, 0.25, 0.25]),
        (0.4, 5, [0.4, 0.4, 0.2], [0.4, 0.15, 0.15, 0.15, 0.15]),
        (0.3, 4, [0.3, 0.3, 0.3, 0.1], [0.3, 0.7 / 3, 0.7 / 3, 0.7 / 3]),
        (0.9, 3, [0.9, 0.1], [0.9, 0.05, 0.05]),
        (0.7, 2, [0.7, 0.3], [0.7, 0.3]),
        (1 / 3, 3, [1 / 3] * 3, [1 / 3] * 3),
        (1 / 128, 128, [1 / 128] * 128, [1 / 128] * 128),
        (0.2, 128, [0.2] * 5, [0.2, *[0.8 / 127] * 127]),
        (1.0, 7, [1.0], [1.0]),
    ],
)
def test_limits(share: float, values: int, least: list[float], greatest: list[float]) -> None:
    wanted = (bits(np.array(least)), bits(np.array(greatest)))
    assert entropy_limits(share, values=values) == pytest.approx(wanted, abs=1e-6)


@given(st.integers(2, 300), st.floats(0, 1), st.floats(0, 1))
def test_distribution(values: int, height: float, place: float) -> None:
    share = 1 / values + height * (1 - 1 / values)
    least, greatest = entropy_limits(share, values=values)
    assert 0 <= least <= greatest + 1e-9
    wanted = least + place * (greatest - least)
    found = distribution(share, wanted, values=values)
    assert found.shape == (values,)
    assert found.sum() == pytest.approx(1, abs=1e-9)
    assert found[0] == share
    assert found.min() >= 0
    assert (np.diff(found) <= 1e-9).all()
    assert bits(found) == pytest.approx(wanted, abs=1e-6)


def test_distribution_at_the_limits() -> None:
    least, greatest = entropy_limits(0.3, values=6)
    assert distribution(0.3, least, values=6) == pytest.approx([0.3, 0.3, 0.3, 0.1, 0, 0], abs=1e-6)
    assert distribution(0.3, greatest, values=6) == pytest.approx([0.3, *[0.14] * 5], abs=1e-4)


def test_distribution_is_a_capped_exponential() -> None:
    found = distribution(0.25, 2.5, values=8)
    assert np.count_nonzero(found == 0.25) == 2
    below = found[2:]
    assert below[1:] / below[:-1] == pytest.approx([below[1] / below[0]] * 5)
    assert below[0] ** 2 / below[1] > 0.25  # the one before would be above p0


@pytest.mark.parametrize(
    ("share", "wanted", "reason"),
    [
        (0.2, 1.0, "p0 must be from 1/3 to 1, not 0.2"),
        (1.5, 1.0, "p0 must be from 1/3 to 1, not 1.5"),
        (0.9, 1.0, "entropy must be from 0.4690 to 0.5690 bits where p0 is 0.9, not 1"),
        (0.9, 0.4, "entropy must be from 0.4690 to 0.5690 bits where p0 is 0.9, not 0.4"),
        (float("nan"), 0.4, "p0 must be from 1/3 to 1, not nan"),
        (0.9, float("nan"), "entropy must be from 0.4690 to 0.5690 bits where p0 is 0.9, not nan"),
    ],
)
def test_no_such_distribution(share: float, wanted: float, reason: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(reason)}$"):
        distribution(share, wanted, values=3)


@pytest.fixture(scope="module")
def plane() -> Plane:
    """The shape of the paper's experiment."""
    return compute_plane(rows=100, columns=100, values=128, points=24)


def nearest(plane: Plane, share: float, place: float) -> tuple[int, int]:
    return int(np.argmin(np.abs(plane.shares - share))), round(place * (len(plane.shares) - 1))


def test_places(plane: Plane) -> None:
    assert (plane.shares[0], plane.shares[-1]) == (1 / 128, 0.999)
    for row, share in enumerate(plane.shares):
        assert (plane.entropies[row, 0], plane.entropies[row, -1]) == entropy_limits(share, values=128)
    assert set(plane.costs) == set(Measure)
    assert list(plane.costs[Measure.ENERGY]) == ["dense", "packed", "bitmap", "csr", "run_length", "cer", "cser"]
    assert (plane.costs[Measure.STORAGE]["dense"] == 32 * 10_000).all()


@pytest.mark.parametrize("measure", Measure)
def test_regions_of_the_paper(plane: Plane, measure: Measure) -> None:
    """CSR where nearly all is one value and the rest is anything, CER and CSER where the entropy is least."""
    best = plane.cheapest(measure, PAPER)
    assert best[nearest(plane, 0.999, 1)] == "csr"
    for share, place in [(0.2, 0), (0.5, 0.2), (0.9, 0.3), (0.3, 0.4)]:
        assert best[nearest(plane, share, place)] in ("cer", "cser")


def test_dense_wins_at_the_greatest_entropy(plane: Plane) -> None:
    assert plane.cheapest(Measure.OPERATIONS, PAPER)[nearest(plane, 0.04, 1)] == "dense"
    assert not (plane.cheapest(Measure.STORAGE, PAPER) == "dense").any()  # 100 columns: 8 bits an index, 32 a value
    many = compute_plane(rows=256, columns=784, values=4096, points=4)
    for measure in Measure:
        assert many.cheapest(measure, PAPER)[0, -1] == "dense"
    assert many.cheapest(Measure.STORAGE)[0, -1] == "packed"


@pytest.mark.parametrize(("share", "place"), [(0.9, 0.3), (0.3, 0.6), (0.1, 0.9), (0.6, 1.0), (0.25, 0.1)])
def test_costs_of_drawn_matrices(plane: Plane, share: float, place: float) -> None:
    """Every code but dense, on a matrix drawn at that place."""
    row, column = nearest(plane, share, place)
    shares = distribution(plane.shares[row], plane.entropies[row, column], values=128)
    ranks = np.random.default_rng(3).choice(128, size=(100, 100), p=shares / shares.sum())
    matrix = ranks.astype(np.float32)
    found = matrix_costs(matrix)
    assert found.statistics.entropy == pytest.approx(plane.entropies[row, column], rel=0.05)
    for code, encoded in found.codes.items():
        for measure in Measure:
            guess = plane.costs[measure][code][row, column]
            assert guess == pytest.approx(measure.of(encoded), rel=0.06), (code, measure)


def test_ternary() -> None:
    plane = compute_plane(rows=40, columns=90, values=3, ternary=True, tight=True, points=5)
    assert "base3" in plane.costs[Measure.STORAGE]
    shares = distribution(plane.shares[2], plane.entropies[2, 3], values=3)
    kept = expected_statistics(shares, rows=40, columns=90).kept
    assert plane.costs[Measure.STORAGE]["bitmap"][2, 3] == 3 * 32 + 3600 + kept
    assert (plane.cheapest(Measure.STORAGE)[0] == "base3").all()
    assert (plane.cheapest(Measure.STORAGE)[-1] == "run_length").all()


def test_the_first_of_equals() -> None:
    plane = compute_plane(rows=2, columns=2, values=3, points=2)
    assert (plane.cheapest(Measure.STORAGE, ["cer", "cer"]) == "cer").all()
    one = {measure: {code: np.ones((1, 1)) for code in ("csr", "cer")} for measure in Measure}
    tie = Plane(rows=1, columns=1, values=3, shares=np.ones(1), entropies=np.ones((1, 1)), costs=one)
    assert tie.cheapest(Measure.ENERGY).tolist() == [["csr"]]
    assert tie.cheapest(Measure.ENERGY, ["cer", "csr"]).tolist() == [["cer"]]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"rows": 0}, "rows must be a positive integer, not 0"),
        ({"columns": 0}, "columns must be a positive integer, not 0"),
        ({"values": 2}, "values must be an integer from 3 to 4096, not 2"),
        ({"values": 4097}, "values must be an integer from 3 to 4096, not 4097"),
        ({"values": 4, "ternary": True}, "a ternary matrix has 3 values, not 4"),
        ({"points": 1}, "points must be an integer of at least 2, not 1"),
    ],
)
def test_refused(changes: dict[str, int], reason: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(reason)}$"):
        compute_plane(**{"rows": 3, "columns": 3, "values": 3, **changes})


def test_entropy_is_that_of_a_matrix() -> None:
    matrix = np.array([[0, 0, 1, 2]])
    assert bits(np.array([0.5, 0.25, 0.25])) == entropy(matrix) == matrix_statistics(matrix).entropy
