"""Runs every benchmark and makes docs/results.md from what they write (`make bench`).

    python benchmarks/run.py [NAME ...] [--page-only]

Training resumes where it stopped. From nothing, mnist_accuracy takes about half an hour on two cores, and
training_study a day, most of it for CIFAR-10 (`python benchmarks/training_study.py --parts ...` runs some of it);
cycles_accuracy wants a GPU; import_qonnx takes the files in $STERNA_DATA/qonnx; the rest takes an hour. Names run only
some of them.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys

from common import RESULTS, ROOT
from generation_page import draw_generation
from results_page import highlights, page
from speed_page import draw_speed
from training_page import draw_study

BENCHMARKS = (
    "golden_speed",
    "digits_seeds",
    "schedule_speed",
    "mnist_accuracy",
    "training_study",
    "cycles_accuracy",
    "lane_balance",
    "committed",
    "model_size",
    "mnist_rtl",
    "mnist_route",
    "unrolled_route",
    "unrolled_network",
    "shared_sums",
    "unrolled_layer",
    "conv_route",
    "cycles_speed",
    "lenet_up5k",
    "conv_unit",
    "padding_rows",
    "conv_rtl",
    "fit_prices",
    "fit_route",
    "loadable",
    "dense_unit",
    "index_words",
    "index_decoders",
    "generation_scale",
    "import_qonnx",
    "import_speed",
    "bitstreams",
    "board_transport",
    "board_faults",
    "board_swaps",
    "board_examples",
    "timing_exact",
    "timing_graphs",
    "codes_speed",
    "codes_study",
)
PICTURES = {"training_study": draw_study, "cycles_speed": draw_speed, "generation_scale": draw_generation}
BEGIN, END = "<!-- results: made by benchmarks/run.py -->", "<!-- end of results -->"


def main() -> int:
    """Runs benchmarks in turn; exit status 1 where one found a difference."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHMARKS)} (default: all)")
    parser.add_argument("--page-only", action="store_true", help="only make docs/results.md anew")
    arguments = parser.parse_args()
    unknown = set(arguments.names) - set(BENCHMARKS)
    if unknown:
        parser.error(f"no benchmark is called {', '.join(sorted(unknown))}; there are {', '.join(BENCHMARKS)}")
    failed = []
    for name in () if arguments.page_only else arguments.names or BENCHMARKS:
        print(f"== {name}", flush=True)
        command = [sys.executable, f"benchmarks/{name}.py", "--output", f"benchmarks/results/{name}.json"]
        if subprocess.run(command, cwd=ROOT).returncode:
            failed.append(name)
    target = ROOT / "docs" / "results.md"
    target.write_text(page(RESULTS), encoding="utf-8")
    _into_readme(highlights(RESULTS))
    for name, draw in PICTURES.items():
        path = RESULTS / f"{name}.json"
        if path.is_file():
            draw(json.loads(path.read_text(encoding="utf-8")), target.parent)
    print(f"{target.relative_to(ROOT)} made" + (f"; FAILED: {', '.join(failed)}" if failed else ""))
    return 1 if failed else 0


def _into_readme(text: str) -> None:
    """Puts a table between the README's markers."""
    readme = ROOT / "README.md"
    before, rest = readme.read_text(encoding="utf-8").split(BEGIN)
    _, after = rest.split(END)
    readme.write_text(f"{before}{BEGIN}\n{text}{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
