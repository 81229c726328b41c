"""Whole runs: what lands in the run folder, resuming bit for bit, and errors."""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sterna.net import WeightNode, quantize_input
from sterna.net.errors import InvalidValueError
from sterna.net.file import load
from sterna.sim.golden import GoldenModel
from sterna.train import api, run
from sterna.train.checkpoint import CheckpointError, load_checkpoint, save_checkpoint
from sterna.train.data import load_digits
from sterna.train.export import ExportError
from sterna.train.loop import DivergedError
from sterna.train.methods import METHODS
from sterna.train.recipe import RecipeError
from sterna.train.run_lock import LOCK_NAME, RunLockedError

RECIPE = """
name = "short"
seed = 11
[data]
name = "digits"
validation = VALIDATION
augment = { shift = 0.5, rotate_degrees = 5 }
[model]
topology = "TOPOLOGY"
requantize = "REQUANTIZE"
[training]
batch = 128
epochs = EPOCHS
learning_rate = 1e-2
[method]
name = "METHOD"
zeros = 0.8
"""
DENSE, RESIDUAL = "24", "3C3s2p1-R3-R4s2-AP2"
EXPORTED = [name for name in METHODS if name not in ("ttq", "float")]


def text(
    *,
    topology: str = DENSE,
    requantize: str = "thresholds",
    method: str = "sparsity-induced",
    epochs: int = 10,
    validation: int = 200,
) -> str:
    filled = RECIPE.replace("TOPOLOGY", topology).replace("REQUANTIZE", requantize).replace("METHOD", method)
    return filled.replace("EPOCHS", str(epochs)).replace("VALIDATION", str(validation))


class StopHere(Exception):
    """Stands for a kill."""


@pytest.fixture
def recipe(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    path = tmp_path / "short.toml"
    path.write_text(text(requantize=getattr(request, "param", "thresholds")))
    return path


both = pytest.mark.parametrize("recipe", ["thresholds", "shift"], indirect=True)


def stop_after(epoch: int) -> Callable[[dict[str, Any]], None]:
    def stop(record: dict[str, Any]) -> None:
        if record["epoch"] == epoch:
            raise StopHere

    return stop


def assert_same_run(folder: Path, other: Path) -> None:
    """The same files, but for how long it took."""
    names = sorted(path.name for path in folder.iterdir())
    assert names == sorted(path.name for path in other.iterdir())
    for name in names:
        if name.endswith(".json"):
            one, two = (json.loads((place / name).read_text()) for place in (folder, other))
            assert {k: v for k, v in one.items() if k != "seconds"} == {k: v for k, v in two.items() if k != "seconds"}
        elif name.startswith("checkpoint"):
            (one, values), (two, other_values) = (
                load_checkpoint(p / name, torch.device("cpu")) for p in (folder, other)
            )
            assert values == other_values
            assert {group: sorted(tensors) for group, tensors in one.items()} == {g: sorted(t) for g, t in two.items()}
            for group, tensors in one.items():
                assert all(torch.equal(t, two[group][key]) for key, t in tensors.items())
        else:
            assert (folder / name).read_bytes() == (other / name).read_bytes(), name


@both
def test_run_folder(recipe: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    result = run(recipe, folder, device="cpu")
    names = {path.name for path in folder.iterdir()}
    files = {"short.safetensors", "recipe.json", "log.jsonl", "results.json", "checkpoint.safetensors"}
    assert names == {*files, LOCK_NAME}
    path, network = result.exported()
    assert load(path).digest == network.digest
    assert result.refusal is None
    assert result.zeros == network.zeros >= 0.8
    assert result.test_accuracy == api.golden_accuracy(network, load_digits()) > 0.5
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == list(range(1, 11))
    best = max((r for r in lines if r["stage"] == "retrain"), key=lambda r: (r["validation_accuracy"], r["epoch"]))
    assert (result.epoch, result.validation_accuracy) == (best["epoch"], best["validation_accuracy"])
    results = json.loads((folder / "results.json").read_text())
    assert results["digest"] == network.digest
    assert (results["device"], results["processes"], results["threads"]) == ("cpu", 1, 1)
    assert results["seconds"] > 0
    kept = network.metadata
    assert kept["seed"] == 11
    assert kept["recipe"]["method"]["zeros"] == 0.8
    assert kept["log_sha256"] == hashlib.sha256((folder / "log.jsonl").read_bytes()).hexdigest()
    assert kept["command"].endswith("short.toml --seed 11")
    assert "seconds" not in kept


@pytest.mark.parametrize("topology", [DENSE, RESIDUAL])
def test_held_out_accuracy_is_that_of_the_integers(tmp_path: Path, topology: str) -> None:
    """Training sees the images' codes and computes the values that the network does: shifts are exact in float32."""
    path = tmp_path / "short.toml"
    path.write_text(text(topology=topology, requantize="shift", epochs=6))
    result = run(path, tmp_path / "run", device="cpu")
    _, network = result.exported()
    data = load_digits()
    images, labels = data.train_images[-200:].numpy(), data.train_labels[-200:].numpy()
    codes = quantize_input(images.reshape(200, *network.input_shape), network.input_scale, network.input_type)
    assert result.validation_accuracy == float(np.mean(GoldenModel(network).classify(codes) == labels))


@pytest.mark.parametrize("method", ["ttq", "float"])
def test_runs_without_a_network_say_why(tmp_path: Path, method: str) -> None:
    path, folder = tmp_path / "short.toml", tmp_path / "run"
    path.write_text(text(method=method))
    result = run(path, folder, device="cpu")
    assert {path.name for path in folder.iterdir()} == {
        "recipe.json", "log.jsonl", "results.json", "checkpoint.safetensors", LOCK_NAME,
    }  # fmt: skip
    assert (result.network, result.model_path) == (None, None)
    assert result.refusal is not None
    assert "train with sparsity-induced, sca, magnitude or twn for hardware" in result.refusal
    assert result.test_accuracy > 0.8
    with pytest.raises(ExportError) as caught:
        result.exported()
    assert str(caught.value) == f"{folder}: there is no network to export: {result.refusal}"
    seen: list[Any] = []
    again = run(path, folder, device="cpu", on_epoch=seen.append)
    assert not seen
    assert (again.refusal, again.test_accuracy, again.zeros) == (result.refusal, result.test_accuracy, result.zeros)


CASES = [
    *((method, topology, "thresholds") for method in METHODS for topology in (DENSE, RESIDUAL)),
    ("sparsity-induced", DENSE, "shift"),
    ("sca", RESIDUAL, "shift"),
]


@pytest.mark.parametrize(("method", "topology", "requantize"), CASES)
def test_a_run_that_was_stopped_is_bit_identical(tmp_path: Path, method: str, topology: str, requantize: str) -> None:
    """Stopped in the first stage, at its end, in the second, and between the last epoch and the export."""
    path, whole, broken = tmp_path / "short.toml", tmp_path / "whole", tmp_path / "broken"
    # Batches: 4 an epoch, so that the second and the third epoch end between two looks at the zeros, at every 8th step.
    longer = "\n[method.sca]\nhold = 0.33\n"  # a second stage of two epochs, as the others have
    path.write_text(text(method=method, topology=topology, requantize=requantize, epochs=6, validation=837) + longer)
    run(path, whole, device="cpu", checkpoint_seconds=0)
    stages = [json.loads(line)["stage"] for line in (whole / "log.jsonl").read_text().splitlines()]
    assert len(set(stages[:4])) == 1
    assert (stages[3] == stages[4]) is (not METHODS[method].controlled)
    for stop in (1, 3, 4, 5, 6):
        with pytest.raises(StopHere):
            run(path, broken, device="cpu", checkpoint_seconds=0, on_epoch=stop_after(stop))
        assert not list(broken.glob("short*"))
        assert not (broken / "results.json").exists()
    seen: list[int] = []
    run(path, broken, device="cpu", checkpoint_seconds=0, on_epoch=lambda record: seen.append(record["epoch"]))
    assert seen == []
    assert_same_run(whole, broken)


@both
def test_work_after_the_last_checkpoint_is_done_again(recipe: Path, tmp_path: Path) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    run(recipe, whole, device="cpu", checkpoint_seconds=0)
    with pytest.raises(StopHere):
        run(recipe, broken, device="cpu", checkpoint_seconds=0, on_epoch=stop_after(3))
    # A checkpoint lies some epochs back, and a kill may leave a line half written.
    with pytest.raises(StopHere):
        run(recipe, broken, device="cpu", checkpoint_seconds=1000, on_epoch=stop_after(5))
    with (broken / "log.jsonl").open("a") as log:
        log.write('{"epoch": 6, "stage": "regul')
    seen: list[int] = []
    run(recipe, broken, device="cpu", checkpoint_seconds=0, on_epoch=lambda record: seen.append(record["epoch"]))
    assert seen == list(range(4, 11))
    assert_same_run(whole, broken)


SCRIPT = """
import sys, time
from sterna.train import run

recipe, folder = sys.argv[1:]
pause = lambda record: time.sleep(0.02 if record["epoch"] < 9 else 60)
run(recipe, folder, device="cpu", checkpoint_seconds=0, on_epoch=pause)
"""


@pytest.mark.timeout(120)
def test_a_killed_process_loses_nothing(tmp_path: Path) -> None:
    path, whole, broken = tmp_path / "short.toml", tmp_path / "whole", tmp_path / "broken"
    path.write_text(text(topology=RESIDUAL, epochs=12))
    run(path, whole, device="cpu")
    process = subprocess.Popen([sys.executable, "-c", SCRIPT, str(path), str(broken)])
    while not (broken / "checkpoint.safetensors").exists():
        assert process.poll() is None
        time.sleep(0.005)
    time.sleep(random.Random().uniform(0, 0.3))  # any moment must do
    process.kill()
    assert process.wait(timeout=60) == -signal.SIGKILL
    done = load_checkpoint(broken / "checkpoint.safetensors", torch.device("cpu"))[1]["epochs"]
    assert 1 <= done <= 9
    assert not list(broken.glob("short*"))
    seen: list[int] = []
    run(path, broken, device="cpu", on_epoch=lambda record: seen.append(record["epoch"]))
    assert seen == list(range(done + 1, 13))
    assert_same_run(whole, broken)


def test_finished_run_is_returned_unless_told_otherwise(recipe: Path, tmp_path: Path) -> None:
    first = run(recipe, tmp_path / "run", device="cpu")
    seen: list[Any] = []
    again = run(recipe, tmp_path / "run", device="cpu", on_epoch=seen.append)
    assert not seen
    assert first.network is not None
    assert again.network is not None
    assert (again.seconds, again.network.digest, again.epoch) == (0.0, first.network.digest, first.epoch)
    with pytest.raises(CheckpointError, match="of a run with another seed"):
        run(recipe, tmp_path / "run", seed=12, device="cpu")
    anew = run(recipe, tmp_path / "run", device="cpu", resume=False, on_epoch=seen.append)
    assert len(seen) == 10
    assert anew.network is not None
    assert anew.network.digest == first.network.digest


@pytest.mark.parametrize("damage", ["remove", "exchange", "cut"])
def test_a_finished_run_without_its_network_is_finished_again(recipe: Path, tmp_path: Path, damage: str) -> None:
    first, other = (run(recipe, tmp_path / str(seed), seed=seed, device="cpu") for seed in (11, 12))
    path, network = first.exported()
    if damage == "remove":
        path.unlink()
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[:-1])
    else:
        path.write_bytes(other.exported()[0].read_bytes())
    seen: list[Any] = []
    again = run(recipe, tmp_path / "11", device="cpu", on_epoch=seen.append)
    assert not seen  # from the checkpoint
    assert again.exported()[1].digest == load(path).digest == network.digest


@pytest.mark.parametrize("content", ["", "{", "[]", "null", "[" * 100_000, "{}"])
def test_damaged_results_are_made_again(recipe: Path, tmp_path: Path, content: str) -> None:
    recipe.write_text(text(epochs=2))
    first = run(recipe, tmp_path / "run", device="cpu")
    results = tmp_path / "run" / "results.json"
    kept = json.loads(results.read_text())
    results.write_text(content or json.dumps({key: kept[key] for key in kept if key != "epoch"}))
    again = run(recipe, tmp_path / "run", device="cpu")
    assert (again.epoch, again.test_accuracy) == (first.epoch, first.test_accuracy)
    made = json.loads(results.read_text())
    assert {k: v for k, v in made.items() if k != "seconds"} == {k: v for k, v in kept.items() if k != "seconds"}


def test_seed_changes_the_run(recipe: Path, tmp_path: Path) -> None:
    one, other = (run(recipe, tmp_path / str(seed), seed=seed, device="cpu") for seed in (1, 2))
    assert one.exported()[1].digest != other.exported()[1].digest
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


@pytest.mark.parametrize("damage", ["no epochs", "an epoch too many", "other network"])
def test_checkpoints_of_another_version_are_refused(recipe: Path, tmp_path: Path, damage: str) -> None:
    recipe.write_text(text(epochs=3))
    path = tmp_path / "run" / "checkpoint.safetensors"
    with pytest.raises(StopHere):
        run(recipe, tmp_path / "run", device="cpu", checkpoint_seconds=0, on_epoch=stop_after(2))
    groups, values = load_checkpoint(path, torch.device("cpu"))
    if damage == "no epochs":
        del values["epochs"]
    elif damage == "an epoch too many":
        values["epochs"] = 4
    else:
        groups["model"].pop("layers.fc1.linear.weight")
    save_checkpoint(path, groups, values)
    with pytest.raises(CheckpointError) as caught:
        run(recipe, tmp_path / "run", device="cpu")
    assert str(caught.value) == (
        f"{path}: of another version of Sterna; remove it to start anew, or choose another folder"
    )


HOLD = """
import sys, time
from sterna.train import run

recipe, folder = sys.argv[1:]
def hold(record):
    print("training", flush=True)
    time.sleep(60)
run(recipe, folder, device="cpu", checkpoint_seconds=0, on_epoch=hold)
"""


@pytest.mark.timeout(120)
def test_a_second_run_in_a_folder_is_refused_until_the_first_ends(recipe: Path, tmp_path: Path) -> None:
    recipe.write_text(text(epochs=3))
    folder = tmp_path / "run"
    first = subprocess.Popen([sys.executable, "-c", HOLD, str(recipe), str(folder)], stdout=subprocess.PIPE, text=True)
    try:
        assert first.stdout is not None
        assert first.stdout.readline() == "training\n"
        before = {path.name: path.read_bytes() for path in folder.iterdir()}
        for seed, resume in ((None, True), (None, False), (12, False)):
            with pytest.raises(RunLockedError) as caught:
                run(recipe, folder, device="cpu", seed=seed, resume=resume)
            assert str(caught.value) == (
                f"{folder}: another run is training in this folder; wait for its end, or choose another output folder"
            )
        assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    finally:
        first.kill()
        first.communicate(timeout=60)
    assert (folder / LOCK_NAME).exists()  # and says nothing: who held it is dead
    (folder / ".checkpoint.safetensors.4711.part").write_bytes(b"half")  # as a kill leaves it
    (folder / ".short.safetensors.4711.part").write_bytes(b"half")
    (folder / ".training.png.4711.part").write_bytes(b"being drawn")
    run(recipe, folder, device="cpu")
    assert [path.name for path in folder.glob(".*.part")] == [".training.png.4711.part"]
    assert len((folder / "log.jsonl").read_text().splitlines()) == 3


@pytest.mark.parametrize("stop", [KeyboardInterrupt, StopHere])
def test_an_interrupted_run_leaves_no_half_files_and_no_lock(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop: type[BaseException]
) -> None:
    def killed(self: Path, target: Path) -> None:
        if target.name == "checkpoint.safetensors":
            raise stop
        os.replace(self, target)

    recipe.write_text(text(epochs=2))
    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", killed)
        with pytest.raises(stop):
            run(recipe, tmp_path / "run", device="cpu", checkpoint_seconds=0)
    names = sorted(path.name for path in (tmp_path / "run").iterdir())
    assert names == [LOCK_NAME, "log.jsonl", "recipe.json"]
    assert run(recipe, tmp_path / "run", device="cpu").network is not None


def test_a_kill_while_a_run_resumes_leaves_the_log_whole(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe.write_text(text(epochs=3))
    folder = tmp_path / "run"
    with pytest.raises(StopHere):
        run(recipe, folder, device="cpu", checkpoint_seconds=0, on_epoch=stop_after(2))
    before = (folder / "log.jsonl").read_bytes()

    def killed(self: Path, text: str, **options: Any) -> None:
        self.write_bytes(b"" if "log.jsonl" in self.name else text.encode())
        if "log.jsonl" in self.name:
            raise StopHere

    monkeypatch.setattr(Path, "write_text", killed)
    with pytest.raises(StopHere):
        run(recipe, folder, device="cpu")
    assert (folder / "log.jsonl").read_bytes() == before


def test_divergence_is_said(recipe: Path, tmp_path: Path) -> None:
    recipe.write_text(recipe.read_text().replace("learning_rate = 1e-2", "learning_rate = 1e18"))
    with pytest.raises(DivergedError, match=r"short: the loss became (nan|inf) in epoch \d+; lower the learning rates"):
        run(recipe, tmp_path / "run", device="cpu")
    assert not (tmp_path / "run" / "short.safetensors").exists()


def test_threads_are_set_for_the_run_and_given_back(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = torch.get_num_threads()
    seen: list[int] = []

    def look(name: str) -> None:
        seen.append(torch.get_num_threads())
        raise StopHere

    monkeypatch.setattr(api, "load_data", look)
    for threads in (2, 3):
        with pytest.raises(StopHere):
            run(recipe, tmp_path / "run", device="cpu", threads=threads)
    assert seen == [2, 3]
    assert torch.get_num_threads() == before


def test_user_errors(recipe: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"device 'nowhere' cannot be used"):
        run(recipe, tmp_path / "run", device="nowhere")
    with pytest.raises(ValueError, match="threads must be a positive integer, not 0"):
        run(recipe, tmp_path / "run", threads=0)
    with pytest.raises(ValueError, match=r"seed must be 0 to 2\^32 - 1, not -1"):
        run(recipe, tmp_path / "run", seed=-1)
    recipe.write_text(text(epochs=2).replace("shift = 0.5, rotate_degrees = 5", "crop = 8"))
    with pytest.raises(RecipeError) as caught:
        run(recipe, tmp_path / "run", device="cpu")
    assert str(caught.value) == f"{recipe}: data.augment.crop must be below 8 for images of 8 x 8 pixels, not 8"
    recipe.write_text(text(validation=1400))
    with pytest.raises(RecipeError, match=r"short\.toml: data\.validation of 1400 images leaves no batch of 128"):
        run(recipe, tmp_path / "run", device="cpu")


@pytest.mark.parametrize(
    "device", ["", "meta", "hpu", pytest.param("cuda", marks=pytest.mark.skipif(torch.cuda.is_available(), reason=""))]
)
def test_devices_that_cannot_be_used(device: str, recipe: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidValueError, match=rf"^device '{device}' cannot be used: .+"):
        run(recipe, tmp_path / "run", device=device)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("topology", "reason"),
    [
        ("4C3-MP2-6C5", "a kernel of 5 does not fit into maps of 3 x 3"),
        ("65536-65536", "more than 67108864 weights, with 4294967296 in one layer"),
        ("20000C1", "a layer with 1280000 outputs an image, more than 1048576"),
        ("8C3p65536", "a layer with 137451536672 outputs an image, more than 1048576"),
    ],
)
def test_topologies_that_do_not_fit_the_images_or_the_memory(tmp_path: Path, topology: str, reason: str) -> None:
    path = tmp_path / "short.toml"
    path.write_text(text(topology=topology))
    with pytest.raises(RecipeError) as caught:
        run(path, tmp_path / "run", device="cpu")
    assert str(caught.value) == f"{path}: topology: {reason}"


@pytest.mark.parametrize(
    "error", [MemoryError(), torch.OutOfMemoryError("CUDA"), RuntimeError("DefaultCPUAllocator: can't allocate")]
)
def test_a_full_memory_is_said(recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def load(name: str) -> None:
        raise error

    monkeypatch.setattr(api, "load_data", load)
    with pytest.raises(InvalidValueError, match=r"^the memory of cpu is full; lower training\.batch, or choose a sm"):
        run(recipe, tmp_path / "run", device="cpu")


def test_other_errors_pass(recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A defect is none of the user's: it keeps its own kind."""
    for error in (RuntimeError("shapes"), ValueError("no number"), TypeError("no")):

        def load(name: str, error: Exception = error) -> None:
            raise error

        monkeypatch.setattr(api, "load_data", load)
        with pytest.raises(type(error)) as caught:
            run(recipe, tmp_path / "run", device="cpu")
        assert caught.value is error


@both
def test_bfloat16_trains_and_exports(recipe: Path, tmp_path: Path) -> None:
    written = recipe.read_text().replace("batch = 128", 'batch = 128\nprecision = "bfloat16"\nlabel_smoothing = 0.05')
    recipe.write_text(written)
    assert run(recipe, tmp_path / "run", device="cpu").zeros >= 0.8


@pytest.mark.parametrize("method", EXPORTED)
def test_bfloat16_residual_networks_export(tmp_path: Path, method: str) -> None:
    path = tmp_path / "short.toml"
    written = text(topology=RESIDUAL, method=method, epochs=4).replace(
        "batch = 128", 'batch = 128\nprecision = "bfloat16"'
    )
    path.write_text(written.replace('requantize = "thresholds"', "learned_step = true\nactivation_width = 3"))
    _, network = run(path, tmp_path / "run", device="cpu").exported()
    assert sum(isinstance(node, WeightNode) for node in network.nodes) == 7


def test_command_names_no_place_outside_of_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert api.command("recipes/a.toml", 2) == "sterna train recipes/a.toml --seed 2"
    assert api.command(tmp_path / "recipes" / "a.toml", 2) == "sterna train recipes/a.toml --seed 2"
    assert api.command(Path("/somewhere/else/a.toml"), 2) == "sterna train a.toml --seed 2"
