"""Checkpoints: a safetensors file with all tensors of a run, and its plain values as JSON in the header. No pickles."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from sterna.net.container import replacing
from sterna.net.errors import InvalidValueError


class CheckpointError(InvalidValueError):
    """A checkpoint cannot be used; the message names the file and the remedy."""


def save_checkpoint(path: Path, tensors: dict[str, dict[str, Tensor]], values: dict[str, Any]) -> None:
    """Write groups of tensors and plain values beside ``path``, then rename: a killed run leaves the old one whole."""
    flat = {f"{group}/{name}": t.detach().cpu().contiguous() for group, ts in tensors.items() for name, t in ts.items()}
    with replacing(path) as beside:
        save_file(flat, beside, metadata={"values": json.dumps(values)})


def load_checkpoint(path: Path, device: torch.device) -> tuple[dict[str, dict[str, Tensor]], dict[str, Any]]:
    """What :func:`save_checkpoint` was given, tensors on ``device``.

    Raises
    ------
    CheckpointError
        If the file is not a checkpoint.
    """
    groups: dict[str, dict[str, Tensor]] = {}
    try:
        with safe_open(path, framework="pt", device=str(device)) as file:
            values: dict[str, Any] = dict(json.loads((file.metadata() or {})["values"]))
            for key in file.keys():  # noqa: SIM118 -- a safetensors handle is no dict
                group, name = key.split("/", 1)
                groups.setdefault(group, {})[name] = file.get_tensor(key)
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path}: not a checkpoint of a run ({error}); remove it to start anew") from error
    return groups, values


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The tensors in an optimizer's state, by parameter number and name."""
    state = optimizer.state_dict()["state"]
    return {f"{number}/{name}": torch.as_tensor(t) for number, entry in state.items() for name, t in entry.items()}


def restore_optimizer(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """Undo :func:`optimizer_tensors`, for an optimizer made with the same groups."""
    state: dict[int, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        number, name = key.split("/", 1)
        state.setdefault(int(number), {})[name] = tensor
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def derived_seed(*parts: int | str) -> int:
    """A seed of 63 bits from a run's seed and what it is for: epochs need no generator carried from one to the next."""
    digest = hashlib.sha256(repr(parts).encode()).digest()
    return int.from_bytes(digest[:8], "little") >> 1
