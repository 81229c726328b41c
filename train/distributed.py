"""Several processes that train one model: what ``torchrun`` starts, or one process alone."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from sterna.net.errors import InvalidValueError


@dataclass(frozen=True, kw_only=True)
class Group:
    """The processes of a run.

    Parameters
    ----------
    rank : this process's number; the one of rank 0 writes files.
    size : how many there are.
    device : this process's.
    """

    rank: int
    size: int
    device: torch.device

    @property
    def first(self) -> bool:
        """Whether this process writes files."""
        return self.rank == 0

    def share(self, count: int) -> slice:
        """This process's part of ``count`` items; the parts are equal, but for the last ones where that cannot be."""
        return slice(count * self.rank // self.size, count * (self.rank + 1) // self.size)

    def wrap(self, model: nn.Module) -> nn.Module:
        """The model whose gradients are averaged over the processes, and whose buffers are the first one's."""
        if self.size == 1:
            return model
        # A fixed threshold's factor gets no gradient, so unused parameters are looked for.
        return DistributedDataParallel(model, find_unused_parameters=True)

    def align(self, model: nn.Module) -> None:
        """Give all processes the buffers of the first one: each has statistics of its own part of the last batch."""
        if self.size > 1:
            for buffer in model.buffers():
                dist.broadcast(buffer, 0)

    def add(self, values: Tensor) -> Tensor:
        """Sums over all processes, in place."""
        if self.size > 1:
            dist.all_reduce(values)
        return values

    def says(self, answer: bool) -> bool:
        """The first process's answer, in all of them."""
        if self.size == 1:
            return answer
        said = torch.tensor(int(answer), device=self.device)
        dist.broadcast(said, 0)
        return bool(said)

    def wait(self) -> None:
        """Until all processes are here."""
        if self.size > 1:
            dist.barrier()


@contextmanager
def joined(device: torch.device | None) -> Iterator[Group]:
    """Join the processes that ``torchrun`` started, or be the only one.

    Parameters
    ----------
    device : ``None`` for a GPU each where there is one, else the CPU.

    Raises
    ------
    ValueError
        If there are more processes than GPUs on this machine, and GPUs are to be used; or if the environment variables
        are not those of ``torchrun``.
    """
    size, local = _count("WORLD_SIZE", 1), _count("LOCAL_RANK", 0)
    if device is None:
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if size == 1:
        yield Group(rank=0, size=1, device=device)
        return
    if device.type == "cuda":
        if local >= torch.cuda.device_count():
            raise InvalidValueError(
                f"process {local} has no GPU of its own: there are {torch.cuda.device_count()} here"
            )
        device = torch.device("cuda", local)
        torch.cuda.set_device(device)
    try:
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    except (RuntimeError, ValueError) as error:  # a ValueError where the environment is not torchrun's
        raise InvalidValueError(
            f"WORLD_SIZE is {size}, but the processes cannot be joined: {str(error).splitlines()[0]}; "
            "start with torchrun, or unset WORLD_SIZE"
        ) from error
    try:
        yield Group(rank=dist.get_rank(), size=size, device=device)
    finally:
        dist.destroy_process_group()


def _count(variable: str, default: int) -> int:
    text = os.environ.get(variable, str(default))
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise InvalidValueError(f"{variable} must be a number, as torchrun sets it, not {text!r}; unset it")
    return int(text)
