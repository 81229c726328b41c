"""Recipes: TOML files that say all of a training run but the seed's override, the device and the place."""

from __future__ import annotations

import dataclasses
import math
import reprlib
import tomllib
import types
import typing
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any, TypeVar

from sterna.net.errors import InvalidValueError
from sterna.train.augment import Augmentation
from sterna.train.methods import METHODS, Method, MethodOptions, Schedule, Target
from sterna.train.models import Requantize
from sterna.train.packaged import find_recipe
from sterna.train.topology import parse_topology

T = TypeVar("T")


class RecipeError(InvalidValueError):
    """A recipe cannot be used; the message names the file and the key."""


class Precision(Enum):
    """Number format of matrix products in training; evaluation for export is float64 always."""

    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """``[data]``: which data set, how many training images are held out to choose the model on, and deformations."""

    name: str
    validation: int
    augment: Augmentation = field(default_factory=Augmentation)

    def __post_init__(self) -> None:
        if self.validation < 1:
            raise InvalidValueError(f"validation must be a positive number of images, not {self.validation}")


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """``[model]``: topology, bits of input and activations, requantization."""

    topology: str
    input_width: int = 4
    activation_width: int = 4
    requantize: Requantize = Requantize.THRESHOLDS
    learned_step: bool = False

    def __post_init__(self) -> None:
        parse_topology(self.topology)
        for name, width in (("input_width", self.input_width), ("activation_width", self.activation_width)):
            if not 1 <= width <= 8:
                raise InvalidValueError(f"{name} must be 1 to 8 bits, not {width}")
        if self.learned_step and self.requantize is Requantize.SHIFT:
            raise InvalidValueError(
                'learned_step needs requantize = "thresholds": a learned step cannot be folded into a shift'
            )


@dataclass(frozen=True, kw_only=True)
class TrainingConfig(Schedule):
    """``[training]``: what every method shares.

    Parameters
    ----------
    epochs, learning_rate : as in :class:`~sterna.train.methods.Schedule`.
    batch : images of a step, over all devices.
    label_smoothing : as torch's ``cross_entropy``.
    precision : of matrix products and convolutions in training.
    hold_shifts : power-of-two gains stay as they are in the stages that the model is chosen in.
    """

    batch: int
    label_smoothing: float = 0.0
    precision: Precision = Precision.FLOAT32
    hold_shifts: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.batch < 2:
            raise InvalidValueError(
                f"batch must be at least 2, not {self.batch}: batch normalization needs a deviation"
            )
        if not 0 <= self.label_smoothing < 1:
            raise InvalidValueError(f"label_smoothing must be in [0, 1), not {self.label_smoothing}")


@dataclass(frozen=True, kw_only=True)
class MethodConfig:
    """``[method]``: the name, what is asked of it, and its own options from ``[method.NAME]``."""

    name: str
    target: Target
    options: MethodOptions

    def make(self, schedule: Schedule) -> Method:
        """A fresh instance for one run."""
        return METHODS[self.name](target=self.target, schedule=schedule, options=self.options)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A whole recipe."""

    name: str
    seed: int
    data: DataConfig
    model: ModelConfig
    training: TrainingConfig
    method: MethodConfig

    def as_dict(self) -> dict[str, Any]:
        """Plain values in the recipe's own form, defaults written out: what a run folder and a network file keep."""
        plain: dict[str, Any] = _plain(dataclasses.asdict(self))
        method = plain["method"]
        if method["target"]["lane_cycles"] is None:  # as in what was written before there was this limit
            del method["target"]["lane_cycles"]
        plain["method"] = {"name": method["name"], **method["target"], method["name"]: method["options"]}
        return plain


def load_recipe(path: str | Path) -> Recipe:
    """Read and check a recipe.

    Parameters
    ----------
    path : a TOML file, or the name of a packaged recipe (:mod:`sterna.train.packaged`).

    Raises
    ------
    RecipeError
        Naming file and key: unreadable, not TOML, an unknown or missing key, a wrong type or value.
    """
    return parse_recipe(_read(path), source=str(path))


def _read(path: str | Path) -> dict[str, Any]:
    try:
        with find_recipe(path).open("rb") as stream:
            content = stream.read(_MOST_BYTES + 1)
    except OSError as error:
        raise RecipeError(f"{path}: cannot be read: {error.strerror}") from error
    if len(content) > _MOST_BYTES:
        raise RecipeError(f"{path}: longer than {_MOST_BYTES:,} bytes, so it is no recipe")
    try:
        text = content.decode("utf-8-sig")  # Windows' editors put a mark in front, which TOML does not have
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        wrong = f"byte 0x{content[error.start]:02x} in line {line}"
        raise RecipeError(f"{path}: not a TOML file: {wrong} is not UTF-8; save it as UTF-8") from error
    try:
        return tomllib.loads(text)
    except RecursionError as error:
        raise RecipeError(f"{path}: not a recipe: its lists or tables are nested too deeply") from error
    except ValueError as error:  # tomllib lets int() refuse very long numbers
        raise RecipeError(f"{path}: not a TOML file: {error}") from error


def parse_recipe(table: dict[str, Any], *, source: str) -> Recipe:
    """Check a recipe's table; ``source`` stands before every message."""
    table = dict(table)
    if not isinstance(table.get("method"), dict):
        raise RecipeError(f"{source}: [method] is missing")
    table["method"] = _method(dict(table["method"]), source=source)
    result = _convert(Recipe, table, source=source, key="")
    if not result.name or not all(c.isalnum() or c in "-_" for c in result.name):
        raise RecipeError(f"{source}: name must be letters, digits, '-' and '_', not {_shown(result.name)}")
    if len(result.name.encode()) > _LONGEST_NAME:
        raise RecipeError(f"{source}: name must be at most {_LONGEST_NAME} bytes long: files are called by it")
    if not 0 <= result.seed < 2**32:
        raise RecipeError(f"{source}: seed must be 0 to 2^32 - 1, not {result.seed}")
    try:
        result.method.make(result.training)
    except InvalidValueError as error:
        raise RecipeError(f"{source}: {error}") from error
    return result


def _method(table: dict[str, Any], *, source: str) -> MethodConfig:
    """``[method]``; tables of methods that are not chosen are checked and left, so that one line changes the method."""
    name = table.pop("name", None)
    if not isinstance(name, str) or name not in METHODS:
        raise RecipeError(f"{source}: method.name must be one of {', '.join(METHODS)}, not {_shown(name)}")
    options = {
        other: _convert(METHODS[other].options_type, table.pop(other, {}), source=source, key=f"method.{other}")
        for other in METHODS
    }
    target = _convert(Target, table, source=source, key="method")
    return MethodConfig(name=name, target=target, options=options[name])


def _convert(kind: Any, value: Any, *, source: str, key: str) -> Any:
    """``value`` from TOML as ``kind``: a dataclass, an enum, a tuple, or a plain type."""
    if dataclasses.is_dataclass(kind) and isinstance(value, kind):  # type: ignore[arg-type]
        return value
    if dataclasses.is_dataclass(kind):
        if not isinstance(value, dict):
            raise RecipeError(f"{source}: {key} must be a table, not {_shown(value)}")
        return _convert_table(kind, value, source=source, key=key)
    if isinstance(kind, type) and issubclass(kind, Enum):
        choices = [member.value for member in kind]
        if value not in choices:
            raise RecipeError(f"{source}: {key} must be one of {', '.join(map(str, choices))}, not {_shown(value)}")
        return kind(value)
    if typing.get_origin(kind) is tuple:
        (element, _) = typing.get_args(kind)
        if not isinstance(value, list):
            raise RecipeError(f"{source}: {key} must be a list, not {_shown(value)}")
        return tuple(_convert(element, item, source=source, key=key) for item in value)
    if typing.get_origin(kind) in (types.UnionType, typing.Union):
        kind = next(argument for argument in typing.get_args(kind) if argument is not type(None))
        return _convert(kind, value, source=source, key=key)
    if type(value) is int and not -(2**63) <= value < 2**63:
        raise RecipeError(f"{source}: {key} must be {_KINDS[kind]} of at most 64 bits, not one of {value.bit_length()}")
    if kind is float and type(value) is int:
        value = float(value)
    if type(value) is not kind:
        raise RecipeError(f"{source}: {key} must be {_KINDS[kind]}, not {_shown(value)}")
    if kind is float and not math.isfinite(value):
        raise RecipeError(f"{source}: {key} must be a finite number, not {value}")
    if kind is float and abs(value) > _LARGEST_FLOAT:
        raise RecipeError(f"{source}: {key} must be at most {_LARGEST_FLOAT:g} in size, not {value}")
    return value


def _convert_table(kind: Any, table: dict[str, Any], *, source: str, key: str) -> Any:
    dot = f"{key}." if key else ""
    hints = typing.get_type_hints(kind)
    fields = {f.name: f for f in dataclasses.fields(kind) if f.init}
    for name in table:
        if name not in fields:
            known = ", ".join(fields) or "none"
            raise RecipeError(f"{source}: unknown key {dot}{name}; known here: {known}")
    for name, entry in fields.items():
        needed = entry.default is dataclasses.MISSING and entry.default_factory is dataclasses.MISSING
        if needed and name not in table:
            raise RecipeError(f"{source}: {dot}{name} is missing")
    values = {n: _convert(hints[n], value, source=source, key=f"{dot}{n}") for n, value in table.items()}
    try:
        return kind(**values)
    except InvalidValueError as error:
        raise RecipeError(f"{source}: {dot}{error}") from error


def _plain(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return value


def _shown(value: Any) -> str:
    """A value for a message; long and deep ones are cut."""
    return _REPR.repr(value)


_REPR = reprlib.Repr()
_REPR.maxstring = _REPR.maxother = 60
_MOST_BYTES = 1 << 20
_LONGEST_NAME = 100
_LARGEST_FLOAT = 1e18  # so that the product of two of them is a float32
_KINDS = {int: "an integer", float: "a number", str: "a string", bool: "true or false"}
