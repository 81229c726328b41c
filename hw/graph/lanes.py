"""How many lanes a unit gets where the user does not say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sterna.hw.config import AcceleratorConfig
from sterna.hw.graph.stream import StreamType
from sterna.hw.units.protocol import Layer, Unit
from sterna.net.errors import InvalidValueError

#: Lanes that a layer is given at most where they are derived.
MAX_DERIVED_LANES = 64


@dataclass(frozen=True)
class Target:
    """Cycles a frame that lanes are derived for, and the rate that was asked for, if one was."""

    cycles: int
    rate: str = ""


def input_target(layers: Sequence[Layer], stream: StreamType, config: AcceleratorConfig) -> Target:
    """What the rate that is asked for leaves, or else what the input takes to arrive."""
    if config.fps is None or config.clock_hz is None:
        return Target(stream.beats)
    return Target(int(config.clock_hz / config.fps), f"{config.fps:g} frames/s at {config.clock_hz:g} Hz")


def derive_unit(
    layer: Layer, *, inputs: Sequence[StreamType], natural: bool, options: Mapping[str, Any], target: Target
) -> Unit:
    """The unit with the fewest lanes that reach the target.

    Raises
    ------
    ValueError
        If none reach a rate that was asked for.
    """
    needed = layer.least_interval(inputs)
    if target.rate and target.cycles < needed:
        raise InvalidValueError(
            f"{target.rate} leave {target.cycles} cycles a frame, and layer '{layer.name}' takes at least {needed} "
            "(its results and its input beats): lower fps, or give more elements_per_beat"
        )
    most = min(layer.most_lanes, MAX_DERIVED_LANES)
    lanes = min(layer.least_lanes(target.cycles), most)
    while True:
        unit = layer.kind.plan(layer, inputs=inputs, lanes=lanes, natural=natural, options=options)
        if unit.work.steps <= target.cycles:
            return unit
        if lanes == most:
            break
        lanes += 1
    if target.rate:
        raise InvalidValueError(
            f"layer '{layer.name}' takes {unit.work.steps} cycles with {lanes} lanes, and {target.rate} leave "
            f"{target.cycles}: lower fps"
        )
    return unit
