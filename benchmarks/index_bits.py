"""Bits that a ternary matrix takes in codes that a lane could read: those of codes, and ideas for a better word.

All are counted tight: no width is larger than the matrix needs, the table of values has the fewest bits that tell
them apart, and only the codes with row pointers say where rows end otherwise than by their positions.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from sterna.codes import encode

#: The codes of codes that leave a ternary matrix smaller than a byte an element.
CODES = ("packed", "base3", "bitmap", "csr", "cer", "cser", "run_length")
#: Ones that a Rice code's unary part has at most: as many are an escape, which moves by all of them and adds nothing.
MAX_UNARY = 8
#: Share of words that add or subtract, where a code has to keep a lane as busy as the schedule does.
PACE = 0.98


def code_bits(matrix: np.ndarray) -> dict[str, int]:
    """Bits of each of :data:`CODES`.

    Parameters
    ----------
    matrix : int8, (rows, columns), in {-1, 0, 1}
    """
    coded = {name: encode(matrix, name) for name in CODES}
    return {name: code.storage(value_bits=code.least_value_bits, tight=True).bits for name, code in coded.items()}


def sign_planes(matrix: np.ndarray) -> np.ndarray:
    """int8, (2 * rows, columns): the plus ones of a row, then its minus ones, as ones."""
    rows, columns = matrix.shape
    return np.stack([matrix > 0, matrix < 0], axis=1).reshape(2 * rows, columns).astype(np.int8)


def linear_runs(matrix: np.ndarray) -> np.ndarray:
    """int64, (nonzeros,): zeros before each nonzero, row after row without ends."""
    return np.diff(np.flatnonzero(matrix), prepend=-1) - 1


def row_runs(matrix: np.ndarray) -> np.ndarray:
    """int64, (nonzeros,): zeros before each nonzero in its own row."""
    rows, columns = np.nonzero(matrix)
    before = np.diff(columns, prepend=-1) - 1
    first = np.diff(rows, prepend=-1) > 0
    return np.where(first, columns, before)


def fixed_bits(runs: np.ndarray) -> int:
    """Bits of runs in words of the best width; the word of all ones is an escape, and another one follows."""
    return min(width * int((1 + runs // ((1 << width) - 1)).sum()) for width in range(1, 17)) if len(runs) else 0


def paced_bits(runs: np.ndarray) -> int:
    """Bits of runs in the narrowest words of which :data:`PACE` are no escapes."""
    words = {width: int((1 + runs // ((1 << width) - 1)).sum()) for width in range(1, 33)}
    return next(width * count for width, count in words.items() if len(runs) >= PACE * count)


def rice_split(runs: np.ndarray, remainder: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(escapes before it, unary part, remainder) of each run, for a Rice code of that many bits of remainder."""
    step = MAX_UNARY << remainder
    rest = runs % step
    return runs // step, rest >> remainder, rest & (1 << remainder) - 1


def rice_bits(runs: np.ndarray, remainder: int) -> int:
    """Bits of runs and signs in a Rice code: sign, remainder, unary part, and a 0 behind it.

    An escape has sign and remainder too, and ``MAX_UNARY`` ones.
    """
    escapes, unary, _ = rice_split(runs, remainder)
    return int((escapes * (1 + remainder + MAX_UNARY) + 2 + remainder + unary).sum())


def best_rice(runs: np.ndarray) -> int:
    """The width of the remainder with which a Rice code takes the fewest bits."""
    return min(range(16 - MAX_UNARY), key=lambda remainder: rice_bits(runs, remainder))


def idea_bits(matrix: np.ndarray, *, seed: int = 0) -> Mapping[str, int]:
    """Bits with each idea alone, against ``run_length``: words of one width, runs that span rows, a sign a nonzero.

    ``row_flags``: runs begin anew with every row, and a bit a nonzero says whether it is the row's last (a row without
    any takes a word and both bits). ``row_counts``: the same with the number of each row's nonzeros instead.
    ``sign_groups``: a row's plus ones, then its minus ones, as two rows that runs span; no signs. ``rice``: words of
    variable width. ``shuffled``: run length, the columns in a random order. ``paced``: run length with so wide words
    that hardly one is an escape.
    """
    runs, nonzeros = row_runs(matrix), int(np.count_nonzero(matrix))
    lengths = np.count_nonzero(matrix, axis=1)
    flagged = np.append(runs, np.zeros(int(np.count_nonzero(lengths == 0)), np.int64))
    shuffled = matrix[:, np.random.default_rng(seed).permutation(matrix.shape[1])]
    across = linear_runs(matrix)
    return {
        "row_flags": fixed_bits(flagged) + 2 * len(flagged),
        "row_counts": fixed_bits(runs) + nonzeros + len(matrix) * int(lengths.max()).bit_length(),
        "sign_groups": fixed_bits(linear_runs(sign_planes(matrix))),
        "rice": rice_bits(across, best_rice(across)),
        "paced": paced_bits(across) + nonzeros,
        "shuffled": fixed_bits(linear_runs(shuffled)) + nonzeros,
    }
