"""A data set in memory, as tensors."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from sterna.net.errors import InvalidValueError


class DataError(InvalidValueError):
    """A data set is missing or damaged; the message names the file and the remedy."""


@dataclass(frozen=True, eq=False, kw_only=True)
class DataSet:
    """A data set in memory.

    Parameters
    ----------
    name : its name in recipes.
    train_images, test_images : uint8, (images, channels, height, width).
    train_labels, test_labels : int64, (images,), 0 to ``classes`` - 1.
    classes : number of classes.
    full_scale : the largest value an input can have; the input's real unit is the images' own.
    """

    name: str
    train_images: Tensor
    train_labels: Tensor
    test_images: Tensor
    test_labels: Tensor
    classes: int
    full_scale: int

    def input_scale(self, width: int) -> float:
        """Real value of input code 1 that makes the largest code the full scale."""
        return self.full_scale / (2**width - 1)
