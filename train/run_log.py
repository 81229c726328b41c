"""What a run folder tells, finished or in progress, as arrays."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sterna.net.errors import InvalidValueError
from sterna.train.topology import Conv, Dense, Residual, parse_topology

_KEYS = (
    "epoch",
    "stage",
    "validation_accuracy",
    "zeros",
    "layer_zeros",
    "index_entropy_bits",
    "lane_cycles",
    "histogram",
)


@dataclass(frozen=True, kw_only=True)
class Span:
    """A stage's epochs, ``first`` to ``last``, as far as the log goes."""

    stage: str
    first: int
    last: int


@dataclass(frozen=True, kw_only=True, eq=False)
class RunLog:
    """A run, epoch by epoch.

    Parameters
    ----------
    name, seed : the recipe's name, and the run's seed.
    target : share of zeros that the recipe asks for; ``None`` where it leaves it to the method.
    layers : names of the ternary layers, as in the network.
    spans : stages in order; every epoch is in one.
    chosen : the epoch that the network is of; ``None`` until the run has ended.
    epochs : int64, (epochs,), from 1.
    accuracy, zeros : float64, (epochs,), shares: right answers on the held-out images, zero weights.
    layer_zeros : float64, (epochs, layers), shares.
    index_entropy_bits, lane_cycles : (epochs,), bits as :func:`sterna.net.cost.index_entropy_bits` estimates them, and
        cycles an image.
    histogram : int64, (layers, epochs, bins), latent weights as :func:`sterna.train.loop.histogram` counts them.
    """

    name: str
    seed: int
    target: float | None
    layers: tuple[str, ...]
    spans: tuple[Span, ...]
    chosen: int | None
    epochs: np.ndarray
    accuracy: np.ndarray
    zeros: np.ndarray
    layer_zeros: np.ndarray
    index_entropy_bits: np.ndarray
    lane_cycles: np.ndarray
    histogram: np.ndarray


def load_run(folder: str | Path) -> RunLog:
    """Read ``recipe.json``, ``log.jsonl`` and, where the run has ended, ``results.json``.

    A last line that is still being written is left out.

    Raises
    ------
    ValueError
        If the folder is no run's, its files are damaged or of another version, or no epoch is over yet.
    """
    recipe_path, log_path = Path(folder) / "recipe.json", Path(folder) / "log.jsonl"
    if not recipe_path.is_file() or not log_path.is_file():
        raise InvalidValueError(
            f"{folder}: not a run folder, which has recipe.json and log.jsonl; `sterna train` makes them"
        )
    log = log_path.read_bytes()
    records = _records(log_path, log)
    columns = {key: np.array([record[key] for record in records]) for key in _KEYS}
    identity = _object(recipe_path)
    try:
        recipe = identity["recipe"]
        facts = {"name": recipe["name"], "seed": identity["seed"], "target": recipe["method"].get("zeros")}
        topology = recipe["model"]["topology"]
    except KeyError as error:
        raise InvalidValueError(f"{recipe_path}: has no {error}: of another version; train again") from error
    return RunLog(
        **facts,
        layers=_layer_names(topology, columns["layer_zeros"].shape[1]),
        spans=_spans(records),
        chosen=_chosen(Path(folder) / "results.json", log),
        epochs=columns["epoch"],
        accuracy=columns["validation_accuracy"],
        zeros=columns["zeros"],
        layer_zeros=columns["layer_zeros"],
        index_entropy_bits=columns["index_entropy_bits"],
        lane_cycles=columns["lane_cycles"],
        histogram=columns["histogram"].swapaxes(0, 1),
    )


def _records(path: Path, log: bytes) -> list[dict[str, Any]]:
    records: list[dict[str, Any]] = []
    for number, line in enumerate(log.splitlines(keepends=True), 1):
        try:
            record = json.loads(line)
        except ValueError as error:
            if not line.endswith(b"\n"):
                break
            raise InvalidValueError(f"{path}: line {number} is damaged: {error}") from error
        for key in _KEYS:
            if key not in record:
                raise InvalidValueError(f"{path}: line {number} has no {key!r}: of another version; train again")
        records.append(record)
    if not records:
        raise InvalidValueError(f"{path}: nothing to show yet: no epoch is over")
    return records


def _object(path: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads(path.read_bytes())
    except ValueError as error:
        raise InvalidValueError(f"{path}: damaged: {error}") from error
    return content


def _spans(records: Sequence[dict[str, Any]]) -> tuple[Span, ...]:
    spans: list[Span] = []
    for record in records:
        stage, epoch = record["stage"], record["epoch"]
        first = spans.pop().first if spans and spans[-1].stage == stage else epoch
        spans.append(Span(stage=stage, first=first, last=epoch))
    return tuple(spans)


def _chosen(path: Path, log: bytes) -> int | None:
    """The chosen epoch; ``None`` where the results are of another log: folders can be trained in anew."""
    if not path.is_file():
        return None
    results = _object(path)
    return int(results["epoch"]) if results.get("log_sha256") == hashlib.sha256(log).hexdigest() else None


def _layer_names(topology: str, count: int) -> tuple[str, ...]:
    """Names of the ternary layers as :func:`sterna.train.models.build` gives them; numbers if there are not ``count``.

    A log in progress has no names, and building the network takes the data set.
    """
    kinds: list[str] = []
    channels = None  # the images', which no residual block has
    for layer in parse_topology(topology):
        match layer:
            case Dense():
                kinds.append("fc")
            case Conv():
                kinds.append("conv")
                channels = layer.outputs
            case Residual():
                project = layer.stride != 1 or layer.outputs != channels
                kinds += ["conv", "conv", "shortcut"] if project else ["conv", "conv"]
                channels = layer.outputs
    kinds.append("fc")
    if len(kinds) != count:
        kinds = ["layer "] * count
    return tuple(f"{kind}{kinds[: place + 1].count(kind)}" for place, kind in enumerate(kinds))
