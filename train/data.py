"""The data sets that recipes can name."""

from __future__ import annotations

from collections.abc import Callable

from sterna.train.cifar import load_cifar10
from sterna.train.dataset import DataError, DataSet
from sterna.train.digits import load_digits
from sterna.train.files import DATA_VARIABLE
from sterna.train.mnist import load_mnist
from sterna.train.spoken import load_spoken_digits

__all__ = [
    "DATA_SETS",
    "DATA_VARIABLE",
    "DataError",
    "DataSet",
    "load_cifar10",
    "load_data",
    "load_digits",
    "load_mnist",
    "load_spoken_digits",
]

DATA_SETS: dict[str, Callable[[], DataSet]] = {
    "digits": load_digits,
    "mnist": load_mnist,
    "cifar10": load_cifar10,
    "fsdd": load_spoken_digits,
}


def load_data(name: str) -> DataSet:
    """A data set by its name in recipes.

    Raises
    ------
    DataError
        If the name is unknown, or files are missing or damaged.
    """
    if name not in DATA_SETS:
        raise DataError(f"data.name must be one of {', '.join(DATA_SETS)}, not {name!r}")
    return DATA_SETS[name]()
