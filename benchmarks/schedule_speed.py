"""How long a layer's schedule takes to compile, and how near its steps are to what is expected without compiling.

Random matrices of 95 % zeros, and the dense layers of the committed networks. Seconds are CPU time, the best of
``--repeats`` runs; ``error`` is how much too low the expected steps are, as a share of the schedule's.

``python benchmarks/schedule_speed.py --output benchmarks/results/schedule_speed.json``
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from common import MODELS, parser, write

from sterna.hw.index.schedule import compile_schedule, expected_steps, least_steps
from sterna.net import Linear, load

SEED = 1
ZEROS = 0.95
SHAPES = ((256, 256), (512, 512), (1024, 1024), (1000, 512), (2048, 256))
LANES = (8, 16, 32)
LAYER_LANES = (1, 2, 4, 8, 16, 32)
#: Larger layers are those behind convolutions, which are not compiled yet.
MAX_WEIGHTS = 800 * 1000

T = TypeVar("T")


def ternary(rows: int, columns: int) -> np.ndarray:
    """int8, random weights."""
    rng = np.random.default_rng(SEED)
    return rng.choice(np.array([-1, 0, 1], np.int8), (rows, columns), p=[(1 - ZEROS) / 2, ZEROS, (1 - ZEROS) / 2])


def timed(call: Callable[[], T]) -> tuple[float, T]:
    """CPU seconds of a call, and what it gives."""
    start = time.process_time()
    result = call()
    return time.process_time() - start, result


def measure(weights: np.ndarray, *, lanes: int, natural: bool, repeats: int) -> dict[str, Any]:
    """One schedule, its time and its steps against the bound and the expectation."""
    runs = [timed(lambda: compile_schedule(weights, lanes=lanes, natural=natural)) for _ in range(repeats)]
    expecting, expected = timed(lambda: expected_steps(weights, lanes=lanes, natural=natural))
    steps = runs[0][1].steps
    return {
        "rows": weights.shape[0],
        "columns": weights.shape[1],
        "lanes": lanes,
        "natural": natural,
        "seconds": min(seconds for seconds, _ in runs),
        "all_seconds": [seconds for seconds, _ in runs],
        "steps": steps,
        "least_steps": least_steps(weights, lanes=lanes, natural=natural),
        "expected_steps": expected,
        "expected_seconds": expecting,
        "error": 1 - expected / steps,
    }


def layers() -> list[tuple[str, np.ndarray]]:
    """Weights of the committed networks' dense layers."""
    return [
        (f"{path.stem}/{node.name}", node.weights)
        for path in sorted(MODELS.glob("*.safetensors"))
        for node in load(path).nodes
        if isinstance(node, Linear) and node.weights.size <= MAX_WEIGHTS
    ]


def main() -> None:
    command = parser(__doc__)
    command.add_argument("--repeats", type=int, default=3, help="runs of each random matrix (default %(default)s)")
    arguments = command.parse_args()
    if arguments.repeats < 1:
        command.error(f"--repeats must be a positive integer, not {arguments.repeats}")
    figures = {
        "seed": SEED,
        "zeros": ZEROS,
        "random": [
            measure(ternary(*shape), lanes=lanes, natural=False, repeats=arguments.repeats)
            for shape in SHAPES
            for lanes in LANES
        ],
        "layers": [
            {"layer": name} | measure(weights, lanes=lanes, natural=natural, repeats=1)
            for name, weights in layers()
            for lanes in LAYER_LANES
            for natural in (False, True)
            if lanes <= len(weights)
        ],
    }
    write(arguments.output, ("numpy",), figures)


if __name__ == "__main__":
    main()
