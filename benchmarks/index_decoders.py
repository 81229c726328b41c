"""What it takes a lane to read each code: logic, its depth, and the share of cycles in which it adds or subtracts.

    python benchmarks/index_decoders.py --output benchmarks/results/index_decoders.json

One random 256 x 784 matrix at 95 % zeros. Sterna's own is compiled for 8 lanes, and everything between its memories and
the positions of all lanes is measured, with what they share, and divided by 8. Each other decoder gets the rows of the
first of these lanes, for one lane. Every decoder is simulated first: the exit status is 1 where a weight, its place or
its sign differs from the matrix.

Cycles are counted to the last weight; that lanes at paces of their own would wait for each other at the end of a frame
is not counted against the other codes. Stored bits are those of the memories' words, against the entropy of the rows.
Yosys maps to ECP5 and to iCE40 as sterna.flow.synth does, and nothing is placed. Memories are black boxes to it, and
the registers behind them are not counted. Levels are the tables and chains of carry cells on the longest way from a
register or a memory to the next.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from common import parser, write
from decoders import Decoder, decode, elements
from decoders_cost import place
from decoders_lane import UnitFront
from decoders_masks import Base3, Bitmap, Packed
from decoders_runs import Csr, Grouped, Rice, RunLength, SignGroups
from index_words import LANES, random_matrix

from sterna.flow.toolchain import Tool, tool_version
from sterna.hw.index.schedule import compile_schedule
from sterna.net import entropy

ZEROS, SEED = 0.95, 0
OTHERS: dict[str, Callable[[np.ndarray], Decoder]] = {
    "packed": Packed,
    "base3": Base3,
    "bitmap, words of 16": lambda rows: Bitmap(rows, word=16),
    "bitmap, words of 32": lambda rows: Bitmap(rows, word=32),
    "csr": Csr,
    "cer": lambda rows: Grouped(rows, code="cer"),
    "cser": lambda rows: Grouped(rows, code="cser"),
    "run_length": RunLength,
    "run_length, 7 bits": lambda rows: RunLength(rows, run_bits=7),
    "sign_groups": SignGroups,
    "rice": Rice,
}


def figures(name: str, make: Callable[[], Decoder], matrix: np.ndarray) -> dict[str, Any]:
    """Simulation and cost of a decoder; whatever is elaborated is made anew."""
    nonzeros = int(np.count_nonzero(matrix))
    decoder = make()
    found, cycles = decode(decoder, nonzeros)
    made = {
        "name": name,
        "equal": found == elements(matrix),
        "lanes": len(decoder.o),
        "weights": nonzeros,
        "cycles": cycles,
        "used": nonzeros / (cycles * len(decoder.o)),
        "stored_over_entropy": decoder.memory_bits / (entropy(matrix) * matrix.size),
        "memories": decoder.memories / len(decoder.o),
        "families": place(make()),
    }
    show(made)
    return made


def show(made: dict[str, Any]) -> None:
    """One line."""
    costs = ", ".join(
        f"{family} {cost['lut4']:.1f} LUT4, {cost['carry']:.1f} carry, {cost['flip_flops']:.1f} flip-flops, "
        f"{cost['levels']} levels"
        for family, cost in made["families"].items()
    )
    state = "equal" if made["equal"] else "DIFFERENT"
    print(f"{made['name']}: {state}, {100 * made['used']:.1f} % of the cycles; {costs}", flush=True)


def main() -> int:
    """Measures, prints a line a decoder, and writes JSON."""
    arguments = parser(__doc__).parse_args()
    matrix = random_matrix(ZEROS, SEED)
    schedule = compile_schedule(matrix, lanes=LANES)
    rows = matrix[list(schedule.rows[0])]
    found = [figures("schedule", lambda: UnitFront(schedule, matrix.shape), matrix)]
    found += [figures(name, partial(make, rows), rows) for name, make in OTHERS.items()]
    good = all(made["equal"] for made in found)
    result = {
        "zeros": ZEROS,
        "seed": SEED,
        "rows": matrix.shape[0],
        "columns": matrix.shape[1],
        "lanes": LANES,
        "tools": {"yosys": tool_version(Tool.YOSYS)},
        "decoders": found,
    }
    write(arguments.output, ("amaranth", "numpy"), result)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
