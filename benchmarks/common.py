"""What every benchmark writes: its figures, with the command, the seeds and the tools that made them."""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sterna.net.container import write_text

ROOT = Path(__file__).resolve().parents[1]
MODELS = ROOT / "models"
RESULTS = ROOT / "benchmarks" / "results"
PLAIN = 1 << 40  # a price of escapes that no saving reaches: words without them


def parser(description: str | None) -> argparse.ArgumentParser:
    """A benchmark's command line: ``--output`` names the JSON file."""
    made = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--output", type=Path, help="write the result there as JSON")
    return made


def command_line() -> str:
    """The running command."""
    return shlex.join(["python", f"benchmarks/{Path(sys.argv[0]).name}", *sys.argv[1:]])


def write(output: Path | None, packages: tuple[str, ...], figures: Mapping[str, Any]) -> None:
    """Writes figures as JSON, or prints them where no file is given.

    Parameters
    ----------
    output : path, optional
        Written beside and renamed.
    packages : tuple of str
        Whose versions matter.
    figures : mapping
    """
    result = {
        "benchmark": Path(sys.argv[0]).stem,
        "command": command_line(),
        "versions": {
            "python": platform.python_version(),
            **{name: importlib.metadata.version(name) for name in ("sterna", *packages)},
        },
        "cpus": os.cpu_count(),
        **figures,
    }
    text = json.dumps(result, indent=1) + "\n"
    if output is None:
        print(text, end="")
        return
    output.parent.mkdir(parents=True, exist_ok=True)
    write_text(output, text)
