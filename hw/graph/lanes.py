"""How many lanes a unit gets where the user does not say."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sterna.hw.config import AcceleratorConfig
from sterna.hw.graph.stream import StreamType
from sterna.hw.units.protocol import Delivery, Layer, Unit
from sterna.net.errors import InvalidValueError

#: Share of a layer's results that its steps may exceed them by where results set the pace.
WAITS = 0.03
#: Share of the steps that more lanes have to save to be worth it where no number of lanes reaches the target.
GAIN = 0.01


@dataclass(frozen=True)
class Target:
    """Cycles a frame that lanes are derived for, and the rate that was asked for, if one was."""

    cycles: int
    rate: str = ""


def find_target(layers: Sequence[Layer], stream: StreamType, config: AcceleratorConfig) -> Target:
    """What is asked for, or what the rate leaves; or what nothing can beat: the input's beats, or a layer's results."""
    if config.cycles is not None:
        return Target(config.cycles)
    if config.fps is not None and config.clock_hz is not None:
        return Target(int(config.clock_hz / config.fps), f"{config.fps:g} frames/s at {config.clock_hz:g} Hz")
    results = max(layer.least_interval(()) for layer in layers)
    return Target(max(stream.beats, int(results * (1 + WAITS))))


def derive_unit(
    layer: Layer,
    *,
    inputs: Sequence[StreamType],
    delivery: Delivery,
    options: Mapping[str, Any],
    target: Target,
) -> Unit:
    """The unit with the fewest lanes that reach the target.

    Where none do, and no rate was asked for: the fewest that more lanes would not make faster by ``GAIN``.

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
    units: dict[int, Unit] = {}
    grain = layer.lane_grain
    if not grain:
        return layer.kind.plan(layer, inputs=inputs, lanes=0, delivery=delivery, options=options)

    def steps(grains: int) -> int:
        if grains not in units:
            units[grains] = layer.kind.plan(
                layer,
                inputs=inputs,
                lanes=grains * grain,
                delivery=delivery,
                options=options,
                cycles=target.cycles,
            )
        return units[grains].work.steps

    def least(cycles: int) -> int:
        return min(-(-layer.least_lanes(cycles) // grain), most)

    most = layer.most_lanes // grain
    grains = _fewest(steps, target.cycles, least(target.cycles), most)
    if grains is None and target.rate:
        raise InvalidValueError(
            f"layer '{layer.name}' takes {steps(most)} cycles with {most * grain} lanes, as many as it can use, and "
            f"{target.rate} leave {target.cycles}: lower fps"
        )
    if grains is None:
        enough = int(steps(most) * (1 + GAIN))
        grains = _fewest(steps, enough, least(enough), most) or most
    return units[grains]


def _fewest(steps: Callable[[int], int], target: int, least: int, most: int) -> int | None:
    """The fewest lanes, of ``least`` to ``most``, whose steps reach a target; None if none do.

    Steps fall about as lanes rise: the first guesses follow the steps, and bisection closes the gap.
    """
    low, lanes = least - 1, least  # low: too few
    while steps(lanes) > target:
        if lanes == most:
            return None
        low, lanes = lanes, min(max(lanes + 1, -(-lanes * steps(lanes) // target)), most)
    while lanes - low > 1:
        middle = (low + lanes) // 2
        low, lanes = (low, middle) if steps(middle) <= target else (middle, lanes)
    return lanes
