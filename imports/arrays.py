"""Networks from plain arrays, ``.npz`` or ``.csv``, and a manifest that says how they belong together (docs/import.md).

The manifest is TOML: people write it by hand, it takes comments, and Python reads it without another package.
"""

from __future__ import annotations

import io
import os
import re
import tomllib
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from sterna.net.arrays import load_arrays
from sterna.net.checks import check_elements, check_finite, check_pair, naming, shown
from sterna.net.container import in_file, is_special
from sterna.net.describe import KINDS, check_entry
from sterna.net.errors import InvalidTypeError, InvalidValueError
from sterna.net.network import Network
from sterna.net.nodes import Node, check_name
from sterna.net.requantize import Requantization, ShiftRound, Thresholds
from sterna.net.types import ActivationType

MANIFEST = "manifest.toml"  # in a folder; beside NAME.npz it is NAME.toml
_MAX_BYTES = 1 << 27  # of a .csv file, or a manifest
_TYPE = re.compile(r"([us])([1-8])")
_INPUT_FIELDS = ("shape", "type", "scale")
_INPUT_OPTIONS = ("range", "gain", "offset")
#: What an entry of a node must say beside name and kind, and what it may say.
_FIELDS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "linear": (("weights",), ("bias", "requantize")),
    "conv2d": (("weights",), ("bias", "requantize", "kernel", "stride", "padding", "groups")),
    "max_pool2d": (("kernel",), ("stride", "padding")),
    "sum_pool2d": (("kernel",), ("stride", "padding", "requantize")),
    "flatten": ((), ()),
    "add": (("inputs", "shifts"), ("requantize",)),
}


def from_arrays(path: str | os.PathLike[str], *, manifest: str | os.PathLike[str] | None = None) -> Network:
    """Make a network of arrays of integers.

    Parameters
    ----------
    path : ``.npz`` file, or folder of ``.csv`` files
        The arrays, by the names that the manifest uses; a file's array is called by its name without ``.csv``.
    manifest : path, optional
        ``manifest.toml`` in the folder, or ``NAME.toml`` beside ``NAME.npz``, unless it is given.

    Raises
    ------
    :exc:`~sterna.net.FileFormatError`
        If manifest or arrays cannot be used; the message names the file, the node and the field.
    :exc:`OSError`
        If a file cannot be read.
    """
    path = Path(path)
    folder = path.is_dir()
    table_path = Path(manifest) if manifest is not None else path / MANIFEST if folder else path.with_suffix(".toml")
    with in_file(table_path):
        table = _read_manifest(table_path)
        table = check_entry(table, "the manifest", ("input", "nodes"), optional=("metadata",))
        if not isinstance(table["nodes"], list):
            raise InvalidTypeError("nodes must be a list of tables, each under [[nodes]]")
    arrays = _Arrays(_read_folder(path) if folder else load_arrays(path), path)
    with in_file(table_path):
        nodes = [_build_node(entry, arrays, index) for index, entry in enumerate(table["nodes"])]
        arrays.check_all_taken()
        return Network(**_build_input(table["input"]), nodes=nodes, metadata=table.get("metadata"))


class _Arrays:
    """Arrays by name, and which of them were taken."""

    def __init__(self, arrays: Mapping[str, np.ndarray], path: Path) -> None:
        self._arrays = arrays
        self._path = path
        self._taken: set[str] = set()

    def take(self, name: object, what: str) -> np.ndarray:
        """The integers of an array; ``what`` is the field that names it."""
        if not isinstance(name, str):
            raise InvalidTypeError(f"{what} must be the name of an array, not {shown(name)}")
        if name not in self._arrays:
            known = ", ".join(sorted(self._arrays)[:8]) or "none"
            raise InvalidValueError(f"{what}: {self._path} has no array {shown(name)}, but {known}")
        self._taken.add(name)
        with naming(f"{what}: array {shown(name)}"):
            return _integers(self._arrays[name])

    def check_all_taken(self) -> None:
        """:exc:`ValueError` with an array that no node names: most often a name with a slip."""
        left = sorted(set(self._arrays) - self._taken)
        if left:
            raise InvalidValueError(f"no node names the array {shown(left[0])} of {self._path}")


def _integers(array: np.ndarray) -> np.ndarray:
    """The same as integers, if its numbers are integral."""
    if array.dtype.kind not in "iuf" or array.dtype.itemsize > 8:
        raise InvalidTypeError(f"must hold integers, not {array.dtype}")
    if array.dtype.kind != "f":
        return array
    check_finite(array, "its numbers")
    wrong = (array != np.rint(array)) | (np.abs(array) > 1 << 53)
    if wrong.any():
        index = [int(i) for i in np.unravel_index(int(np.argmax(wrong)), array.shape)]
        raise InvalidValueError(f"must hold integers, not {array[tuple(index)]} at {index}")
    return array.astype(np.int64)


def _read_manifest(path: Path) -> dict[str, Any]:
    text = _read_text(path)
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise InvalidValueError("its lists or tables are nested too deeply") from None
    except ValueError as error:  # tomllib lets int() refuse very long numbers
        raise InvalidValueError(f"not a TOML file: {error}") from None


def _read_text(path: Path) -> str:
    if is_special(path):
        raise InvalidValueError("not a regular file")
    with path.open("rb") as file:
        content = file.read(_MAX_BYTES + 1)
    if len(content) > _MAX_BYTES:
        raise InvalidValueError(f"at most {_MAX_BYTES:,} bytes are read")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise InvalidValueError(f"byte 0x{content[error.start]:02x} at {error.start} is not UTF-8") from None


def _read_folder(path: Path) -> dict[str, np.ndarray]:
    return {file.stem: _read_csv(file) for file in sorted(path.glob("*.csv"))}


def _read_csv(path: Path) -> np.ndarray:
    """Numbers in rows, with commas between: float64, (rows, columns)."""
    with in_file(path):
        text = _read_text(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an empty file is an error below
            try:
                array = np.loadtxt(io.StringIO(text), delimiter=",", ndmin=2)
            except ValueError as error:
                reason = str(error).partition(";")[0].partition("\n")[0]
                raise InvalidValueError(f"not rows of numbers with commas between: {reason}") from None
        if array.size == 0:
            raise InvalidValueError("there are no numbers in it")
        return array


def _build_type(text: object, what: str) -> ActivationType:
    match = _TYPE.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise InvalidValueError(f"{what} must be u1 to u8, or s1 to s8, not {shown(text)}")
    return ActivationType(int(match[2]), match[1] == "s")


def _build_input(entry: object) -> dict[str, Any]:
    """Arguments of :class:`~sterna.net.Network`."""
    fields = check_entry(entry, "input", _INPUT_FIELDS, optional=_INPUT_OPTIONS)
    fields["type"] = _build_type(fields["type"], "type of the input")
    return {f"input_{field}": value for field, value in fields.items()}


def _build_node(entry: object, arrays: _Arrays, index: int) -> Node:
    if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
        raise InvalidTypeError(f"node {index} must be a table with a name")
    with naming(f"node {index}"):
        what = f"node '{check_name(entry['name'])}'"
    kind = entry.get("kind")
    if not isinstance(kind, str) or kind not in KINDS:
        raise InvalidValueError(f"kind of {what} must be one of {', '.join(KINDS)}, not {shown(kind)}")
    wanted, optional = _FIELDS[kind]
    fields = check_entry(entry, what, ("name", "kind", *wanted), optional=("inputs", *optional))
    del fields["kind"]
    if "weights" in fields:
        weights = arrays.take(fields["weights"], f"weights of {what}")
        fields["weights"] = _shape_kernel(weights, fields.pop("kernel", None), what) if kind == "conv2d" else weights
    if "bias" in fields:
        fields["bias"] = _vector(arrays.take(fields["bias"], f"bias of {what}"))
    if "requantize" in fields:
        fields["requantize"] = _build_requantize(fields["requantize"], arrays, f"requantize of {what}")
    return KINDS[kind](**fields)


def _shape_kernel(weights: np.ndarray, kernel: object, what: str) -> np.ndarray:
    """Weights of a convolution; of two axes, as a ``.csv`` file has, with a kernel: a row holds (in / groups, h, w)."""
    if kernel is None:
        return weights
    height, width = check_pair(kernel, f"kernel of {what}", low=1)
    check_elements((height, width), f"kernel of {what}")
    if weights.ndim != 2 or weights.shape[1] % (height * width):
        raise InvalidValueError(
            f"weights of {what} with a kernel of {height} x {width} must have rows of a multiple of {height * width} "
            f"numbers, not the shape {weights.shape}"
        )
    return weights.reshape(len(weights), -1, height, width)


def _vector(array: np.ndarray) -> np.ndarray:
    """One number a channel, which a ``.csv`` file may have in a row or in a column."""
    return array.reshape(-1) if array.ndim == 2 and 1 in array.shape else array


def _build_requantize(entry: object, arrays: _Arrays, what: str) -> Requantization:
    kind = entry.get("kind") if isinstance(entry, dict) else None
    if kind == "thresholds":
        fields = check_entry(entry, what, ("kind", "output", "levels"))
        output = _build_type(fields["output"], f"output of {what}")
        levels = arrays.take(fields["levels"], f"levels of {what}")
        with naming(what):
            return Thresholds(output=output, levels=levels)
    if kind == "shift_round":
        fields = {"bias": 0} | check_entry(entry, what, ("kind", "output", "shift"), optional=("bias",))
        output = _build_type(fields["output"], f"output of {what}")
        bias, shift = (_number_or_vector(fields[field], arrays, f"{field} of {what}") for field in ("bias", "shift"))
        with naming(what):
            return ShiftRound(output=output, bias=bias, shift=shift)
    raise InvalidValueError(f"{what} must be a table of kind thresholds or shift_round, not {shown(entry)}")


def _number_or_vector(value: object, arrays: _Arrays, what: str) -> np.ndarray:
    """An integer for the layer, or an array of one a channel."""
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 1 << 62:
        return np.array(value)
    return _vector(arrays.take(value, what))
