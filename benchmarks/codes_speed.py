"""How fast a product with one vector is: every code of sterna.codes, BLAS, scipy's CSR, and a compiled dense loop.

    python benchmarks/codes_speed.py --output benchmarks/results/codes_speed.json

A random ternary matrix, a float32 vector, every product with the same number of threads (scipy's CSR has one only). The
dense loop is the code ``dense``, compiled by numba; that it uses SIMD is looked up in its machine code. Products take
turns, BLAS apart, so that other work on the machine meets all of them alike; the shortest time of each counts, and the
median stands beside it. Times include the checks of the operand.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any

import numba
import numpy as np
import scipy.sparse
from common import parser, write
from threadpoolctl import threadpool_limits

from sterna.codes import CODES, Dense, kernels

SEED = 1
LOOP = "dense"  # the code whose product is the plain compiled loop
BLAS = "numpy_dense"
PAUSE = 0.1  # seconds, for threads to fall asleep

Product = Callable[[], np.ndarray]


def ternary(side: int, zeros: float) -> np.ndarray:
    """Random int8 weights with about that share of zeros."""
    rng = np.random.default_rng(SEED)
    share = (1 - zeros) / 2
    return rng.choice(np.array([-1, 0, 1], dtype=np.int8), size=(side, side), p=[share, zeros, share])


def products(matrix: np.ndarray, x: np.ndarray) -> tuple[dict[str, Product], dict[str, float]]:
    """Every product by name, and bits an element of each code."""
    floats = matrix.astype(np.float32)
    sparse = scipy.sparse.csr_array(floats)
    made: dict[str, Product] = {BLAS: lambda: floats @ x, "scipy_csr": lambda: sparse @ x}
    bits = {}
    for name, code in CODES.items():
        coded = code.encode(floats if code is Dense else matrix)
        made[name] = lambda coded=coded: coded.matvec(x, compiled=True)
        bits[name] = coded.storage().bits / matrix.size
    return made, bits


def check(made: dict[str, Product], matrix: np.ndarray, x: np.ndarray) -> None:
    """Every product against float64, to the rounding of float32 sums."""
    wanted = matrix.astype(np.float64) @ x.astype(np.float64)
    bound = np.finfo(np.float32).eps * (np.abs(matrix).astype(np.float64) @ np.abs(x).astype(np.float64)).max() * 16
    for name, product in made.items():
        difference = float(np.abs(product() - wanted).max())
        if difference > bound:
            raise SystemExit(f"{name} is wrong by {difference}, more than rounding explains ({bound})")


def take_turns(made: dict[str, Product], rounds: int) -> dict[str, dict[str, float]]:
    """Shortest and median milliseconds of each product over so many rounds.

    BLAS has its rounds apart: its threads wait for more work in a loop for a while after a call, and would take the
    cores from a kernel that came next, as the kernels' threads would from BLAS.
    """
    seconds: dict[str, list[float]] = {name: [] for name in made}
    for turn in ([name for name in made if name != BLAS], [name for name in made if name == BLAS]):
        time.sleep(PAUSE)
        for _ in range(rounds):
            for name in turn:
                start = time.perf_counter()
                made[name]()
                seconds[name].append(time.perf_counter() - start)
    return {name: {"best_ms": 1e3 * min(t), "median_ms": 1e3 * float(np.median(t))} for name, t in seconds.items()}


def packed_instructions() -> dict[str, int]:
    """Packed single-precision multiplications and additions in the machine code of the dense loop, by instruction."""
    loop = numba.njit(parallel=True, fastmath=kernels.DENSE_FASTMATH)(kernels.dense.py_func)
    signature = (numba.float32[:, ::1], numba.float32[::1], numba.float32[::1])
    loop.compile(signature)
    found = re.findall(r"\b(v?(?:fmadd\d+|mul|add)ps)\b.*[xyz]mm", loop.inspect_asm(loop.signatures[0]))
    return {name: found.count(name) for name in sorted(set(found))}


def measure(side: int, zeros: float, rounds: int) -> dict[str, Any]:
    """Times of all products of one matrix, and how many times faster each is than the loop and than scipy's CSR."""
    matrix = ternary(side, zeros)
    x = np.random.default_rng(SEED + 1).standard_normal(side).astype(np.float32)
    made, bits = products(matrix, x)
    check(made, matrix, x)
    times = take_turns(made, rounds)
    for name, entry in times.items():
        entry["against_dense_loop"] = times[LOOP]["best_ms"] / entry["best_ms"]
        entry["against_scipy_csr"] = times["scipy_csr"]["best_ms"] / entry["best_ms"]
        if name in bits:
            entry["bits_per_element"] = bits[name]
    return {"side": side, "zeros": zeros, "rounds": rounds, "products": times}


def main() -> None:
    command = parser(__doc__)
    command.add_argument("--side", type=int, default=4096, help="rows and columns (default %(default)s)")
    command.add_argument("--zeros", type=float, default=0.9, help="share of zeros (default %(default)s)")
    command.add_argument("--rounds", type=int, default=200, help="runs of each product (default %(default)s)")
    command.add_argument("--threads", type=int, default=numba.config.NUMBA_NUM_THREADS, help="default %(default)s")
    arguments = command.parse_args()
    if not (0 < arguments.zeros < 1 and min(arguments.side, arguments.rounds) >= 1):
        command.error("--zeros must lie between 0 and 1, --side and --rounds be positive")
    if not 1 <= arguments.threads <= numba.config.NUMBA_NUM_THREADS:
        command.error(f"--threads must be an integer from 1 to {numba.config.NUMBA_NUM_THREADS}")
    numba.set_num_threads(arguments.threads)
    with threadpool_limits(arguments.threads):
        result = measure(arguments.side, arguments.zeros, arguments.rounds)
    for name, entry in sorted(result["products"].items(), key=lambda item: item[1]["best_ms"]):
        print(
            f"{name:12} {entry['best_ms']:8.3f} ms ({entry['median_ms']:.3f}), {entry['against_dense_loop']:5.2f} x "
            f"the dense loop, {entry['against_scipy_csr']:5.2f} x scipy's CSR"
        )
    simd = packed_instructions()
    print("packed instructions of the dense loop:", ", ".join(f"{n} {name}" for name, n in simd.items()) or "none")
    figures = {"seed": SEED, "threads": arguments.threads, "dense_loop_simd": simd, **result}
    write(arguments.output, ("numpy", "scipy", "numba", "llvmlite"), figures)


if __name__ == "__main__":
    main()
