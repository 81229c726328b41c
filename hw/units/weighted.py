"""What kinds with weights have in common: their lanes follow an index stream."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

import numpy as np

from sterna.hw.graph.stream import StreamType
from sterna.hw.index.memory import image_of
from sterna.hw.index.room import most_in_flight
from sterna.hw.index.schedule import Schedule
from sterna.hw.parts.codes import sum_bounds
from sterna.hw.parts.fifo import fifo_depth
from sterna.hw.parts.loadable import MemoryImage
from sterna.hw.parts.tables import Tables
from sterna.hw.units.one_node import OneNode
from sterna.net import ActivationType, Requantization

if TYPE_CHECKING:
    from sterna.hw.units.protocol import Kind


@dataclass(frozen=True, eq=False, kw_only=True)
class WeightedLayer(ABC):
    """Part of a layer with weights; see :class:`~sterna.hw.units.protocol.Layer`.

    Attributes
    ----------
    name, sources
        As there.
    weights : int8, (rows, ...)
        Of the channels that are kept.
    inputs : int64, (inputs,)
        Network index of each input.
    channels : int64, (rows,)
        Network index of each output channel.
    constants : mapping of int to int
        Channels left out because their code never changes, and that code.
    unused : tuple of int
        Channels left out because nothing reads them.
    offset : int64, (rows,)
        What the node's bias and the constant channels before it add to a sum.
    requantize : Thresholds, ShiftRound or None
        For the channels that are kept.
    input_type : ActivationType
    """

    name: str
    sources: tuple[str, ...]
    weights: np.ndarray
    inputs: np.ndarray
    channels: np.ndarray
    constants: Mapping[int, int]
    unused: tuple[int, ...]
    offset: np.ndarray
    requantize: Requantization | None
    input_type: ActivationType

    @property
    @abstractmethod
    def kind(self) -> Kind:
        """Of its unit."""

    @property
    def matrix(self) -> np.ndarray:
        """int8, (rows, columns): the weights of each channel in a row."""
        return self.weights.reshape(len(self.weights), -1)

    @property
    def all_channels(self) -> int:
        """Output channels of the node, those that are left out too."""
        return len(self.channels) + len(self.constants) + len(self.unused)

    @property
    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """Smallest and largest sum of each channel, without the offset; int64, (rows,)."""
        return sum_bounds(self.matrix, self.input_type)

    @property
    def has_words(self) -> bool:
        """Its lanes follow them."""
        return True

    @property
    def takes_weights(self) -> bool:
        """Its hardware is made for these."""
        return False

    @property
    def together(self) -> int:
        """It takes them as they come."""
        return 1

    @property
    def least_steps(self) -> int:
        """Steps of one lane: one for each weight that is not zero, and one for a channel without any."""
        return int(np.maximum(np.count_nonzero(self.matrix, axis=1), 1).sum())


LayerT = TypeVar("LayerT", bound=WeightedLayer)


@dataclass(frozen=True, eq=False, kw_only=True)
class WeightedPlan(OneNode, Generic[LayerT]):
    """Part of a unit with lanes; see :class:`~sterna.hw.units.protocol.Unit`.

    Attributes
    ----------
    layer
        What is computed, its inputs in the order of the stream.
    stream : StreamType
        Input.
    schedule : Schedule
        Of the index stream.
    tables : Tables
        What the requantizers store.
    loaded : bool
        The index words are loaded: the bitstream does not have them.
    halved : bool
        Other index words and tables can be loaded meanwhile.
    """

    #: Cycles from the issue of a step to the level of the FIFO that may stop the issue, without the requantizer.
    ISSUE_TO_STALL: ClassVar[int]

    layer: LayerT
    stream: StreamType
    schedule: Schedule
    tables: Tables
    loaded: bool = False
    halved: bool = False

    @property
    def inputs(self) -> tuple[StreamType, ...]:
        return (self.stream,)

    @property
    def sent(self) -> tuple[int, ...]:
        """Network index of each channel, in the order in which results leave."""
        return tuple(int(self.layer.channels[row]) for row in self.schedule.order)

    @cached_property
    def image(self) -> MemoryImage | None:
        """What the index memory is loaded with; None where the bitstream fills it for ever."""
        return image_of(self.schedule) if self.loaded or self.halved else None

    @cached_property
    def in_flight(self) -> int:
        """Most results that may still come once the issue of steps stops: the FIFO's room for them."""
        delay = self.ISSUE_TO_STALL + self.tables.latency
        return most_in_flight(self.schedule, delay) if self.halved else self.schedule.in_flight(delay)

    @property
    def fifo_depth(self) -> int:
        """Beats that the output FIFO holds."""
        return fifo_depth(self.in_flight)

    @property
    def fifo_ahead(self) -> int:
        """Beats that may stand in the FIFO while steps are issued; 2 at least, so that no free flow stalls."""
        return self.fifo_depth - self.in_flight

    def describe(self) -> dict[str, Any]:
        """What NAME.json says of it, beside what is its kind's own."""
        schedule, layer = self.schedule, self.layer
        nonzeros = int(np.count_nonzero(layer.weights))
        return {
            "kind": layer.kind.name,
            "rows": len(layer.weights),
            "columns": layer.matrix.shape[1],
            "nonzeros": nonzeros,
            "utilization": nonzeros / (schedule.lanes * schedule.steps),
            "index_bits": schedule.bits,
            "word": {
                "run_width": schedule.format.run_width,
                "escape_width": schedule.format.escape_width,
                "step_width": schedule.format.width,
            },
            "escapes": [len(group) for group in schedule.escapes] if schedule.format.escape_width else [],
            "requantizer": type(self.tables).__name__.removesuffix("Tables").lower(),
            "table_bits": self.tables.bits,
            "fifo_depth": self.fifo_depth,
            "constant_channels": {str(c): v for c, v in sorted(layer.constants.items())},
            "unused_channels": list(layer.unused),
        }
