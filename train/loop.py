"""The training loop: stages, epochs, log, checkpoints. The same for every method and network."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sterna.net import cost
from sterna.net.container import write_text
from sterna.net.errors import InvalidValueError
from sterna.train import models
from sterna.train.augment import augment, check_sizes
from sterna.train.checkpoint import (
    CheckpointError,
    derived_seed,
    load_checkpoint,
    optimizer_tensors,
    restore_optimizer,
    save_checkpoint,
)
from sterna.train.data import DataSet
from sterna.train.distributed import Group
from sterna.train.methods import Method, Stage
from sterna.train.models import TernaryNetwork
from sterna.train.progress import EpochProgress
from sterna.train.quantizers import InputQuantizer
from sterna.train.recipe import Precision, Recipe
from sterna.train.topology import parse_topology

EpochCallback = Callable[[dict[str, Any]], None]


class DivergedError(InvalidValueError):
    """The loss is no number any more."""


class Trainer:
    """Trains one model by one recipe, in a run folder.

    Every epoch's random numbers come from the run's seed and the epoch's number, so that a resumed run draws the same
    as one that was never stopped. The folder gets ``log.jsonl`` (one line an epoch, no clock times: the same run
    gives the same bytes) and ``checkpoint.safetensors``.

    Parameters
    ----------
    recipe, data, seed : what, on what, from where.
    group : the processes that train together; each has the whole data set.
    folder : the run folder; exists.
    checkpoint_seconds : least time between two checkpoints.
    """

    def __init__(
        self,
        *,
        recipe: Recipe,
        data: DataSet,
        seed: int,
        group: Group,
        folder: Path,
        checkpoint_seconds: float = 10.0,
    ):
        _check_images(recipe, data)
        held_out = recipe.data.validation
        if recipe.training.batch % group.size or recipe.training.batch // group.size < 2:
            raise InvalidValueError(
                f"training.batch of {recipe.training.batch} cannot be shared by {group.size} processes: "
                "it must be a multiple of their number, and at least twice that"
            )
        self._recipe = recipe
        self._data = data
        self._seed = seed
        self._group = group
        self._device = device = group.device
        self._log = folder / "log.jsonl"
        self._checkpoint = folder / "checkpoint.safetensors"
        self._checkpoint_seconds = checkpoint_seconds
        # The last images of the training part are held out, the same for every seed.
        self._images = data.train_images[:-held_out].to(device)
        self._labels = data.train_labels[:-held_out].to(device)
        part = group.share(held_out)
        self._validation_images = data.train_images[-held_out:][part].to(device)
        self._validation_labels = data.train_labels[-held_out:][part].to(device)
        self._method: Method = recipe.method.make(recipe.training)
        self._best: dict[str, Any] = {"validation_accuracy": -1.0, "epoch": -1}
        self._best_tensors: dict[str, Tensor] = {}
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derived_seed(seed, "weights"))
            self.model = build_model(recipe, data, self._method).to(device)
        self._layout = torch.channels_last if len(self.model.input_shape) == 3 else torch.contiguous_format
        self.model.train()
        self.model.start(self._images[:1000].float())

    def run(self, *, resume: bool, on_epoch: EpochCallback | None = None) -> dict[str, Any]:
        """Train to the end; afterwards ``model`` holds the chosen epoch's tensors, in evaluation mode.

        Returns the record of the chosen epoch. ``on_epoch`` is called with each epoch's record, after its checkpoint.
        """
        plan = [(stage, e) for stage in self._method.stages() for e in range(stage.epochs)]
        start, optimizer = 0, None
        if resume and self._checkpoint.exists():
            start, optimizer = self._restore(plan)
        elif self._group.first:
            write_text(self._log, "")
        self.model.to(memory_format=self._layout)  # type: ignore[call-overload]
        forward = self._group.wrap(self.model)
        saved = time.monotonic()
        with EpochProgress(total=len(plan), done=start, quiet=not self._group.first) as progress:
            for epoch in range(start, len(plan)):
                stage, stage_epoch = plan[epoch]
                if stage_epoch == 0:
                    self._method.begin(self.model, stage)
                    if optimizer is None or stage.restart:
                        optimizer = self._optimizer(stage)
                assert optimizer is not None
                if self._recipe.training.hold_shifts and stage.choose:
                    models.hold_shifts(self.model)
                loss = self._train_epoch(forward, optimizer, stage, stage_epoch, epoch)
                record = self._record(stage, epoch, loss)
                self._append(record)
                if not math.isfinite(loss):
                    raise DivergedError(
                        f"{self._recipe.name}: the loss became {loss} in epoch {epoch + 1}; lower the learning rates"
                    )
                if stage.choose and self._better(record, last=epoch == len(plan) - 1):
                    self._best = record
                    self._best_tensors = {n: t.detach().clone() for n, t in self.model.state_dict().items()}
                if time.monotonic() - saved >= self._checkpoint_seconds or epoch == len(plan) - 1:
                    self._save(epoch + 1, optimizer)
                    saved = time.monotonic()
                progress.show(record)
                if on_epoch:
                    on_epoch(record)
        self.model.load_state_dict(self._best_tensors)
        self.model.eval()
        return self._best

    def _better(self, record: dict[str, Any], *, last: bool) -> bool:
        """Whether an epoch is chosen before those so far: the later of equals, of those that the method has settled."""
        if not self._method.settled(self.model):
            return last and self._best["epoch"] < 0
        return bool(record["validation_accuracy"] >= self._best["validation_accuracy"])

    def _train_epoch(
        self, forward: nn.Module, optimizer: torch.optim.Optimizer, stage: Stage, stage_epoch: int, epoch: int
    ) -> float:
        recipe, batch, group = self._recipe, self._recipe.training.batch, self._group
        generator = self._generator("epoch", epoch)
        order = torch.randperm(len(self._images), generator=generator, device=self._device)
        if group.size > 1:  # one order for all, but deformations of one's own
            generator = self._generator("epoch", epoch, group.rank)
        part = group.share(batch)
        steps = len(order) // batch
        total = torch.zeros((), device=self._device)
        self.model.train()
        for step in range(steps):
            chosen = order[step * batch : (step + 1) * batch][part]
            images = augment(self._images[chosen].float(), recipe.data.augment, generator)
            self._set_rate(optimizer, stage, (stage_epoch + step / steps) / stage.epochs)
            with self._autocast():
                scores = forward(images.contiguous(memory_format=self._layout) if images.dim() == 4 else images)
            smoothing = recipe.training.label_smoothing
            loss = F.cross_entropy(scores.float(), self._labels[chosen], label_smoothing=smoothing)
            total += loss.detach()
            optimizer.zero_grad(set_to_none=True)
            (loss + self._method.penalty(self.model, stage)).backward()
            optimizer.step()
            self._method.step(self.model, stage, (stage_epoch + (step + 1) / steps) / stage.epochs)
        return float(group.add(total)) / (steps * group.size)

    def _generator(self, *purpose: int | str) -> torch.Generator:
        return torch.Generator(device=self._device).manual_seed(derived_seed(self._seed, *purpose))

    def _append(self, record: dict[str, Any]) -> None:
        if self._group.first:
            with self._log.open("a") as log:
                log.write(json.dumps(record) + "\n")

    def _autocast(self) -> Any:
        if self._recipe.training.precision is Precision.BFLOAT16:
            return torch.autocast(self._device.type, torch.bfloat16)
        return nullcontext()

    def _optimizer(self, stage: Stage) -> torch.optim.Optimizer:
        groups = self._method.parameter_groups(self.model, stage)
        return torch.optim.Adam([{**g, "relative": g.get("lr", 1.0)} for g in groups], lr=stage.learning_rate)

    @staticmethod
    def _set_rate(optimizer: torch.optim.Optimizer, stage: Stage, progress: float) -> None:
        for group in optimizer.param_groups:
            group["lr"] = stage.rate(progress) * group["relative"]

    @torch.no_grad()
    def _record(self, stage: Stage, epoch: int, loss: float) -> dict[str, Any]:
        self.model.eval()
        self._group.align(self.model)
        right, loss_sum = self._validate(exact=stage.choose)
        count = self._recipe.data.validation
        layers = models.ternary_layers(self.model)
        nonzeros = models.nonzeros(layers)
        sizes = [layer.weight.numel() for layer in layers]
        return {
            "epoch": epoch + 1,
            "stage": stage.name,
            "loss": loss,
            "validation_accuracy": right / count,
            "validation_loss": loss_sum / count,
            "zeros": 1 - sum(nonzeros) / sum(sizes),
            "layer_zeros": [1 - n / size for n, size in zip(nonzeros, sizes, strict=True)],
            "index_entropy_bits": sum(
                cost.index_entropy_bits(size, n) for n, size in zip(nonzeros, sizes, strict=True)
            ),
            "lane_cycles": sum(cost.lane_cycles(n, layer.positions) for n, layer in zip(nonzeros, layers, strict=True)),
            "histogram": [histogram(layer.weight) for layer in layers],
            **self._method.report(self.model),
        }

    def _validate(self, *, exact: bool) -> tuple[int, float]:
        """Right answers and summed loss on all held-out images; ``exact`` keeps to float32."""
        sums = torch.zeros(2, dtype=torch.float64, device=self._device)
        for start in range(0, len(self._validation_images), 500):
            images = self._validation_images[start : start + 500].float()
            labels = self._validation_labels[start : start + 500]
            with nullcontext() if exact else self._autocast():
                scores = self.model(images.contiguous(memory_format=self._layout) if images.dim() == 4 else images)
            sums[0] += (scores.argmax(dim=1) == labels).sum()
            sums[1] += F.cross_entropy(scores.float(), labels, reduction="sum")
        right, loss = self._group.add(sums).tolist()
        return int(right), loss

    def _identity(self) -> dict[str, Any]:
        return {"recipe": self._recipe.as_dict(), "seed": self._seed}

    def _save(self, epochs: int, optimizer: torch.optim.Optimizer) -> None:
        if not self._group.first:
            return
        groups = {
            "model": self.model.state_dict(),
            "optimizer": optimizer_tensors(optimizer),
            "best": self._best_tensors,
        }
        values = {**self._identity(), "epochs": epochs, "method_state": self._method.state(), "best": self._best}
        save_checkpoint(self._checkpoint, groups, values)

    def _check_checkpoint(self, groups: dict[str, dict[str, Tensor]], values: dict[str, Any], most: int) -> None:
        """Another version of Sterna may keep other things, or build another network by the same recipe."""

        def shapes(tensors: dict[str, Tensor]) -> dict[str, torch.Size]:
            return {name: tensor.shape for name, tensor in tensors.items()}

        whole = {"epochs", "method_state", "best"} <= values.keys() and {"model", "optimizer"} <= groups.keys()
        if (
            not whole
            or type(values["epochs"]) is not int
            or not 1 <= values["epochs"] <= most
            or shapes(groups["model"]) != shapes(self.model.state_dict())
        ):
            raise CheckpointError(
                f"{self._checkpoint}: of another version of Sterna; remove it to start anew, or choose another folder"
            )

    def _restore(self, plan: list[tuple[Stage, int]]) -> tuple[int, torch.optim.Optimizer]:
        groups, values = load_checkpoint(self._checkpoint, self._device)
        for key, value in self._identity().items():
            if values.get(key) != value:
                raise CheckpointError(
                    f"{self._checkpoint}: of a run with another {key}; choose another output folder, or start anew"
                )
        self._check_checkpoint(groups, values, len(plan))
        epochs: int = values["epochs"]
        self.model.load_state_dict(groups["model"])
        optimizer = self._optimizer(plan[epochs - 1][0])
        restore_optimizer(optimizer, groups["optimizer"])
        self._method.restore(values["method_state"])
        self._best, self._best_tensors = values["best"], groups.get("best", {})
        lines = self._log.read_text().splitlines(keepends=True) if self._log.exists() else []
        if len(lines) < epochs:
            raise CheckpointError(f"{self._log}: shorter than its checkpoint says; start anew")
        self._group.wait()  # until all have read
        if self._group.first:
            write_text(self._log, "".join(lines[:epochs]))
        return epochs, optimizer


def _check_images(recipe: Recipe, data: DataSet) -> None:
    """Raise :exc:`ValueError` unless the data set has enough images, and large enough ones, for the recipe."""
    held_out, batch = recipe.data.validation, recipe.training.batch
    if held_out + batch > len(data.train_images):
        raise InvalidValueError(
            f"data.validation of {held_out} images leaves no batch of {batch} "
            f"of the {len(data.train_images)} training images of {data.name}"
        )
    try:
        check_sizes(recipe.data.augment, *data.train_images.shape[2:])
    except InvalidValueError as error:
        raise InvalidValueError(f"data.augment.{error}") from error


def build_model(recipe: Recipe, data: DataSet, method: Method) -> TernaryNetwork:
    """The recipe's network with fresh weights from torch's generator."""
    model = recipe.model
    return models.build(
        topology=parse_topology(model.topology),
        image_shape=tuple(data.train_images.shape[1:]),
        classes=data.classes,
        input_quantizer=InputQuantizer(width=model.input_width, scale=data.input_scale(model.input_width)),
        activation_width=model.activation_width,
        requantize=model.requantize,
        quantizer=method.quantizer,
        learned_step=model.learned_step,
    )


HISTOGRAM_BINS = 40
HISTOGRAM_LIMIT = 4.0  # in units of the layer's root mean square; what lies beyond counts in the outermost bins


def histogram(weight: Tensor) -> list[int]:
    """Counts of latent weights, in :data:`HISTOGRAM_BINS` equal bins, relative to their root mean square."""
    scaled = weight.detach().float() / weight.detach().float().square().mean().sqrt().clamp_min(1e-12)
    limited = scaled.clamp(-HISTOGRAM_LIMIT, HISTOGRAM_LIMIT).cpu()
    return [int(n) for n in torch.histc(limited, HISTOGRAM_BINS, -HISTOGRAM_LIMIT, HISTOGRAM_LIMIT).tolist()]
