"""From a network and a configuration to the plan of an accelerator: every unit's lanes, schedule and tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from amaranth.hdl import Shape, unsigned

from sterna.hw.config import AcceleratorConfig, identifier
from sterna.hw.graph.lower import DenseLayer, lower
from sterna.hw.units.dense.dense import DensePlan, plan_dense
from sterna.net import Network
from sterna.net.errors import InvalidValueError

#: Lanes that a layer is given at most where they are derived.
MAX_DERIVED_LANES = 64


@dataclass(frozen=True, eq=False, kw_only=True)
class AcceleratorPlan:
    """An accelerator before it is hardware.

    Attributes
    ----------
    name : str
        Name of the top module.
    network : Network
    config : AcceleratorConfig
    units : tuple of DensePlan
        In the order of the data.
    unit_names : tuple of str
        Instance names.
    """

    name: str
    network: Network
    config: AcceleratorConfig
    units: tuple[DensePlan, ...]
    unit_names: tuple[str, ...]

    @property
    def score_shape(self) -> Shape:
        """Shape of a score."""
        return self.units[-1].tables.output_shape

    @property
    def output_shape(self) -> Shape:
        """Shape of an output element."""
        return unsigned(max((self.units[-1].results - 1).bit_length(), 1)) if self.config.argmax else self.score_shape

    @property
    def output_beats(self) -> int:
        """Output beats of a frame."""
        return 1 if self.config.argmax else self.units[-1].results

    def channel_order(self, index: int) -> list[int]:
        """Network channel of each result of a unit, in the order in which they leave."""
        plan = self.units[index]
        return [int(plan.layer.channels[row]) for row in plan.order]


def plan_accelerator(network: Network, config: AcceleratorConfig) -> AcceleratorPlan:
    """Plans an accelerator.

    Raises
    ------
    UnsupportedError
        If there is no hardware for the network.
    ValueError
        If the configuration does not fit it.
    """
    layers = lower(network)
    elements = config.elements_per_beat
    columns = layers[0].weights.shape[1]
    if elements > columns:
        raise InvalidValueError(f"elements_per_beat must be at most the {columns} input elements, not {elements}")
    if len(network.input_shape) == 3 and network.input_shape[2] % elements:
        raise InvalidValueError(
            f"elements_per_beat must divide the {network.input_shape[2]} pixels of an input row, not {elements}: a "
            "beat holds neighbouring pixels of one channel"
        )
    lanes = _given_lanes(config, layers)
    units: list[DensePlan] = []
    for i, layer in enumerate(layers):
        if units:
            layer = _permuted(layer, units[-1].order)
        natural = i == len(layers) - 1
        beat = 1 if units else elements
        if lanes is None:
            plan = _derive(layer, config, beats=-(-columns // elements), elements=beat, natural=natural)
        else:
            plan = plan_dense(layer, lanes=lanes[i], elements=beat, natural=natural, **config.schedule_options())
        units.append(plan)
    return AcceleratorPlan(
        name=config.name or identifier(str(network.metadata.get("name", "accelerator"))),
        network=network,
        config=config,
        units=tuple(units),
        unit_names=_instance_names([layer.name for layer in layers]),
    )


def _given_lanes(config: AcceleratorConfig, layers: Sequence[DenseLayer]) -> Sequence[int] | None:
    if config.lanes is None:
        return None
    if isinstance(config.lanes, int):
        return [config.lanes] * len(layers)
    if len(config.lanes) != len(layers):
        raise InvalidValueError(
            f"lanes must be given for each of the {len(layers)} layers "
            f"({', '.join(layer.name for layer in layers)}), not for {len(config.lanes)}"
        )
    return config.lanes


def _permuted(layer: DenseLayer, order: Sequence[int]) -> DenseLayer:
    """The layer with its columns in the order in which the one before gives them."""
    index = np.array(order)
    return replace(layer, weights=layer.weights[:, index], inputs=layer.inputs[index])


def _derive(layer: DenseLayer, config: AcceleratorConfig, *, beats: int, elements: int, natural: bool) -> DensePlan:
    """The fewest lanes that reach the target."""
    rows, columns = layer.weights.shape
    target = beats
    if config.fps is not None and config.clock_hz is not None:
        target = int(config.clock_hz / config.fps)
        needed = max(rows, -(-columns // elements))
        if target < needed:
            raise InvalidValueError(
                f"{config.fps:g} frames/s at {config.clock_hz:g} Hz leave {target} cycles a frame, and layer "
                f"'{layer.name}' takes at least {needed} (its results and its input beats): lower fps, or give more "
                "elements_per_beat"
            )
    most = min(rows, MAX_DERIVED_LANES)
    lanes = min(max(int(np.count_nonzero(layer.weights)) // target, 1), most)
    while True:
        plan = plan_dense(layer, lanes=lanes, elements=elements, natural=natural, **config.schedule_options())
        if plan.schedule.steps <= target:
            return plan
        if lanes == most:
            break
        lanes += 1
    if config.fps is not None:
        raise InvalidValueError(
            f"layer '{layer.name}' takes {plan.schedule.steps} cycles with {lanes} lanes, and {config.fps:g} frames/s "
            f"at {config.clock_hz:g} Hz leave {target}: lower fps"
        )
    return plan


def _instance_names(nodes: Sequence[str]) -> tuple[str, ...]:
    names: list[str] = []
    for node in nodes:
        name = identifier(node)
        while name in names or name in {"argmax", "clk", "rst"}:
            name += "_"
        names.append(name)
    return tuple(names)
