"""Several processes that train one model: what ``torchrun`` starts."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from sterna.net import quantize_input
from sterna.net.errors import InvalidValueError
from sterna.net.file import load
from sterna.sim.golden import GoldenModel
from sterna.train.data import load_digits
from sterna.train.distributed import Group, joined

RECIPE = """
name = "two"
seed = 5
[data]
name = "digits"
validation = 201
augment = { shift = 0.5 }
[model]
topology = "8C3s2p1-R8-24"
requantize = "shift"
[training]
batch = 128
epochs = 6
learning_rate = 1e-2
[method]
name = "sparsity-induced"
zeros = 0.5
"""

#: Starts two processes as torchrun does, but from one that has imported everything.
SCRIPT = """
import os, signal, socket, sys, time
from pathlib import Path
import torch
from filelock import FileLock
from sterna.train import run
from sterna.train.distributed import joined
from sterna.train.models import Requantize, build
from sterna.train.quantizers import InputQuantizer, TernaryQuantizer
from sterna.train.run_lock import LOCK_NAME
from sterna.train.topology import parse_topology

def both(work):
    with socket.socket() as free:
        free.bind(("localhost", 0))
        os.environ.update(MASTER_ADDR="localhost", MASTER_PORT=str(free.getsockname()[1]), WORLD_SIZE="2")
    processes = []
    for rank in range(2):
        process = os.fork()
        if not process:
            os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank))
            try:
                work()
            except BaseException as error:
                print(repr(error), file=sys.stderr, flush=True)
                os._exit(1)
            os._exit(0)
        processes.append(process)
    return processes

def ended(processes):
    return [os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) for process in processes]

def train(recipe, folder, pause):
    def wait(record):
        if record["epoch"] >= pause:
            time.sleep(60)
    run(recipe, folder, device="cpu", checkpoint_seconds=0, on_epoch=wait)

def resume(recipe, folder):
    processes = both(lambda: train(recipe, folder, 3))
    log = Path(folder, "log.jsonl")
    while not log.exists() or len(log.read_text().splitlines()) < 3:
        if os.waitpid(-1, os.WNOHANG)[0]:
            sys.exit("a process ended early")
        time.sleep(0.01)
    while not Path(folder, "checkpoint.safetensors").exists():
        time.sleep(0.01)
    for process in processes:
        os.kill(process, signal.SIGKILL)
    print("killed", ended(processes), flush=True)
    print("resumed", ended(both(lambda: train(recipe, folder, 99))), flush=True)

def refused(recipe, folder):
    Path(folder).mkdir()
    with FileLock(Path(folder, LOCK_NAME)):
        print("refused", ended(both(lambda: train(recipe, folder, 99))), os.listdir(folder), flush=True)

def gradients(path):
    images = torch.rand(10, 1, 6, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    labels = torch.arange(10) % 4

    def model():
        torch.manual_seed(2)
        built = build(
            topology=parse_topology("3C3p1-R4s2-6"), image_shape=(1, 6, 6), classes=4,
            input_quantizer=InputQuantizer(width=4, scale=1 / 15), activation_width=4,
            requantize=Requantize.THRESHOLDS, quantizer=lambda shape: TernaryQuantizer(shape=shape),
        ).double().train()
        built(images)
        return built.eval()  # by running statistics: images do not meet in the normalization

    def loss(forward, part):
        return torch.nn.functional.cross_entropy(forward(images[part]), labels[part])

    def work():
        with joined(torch.device("cpu")) as group:
            one = model()
            forward = group.wrap(one)
            loss(forward, group.share(10)).backward()
            moved = model()
            for buffer in moved.buffers():
                buffer.fill_(group.rank)
            group.align(moved)
            total = group.add(torch.tensor([1.0 + group.rank, 10.0]))
            if group.rank == 1:
                torch.save({
                    "gradients": [p.grad for p in one.parameters()],
                    "aligned": not any(buffer.any() for buffer in moved.buffers()),
                    "total": total.tolist(),
                }, path)

    whole = model()
    loss(whole, slice(None)).backward()
    print("gradients", ended(both(work)), flush=True)
    found = torch.load(path)
    print("aligned", found["aligned"], "total", found["total"])
    seen = 0
    for p, gradient in zip(whole.parameters(), found["gradients"], strict=True):
        seen += bool(p.grad.abs().max() > 0) and torch.allclose(gradient, p.grad, rtol=1e-9, atol=1e-12)
    print("equal in", seen, "of", len(found["gradients"]))

torch.set_num_threads(1)
gradients("gradients.pt")
refused("two.toml", "held")
resume("two.toml", "broken")
"""


def call(*command: str | Path, folder: Path) -> str:
    """Run in ``folder``; what is printed on standard output."""
    environment = {name: value for name, value in os.environ.items() if name not in ("RANK", "WORLD_SIZE")}
    process = subprocess.Popen(
        [sys.executable, *map(str, command)],
        cwd=folder,
        env={**environment, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        out, err = process.communicate(timeout=120)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)  # its workers too
            process.communicate()
    assert process.returncode == 0, err
    return out


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a recipe."""
    folder = tmp_path_factory.mktemp("two")
    (folder / "two.toml").write_text(RECIPE)
    (folder / "start.py").write_text(SCRIPT)
    return folder


@pytest.fixture(scope="module")
def printed(place: Path) -> str:
    """What a run of two processes prints, whose folder is ``whole``."""
    launch = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    return call(
        *launch, "-m", "sterna.cli", "train", "two.toml", "--device", "cpu", "-o", "whole", "--json", folder=place
    )


@pytest.mark.timeout(150)
def test_two_processes_train_one_network(place: Path, printed: str) -> None:
    whole = place / "whole"
    figures = json.loads(printed)  # once
    results = json.loads((whole / "results.json").read_text())
    assert (results["processes"], results["device"]) == (2, "cpu")
    network = load(whole / "two.safetensors")
    assert network.digest == figures["network_digest"] == results["digest"]
    assert network.zeros == figures["zeros"] >= 0.5
    records = [json.loads(line) for line in (whole / "log.jsonl").read_text().splitlines()]
    assert [record["epoch"] for record in records] == list(range(1, 7))
    assert {record["stage"] for record in records} == {"regularize", "retrain"}
    data = load_digits()
    for images, labels, accuracy in (
        (data.test_images, data.test_labels, figures["test_accuracy"]),
        # Both processes judge their parts of the held-out images, by the statistics of the first.
        (data.train_images[-201:], data.train_labels[-201:], figures["validation_accuracy"]),
    ):
        real = images.numpy().reshape(len(images), *network.input_shape)
        codes = quantize_input(real, network.input_scale, network.input_type)
        assert float(np.mean(GoldenModel(network).classify(codes) == labels.numpy())) == accuracy
    assert figures["test_accuracy"] > 0.6


@pytest.fixture(scope="module")
def started(place: Path) -> list[str]:
    """What the script prints, whose run is in the folder ``broken``."""
    return call("start.py", folder=place).splitlines()


@pytest.mark.timeout(300)
def test_both_killed_and_started_again_end_the_same(place: Path, printed: str, started: list[str]) -> None:
    assert started[-2:] == ["killed [-9, -9]", "resumed [0, 0]"]
    for name in ("two.safetensors", "log.jsonl", "recipe.json"):
        assert (place / "broken" / name).read_bytes() == (place / "whole" / name).read_bytes()


@pytest.mark.timeout(150)
def test_averaged_gradients_are_those_of_the_whole_batch(started: list[str]) -> None:
    # Weights and factors of 6 ternary layers; normalizations of 4; bias and scale of the scores.
    assert started[:3] == ["gradients [0, 0]", "aligned True total [3.0, 20.0]", "equal in 22 of 22"]


@pytest.mark.timeout(150)
def test_both_are_refused_a_folder_that_another_run_holds(started: list[str]) -> None:
    assert started[3] == "refused [1, 1] ['.lock']"


@given(st.integers(0, 1000), st.integers(1, 9))
def test_shares_are_a_partition_in_equal_parts(count: int, size: int) -> None:
    groups = [Group(rank=rank, size=size, device=torch.device("cpu")) for rank in range(size)]
    parts = [list(range(count))[group.share(count)] for group in groups]
    assert list(itertools.chain(*parts)) == list(range(count))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1
    assert [group.first for group in groups] == [True] + [False] * (size - 1)


def test_one_process_needs_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WORLD_SIZE", "RANK", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)
    model = nn.BatchNorm1d(3)
    with joined(torch.device("cpu")) as group:
        assert (group.rank, group.size, group.first) == (0, 1, True)
        assert group.wrap(model) is model
        assert group.add(torch.tensor([1.0, 2.0])).tolist() == [1, 2]
        group.align(model)
        group.wait()
    with joined(None) as group:
        assert group.device.type == ("cuda" if torch.cuda.is_available() else "cpu")


def test_a_gpu_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "3")
    monkeypatch.setenv("LOCAL_RANK", "2")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with (
        pytest.raises(ValueError, match=r"^process 2 has no GPU of its own: there are 2 here$"),
        joined(torch.device("cuda")),
    ):
        pass


@pytest.mark.parametrize("value", ["two", "", "-1", "\u0663", "9" * 30])
def test_variables_that_are_no_numbers(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WORLD_SIZE", "LOCAL_RANK"):
        with monkeypatch.context() as patch:
            patch.setenv(name, value)
            with pytest.raises(InvalidValueError) as caught, joined(torch.device("cpu")):
                pass
            assert str(caught.value) == f"{name} must be a number, as torchrun sets it, not {value!r}; unset it"


def test_an_environment_that_is_not_torchruns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")  # as some clusters set it
    for name in ("RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(InvalidValueError) as caught, joined(torch.device("cpu")):
        pass
    assert str(caught.value).startswith("WORLD_SIZE is 2, but the processes cannot be joined: ")
    assert str(caught.value).endswith("; start with torchrun, or unset WORLD_SIZE")
