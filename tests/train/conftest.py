from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from sterna.train.data import DataSet
from sterna.train.distributed import Group
from sterna.train.loop import Trainer
from sterna.train.models import Requantize, TernaryNetwork, build
from sterna.train.quantizers import InputQuantizer, TernaryQuantizer
from sterna.train.recipe import Recipe, parse_recipe
from sterna.train.topology import parse_topology


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Sums in one order: resumed and unbroken runs are compared bit for bit."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def tiny_data() -> DataSet:
    """Three classes of 4 x 4 images, told apart by which columns are bright."""
    generator = torch.Generator().manual_seed(5)
    labels = torch.arange(360) % 3
    images = torch.randint(0, 6, (360, 1, 4, 4), generator=generator)
    images[torch.arange(360), 0, :, labels] += 9
    images = images.to(torch.uint8)
    return DataSet(
        name="tiny",
        train_images=images[:300],
        train_labels=labels[:300],
        test_images=images[300:],
        test_labels=labels[300:],
        classes=3,
        full_scale=15,
    )


@pytest.fixture
def make_model() -> Callable[..., TernaryNetwork]:
    """A model with random weights, statistics and gains, as if trained: what export has to cope with."""

    def make(
        *,
        topology: str = "9-7",
        image_shape: tuple[int, ...] = (12,),
        requantize: Requantize = Requantize.THRESHOLDS,
        input_width: int = 4,
        activation_width: int = 4,
        learned_step: bool = False,
        factor: float = 1.0,
        seed: int = 0,
    ) -> TernaryNetwork:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model = build(
                topology=parse_topology(topology),
                image_shape=image_shape,
                classes=4,
                input_quantizer=InputQuantizer(width=input_width, scale=0.37),
                activation_width=activation_width,
                requantize=requantize,
                quantizer=lambda shape: TernaryQuantizer(shape=shape, factor=factor),
                learned_step=learned_step,
            )
            model.train()
            for _ in range(5):  # running statistics
                model(torch.rand(16, *image_shape) * 0.37 * 2**input_width)
            for name, parameter in model.named_parameters():
                if "normalize.weight" in name:
                    parameter.data.normal_(std=1.0)  # negative gains too
                elif "bias" in name or "offset" in name:
                    parameter.data.normal_(std=0.5)
                elif "step" in name:
                    parameter.data.mul_(1.13)
        return model.eval()

    return make


@pytest.fixture
def make_recipe() -> Callable[..., Recipe]:
    """A recipe for the tiny data set: quick, and good enough to tell its classes apart."""

    def make(
        *,
        method: str = "sparsity-induced",
        zeros: float | None = 0.8,
        lane_cycles: int | None = None,
        scope: str = "network",
        balance: str = "none",
        topology: str = "48",
        model: dict[str, Any] | None = None,
        training: dict[str, Any] | None = None,
        **options: Any,
    ) -> Recipe:
        targets = {"zeros": zeros, "lane_cycles": lane_cycles}
        wanted = {name: value for name, value in targets.items() if value is not None}
        table = {
            "name": "tiny",
            "seed": 3,
            "data": {"name": "digits", "validation": 60},
            "model": {"topology": topology, **(model or {})},
            "training": {"batch": 40, "epochs": 60, "learning_rate": 0.01, **(training or {})},
            "method": {"name": method, **wanted, "scope": scope, "balance": balance, method: options},
        }
        return parse_recipe(table, source="tiny")

    return make


@pytest.fixture
def train(tiny_data: DataSet, tmp_path: Path) -> Callable[[Recipe], tuple[Trainer, list[dict[str, Any]]]]:
    """Trains by a recipe on the tiny data set; gives the trainer and the epochs' records."""

    def call(recipe: Recipe) -> tuple[Trainer, list[dict[str, Any]]]:
        group = Group(rank=0, size=1, device=torch.device("cpu"))
        trainer = Trainer(recipe=recipe, data=tiny_data, seed=recipe.seed, group=group, folder=tmp_path)
        records: list[dict[str, Any]] = []
        trainer.run(resume=False, on_epoch=records.append)
        return trainer, records

    return call
