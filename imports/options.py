"""What a user says about an import beside the file."""

from __future__ import annotations

import math
from dataclasses import dataclass

from sterna.net import ActivationType
from sterna.net.errors import InvalidValueError


@dataclass(frozen=True, kw_only=True)
class ImportOptions:
    """Choices of an import.

    Parameters
    ----------
    input_type : ActivationType or None
        Of the input's codes, for a model that does not quantize its input.
    input_scale : float or None
        Real value of one step of them; given together with the type.
    narrow_input : bool
        Take an input of -1 and 1 where the network has a code 0 between them: a 0 must not come.
    unequal_scores : bool
        Take scores whose scale or offset differs between classes, and count how often the class changes.
    samples : int
        Random inputs of the check, where none are given.
    seed : int
        Of these inputs.

    Raises
    ------
    :exc:`ValueError`
        If one of type and scale is given without the other, or the scale is not positive.
    """

    input_type: ActivationType | None = None
    input_scale: float | None = None
    narrow_input: bool = False
    unequal_scores: bool = False
    samples: int = 1000
    seed: int = 0

    def __post_init__(self) -> None:
        if (self.input_type is None) != (self.input_scale is None):
            raise InvalidValueError("the input's type and its scale go together: give both, or neither")
        if self.input_scale is not None and not (math.isfinite(self.input_scale) and self.input_scale > 0):
            raise InvalidValueError(f"the input's scale must be a positive number, not {self.input_scale}")
        if self.samples < 1:
            raise InvalidValueError(f"samples must be a positive integer, not {self.samples}")
