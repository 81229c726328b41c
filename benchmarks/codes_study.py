"""What matrix codes gain: worked examples, drawn matrices of four architectures' shapes, trained weights, and times.

    python benchmarks/codes_study.py --output benchmarks/results/codes_study.json [--weights FOLDER] [--parts NAME ...]

Parts: example (CER's and CSER's arrays, to the entry), architectures (benchmarks/codes_drawn.py; 90 s, 5 GB of memory
for VGG-16's largest layer), weights (benchmarks/codes_trained.py; 30 s), times (benchmarks/codes_times.py; minutes, and
wants a quiet machine). The result is written anew after every part, and parts that it had before are kept: a study that
was stopped goes on with those that are missing. Exit status 1 if an example or a formula differs from what is stored.

Weights by others are read from FOLDER, or from the one that STERNA_WEIGHTS names; without it, only the networks of
models/ are studied. It needs resnet_cifar10/ and lenet_mnist_pruned/, .npz files of the weights of
pytorch_resnet_cifar10 and of Dynamic-Network-Surgery, an array a tensor.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import codes_drawn
import codes_trained
import numpy as np
from common import command_line, parser, write

from sterna.codes import encode

#: The worked example of CER and CSER, and the one whose rows lack values.
EXAMPLES = {
    "worked": [
        [0, 3, 0, 2, 4, 0, 0, 2, 3, 4, 0, 4],
        [4, 4, 0, 0, 0, 4, 0, 0, 4, 4, 0, 4],
        [4, 0, 3, 4, 0, 0, 0, 4, 0, 2, 0, 0],
        [0, 4, 4, 4, 0, 3, 4, 4, 0, 0, 0, 0],
        [0, 4, 4, 0, 0, 4, 0, 4, 0, 0, 0, 0],
    ],
    "padded": [[0, 0, 2, 0], [1, 1, 0, 0], [1, 0, 0, 2], [0, 0, 0, 0]],
}
ENTRIES = {"dense": 60, "csr": 62, "cer": 49, "cser": 59}  # of the worked example
_COLUMNS = [4, 9, 11, 1, 8, 3, 7, 0, 1, 5, 8, 9, 11, 0, 3, 7, 2, 9, 1, 2, 3, 6, 7, 5, 1, 2, 5, 7]
_GROUPS = [0, 3, 5, 7, 13, 16, 17, 18, 23, 24, 28]
_ROWS = [0, 3, 4, 7, 9, 10]
ARRAYS = {
    ("worked", "cer"): {
        "values": [0, 4, 3, 2],
        "columns": _COLUMNS,
        "group_pointers": _GROUPS,
        "row_pointers": _ROWS,
    },
    ("worked", "cser"): {
        "values": [0, 2, 3, 4],
        "columns": _COLUMNS,
        "group_values": [3, 2, 1, 3, 3, 2, 1, 3, 2, 3],
        "group_pointers": _GROUPS,
        "row_pointers": _ROWS,
    },
    ("padded", "cer"): {
        "values": [0, 1, 2],
        "columns": [2, 0, 1, 0, 3],
        "group_pointers": [0, 0, 1, 3, 4, 5],
        "row_pointers": [0, 2, 3, 5, 5],
    },
}


def example() -> dict[str, Any]:
    """Entries of the worked example in each code, and whether all arrays are what they must be."""
    matrices = {name: np.array(rows, dtype=np.int8) for name, rows in EXAMPLES.items()}
    entries = {code: encode(matrices["worked"], code).storage().entries for code in ENTRIES}
    arrays = {
        f"{name}, {code}": wanted == {key: array.tolist() for key, array in encode(matrices[name], code).arrays.items()}
        for (name, code), wanted in ARRAYS.items()
    }
    return {
        "entries": entries,
        "wanted_entries": ENTRIES,
        "arrays": arrays,
        "equal": entries == ENTRIES and all(arrays.values()),
    }


def architectures() -> dict[str, Any]:
    """The drawn matrices."""
    networks = {}
    for name in codes_drawn.WANTED:
        networks[name] = made = codes_drawn.measure(name)
        gains = ", ".join(f"{code} {entry['storage']:.2f}" for code, entry in made["gains"].items())
        print(f"{name}: storage {gains}; {'equal to' if made['equal'] else 'NOT'} the formulas", flush=True)
    return {"seed": codes_drawn.SEED, "networks": networks, "equal": all(made["equal"] for made in networks.values())}


def weights(folder: Path | None) -> dict[str, Any]:
    """The trained weights."""
    cases = {}
    for case in codes_trained.every_case(folder):
        cases[case.key] = made = codes_trained.figures(case)
        gains = ", ".join(f"{code} {entry['storage']:.1f}" for code, entry in made["gains"].items())
        print(f"{case.key}: zeros {100 * made['zeros']:.2f} %, storage {gains}", flush=True)
    return {"cases": cases, "weights_at_hand": folder is not None}


def times(folder: Path | None, rounds: int) -> dict[str, Any]:
    """The times; numba is imported here."""
    import codes_times

    return codes_times.measure(folder, rounds)


def main() -> int:
    every = ["example", "architectures", "weights", "times"]
    command = parser(__doc__)
    command.add_argument("--parts", nargs="+", choices=every, default=every)
    command.add_argument("--weights", type=Path, default=os.environ.get("STERNA_WEIGHTS"), help="folder of .npz files")
    command.add_argument("--rounds", type=int, default=10, help="runs of each product (default %(default)s)")
    arguments = command.parse_args()
    folder = Path(arguments.weights) if arguments.weights else None
    if folder and not folder.is_dir():
        command.error(f"there is no folder {folder}")
    if arguments.rounds < 1:
        command.error("--rounds must be positive")
    run: dict[str, Callable[[], dict[str, Any]]] = {
        "example": example,
        "architectures": architectures,
        "weights": lambda: weights(folder),
        "times": lambda: times(folder, arguments.rounds),
    }
    equal = True
    for name in every:
        if name in arguments.parts:
            print(f"== {name}", flush=True)
            made = {"command": command_line(), **run[name]()}
            parts = {**earlier(arguments.output), name: made}
            write(arguments.output, ("numpy", "scipy", "numba"), {"parts": {n: parts[n] for n in every if n in parts}})
            equal &= made.get("equal", True)
    return 0 if equal else 1


def earlier(output: Path | None) -> dict[str, Any]:
    """The parts of a result that is already there."""
    if output is None or not output.is_file():
        return {}
    return dict(json.loads(output.read_text(encoding="utf-8"))["parts"])


if __name__ == "__main__":
    sys.exit(main())
