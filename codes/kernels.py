"""Compiled products, threaded over rows. Importing this module imports numba; sterna.codes does so when it must.

Arguments were checked when the code was made: nothing here is. Streams of bits are uint64 words as
:func:`sterna.codes.packing.words` makes them, with a word of zeros behind the end, so that a field may be read
across words without looking. All arithmetic on them is in uint64: numba makes floats of mixed signs.

Sums run in several accumulators, since one would wait for each addition's result; slices start at 0, so that the
compiler knows that no index is negative. All kernels are in one file, since numba's cache on disk notices changes of a
kernel's own file only. Only :func:`dense` lets the compiler change the order of float additions by
itself (``fastmath``), which SIMD needs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import binding, ir
from numba import config, njit, prange, types
from numba.core import cgutils
from numba.extending import intrinsic

_ONE, _SIX, _63, _HALF = np.uint64(1), np.uint64(6), np.uint64(63), np.uint64(32)
_64 = 64
DENSE_FASTMATH = {"reassoc", "nsz", "contract"}  # sums in any order, multiplications fused into them
_BITS = np.uint32(1) << np.arange(32, dtype=np.uint32)


def kernel(**options: Any) -> Callable[[Callable[..., None]], Any]:
    """Compiles a function for all threads, and keeps the result on disk where there is a folder to write to.

    There is none without a home in an installation that belongs to somebody else, as in a container of another user:
    then every process compiles anew.
    """

    def compile(function: Callable[..., None]) -> Any:
        try:
            return njit(parallel=True, cache=True, **options)(function)
        except RuntimeError:  # numba's "no locator available": it asks for the folder when a function is decorated
            return njit(parallel=True, **options)(function)

    return compile


@intrinsic
def trailing_zeros(context: Any, word: Any) -> Any:
    """Number of zero bits below the lowest one of a uint64 that is not 0: int64."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 1))

    return types.int64(types.uint64), generate


@intrinsic
def count_ones(context: Any, word: Any) -> Any:
    """Number of one bits of a uint64: int64."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return types.int64(types.uint64), generate


@intrinsic
def deposit_bmi2(context: Any, source: Any, mask: Any) -> Any:
    """:func:`deposit_plain` in one instruction of x86 with BMI2."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        word = ir.IntType(64)
        kind = ir.FunctionType(word, [word, word])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.x86.bmi.pdep.64")
        return builder.call(function, arguments)

    return types.uint64(types.uint64, types.uint64), generate


@njit(inline="always")
def deposit_plain(source: Any, mask: Any) -> Any:
    """The lowest bits of ``source`` at the places where ``mask`` has ones, in order; 0 elsewhere. All uint64."""
    placed = np.uint64(0)
    while mask:
        rest = mask & (mask - _ONE)
        if source & _ONE:
            placed |= mask ^ rest
        source >>= _ONE
        mask = rest
    return placed


HAS_BMI2 = bool(binding.get_host_cpu_features().get("bmi2")) and not (config.CPU_NAME or config.CPU_FEATURES)
deposit = deposit_bmi2 if HAS_BMI2 else deposit_plain


@njit(inline="always")
def read_word(words: np.ndarray, bit: Any) -> Any:
    """64 bits from a place on."""
    place = np.uint64(bit)
    index, shift = place >> _SIX, place & _63
    return (words[index] >> shift) | ((words[index + _ONE] << _ONE) << (_63 - shift))


@njit(inline="always")
def gather_sum(columns: np.ndarray, x: np.ndarray, zero: Any) -> Any:
    """Sum of ``x[columns]`` in eight accumulators."""
    whole = columns.size // 8 * 8
    s0 = s1 = s2 = s3 = s4 = s5 = s6 = s7 = zero
    for k in range(0, whole, 8):
        s0 += x[columns[k]]
        s1 += x[columns[k + 1]]
        s2 += x[columns[k + 2]]
        s3 += x[columns[k + 3]]
        s4 += x[columns[k + 4]]
        s5 += x[columns[k + 5]]
        s6 += x[columns[k + 6]]
        s7 += x[columns[k + 7]]
    for k in range(whole, columns.size):
        s0 += x[columns[k]]
    return ((s0 + s1) + (s2 + s3)) + ((s4 + s5) + (s6 + s7))


@njit(inline="always")
def gather_dot(columns: np.ndarray, codes: np.ndarray, factors: np.ndarray, x: np.ndarray, zero: Any) -> Any:
    """Sum of ``factors[codes] * x[columns]`` in four accumulators."""
    whole = columns.size // 4 * 4
    s0 = s1 = s2 = s3 = zero
    for k in range(0, whole, 4):
        s0 += factors[codes[k]] * x[columns[k]]
        s1 += factors[codes[k + 1]] * x[columns[k + 1]]
        s2 += factors[codes[k + 2]] * x[columns[k + 2]]
        s3 += factors[codes[k + 3]] * x[columns[k + 3]]
    for k in range(whole, columns.size):
        s0 += factors[codes[k]] * x[columns[k]]
    return (s0 + s1) + (s2 + s3)


@njit(inline="always")
def add_row(factor: Any, row: np.ndarray, out: np.ndarray) -> None:
    """``out += factor * row``."""
    for c in range(out.size):
        out[c] += factor * row[c]


# --- dense -----------------------------------------------------------------------------------------------------------


@kernel(fastmath=DENSE_FASTMATH)
def dense(matrix: np.ndarray, x: np.ndarray, out: np.ndarray) -> None:
    """The plain loop."""
    for i in prange(out.size):
        row, total = matrix[i], out[i]
        for j in range(row.size):
            total += row[j] * x[j]
        out[i] = total


@kernel()
def dense_many(matrix: np.ndarray, x: np.ndarray, out: np.ndarray) -> None:
    """The plain loop, a row of the operand at a time."""
    for i in prange(out.shape[0]):
        row, total = matrix[i], out[i]
        for j in range(row.size):
            add_row(row[j], x[j], total)


@kernel()
def packed(words: np.ndarray, bits: Any, factors: np.ndarray, x: np.ndarray, out: np.ndarray) -> None:
    """Factors looked up by codes of ``bits`` bits."""
    mask = (_ONE << bits) - _ONE
    for i in prange(out.size):
        total = out[i]
        for j in range(x.size):
            total += factors[read_word(words, np.uint64(i * x.size + j) * bits) & mask] * x[j]
        out[i] = total


@kernel()
def packed_quarters(codes: np.ndarray, table: np.ndarray, x: np.ndarray, out: np.ndarray) -> None:
    """Codes of 2 bits: factors looked up four at a time; ``table`` is (256, 4)."""
    columns = x.size
    for i in prange(out.size):
        first = i * columns
        head = min(-first % 4, columns)
        s0 = s1 = s2 = s3 = out[i]
        for j in range(head):
            s0 += table[codes[(first + j) // 4], (first + j) % 4] * x[j]
        whole = (columns - head) // 4
        middle = codes[(first + head) // 4 : (first + head) // 4 + whole]
        rest = x[head:]
        for k in range(whole):
            row = table[middle[k]]
            s0 += row[0] * rest[4 * k]
            s1 += row[1] * rest[4 * k + 1]
            s2 += row[2] * rest[4 * k + 2]
            s3 += row[3] * rest[4 * k + 3]
        for j in range(head + 4 * whole, columns):
            s1 += table[codes[(first + j) // 4], (first + j) % 4] * x[j]
        out[i] = (s0 + s1) + (s2 + s3)


@kernel()
def packed_many(words: np.ndarray, bits: Any, factors: np.ndarray, x: np.ndarray, out: np.ndarray) -> None:
    """The same for several vectors."""
    mask = (_ONE << bits) - _ONE
    for i in prange(out.shape[0]):
        total = out[i]
        for j in range(x.shape[0]):
            add_row(factors[read_word(words, np.uint64(i * x.shape[0] + j) * bits) & mask], x[j], total)


@kernel()
def base3(trits: np.ndarray, table: np.ndarray, x: np.ndarray, out: np.ndarray) -> None:
    """Elements looked up five at a time; ``table`` is (243, 5)."""
    columns = x.size
    for i in prange(out.size):
        first = i * columns
        head = min(-first % 5, columns)
        s0 = s1 = s2 = s3 = s4 = out[i]
        for j in range(head):
            s0 += table[trits[(first + j) // 5], (first + j) % 5] * x[j]
        whole = (columns - head) // 5
        middle = trits[(first + head) // 5 : (first + head) // 5 + whole]
        rest = x[head:]
        for k in range(whole):
            row = table[middle[k]]
            s0 += row[0] * rest[5 * k]
            s1 += row[1] * rest[5 * k + 1]
            s2 += row[2] * rest[5 * k + 2]
            s3 += row[3] * rest[5 * k + 3]
            s4 += row[4] * rest[5 * k + 4]
        for j in range(head + 5 * whole, columns):
            s1 += table[trits[(first + j) // 5], (first + j) % 5] * x[j]
        out[i] = ((s0 + s1) + (s2 + s3)) + s4


@kernel()
def base3_many(trits: np.ndarray, table: np.ndarray, x: np.ndarray, out: np.ndarray) -> None:
    """The same for several vectors."""
    for i in prange(out.shape[0]):
        total = out[i]
        for j in range(x.shape[0]):
            place = i * x.shape[0] + j
            add_row(table[trits[place // 5], place % 5], x[j], total)


# --- CSR, CER, CSER --------------------------------------------------------------------------------------------------


@kernel()
def csr(starts: np.ndarray, columns: np.ndarray, values: np.ndarray, x: np.ndarray, out: np.ndarray) -> None:
    """A multiplication an element, in four accumulators."""
    for i in prange(out.size):
        column, value = columns[starts[i] : starts[i + 1]], values[starts[i] : starts[i + 1]]
        whole = column.size // 4 * 4
        s0 = s1 = s2 = s3 = out[i]
        for k in range(0, whole, 4):
            s0 += value[k] * x[column[k]]
            s1 += value[k + 1] * x[column[k + 1]]
            s2 += value[k + 2] * x[column[k + 2]]
            s3 += value[k + 3] * x[column[k + 3]]
        for k in range(whole, column.size):
            s0 += value[k] * x[column[k]]
        out[i] = (s0 + s1) + (s2 + s3)


@kernel()
def csr_many(starts: np.ndarray, columns: np.ndarray, values: np.ndarray, x: np.ndarray, out: np.ndarray) -> None:
    """The same for several vectors."""
    for i in prange(out.shape[0]):
        total = out[i]
        for k in range(starts[i], starts[i + 1]):
            add_row(values[k], x[columns[k]], total)


@kernel()
def groups(
    rows: np.ndarray,
    starts: np.ndarray,
    columns: np.ndarray,
    codes: np.ndarray,
    factors: np.ndarray,
    x: np.ndarray,
    out: np.ndarray,
) -> None:
    """A multiplication a group, of elements ``starts[g]`` to ``starts[g + 1]`` and factor ``factors[codes[g]]``."""
    for i in prange(out.size):
        total = zero = out[i]
        for g in range(rows[i], rows[i + 1]):
            total += factors[codes[g]] * gather_sum(columns[starts[g] : starts[g + 1]], x, zero)
        out[i] = total


@kernel()
def groups_many(
    rows: np.ndarray,
    starts: np.ndarray,
    columns: np.ndarray,
    codes: np.ndarray,
    factors: np.ndarray,
    x: np.ndarray,
    out: np.ndarray,
) -> None:
    """The same for several vectors."""
    for i in prange(out.shape[0]):
        total = out[i]
        sums = np.empty(out.shape[1], dtype=out.dtype)
        for g in range(rows[i], rows[i + 1]):
            sums[:] = 0
            for k in range(starts[g], starts[g + 1]):
                row = x[columns[k]]
                for c in range(sums.size):
                    sums[c] += row[c]
            add_row(factors[codes[g]], sums, total)


@kernel()
def group_signs(
    rows: np.ndarray,
    starts: np.ndarray,
    columns: np.ndarray,
    negative: np.ndarray,
    x: np.ndarray,
    out: np.ndarray,
) -> None:
    """No multiplication: the sum of a group is added, or subtracted where ``negative[g]``."""
    for i in prange(out.size):
        total = zero = out[i]
        for g in range(rows[i], rows[i + 1]):
            sum_ = gather_sum(columns[starts[g] : starts[g + 1]], x, zero)
            total += -sum_ if negative[g] else sum_
        out[i] = total


@kernel()
def group_signs_many(
    rows: np.ndarray,
    starts: np.ndarray,
    columns: np.ndarray,
    negative: np.ndarray,
    x: np.ndarray,
    out: np.ndarray,
) -> None:
    """The same for several vectors."""
    for i in prange(out.shape[0]):
        total = out[i]
        for g in range(rows[i], rows[i + 1]):
            for k in range(starts[g], starts[g + 1]):
                row = x[columns[k]]
                if negative[g]:
                    for c in range(total.size):
                        total[c] -= row[c]
                else:
                    for c in range(total.size):
                        total[c] += row[c]


# --- bitmap ----------------------------------------------------------------------------------------------------------


@njit(inline="always")
def mask_bits(mask: np.ndarray, bit: Any, left: Any) -> Any:
    """The next 64 bits of a row, or as many as it has left."""
    word = read_word(mask, bit)
    return word if left >= _64 else word & ((_ONE << np.uint64(left)) - _ONE)


@njit(inline="always")
def bitmap_row(mask: np.ndarray, row: Any, size: Any, columns: np.ndarray) -> None:
    """Columns of the kept elements of a row."""
    kept = 0
    for base in range(0, size, _64):
        word = mask_bits(mask, row * size + base, size - base)
        while word:
            columns[kept] = base + trailing_zeros(word)
            kept += 1
            word &= word - _ONE


@njit(inline="always")
def add_masked(sums: np.ndarray, x: np.ndarray, plus: Any, minus: Any, bits: np.ndarray) -> None:
    """32 elements, each by itself: ``x`` is added where ``plus`` has a one, subtracted where ``minus`` has."""
    for b in range(32):
        value = sums[b]
        if plus & bits[b]:
            value += x[b]
        if minus & bits[b]:
            value -= x[b]
        sums[b] = value


@kernel()
def bitmap_signs(
    mask: np.ndarray,
    kept: np.ndarray,
    signs: np.ndarray,
    first_is_negative: bool,
    both: bool,
    x: np.ndarray,
    out: np.ndarray,
) -> None:
    """No multiplication: the signs are dealt to the places of the kept elements, and masks choose what is added."""
    for i in prange(out.size):
        place, size = kept[i], x.size
        sums = np.zeros(_64, dtype=out.dtype)
        for base in range(0, size, _64):
            word = mask_bits(mask, i * size + base, size - base)
            ones = deposit(read_word(signs, place), word) if both else np.uint64(0)
            place += count_ones(word)
            zeros = word & ~ones
            if base + _64 <= size:
                add_masked(sums[:32], x[base : base + 32], np.uint32(zeros), np.uint32(ones), _BITS)
                add_masked(
                    sums[32:], x[base + 32 : base + 64], np.uint32(zeros >> _HALF), np.uint32(ones >> _HALF), _BITS
                )
            else:
                for b in range(size - base):
                    chosen = _ONE << np.uint64(b)
                    if zeros & chosen:
                        sums[b] += x[base + b]
                    if ones & chosen:
                        sums[b] -= x[base + b]
        total = sums.sum()
        out[i] = -total if first_is_negative else total


@njit(inline="always")
def row_codes(words: np.ndarray, bits: Any, first: Any, codes: np.ndarray) -> None:
    """Codes of the kept elements of a row, of ``bits`` bits each."""
    mask = (_ONE << bits) - _ONE
    for k in range(codes.size):
        codes[k] = read_word(words, np.uint64(first + k) * bits) & mask


@kernel()
def bitmap(
    mask: np.ndarray,
    kept: np.ndarray,
    words: np.ndarray,
    bits: Any,
    factors: np.ndarray,
    x: np.ndarray,
    out: np.ndarray,
) -> None:
    """A multiplication a kept element."""
    for i in prange(out.size):
        columns = np.empty(kept[i + 1] - kept[i], dtype=np.uint32)
        codes = np.empty(columns.size, dtype=np.uint32)
        bitmap_row(mask, i, x.size, columns)
        row_codes(words, bits, kept[i], codes)
        out[i] = gather_dot(columns, codes, factors, x, out[i])


@kernel()
def bitmap_many(
    mask: np.ndarray,
    kept: np.ndarray,
    words: np.ndarray,
    bits: Any,
    factors: np.ndarray,
    x: np.ndarray,
    out: np.ndarray,
) -> None:
    """The same for several vectors."""
    for i in prange(out.shape[0]):
        columns = np.empty(kept[i + 1] - kept[i], dtype=np.uint32)
        codes = np.empty(columns.size, dtype=np.uint32)
        bitmap_row(mask, i, x.shape[0], columns)
        row_codes(words, bits, kept[i], codes)
        for k in range(columns.size):
            add_row(factors[codes[k]], x[columns[k]], out[i])


# --- run length ------------------------------------------------------------------------------------------------------


@njit(inline="always")
def runs_row(stream: np.ndarray, run_bits: Any, word: Any, count: Any, column: Any, columns: np.ndarray) -> None:
    """Columns of the kept elements of a row.

    The row has ``count`` words from ``word`` on, where it stands at ``column``, below 0 for a run from the row before.
    An escape writes a column too, which the next word writes over: ``columns`` has room for one more than there are.
    """
    escape = np.int64((_ONE << run_bits) - _ONE)
    step = np.int64(_64 // run_bits)
    whole = count // step * step
    kept = np.uint64(0)
    for start in range(0, whole, step):
        window = read_word(stream, np.uint64(word + start) * run_bits)
        for _ in range(step):
            run = np.int64(window) & escape
            window >>= run_bits
            column += run
            columns[kept] = column
            keep = np.int64(run != escape)
            kept += np.uint64(keep)
            column += keep
    for start in range(whole, count):
        run = np.int64(read_word(stream, np.uint64(word + start) * run_bits)) & escape
        column += run
        columns[kept] = column
        keep = np.int64(run != escape)
        kept += np.uint64(keep)
        column += keep


@njit(inline="always")
def move_by_sign(signs: np.ndarray, first: Any, columns: np.ndarray, size: Any) -> None:
    """Adds ``size`` to every column whose sign bit is set: it then means the second half of a doubled operand."""
    whole = columns.size // _64 * _64
    for base in range(0, whole, _64):
        sign = read_word(signs, first + base)
        for b in range(_64):
            columns[base + b] += ((sign >> np.uint64(b)) & _ONE) * np.uint64(size)
    sign = read_word(signs, first + whole)
    for b in range(columns.size - whole):
        columns[whole + b] += ((sign >> np.uint64(b)) & _ONE) * np.uint64(size)


@kernel()
def runs_signs(
    stream: np.ndarray,
    run_bits: Any,
    first_words: np.ndarray,
    positions: np.ndarray,
    kept: np.ndarray,
    signs: np.ndarray,
    both: bool,
    x: np.ndarray,
    out: np.ndarray,
) -> None:
    """No multiplication: ``x`` holds the operand twice, first with the sign of code 0 and then with that of code 1."""
    size = x.size // 2
    for i in prange(out.size):
        scratch = np.empty(kept[i + 1] - kept[i] + 1, dtype=np.uint32)
        columns = scratch[:-1]
        words = first_words[i + 1] - first_words[i]
        runs_row(stream, run_bits, first_words[i], words, positions[i] - i * size, scratch)
        if both:
            move_by_sign(signs, kept[i], columns, size)
        out[i] = gather_sum(columns, x, out[i])


@kernel()
def runs(
    stream: np.ndarray,
    run_bits: Any,
    first_words: np.ndarray,
    positions: np.ndarray,
    kept: np.ndarray,
    words: np.ndarray,
    bits: Any,
    factors: np.ndarray,
    x: np.ndarray,
    out: np.ndarray,
) -> None:
    """A multiplication a kept element."""
    for i in prange(out.size):
        columns = np.empty(kept[i + 1] - kept[i] + 1, dtype=np.uint32)
        codes = np.empty(columns.size - 1, dtype=np.uint32)
        words_here = first_words[i + 1] - first_words[i]
        runs_row(stream, run_bits, first_words[i], words_here, positions[i] - i * x.size, columns)
        row_codes(words, bits, kept[i], codes)
        out[i] = gather_dot(columns[: codes.size], codes, factors, x, out[i])


@kernel()
def runs_many(
    stream: np.ndarray,
    run_bits: Any,
    first_words: np.ndarray,
    positions: np.ndarray,
    kept: np.ndarray,
    words: np.ndarray,
    bits: Any,
    factors: np.ndarray,
    x: np.ndarray,
    out: np.ndarray,
) -> None:
    """The same for several vectors."""
    for i in prange(out.shape[0]):
        columns = np.empty(kept[i + 1] - kept[i] + 1, dtype=np.uint32)
        codes = np.empty(columns.size - 1, dtype=np.uint32)
        words_here = first_words[i + 1] - first_words[i]
        runs_row(stream, run_bits, first_words[i], words_here, positions[i] - i * x.shape[0], columns)
        row_codes(words, bits, kept[i], codes)
        for k in range(codes.size):
            add_row(factors[codes[k]], x[columns[k]], out[i])
