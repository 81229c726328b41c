"""From a network and a configuration to the plan of an accelerator: a graph of units, with lanes for each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from sterna.hw.config import ALL, AcceleratorConfig, Room, identifier
from sterna.hw.graph.joins import with_buffers
from sterna.hw.graph.lanes import Target, derive_unit, find_target
from sterna.hw.graph.lower import UnsupportedError, lower
from sterna.hw.graph.names import instance_names, module_name
from sterna.hw.graph.orders import Orders
from sterna.hw.graph.stream import StreamType, whole
from sterna.hw.graph.timing import find_steady
from sterna.hw.parts.loadable import MemoryImage
from sterna.hw.parts.tables import code_shape
from sterna.hw.units import classifier, joined
from sterna.hw.units.protocol import Layer, Unit
from sterna.net import Network
from sterna.net.errors import InvalidValueError
from sterna.net.nodes import INPUT

#: Cycles that a rate's target is lowered by, one at a time, should units that reach it not reach it together.
_TRIES = 8
#: Input pixels in a beat.
MAX_PIXELS_PER_BEAT = 64


@dataclass(frozen=True, eq=False, kw_only=True)
class AcceleratorPlan:
    """An accelerator before it is hardware.

    Attributes
    ----------
    name : str
        Name of the top module.
    network : Network
    config : AcceleratorConfig
    units : tuple of Unit
        In topological order; the last one's output is the accelerator's.
    unit_names : tuple of str
        Instance names.
    sources : tuple of tuples of int
        The units that each one reads, by number, one for each of its input streams; -1 is the accelerator's input.
    input : StreamType
        What comes in.
    """

    name: str
    network: Network
    config: AcceleratorConfig
    units: tuple[Unit, ...]
    unit_names: tuple[str, ...]
    sources: tuple[tuple[int, ...], ...]
    input: StreamType

    @property
    def output(self) -> StreamType:
        """What leaves."""
        return self.units[-1].output

    def is_buffer(self, index: int) -> bool:
        """Whether a unit computes nothing and stands between others."""
        return not self.units[index].nodes and any(index in before for before in self.sources)

    @cached_property
    def images(self) -> tuple[tuple[int, MemoryImage], ...]:
        """What can be loaded, in the order of the load port: the number of the unit, and the words of one memory."""
        memories = ((k, memory) for k, unit in enumerate(self.units) for memory in unit.memories)
        return tuple((k, memory.image) for k, memory in memories if memory.image is not None)

    @property
    def halved(self) -> bool:
        """Whether other words can be loaded while these are in use."""
        return self.config.loadable is not None

    @property
    def rooms(self) -> dict[str, Room]:
        """What there is room for in each layer, where other weights can be loaded."""
        words = {unit.name: unit.describe()["word"] for unit in self.units if unit.nodes and self.halved}
        steps = {unit.name: unit.work.steps for unit in self.units}
        return {name: Room(run_width=word["run_width"], steps=steps[name]) for name, word in words.items()}

    def channel_order(self, index: int) -> list[int]:
        """Network channel of each result of a unit, in the order in which they leave."""
        return list(self.units[index].output.order)


def plan_accelerator(network: Network, config: AcceleratorConfig) -> AcceleratorPlan:
    """Plans an accelerator.

    Raises
    ------
    UnsupportedError
        If there is no hardware for the network.
    ValueError
        If the configuration does not fit it.
    """
    layers = lower(network, config.units, complete=config.loadable is not None)
    _check_load(config, layers)
    _check_loadable(config, layers)
    stream = input_stream(network, config)
    name = module_name(
        config.name or identifier(str(network.metadata.get("name", "accelerator"))), given=config.name is not None
    )
    target = find_target(layers, stream, config)
    for cycles in range(target.cycles, target.cycles - _TRIES, -1):
        units, sources = _plan_units(network, layers, stream, config, replace(target, cycles=cycles))
        if config.fps is None or find_steady(units, sources).interval <= target.cycles:
            break
    else:
        raise InvalidValueError(f"{target.rate} leave {target.cycles} cycles a frame, too few by a little: lower fps")
    return AcceleratorPlan(
        name=name,
        network=network,
        config=config,
        units=tuple(units),
        unit_names=instance_names(units, top=name),
        sources=tuple(sources),
        input=stream,
    )


def _plan_units(
    network: Network, layers: Sequence[Layer], stream: StreamType, config: AcceleratorConfig, target: Target
) -> tuple[list[Unit], list[tuple[int, ...]]]:
    """The units in topological order, and what each one reads."""
    lanes = _given_lanes(config, layers)
    orders = Orders(network, layers, stream)
    streams, numbers = {INPUT: stream}, {INPUT: -1}
    readers = Counter(name for layer in layers for name in layer.sources)
    units: list[Unit] = []
    sources: list[tuple[int, ...]] = []
    for k, layer in enumerate(layers):
        inputs = [streams[name] for name in layer.sources]
        delivery, options = orders.delivery(layer), config.unit_options(layer.name)
        if lanes is None:
            unit = derive_unit(layer, inputs=inputs, delivery=delivery, options=options, target=target)
        else:
            unit = layer.kind.plan(
                layer, inputs=inputs, lanes=lanes[k], delivery=delivery, options=options, cycles=config.cycles
            )
        orders.settle(layer.name, unit.output)
        streams[layer.name] = unit.output
        read = tuple(numbers[name] for name in layer.sources)
        follows = units and read == (len(units) - 1,) and readers[layer.sources[0]] == 1
        one = joined(units[-1], unit) if follows else None
        if one is None:
            units.append(unit)
            sources.append(read)
        else:
            units[-1] = one
        numbers[layer.name] = len(units) - 1
    if units[-1].output.by_pixel:
        raise InvalidValueError(
            f"the network's output comes from '{units[-1].name}' pixel by pixel, and has to leave row by row: choose a "
            "folded unit for it"
        )
    if config.argmax:
        units.append(classifier(units[-1].output))
        sources.append((len(units) - 2,))
    return with_buffers(units, sources, stream)


def input_stream(network: Network, config: AcceleratorConfig) -> StreamType:
    """What comes in; :exc:`ValueError` if the configuration's beats do not fit it."""
    stream = whole(network.input_shape, code_shape(network.input_type), elements=config.elements_per_beat)
    count = len(stream.index())
    if stream.elements > count:
        raise InvalidValueError(f"elements_per_beat must be at most the {count} input elements, not {stream.elements}")
    if len(stream.shape) == 3 and (stream.elements & (stream.elements - 1) or stream.elements > MAX_PIXELS_PER_BEAT):
        raise InvalidValueError(
            f"elements_per_beat of a map must be a power of two up to {MAX_PIXELS_PER_BEAT}, not {stream.elements}"
        )
    if stream.elements & (stream.elements - 1) and stream.elements != count:
        raise InvalidValueError(f"elements_per_beat must be a power of two, or all {count}, not {stream.elements}")
    if len(stream.shape) == 3 and stream.run % stream.elements:
        raise InvalidValueError(
            f"elements_per_beat must divide the {stream.run} pixels of an input row, not {stream.elements}: a beat "
            "holds neighbouring pixels of one channel"
        )
    return stream


def _check_load(config: AcceleratorConfig, layers: Sequence[Layer]) -> None:
    """Not all layers have index words."""
    have = [layer.name for layer in layers if layer.has_words]
    for name in config.load if tuple(config.load) != (ALL,) else ():
        if name not in have:
            raise InvalidValueError(
                f"load must be {ALL!r} or name layers with index words ({', '.join(have)}), not {name!r}"
            )


def _check_loadable(config: AcceleratorConfig, layers: Sequence[Layer]) -> None:
    """Not all layers can be made for other weights; and rooms are of these layers."""
    if config.loadable is None:
        return
    for layer in layers:
        if not layer.takes_weights:
            raise UnsupportedError(
                f"layer '{layer.name}' ({layer.kind.name}) is made for its own weights: loadable is for networks of "
                "folded dense layers alone"
            )
    if isinstance(config.loadable, Mapping) and set(config.loadable) != {layer.name for layer in layers}:
        names = ", ".join(layer.name for layer in layers)
        raise InvalidValueError(f"loadable must name the layers {names}, not {', '.join(config.loadable)}")


def _given_lanes(config: AcceleratorConfig, layers: Sequence[Layer]) -> Sequence[int] | None:
    """Lanes of each layer: 0 for one that has none; of a number for all, the multiple below that a layer takes."""
    if config.lanes is None:
        return None
    chosen = [layer for layer in layers if layer.lane_grain]
    given = config.lanes
    if isinstance(given, int):
        given = [max(given // layer.lane_grain, 1) * layer.lane_grain for layer in chosen]
    if len(given) != len(chosen):
        raise InvalidValueError(
            f"lanes must be given for each of the {len(chosen)} layers "
            f"({', '.join(layer.name for layer in chosen)}), not for {len(given)}"
        )
    each = iter(given)
    return [next(each) if layer.lane_grain else 0 for layer in layers]
