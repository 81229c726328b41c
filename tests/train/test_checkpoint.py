"""Checkpoints: what is kept, and files that are none."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from sterna.train.checkpoint import (
    CheckpointError,
    derived_seed,
    load_checkpoint,
    optimizer_tensors,
    restore_optimizer,
    save_checkpoint,
)

CPU = torch.device("cpu")


def test_round_trip(tmp_path: Path) -> None:
    turned = torch.arange(6.0).reshape(2, 3).T  # not contiguous
    tensors = {"a": {"x/y": torch.arange(3), "z": torch.tensor(1.5)}, "b": {"x": turned}}
    save_checkpoint(tmp_path / "c", tensors, {"epochs": 3, "rate": 0.1})
    groups, values = load_checkpoint(tmp_path / "c", CPU)
    assert values == {"epochs": 3, "rate": 0.1}
    assert {g: sorted(t) for g, t in groups.items()} == {g: sorted(t) for g, t in tensors.items()}
    for group, named in tensors.items():
        assert all(torch.equal(groups[group][name], t) for name, t in named.items())
    assert [path.name for path in tmp_path.iterdir()] == ["c"]


def test_a_write_that_ends_early_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "c"
    save_checkpoint(path, {"a": {"x": torch.zeros(2)}}, {"epochs": 1})

    def killed(self: Path, target: Path) -> None:
        raise InterruptedError

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", killed)
        with pytest.raises(InterruptedError):
            save_checkpoint(path, {"a": {"x": torch.ones(2)}}, {"epochs": 2})
    groups, values = load_checkpoint(path, CPU)
    assert (values["epochs"], groups["a"]["x"].tolist()) == (1, [0, 0])
    save_checkpoint(path, {"a": {"x": torch.ones(2)}}, {"epochs": 2})
    assert load_checkpoint(path, CPU)[1]["epochs"] == 2


@pytest.mark.parametrize("content", [b"", b"nothing", b"\xff" * 100])
def test_other_files_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "c"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"c: not a checkpoint of a run \(.*\); remove it to start anew$"):
        load_checkpoint(path, CPU)


def test_files_of_tensors_alone_are_refused(tmp_path: Path) -> None:
    save_file({"x": torch.zeros(1)}, tmp_path / "c")
    with pytest.raises(CheckpointError, match="not a checkpoint of a run"):
        load_checkpoint(tmp_path / "c", CPU)
    save_file({"x": torch.zeros(1)}, tmp_path / "c", metadata={"values": "{}"})  # a name without a group
    with pytest.raises(CheckpointError, match="not a checkpoint of a run"):
        load_checkpoint(tmp_path / "c", CPU)
    with pytest.raises(CheckpointError, match="none: not a checkpoint of a run"):
        load_checkpoint(tmp_path / "none", CPU)


def test_an_optimizer_goes_on_where_it_was(tmp_path: Path) -> None:
    def start() -> tuple[nn.Parameter, nn.Parameter, torch.optim.Optimizer]:
        one, other = nn.Parameter(torch.ones(2, 3)), nn.Parameter(torch.tensor(2.0))
        groups = [{"params": [one]}, {"params": [other], "lr": 0.5}]
        return one, other, torch.optim.Adam(groups, lr=0.1)

    def step(one: nn.Parameter, other: nn.Parameter, optimizer: torch.optim.Optimizer) -> None:
        optimizer.zero_grad()
        ((one * torch.arange(3.0)).square().sum() + other**3).backward()
        optimizer.step()

    whole = start()
    for _ in range(5):
        step(*whole)
    broken = start()
    for _ in range(2):
        step(*broken)
    tensors = {"model": {"one": broken[0], "other": broken[1]}, "optimizer": optimizer_tensors(broken[2])}
    save_checkpoint(tmp_path / "c", tensors, {})
    groups, _ = load_checkpoint(tmp_path / "c", CPU)
    resumed = start()
    resumed[0].data.copy_(groups["model"]["one"])
    resumed[1].data.copy_(groups["model"]["other"])
    restore_optimizer(resumed[2], groups["optimizer"])
    assert [group["lr"] for group in resumed[2].param_groups] == [0.1, 0.5]
    for _ in range(3):
        step(*resumed)
    assert torch.equal(resumed[0], whole[0])
    assert torch.equal(resumed[1], whole[1])


def test_derived_seeds_differ_and_repeat() -> None:
    seeds = {derived_seed(seed, "epoch", epoch) for seed in range(5) for epoch in range(50)}
    assert len(seeds) == 250
    assert derived_seed(1, "epoch", 2) == derived_seed(1, "epoch", 2) < 2**63
    assert derived_seed(1, "weights") != derived_seed(1, "epoch")
