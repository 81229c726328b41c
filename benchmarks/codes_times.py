"""Times of the study's matrices: a product in every code, a compiled dense loop, BLAS and scipy's CSR.

Of one input: a dense layer is multiplied with a vector, a convolution with a matrix of some of its places, whose time
is then scaled to all of them; so is the time of some rows of large drawn matrices. Of a batch: every layer is
multiplied with a matrix of as many columns as the batch has inputs, and calls take a lesser part of the time. A
network's time is the sum over its layers.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numba
import numpy as np
import scipy.sparse
from architectures import ARCHITECTURES
from codes_drawn import SEED, WANTED
from codes_speed import BLAS, LOOP, Product, check, take_turns
from codes_trained import Case, every_case
from low_entropy import draw, solve
from threadpoolctl import threadpool_limits

from sterna.codes import CODES, Base3, Dense

MOST_PLACES = 256  # multiplied at once, and inputs of a batch
MOST_ELEMENTS = 1 << 23  # of a drawn matrix: 33 MB of floats
MOST_PRODUCTS = 1 << 27  # of elements and places of a drawn matrix

Piece = tuple[np.ndarray, int, float]  # matrix, places, how often this is to be counted


def drawn_pieces(name: str, *, batch: bool) -> Iterator[Piece]:
    """One matrix of each shape that a drawn network has."""
    layers = ARCHITECTURES[name].layers
    shares = solve(WANTED[name], layers).shares
    shapes = Counter((layer.rows, layer.columns, layer.positions) for layer in layers)
    for number, ((rows, columns, places), count) in enumerate(shapes.items()):
        elements = min(MOST_ELEMENTS, MOST_PRODUCTS // at_once(places, batch=batch))
        some = min(rows, math.ceil(elements / columns))
        yield draw(shares, some, columns, (SEED, number)), places, count * rows / some


def trained_pieces(case: Case, *, batch: bool) -> Iterator[Piece]:
    """All matrices of a case."""
    for _, matrix, places in case.layers:
        yield matrix, places, 1.0


def at_once(places: int, *, batch: bool) -> int:
    """Columns of the operand."""
    return MOST_PLACES if batch else min(places, MOST_PLACES)


def products(matrix: np.ndarray, x: np.ndarray) -> dict[str, Product]:
    """Every product by name."""
    floats = matrix.astype(np.float32)
    sparse = scipy.sparse.csr_array(floats)
    made: dict[str, Product] = {BLAS: lambda: floats @ x, "scipy_csr": lambda: sparse @ x}
    for name, code in CODES.items():
        if code is Base3 and not np.isin(matrix, (-1, 0, 1)).all():
            continue
        coded = code.encode(floats if code is Dense else matrix)
        vector = x.ndim == 1
        made[name] = lambda c=coded, v=vector: c.matvec(x, compiled=True) if v else c.matmat(x, compiled=True)
    return made


def time_pieces(pieces: Iterable[Piece], rounds: int, *, batch: bool) -> dict[str, float]:
    """Milliseconds an input by product, of the shortest of so many rounds for every matrix.

    Products that not all matrices have are left out.
    """
    sums: list[dict[str, float]] = []
    rng = np.random.default_rng(SEED)
    for matrix, places, count in pieces:
        some = at_once(places, batch=batch)
        x = rng.standard_normal((matrix.shape[1], some)[: 1 + (some > 1)]).astype(np.float32)
        made = products(matrix, x)
        check(made, matrix, x)
        times = take_turns(made, rounds)
        sums.append({name: time["best_ms"] * count * places / some for name, time in times.items()})
    return {name: sum(part[name] for part in sums) for name in sums[0] if all(name in part for part in sums)}


def measure(folder: Path | None, rounds: int) -> dict[str, Any]:
    """Times of the drawn networks and of all cases of trained weights, and gains over the dense loop."""
    threads = numba.get_num_threads()
    cases: dict[str, Any] = {}
    with threadpool_limits(threads):
        for key, pieces in _every_network(folder):
            cases[key] = {
                "one": _entry(time_pieces(pieces(batch=False), rounds, batch=False)),
                "batch": _entry(time_pieces(pieces(batch=True), rounds, batch=True)),
            }
            gains = ", ".join(f"{name} {gain:.2f}" for name, gain in cases[key]["one"]["gains"].items())
            print(f"{key}: {cases[key]['one']['ms'][LOOP]:.3f} ms; times faster: {gains}", flush=True)
    return {"seed": SEED, "rounds": rounds, "threads": threads, "most_places": MOST_PLACES, "cases": cases}


def _every_network(folder: Path | None) -> Iterator[tuple[str, Callable[..., Iterable[Piece]]]]:
    """Every network's name, and what gives its pieces with or without ``batch``."""
    for name in WANTED:
        yield name, partial(drawn_pieces, name)
    for case in every_case(folder):
        yield case.key, partial(trained_pieces, case)


def _entry(times: Mapping[str, float]) -> dict[str, Any]:
    return {"ms": dict(times), "gains": {name: times[LOOP] / time for name, time in times.items() if name != LOOP}}
