"""The training loop: its records, what it chooses, and what it keeps to."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from sterna.net import WeightNode, cost
from sterna.train import loop, models
from sterna.train.data import DataSet
from sterna.train.distributed import Group
from sterna.train.export import fold
from sterna.train.layers import AddLayer, ScoreLayer
from sterna.train.loop import HISTOGRAM_BINS, DivergedError, Trainer, histogram
from sterna.train.methods import METHODS, Stage
from sterna.train.methods.references import Twn
from sterna.train.normalize import PowerOfTwoNorm
from sterna.train.recipe import Recipe

Train = Callable[[Recipe], tuple[Trainer, list[dict[str, Any]]]]
ALONE = Group(rank=0, size=1, device=torch.device("cpu"))


def test_records_are_the_networks_figures(make_recipe: Callable[..., Recipe], train: Train, tmp_path: Path) -> None:
    recipe = make_recipe(topology="6C3p1-R6-MP2-12", training={"epochs": 6})
    trainer, records = train(recipe)
    best = max((r for r in records if r["stage"] == "retrain"), key=lambda r: (r["validation_accuracy"], r["epoch"]))
    network = fold(trainer.model)
    nodes = [node for node in network.nodes if isinstance(node, WeightNode)]
    assert best["zeros"] == pytest.approx(network.zeros)
    assert best["layer_zeros"] == pytest.approx([cost.zeros(node.weights) for node in nodes])
    nonzeros = [cost.nonzeros(node.weights) for node in nodes]
    bits = [cost.index_entropy_bits(node.weights.size, n) for node, n in zip(nodes, nonzeros, strict=True)]
    assert best["index_entropy_bits"] == pytest.approx(sum(bits))
    positions = [math.prod(network.shapes[node.name][1:]) for node in nodes]
    assert positions == [16, 16, 16, 1, 1]
    assert best["lane_cycles"] == sum(n * p for n, p in zip(nonzeros, positions, strict=True))
    assert [sum(counts) for counts in best["histogram"]] == [node.weights.size for node in nodes]
    assert [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()] == records
    assert [record["epoch"] for record in records] == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("requantize", ["thresholds", "shift"])
def test_every_method_trains_residual_networks(
    make_recipe: Callable[..., Recipe], train: Train, tiny_data: DataSet, method: str, requantize: str
) -> None:
    recipe = make_recipe(
        method=method, topology="6C3p1-R8s2-12", model={"requantize": requantize}, training={"epochs": 12}, zeros=0.6
    )
    trainer, records = train(recipe)
    assert records[-1]["loss"] < records[0]["loss"]
    right = trainer.model(tiny_data.test_images.float()).argmax(dim=1) == tiny_data.test_labels
    assert right.float().mean() > 0.9


def test_the_chosen_epoch_is_the_best_and_the_later_of_equals(
    make_recipe: Callable[..., Recipe], tiny_data: DataSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = make_recipe(training={"epochs": 9})  # 6 and 3
    for right, chosen in (([9, 9, 9, 9, 9, 9, 5, 7, 7], 9), ([0, 0, 0, 0, 0, 0, 7, 7, 6], 8), ([0] * 9, 9)):
        answers = iter(right)
        monkeypatch.setattr(Trainer, "_validate", lambda self, exact, answers=answers: (next(answers), 1.0))
        trainer = Trainer(recipe=recipe, data=tiny_data, seed=3, group=ALONE, folder=tmp_path)
        kept: dict[int, dict[str, torch.Tensor]] = {}

        def keep(record: dict[str, Any], trainer: Trainer = trainer, kept: dict[int, Any] = kept) -> None:
            kept[record["epoch"]] = {name: t.clone() for name, t in trainer.model.state_dict().items()}

        assert trainer.run(resume=False, on_epoch=keep)["epoch"] == chosen
        assert all(torch.equal(t, kept[chosen][name]) for name, t in trainer.model.state_dict().items())
        assert not trainer.model.training


def test_the_model_is_chosen_on_the_last_training_images_alone(
    make_recipe: Callable[..., Recipe], tiny_data: DataSet, tmp_path: Path
) -> None:
    """Whatever the other images and the test images hold, labels of these decide; and they are never trained on."""
    recipe = make_recipe(training={"epochs": 6}, method="twn", zeros=None)
    results = []
    for shift in (0, 1):
        labels = tiny_data.train_labels.clone()
        labels[-60:] = (labels[-60:] + shift) % 3
        data = replace(tiny_data, train_labels=labels)
        folder = tmp_path / str(shift)
        folder.mkdir()
        trainer = Trainer(recipe=recipe, data=data, seed=3, group=ALONE, folder=folder)
        records: list[dict[str, Any]] = []
        trainer.run(resume=False, on_epoch=records.append)
        right = trainer.model(data.train_images[-60:].float()).argmax(dim=1) == labels[-60:]
        assert max(record["validation_accuracy"] for record in records) == pytest.approx(float(right.double().mean()))
        results.append(records)
    assert [r["loss"] for r in results[0]] == [r["loss"] for r in results[1]]
    assert results[0][-1]["validation_accuracy"] > 0.9
    assert results[1][-1]["validation_accuracy"] < 0.1


def test_weights_come_from_the_seed_and_the_seed_alone(
    make_recipe: Callable[..., Recipe], tiny_data: DataSet, tmp_path: Path
) -> None:
    recipe = make_recipe(topology="4C3-R4")

    def weights(seed: int) -> list[Any]:
        torch.rand(7)  # whatever was drawn before
        model = Trainer(recipe=recipe, data=tiny_data, seed=seed, group=ALONE, folder=tmp_path).model
        return [layer.weight.tolist() for layer in models.ternary_layers(model)]

    before = torch.get_rng_state()
    assert weights(1) == weights(1) != weights(2)
    torch.set_rng_state(before)


def test_every_epoch_takes_the_images_in_an_order_of_its_own(
    make_recipe: Callable[..., Recipe], tiny_data: DataSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches: list[torch.Tensor] = []

    def watch(images: torch.Tensor, how: object, generator: object) -> torch.Tensor:
        batches.append(images)
        return images

    monkeypatch.setattr(loop, "augment", watch)
    trainer = Trainer(recipe=make_recipe(training={"epochs": 4}), data=tiny_data, seed=3, group=ALONE, folder=tmp_path)
    trainer.run(resume=False)
    epochs = [torch.cat(batches[6 * epoch : 6 * epoch + 6]) for epoch in range(4)]
    assert len({str(epoch.tolist()) for epoch in epochs}) == 4
    for epoch in epochs:
        assert sorted(epoch.flatten(1).tolist()) == sorted(tiny_data.train_images[:240].float().flatten(1).tolist())


def test_scores_start_with_deviation_one(
    make_recipe: Callable[..., Recipe], tiny_data: DataSet, tmp_path: Path
) -> None:
    model = Trainer(recipe=make_recipe(), data=tiny_data, seed=3, group=ALONE, folder=tmp_path).model
    score = model.layers["fc2"]
    assert isinstance(score, ScoreLayer)
    assert model.train()(tiny_data.train_images[:240].float()).std().item() == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize(("hold", "requantize"), [(True, "shift"), (False, "shift"), (True, "thresholds")])
def test_shifts_are_held_in_the_stages_that_are_chosen_from(
    make_recipe: Callable[..., Recipe], tiny_data: DataSet, tmp_path: Path, hold: bool, requantize: str
) -> None:
    recipe = make_recipe(
        topology="4C3p1-R4", model={"requantize": requantize}, training={"epochs": 6, "hold_shifts": hold}
    )
    trainer = Trainer(recipe=recipe, data=tiny_data, seed=3, group=ALONE, folder=tmp_path)
    parts = [part for part in trainer.model.modules() if isinstance(part, PowerOfTwoNorm | AddLayer)]
    assert len(parts) == (4 if requantize == "shift" else 1)
    frozen: list[set[bool]] = []
    trainer.run(resume=False, on_epoch=lambda record: frozen.append({part.frozen for part in parts}))
    assert frozen == [{False}] * 4 + [{hold}] * 2


def test_divergence_is_said_once_it_is_logged(
    make_recipe: Callable[..., Recipe], tiny_data: DataSet, tmp_path: Path
) -> None:
    recipe = make_recipe(training={"epochs": 4, "learning_rate": 1e18})
    trainer = Trainer(recipe=recipe, data=tiny_data, seed=3, group=ALONE, folder=tmp_path, checkpoint_seconds=0)
    with pytest.raises(DivergedError, match=r"^tiny: the loss became (nan|inf) in epoch 1; lower the learning rates$"):
        trainer.run(resume=False)
    assert len((tmp_path / "log.jsonl").read_text().splitlines()) == 1
    assert not (tmp_path / "checkpoint.safetensors").exists()


SHARED = "it must be a multiple of their number, and at least twice that"


@pytest.mark.parametrize(
    ("size", "batch", "validation", "message"),
    [
        (1, 40, 290, "data.validation of 290 images leaves no batch of 40 of the 300 training images of tiny"),
        (1, 240, 61, "data.validation of 61 images leaves no batch of 240 of the 300 training images of tiny"),
        (2, 2, 60, f"training.batch of 2 cannot be shared by 2 processes: {SHARED}"),
        (2, 41, 60, f"training.batch of 41 cannot be shared by 2 processes: {SHARED}"),
    ],
)
def test_batches_that_cannot_be(
    make_recipe: Callable[..., Recipe],
    tiny_data: DataSet,
    tmp_path: Path,
    size: int,
    batch: int,
    validation: int,
    message: str,
) -> None:
    recipe = make_recipe(training={"batch": batch})
    recipe = replace(recipe, data=replace(recipe.data, validation=validation))
    group = Group(rank=0, size=size, device=torch.device("cpu"))
    with pytest.raises(ValueError) as caught:
        Trainer(recipe=recipe, data=tiny_data, seed=3, group=group, folder=tmp_path)
    assert str(caught.value) == message


def test_one_batch_is_enough(make_recipe: Callable[..., Recipe], train: Train) -> None:
    _, records = train(make_recipe(training={"batch": 240, "epochs": 2}))
    assert len(records) == 2


def test_histograms_count_every_weight() -> None:
    weight = torch.tensor([[-100.0, 0.1, 0.1], [-0.1, 0.0, 100.0]])
    counts = histogram(weight)
    assert len(counts) == HISTOGRAM_BINS
    assert sum(counts) == 6
    # In units of the root mean square, 57.7: both ends lie at 1.73, in bins of 0.2 from -4.
    assert {i: n for i, n in enumerate(counts) if n} == {11: 1, 19: 1, 20: 3, 28: 1}
    far = torch.cat([torch.ones(10000), torch.tensor([1e4, -1e4])])
    assert (histogram(far)[0], histogram(far)[-1]) == (1, 1)
    assert sum(histogram(torch.zeros(5))) == 5


@pytest.mark.parametrize(
    ("settled", "chosen"),
    [(set(), 8), ({6}, 6), ({5, 6, 7, 8}, None)],
    ids=["never", "once", "always"],
)
def test_an_epoch_is_chosen_where_the_method_has_settled(
    make_recipe: Callable[..., Recipe],
    tiny_data: DataSet,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    settled: set[int],
    chosen: int | None,
) -> None:
    asked: list[int] = []

    def is_settled(self: Twn, model: torch.nn.Module) -> bool:
        asked.append(len(asked) + 1)
        return asked[-1] in settled

    monkeypatch.setattr(Twn, "settled", is_settled)
    monkeypatch.setattr(Twn, "stages", lambda self: stages)
    stages = (
        Stage(name="first", epochs=4, learning_rate=1e-3, choose=False),
        Stage(name="second", epochs=4, learning_rate=1e-3, choose=True),
    )
    asked.extend([1, 2, 3, 4])  # epochs that cannot be chosen are not asked about
    recipe = make_recipe(method="twn", zeros=None, training={"epochs": 8})
    trainer = Trainer(recipe=recipe, data=tiny_data, seed=3, group=ALONE, folder=tmp_path)
    records: list[dict[str, Any]] = []
    epoch = trainer.run(resume=False, on_epoch=records.append)["epoch"]
    best = max(records[4:], key=lambda record: (record["validation_accuracy"], record["epoch"]))
    assert epoch == (chosen or best["epoch"])
