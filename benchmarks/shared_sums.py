"""Adders of two terms for sparse ternary matrices: plain, greedy, annealed, and those of alkaid.

The layers are those of the committed dense networks, as bit-serial units see them: without constant and unused
channels. alkaid is installed into an environment of its own, and the best of its settings is taken; its products are
compared with the matrix. Then come random layers of the shapes of the unrolled VGG-7 of S. Tridgell et al. ("Unrolling
Ternary Neural Networks", 2019), with that network's share of zeros, 75.6 %: its authors count 126,640 adders in its
six convolutions, whose weights are trained. Registers are cycles that terms wait, where a level of adders takes one.
Each layer has a process of its own, whose peak memory is given. The exit status is 1 where alkaid's product is wrong.

``python benchmarks/shared_sums.py --output benchmarks/results/shared_sums.json``
"""

from __future__ import annotations

import json
import multiprocessing
import resource
import subprocess
import sys
import time
import venv
from pathlib import Path
from typing import Any

import numpy as np
from common import MODELS, ROOT, parser, write

from sterna.hw.graph.lower import lower
from sterna.hw.sums.sharing import share_sums
from sterna.net import load

WORK = ROOT / "build" / "shared_sums"
NETWORKS = ("digits-mlp", "mnist-mlp-98", "mnist-mlp-95")
ALKAID = "0.8.2"
SHAPES = ((64, 27), (64, 576), (128, 576), (128, 1152), (256, 1152), (256, 2304))
ZEROS = 0.756
SEED = 1

#: Run by alkaid's own Python: adders of each setting, by matrix. It reads a matrix as it lies in memory, whatever its
#: strides say, so a transposed one is copied.
SCRIPT = """
import itertools, json, sys, time
import numpy as np
from alkaid.cmvm import cmvm_solve

found = {}
for name, weights in np.load(sys.argv[1]).items():
    kernel = np.ascontiguousarray(weights.T, np.float32)
    runs = []
    for method, depth in itertools.product(("wmc", "mc"), (-1, 0, 1, 2, None)):
        settings = {"method0": method, "search_all_decompose_dc": depth is None}
        if depth is not None:
            settings["decompose_dc"] = depth
        begin = time.perf_counter()
        made = cmvm_solve(kernel, qintervals=[(0, 15, 1)] * len(kernel), **settings)
        runs.append({
            "settings": settings,
            "adders": sum(op.opcode in (0, 1) for part in made for op in part.ops),
            "seconds": time.perf_counter() - begin,
            "exact": bool((made[0].kernel @ made[1].kernel == kernel).all()),
        })
    found[name] = runs
print(json.dumps(found))
"""


def environment(work: Path = WORK) -> Path:
    """The Python of alkaid's own environment, installed into it if it is not there."""
    python = work / f"alkaid-{ALKAID}" / "bin" / "python"
    if not python.is_file():
        venv.create(python.parents[1], with_pip=True)
    subprocess.run([python, "-m", "pip", "install", "--quiet", f"alkaid=={ALKAID}"], check=True)
    return python


def alkaid(layers: dict[str, np.ndarray], work: Path) -> dict[str, list[dict[str, Any]]]:
    """Every setting's figures, by layer."""
    work.mkdir(parents=True, exist_ok=True)
    np.savez(work / "layers.npz", **layers)  # type: ignore[arg-type]  # its stubs see allow_pickle in the names
    done = subprocess.run(
        [environment(work), "-c", SCRIPT, work / "layers.npz"], check=True, stdout=subprocess.PIPE, encoding="utf-8"
    )
    found: dict[str, list[dict[str, Any]]] = json.loads(done.stdout)
    return found


def figures(weights: np.ndarray, effort: int) -> dict[str, Any]:
    """What one effort finds, in a process of its own."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_figures, (weights, effort))


def _figures(weights: np.ndarray, effort: int) -> dict[str, Any]:
    begin = time.perf_counter()
    graph = share_sums(weights, effort=effort, seed=SEED)
    return {
        "adders": graph.adders,
        "depth": graph.depth,
        "waits": int(graph.waits(graph.depth).sum()),
        "seconds": time.perf_counter() - begin,
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def measure(name: str, weights: np.ndarray) -> dict[str, Any]:
    """One layer's figures."""
    row = {
        "layer": name,
        "rows": len(weights),
        "columns": weights.shape[1],
        "nonzeros": int(np.count_nonzero(weights)),
        "plain": int(np.maximum(np.count_nonzero(weights, axis=1) - 1, 0).sum()),
        "greedy": figures(weights, 0),
        "annealed": figures(weights, 1),
    }
    found = row["annealed"]
    print(f"{name}: {found['adders']:,} adders, {found['seconds']:.1f} s, {found['peak_mib']:.0f} MiB", flush=True)
    return row


def random_layer(rows: int, columns: int) -> np.ndarray:
    """Independent weights; the signs are equally often."""
    rng = np.random.default_rng([SEED, rows, columns])
    return (rng.choice([-1, 1], (rows, columns)) * (rng.random((rows, columns)) >= ZEROS)).astype(np.int8)


def main() -> int:
    """Measures, prints a line a layer, and writes JSON."""
    command = parser(__doc__)
    command.add_argument("--work", type=Path, default=WORK, help="folder of alkaid (default: build/shared_sums)")
    arguments = command.parse_args()
    layers = {
        f"{model} {layer.name}": layer.weights  # type: ignore[attr-defined]  # dense layers have them
        for model in NETWORKS
        for layer in lower(load(MODELS / f"{model}.safetensors"), {"all": "bitserial"})
    }
    others = alkaid(layers, arguments.work)
    rows = [{**measure(name, weights), "alkaid": others[name]} for name, weights in layers.items()]
    vgg = [measure(f"{rows} × {columns}", random_layer(rows, columns)) for rows, columns in SHAPES]
    result = {"seed": SEED, "alkaid": ALKAID, "layers": rows, "vgg_zeros": ZEROS, "vgg": vgg}
    write(arguments.output, ("numpy",), result)
    return int(not all(run["exact"] for runs in others.values() for run in runs))


if __name__ == "__main__":
    sys.exit(main())
