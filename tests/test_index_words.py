"""The benchmark of the index words: what it measures of a matrix, and what the page says of its bounds."""

from __future__ import annotations

from typing import Any

import index_page
import index_words
import numpy as np
import pytest


def result(ratio: float, used: float) -> dict[str, Any]:
    """A result of one small matrix at all shares of zeros, with a ratio and a utilization at 95 % zeros."""
    measured = index_words.measure(index_words.random_matrix(0.8, seed=1, rows=16, columns=64))
    cases: list[dict[str, Any]] = []
    for zeros in index_words.ZEROS:
        cases.append({"wanted_zeros": zeros, **index_words.together([measured]), "matrices": [measured]})
        cases[-1]["over_entropy"]["schedule"] = ratio if zeros == 0.95 else 1.0
        cases[-1]["utilization"] = used if zeros == 0.95 else 0.99
    layers = [{"name": "fc1", **measured}]
    models = [{"name": "small", "digest": "", **index_words.together(layers), "layers": layers}]
    made = {
        "label": None,
        "lanes": index_words.LANES,
        "seeds": [1],
        "bounds": index_words.BOUNDS,
        "bounded": index_words.BOUNDED,
        "random": cases,
        "models": models,
        "kept": index_words.check(cases),
    }
    return {**made, "before": dict(made)}


@pytest.mark.parametrize(
    ("ratio", "used", "verdict"),
    [
        (1.10, 0.98, "aim met"),
        (1.11, 0.98, "must met, aim missed"),
        (1.21, 0.99, "**must missed**"),
        (1.05, 0.97, "**must missed**"),
    ],
)
def test_the_page_says_which_bounds_are_kept(ratio: float, used: float, verdict: str) -> None:
    text = index_page.words(result(ratio, used))
    assert f"{ratio:.3f} at worst and {100 * used:.1f} % at least: {verdict}." in text
    assert "| `small` |" in text


def test_a_schedule_is_counted_whole_and_columns_are_relaid_as_it_has_them() -> None:
    matrix = index_words.random_matrix(0.9, seed=2, rows=16, columns=100)
    matrix[:, 40:60] = 0
    measured = index_words.measure(matrix)
    schedule = index_words.compile_schedule(matrix, lanes=8)
    assert measured["bits"]["schedule"] == schedule.bits
    assert measured["map_bits"] == 100
    laid = index_words.relaid(matrix, schedule)
    assert (np.count_nonzero(laid, axis=1) == np.count_nonzero(matrix, axis=1)).all()
    assert np.count_nonzero(matrix.any(axis=0)) <= laid.shape[1] < 80
    both = index_words.together([measured, measured])
    assert both["over_entropy"]["csr"] == pytest.approx(measured["bits"]["csr"] / measured["entropy_bits"])
