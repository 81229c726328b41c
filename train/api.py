"""One call from a recipe to a proved network file: what the command line and the benchmarks use."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sterna.net import Network, arithmetic
from sterna.net.file import load
from sterna.sim.golden import GoldenModel
from sterna.train.data import DataSet, load_data
from sterna.train.export import export
from sterna.train.loop import EpochCallback, Trainer
from sterna.train.recipe import load_recipe


@dataclass(frozen=True, kw_only=True, eq=False)
class RunResult:
    """What a finished training run gave.

    Parameters
    ----------
    network, model_path : the exported network, and its file.
    test_accuracy, validation_accuracy : shares of right answers: of the golden model on the test images, and of the
        training model on the held-out images that the epoch was chosen by.
    zeros : share of zero weights.
    epoch : the chosen epoch, from 1.
    seed : the run's.
    seconds : time of this call's training and export; 0 where a finished run was found.
    folder : the run folder.
    """

    network: Network
    model_path: Path
    test_accuracy: float
    validation_accuracy: float
    zeros: float
    epoch: int
    seed: int
    seconds: float
    folder: Path


def run(
    recipe_path: str | Path,
    output_dir: str | Path,
    *,
    seed: int | None = None,
    resume: bool = True,
    device: str | None = None,
    threads: int = 1,
    on_epoch: EpochCallback | None = None,
    checkpoint_seconds: float = 10.0,
) -> RunResult:
    """Train by a recipe, export with proof, and write everything into a run folder.

    The folder gets ``NAME.safetensors`` (the network), ``recipe.json`` (the recipe with its defaults, and the seed),
    ``log.jsonl``, ``results.json`` and ``checkpoint.safetensors``. A folder that holds a stopped run of the same
    recipe and seed is continued, a finished one is returned as it is; both unless ``resume`` is false.

    Parameters
    ----------
    recipe_path : a TOML file.
    output_dir : the run folder; made where it is missing.
    seed : instead of the recipe's.
    resume : continue what the folder holds.
    device : a torch device; a GPU where there is one, unless given.
    threads : torch's threads on the CPU. Sums in another order give other bits; and a small network is no faster on
        several, but far slower where other programs want the cores too.
    on_epoch : called with every epoch's log record.
    checkpoint_seconds : least time between two checkpoints.

    Raises
    ------
    RecipeError, DataError, CheckpointError, ExportError
        Each a ``ValueError`` with one line that says what to do.
    """
    recipe = load_recipe(recipe_path)
    chosen_seed = recipe.seed if seed is None else seed
    if not 0 <= chosen_seed < 2**32:
        raise ValueError(f"seed must be 0 to 2^32 - 1, not {chosen_seed}")
    if threads < 1:
        raise ValueError(f"threads must be a positive integer, not {threads}")
    torch_device = _device(device)
    folder = Path(output_dir)
    folder.mkdir(parents=True, exist_ok=True)
    identity = {"recipe": recipe.as_dict(), "seed": chosen_seed}
    model_path = folder / f"{recipe.name}.safetensors"
    if resume and (finished := _finished(folder, identity, model_path)):
        return finished

    started = time.monotonic()
    data = load_data(recipe.data.name)
    with _threads(threads):
        trainer = Trainer(
            recipe=recipe,
            data=data,
            seed=chosen_seed,
            device=torch_device,
            folder=folder,
            checkpoint_seconds=checkpoint_seconds,
        )
        _write_json(folder / "recipe.json", identity)
        best = trainer.run(resume=resume, on_epoch=on_epoch)

    def describe(network: Network) -> dict[str, Any]:
        return {
            **identity,
            "data": data.name,
            "test_accuracy": golden_accuracy(network, data),
            "test_images": len(data.test_images),
            "validation_accuracy": best["validation_accuracy"],
            "validation_images": recipe.data.validation,
            "zeros": network.zeros,
            "epoch": best["epoch"],
            "log_sha256": hashlib.sha256((folder / "log.jsonl").read_bytes()).hexdigest(),
            "command": command(recipe_path, chosen_seed),
            "tools": {"sterna": importlib.metadata.version("sterna"), "torch": torch.__version__},
        }

    network = export(trainer.model, model_path, inputs=data.test_images.float(), describe=describe)
    seconds = time.monotonic() - started
    results = {**network.metadata, "digest": network.digest, "seconds": seconds, "device": str(torch_device)}
    _write_json(folder / "results.json", results)
    return _result(network, model_path, folder, seconds)


def golden_accuracy(network: Network, data: DataSet) -> float:
    """Share of test images that the golden model of ``network`` gets right."""
    inputs = data.test_images.numpy().reshape(len(data.test_images), *network.input_shape)
    codes = arithmetic.quantize_input(inputs, network.input_scale, network.input_type)
    return float(np.mean(GoldenModel(network).classify(codes) == data.test_labels.numpy()))


def command(recipe_path: str | Path, seed: int) -> str:
    """The command that repeats a run; a path outside the working directory is cut to the file's name."""
    path = Path(recipe_path)
    if path.is_absolute():
        path = path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else Path(path.name)
    return f"sterna train {path.as_posix()} --seed {seed}"


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _device(name: str | None) -> torch.device:
    if name is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ValueError(f"device {name!r} cannot be used: {str(error).splitlines()[0]}") from error
    return device


def _finished(folder: Path, identity: dict[str, Any], model_path: Path) -> RunResult | None:
    """The result of a finished run of the same recipe and seed, where the folder holds one whole."""
    results = folder / "results.json"
    if not results.is_file() or not model_path.is_file():
        return None
    kept = json.loads(results.read_text())
    network = load(model_path)
    if kept.get("digest") != network.digest or any(kept.get(key) != value for key, value in identity.items()):
        return None
    return _result(network, model_path, folder, 0.0)


def _result(network: Network, model_path: Path, folder: Path, seconds: float) -> RunResult:
    kept = network.metadata
    return RunResult(
        network=network,
        model_path=model_path,
        test_accuracy=kept["test_accuracy"],
        validation_accuracy=kept["validation_accuracy"],
        zeros=kept["zeros"],
        epoch=kept["epoch"],
        seed=kept["seed"],
        seconds=seconds,
        folder=folder,
    )


def _write_json(path: Path, value: Any) -> None:
    scratch = path.with_name(path.name + ".part")
    scratch.write_text(json.dumps(value, indent=2) + "\n")
    scratch.replace(path)
