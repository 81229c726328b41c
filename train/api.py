"""One call from a recipe to a proved network file: what the command line and the benchmarks use."""

from __future__ import annotations

import dataclasses
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

from sterna.net import Network
from sterna.net.container import FileFormatError, write_text
from sterna.net.errors import InvalidValueError
from sterna.net.file import load
from sterna.sim.golden import GoldenModel
from sterna.train.data import DataSet, load_data
from sterna.train.distributed import Group, joined
from sterna.train.export import ExportError, export, refusal
from sterna.train.loop import EpochCallback, Trainer
from sterna.train.models import TernaryNetwork
from sterna.train.recipe import Recipe, RecipeError, load_recipe
from sterna.train.run_lock import locked


@dataclass(frozen=True, kw_only=True, eq=False)
class RunResult:
    """What a finished training run gave.

    Parameters
    ----------
    network, model_path : the exported network, and its file; ``None`` where the method's networks cannot be exported.
    refusal : why not; ``None`` where there is a network.
    test_accuracy, validation_accuracy : shares of right answers: of the golden model on the test images (of the
        training model where there is no network), and of the training model on the held-out images that the epoch was
        chosen by.
    zeros : share of zero weights.
    epoch : the chosen epoch, from 1.
    seed : the run's.
    seconds : time of this call's training and export; 0 where a finished run was found.
    folder : the run folder.
    """

    network: Network | None
    model_path: Path | None
    refusal: str | None
    test_accuracy: float
    validation_accuracy: float
    zeros: float
    epoch: int
    seed: int
    seconds: float
    folder: Path

    def exported(self) -> tuple[Path, Network]:
        """File and network.

        Raises
        ------
        ExportError
            If there is none, with the reason.
        """
        if self.model_path is None or self.network is None:
            raise ExportError(f"{self.folder}: there is no network to export: {self.refusal}")
        return self.model_path, self.network


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
    recipe_path : a TOML file, or the name of a packaged recipe.
    output_dir : the run folder; made where it is missing. One run at a time: a second one is refused.
    seed : instead of the recipe's.
    resume : continue what the folder holds.
    device : a torch device; a GPU where there is one, unless given.
    threads : torch's threads on the CPU. Sums in another order give other bits; and a small network is no faster on
        several, but far slower where other programs want the cores too.
    on_epoch : called with every epoch's log record.
    checkpoint_seconds : least time between two checkpoints.

    Raises
    ------
    RecipeError, DataError, RunLockedError, CheckpointError, ExportError
        Each a ``ValueError`` with one line that says what to do.
    """
    recipe = load_recipe(recipe_path)
    chosen_seed = recipe.seed if seed is None else seed
    if not 0 <= chosen_seed < 2**32:
        raise InvalidValueError(f"seed must be 0 to 2^32 - 1, not {chosen_seed}")
    if threads < 1:
        raise InvalidValueError(f"threads must be a positive integer, not {threads}")
    folder = Path(output_dir)
    identity = {"recipe": recipe.as_dict(), "seed": chosen_seed}
    model_path = folder / f"{recipe.name}.safetensors"
    with joined(_device(device)) as group, _threads(threads):
        if resume and (finished := _finished(folder, identity, model_path)):
            group.wait()
            return finished
        folder.mkdir(parents=True, exist_ok=True)
        with locked(folder, group), _memory(group):
            if group.first and not resume:
                for name in ("results.json", "checkpoint.safetensors"):
                    (folder / name).unlink(missing_ok=True)
            started = time.monotonic()
            data = load_data(recipe.data.name)
            try:
                trainer = Trainer(
                    recipe=recipe,
                    data=data,
                    seed=chosen_seed,
                    group=group,
                    folder=folder,
                    checkpoint_seconds=checkpoint_seconds,
                )
            except InvalidValueError as error:
                raise RecipeError(f"{recipe_path}: {error}") from error
            if group.first:
                _write_json(folder / "recipe.json", identity)
            best = trainer.run(resume=resume, on_epoch=on_epoch)
            if group.first:
                origin = {**identity, "command": command(recipe_path, chosen_seed)}
                _finish(trainer.model, data, recipe, folder, origin, best)
                _note_time(folder, time.monotonic() - started, group)
            group.wait()
            result = _finished(folder, identity, model_path)
            assert result is not None
            return dataclasses.replace(result, seconds=time.monotonic() - started)


def _finish(
    model: TernaryNetwork,
    data: DataSet,
    recipe: Recipe,
    folder: Path,
    identity: dict[str, Any],
    best: dict[str, Any],
) -> None:
    """Export with proof where the method's networks can be, and write ``results.json``."""
    facts = {
        **identity,
        "data": data.name,
        "test_images": len(data.test_images),
        "validation_accuracy": best["validation_accuracy"],
        "validation_images": recipe.data.validation,
        "epoch": best["epoch"],
        "log_sha256": hashlib.sha256((folder / "log.jsonl").read_bytes()).hexdigest(),
        "tools": {"sterna": importlib.metadata.version("sterna"), "torch": torch.__version__},
    }
    if reason := refusal(model):
        facts |= {"refusal": reason, "test_accuracy": _model_accuracy(model, data), "zeros": best["zeros"]}
        _write_json(folder / "results.json", facts)
        return

    def describe(network: Network) -> dict[str, Any]:
        return {**facts, "test_accuracy": golden_accuracy(network, data), "zeros": network.zeros}

    network = export(model, folder / f"{recipe.name}.safetensors", inputs=data.test_images.float(), describe=describe)
    _write_json(folder / "results.json", {**network.metadata, "digest": network.digest})


def _note_time(folder: Path, seconds: float, group: Group) -> None:
    results = json.loads((folder / "results.json").read_text())
    run = {"seconds": seconds, "device": str(group.device), "processes": group.size, "threads": torch.get_num_threads()}
    _write_json(folder / "results.json", results | run)


@torch.no_grad()
def _model_accuracy(model: TernaryNetwork, data: DataSet) -> float:
    """Share of test images that the training model gets right, on its own device."""
    device = next(model.parameters()).device
    parts = [model(images.to(device).float()).argmax(dim=1).cpu() for images in data.test_images.split(500)]
    return float((torch.cat(parts) == data.test_labels).double().mean())


def golden_accuracy(network: Network, data: DataSet) -> float:
    """Share of test images that the golden model of ``network`` gets right."""
    inputs = data.test_images.numpy().reshape(len(data.test_images), *network.input_shape)
    return float(np.mean(GoldenModel(network).classify(inputs, real=True) == data.test_labels.numpy()))


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


@contextmanager
def _memory(group: Group) -> Iterator[None]:
    """Say what to do when the memory is full."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        full = isinstance(error, MemoryError | torch.OutOfMemoryError) or "DefaultCPUAllocator" in str(error)
        if not full:
            raise
        reason = f"the memory of {group.device} is full; lower training.batch, or choose a smaller model.topology"
        raise InvalidValueError(reason) from error


def _device(name: str | None) -> torch.device | None:
    if name is None:
        return None
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).tolist()  # "meta" has no values
        torch.Generator(device=device)
    except (RuntimeError, AssertionError, ImportError) as error:  # torch has many ways to say so
        raise InvalidValueError(f"device {name!r} cannot be used: {str(error).splitlines()[0]}") from error
    return device


def _finished(folder: Path, identity: dict[str, Any], model_path: Path) -> RunResult | None:
    """The result of a finished run of the same recipe and seed, where the folder holds one whole."""
    kept = _kept(folder / "results.json")
    if any(kept.get(key) != value for key, value in identity.items()) or not kept.keys() >= _FIGURES:
        return None
    network = None
    if "refusal" not in kept:
        if not model_path.is_file():
            return None
        try:
            network = load(model_path)
        except FileFormatError:  # made anew from the checkpoint
            return None
        if kept.get("digest") != network.digest:
            return None
    return RunResult(
        network=network,
        model_path=model_path if network else None,
        refusal=kept.get("refusal"),
        **{name: kept[name] for name in _FIGURES},
        seed=kept["seed"],
        seconds=0.0,
        folder=folder,
    )


_FIGURES = {"test_accuracy", "validation_accuracy", "zeros", "epoch"}


def _kept(path: Path) -> dict[str, Any]:
    """What a JSON file holds; nothing where there is none, or it is damaged."""
    try:
        kept = json.loads(path.read_bytes())
    except (FileNotFoundError, ValueError, RecursionError):
        return {}
    return kept if isinstance(kept, dict) else {}


def _write_json(path: Path, value: Any) -> None:
    write_text(path, json.dumps(value, indent=2) + "\n")
