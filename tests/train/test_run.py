"""Whole runs: what lands in the run folder, resuming bit for bit, and errors."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console

from sterna.net.file import load
from sterna.train import api, run
from sterna.train.checkpoint import CheckpointError, derived_seed, load_checkpoint, save_checkpoint
from sterna.train.data import load_digits
from sterna.train.loop import DivergedError
from sterna.train.progress import EpochProgress

RECIPE = """
name = "short"
seed = 11
[data]
name = "digits"
validation = 200
augment = { shift = 0.5, rotate_degrees = 5 }
[model]
hidden = [24]
requantize = "REQUANTIZE"
[training]
batch = 128
[method]
name = "sparsity-induced"
zeros = 0.8
regularize_epochs = 6
regularize_rate = 1e-2
threshold_rate = 5e-2
retrain_epochs = 4
"""


class StopHere(Exception):
    """Stands for a kill."""


@pytest.fixture(params=["thresholds", "shift"])
def recipe(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    path = tmp_path / "short.toml"
    path.write_text(RECIPE.replace("REQUANTIZE", request.param))
    return path


def stop_after(epoch: int) -> Any:
    def stop(record: dict[str, Any]) -> None:
        if record["epoch"] == epoch:
            raise StopHere

    return stop


def test_run_folder(recipe: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    result = run(recipe, folder, device="cpu")
    names = {path.name for path in folder.iterdir()}
    assert names == {"short.safetensors", "recipe.json", "log.jsonl", "results.json", "checkpoint.safetensors"}
    network = load(result.model_path)
    assert network.digest == result.network.digest
    assert result.zeros == network.zeros >= 0.8
    assert result.test_accuracy == api.golden_accuracy(network, load_digits()) > 0.5
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == list(range(1, 11))
    best = max(lines[6:], key=lambda line: (line["validation_accuracy"], line["epoch"]))
    assert (result.epoch, result.validation_accuracy) == (best["epoch"], best["validation_accuracy"])
    results = json.loads((folder / "results.json").read_text())
    assert results["digest"] == network.digest
    kept = network.metadata
    assert kept["seed"] == 11
    assert kept["recipe"]["method"]["zeros"] == 0.8
    assert kept["log_sha256"] == hashlib.sha256((folder / "log.jsonl").read_bytes()).hexdigest()
    assert kept["command"].endswith("short.toml --seed 11")


@pytest.mark.parametrize("epoch", [3, 6, 8])
def test_resumed_run_is_bit_identical(recipe: Path, tmp_path: Path, epoch: int) -> None:
    whole = run(recipe, tmp_path / "whole", device="cpu", checkpoint_seconds=0)
    with pytest.raises(StopHere):
        run(recipe, tmp_path / "broken", device="cpu", checkpoint_seconds=0, on_epoch=stop_after(epoch))
    # A line that was written after the last checkpoint, as a kill can leave it.
    log = tmp_path / "broken" / "log.jsonl"
    log.write_text(log.read_text() + '{"epoch": 99}\n')
    assert not (tmp_path / "broken" / "short.safetensors").exists()
    seen: list[int] = []
    resumed = run(
        recipe,
        tmp_path / "broken",
        device="cpu",
        checkpoint_seconds=0,
        on_epoch=lambda record: seen.append(record["epoch"]),
    )
    assert seen == list(range(epoch + 1, 11))
    for name in ("short.safetensors", "log.jsonl", "recipe.json"):
        assert (tmp_path / "broken" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    one, _ = load_checkpoint(tmp_path / "whole" / "checkpoint.safetensors", torch.device("cpu"))
    other, _ = load_checkpoint(tmp_path / "broken" / "checkpoint.safetensors", torch.device("cpu"))
    for group, tensors in one.items():
        assert all(torch.equal(t, other[group][name]) for name, t in tensors.items())
    assert resumed.network.digest == whole.network.digest


def test_finished_run_is_returned_unless_told_otherwise(recipe: Path, tmp_path: Path) -> None:
    first = run(recipe, tmp_path / "run", device="cpu")
    seen: list[Any] = []
    again = run(recipe, tmp_path / "run", device="cpu", on_epoch=seen.append)
    assert not seen
    assert (again.seconds, again.network.digest, again.epoch) == (0.0, first.network.digest, first.epoch)
    with pytest.raises(CheckpointError, match="of a run with another seed"):
        run(recipe, tmp_path / "run", seed=12, device="cpu")
    anew = run(recipe, tmp_path / "run", device="cpu", resume=False, on_epoch=seen.append)
    assert len(seen) == 10
    assert anew.network.digest == first.network.digest


def test_seed_changes_the_run(recipe: Path, tmp_path: Path) -> None:
    one, other = (run(recipe, tmp_path / str(seed), seed=seed, device="cpu") for seed in (1, 2))
    assert one.network.digest != other.network.digest
    assert (one.seed, other.seed) == (1, 2)


def test_folder_of_another_run_is_refused(recipe: Path, tmp_path: Path) -> None:
    with pytest.raises(StopHere):
        run(recipe, tmp_path / "run", device="cpu", checkpoint_seconds=0, on_epoch=stop_after(2))
    with pytest.raises(CheckpointError, match=r"of a run with another seed; choose another output folder"):
        run(recipe, tmp_path / "run", seed=99, device="cpu")
    recipe.write_text(recipe.read_text().replace("0.8", "0.7"))
    with pytest.raises(CheckpointError, match=r"of a run with another recipe; choose another output folder"):
        run(recipe, tmp_path / "run", device="cpu")


def test_damaged_checkpoints_are_refused(recipe: Path, tmp_path: Path) -> None:
    with pytest.raises(StopHere):
        run(recipe, tmp_path / "run", device="cpu", checkpoint_seconds=0, on_epoch=stop_after(2))
    (tmp_path / "run" / "log.jsonl").write_text("")
    with pytest.raises(CheckpointError, match=r"log\.jsonl: shorter than its checkpoint says; start anew"):
        run(recipe, tmp_path / "run", device="cpu")
    (tmp_path / "run" / "checkpoint.safetensors").write_bytes(b"nothing")
    with pytest.raises(CheckpointError, match=r"checkpoint\.safetensors: not a checkpoint of a run"):
        run(recipe, tmp_path / "run", device="cpu")


def test_divergence_is_said(recipe: Path, tmp_path: Path) -> None:
    recipe.write_text(recipe.read_text().replace("regularize_rate = 1e-2", "regularize_rate = 1e30"))
    with pytest.raises(DivergedError, match=r"short: the loss became (nan|inf) in epoch \d+; lower the learning rates"):
        run(recipe, tmp_path / "run", device="cpu")
    assert not (tmp_path / "run" / "short.safetensors").exists()


def test_threads_are_set_for_the_run_and_given_back(recipe: Path, tmp_path: Path) -> None:
    before = torch.get_num_threads()
    seen: list[int] = []
    run(recipe, tmp_path / "run", device="cpu", threads=2, on_epoch=lambda record: seen.append(torch.get_num_threads()))
    assert set(seen) == {2}
    assert torch.get_num_threads() == before


def test_user_errors(recipe: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"device 'nowhere' cannot be used"):
        run(recipe, tmp_path / "run", device="nowhere")
    with pytest.raises(ValueError, match="threads must be a positive integer, not 0"):
        run(recipe, tmp_path / "run", threads=0)
    with pytest.raises(ValueError, match=r"seed must be 0 to 2\^32 - 1, not -1"):
        run(recipe, tmp_path / "run", seed=-1)
    recipe.write_text(recipe.read_text().replace("validation = 200", "validation = 1400"))
    with pytest.raises(ValueError, match=r"data\.validation of 1400 images leaves no batch of 128"):
        run(recipe, tmp_path / "run", device="cpu")


def test_bfloat16_trains_and_exports(recipe: Path, tmp_path: Path) -> None:
    text = recipe.read_text().replace("batch = 128", 'batch = 128\nprecision = "bfloat16"\nlabel_smoothing = 0.05')
    recipe.write_text(text)
    assert run(recipe, tmp_path / "run", device="cpu").zeros >= 0.8


def test_command_names_no_place_outside_of_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert api.command("recipes/a.toml", 2) == "sterna train recipes/a.toml --seed 2"
    assert api.command(tmp_path / "recipes" / "a.toml", 2) == "sterna train recipes/a.toml --seed 2"
    assert api.command(Path("/somewhere/else/a.toml"), 2) == "sterna train a.toml --seed 2"


def test_checkpoint_round_trip(tmp_path: Path) -> None:
    tensors = {"a": {"x/y": torch.arange(3), "z": torch.tensor(1.5)}, "b": {"x": torch.zeros(2, 2)}}
    save_checkpoint(tmp_path / "c", tensors, {"epochs": 3, "rate": 0.1})
    groups, values = load_checkpoint(tmp_path / "c", torch.device("cpu"))
    assert values == {"epochs": 3, "rate": 0.1}
    assert {g: sorted(t) for g, t in groups.items()} == {g: sorted(t) for g, t in tensors.items()}
    assert torch.equal(groups["a"]["x/y"], tensors["a"]["x/y"])


def test_derived_seeds_differ_and_repeat() -> None:
    seeds = {derived_seed(seed, "epoch", epoch) for seed in range(5) for epoch in range(50)}
    assert len(seeds) == 250
    assert derived_seed(1, "epoch", 2) == derived_seed(1, "epoch", 2) < 2**63


RECORD = {"stage": "retrain", "loss": 0.5, "zeros": 0.9, "validation_accuracy": 0.95}


def test_progress_is_plain_lines_without_a_terminal() -> None:
    console = Console(record=True, force_terminal=False, width=120)
    with EpochProgress(total=3, done=1, console=console, every_seconds=0) as progress:
        progress.show(RECORD)
        progress.show(RECORD)
    lines = console.export_text().splitlines()
    assert lines[0] == "epoch 2/3 retrain: loss 0.5000, zeros 90.00 %, validation 95.00 %"
    assert len(lines) == 2


def test_plain_lines_pause_but_never_leave_out_the_last() -> None:
    console = Console(record=True, force_terminal=False, width=120)
    with EpochProgress(total=50, console=console, every_seconds=1000) as progress:
        for _ in range(50):
            progress.show(RECORD)
    assert [line.split()[1] for line in console.export_text().splitlines()] == ["1/50", "50/50"]


def test_progress_is_a_bar_on_a_terminal() -> None:
    console = Console(record=True, force_terminal=True, width=120)
    with EpochProgress(total=1, console=console) as progress:
        progress.show(RECORD)
    assert "1/1" in console.export_text()
