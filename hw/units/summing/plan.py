"""A unit of adders before it is hardware: layers that follow each other, and how long their sums are on their way."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate
from typing import Any, Generic, TypeVar

import numpy as np
from amaranth.hdl import Shape
from amaranth.lib import wiring

from sterna.hw.graph.events import Channel
from sterna.hw.graph.stream import StreamType
from sterna.hw.parts.codes import in_order
from sterna.hw.parts.outlet import Outlet
from sterna.hw.parts.tables import code_shape, shape_of
from sterna.hw.sums.graph import SumGraph
from sterna.hw.sums.sharing import share_sums
from sterna.hw.units.convolution import WindowSizes
from sterna.hw.units.linear import permuted
from sterna.hw.units.logic import Parts
from sterna.hw.units.memories import outlet_memories
from sterna.hw.units.protocol import MemoryUse, Work
from sterna.hw.units.summing.layer import SumLayer
from sterna.hw.units.summing.timing import SumClockwork, WindowClockwork
from sterna.hw.units.summing.windows import Windows

LayerT = TypeVar("LayerT", bound=SumLayer)


@dataclass(frozen=True, eq=False, kw_only=True)
class Stage(ABC, Generic[LayerT]):
    """One layer of a unit.

    Attributes
    ----------
    layer : SumLayer
        Its inputs in the order in which they come, its rows in that of the results.
    graph : SumGraph
        Its adders.
    """

    layer: LayerT
    graph: SumGraph

    @property
    @abstractmethod
    def period(self) -> int:
        """Cycles from a frame, or a pixel, to the next one, if its beats come fast enough."""

    @abstractmethod
    def until_codes(self, period: int) -> int:
        """Cycles from the inputs to the cycle in which all codes are known."""

    @abstractmethod
    def until_next(self, period: int) -> int:
        """Cycles from the inputs to those of the next layer."""

    def describe(self) -> dict[str, Any]:
        """What NAME.json says of it."""
        layer = self.layer
        return {
            "node": layer.name,
            "rows": len(layer.weights),
            "columns": layer.weights.shape[1],
            "nonzeros": int(np.count_nonzero(layer.weights)),
            "adders": self.graph.adders,
            "depth": self.graph.depth,
            "constant_channels": {str(c): v for c, v in sorted(layer.constants.items())},
            "unused_channels": list(layer.unused),
        }


StageT = TypeVar("StageT", bound=Stage[Any])


@dataclass(frozen=True, eq=False, kw_only=True)
class SumPlan(ABC, Generic[StageT]):
    """A unit of adders; see :class:`~sterna.hw.units.protocol.Unit`.

    Attributes
    ----------
    stream : StreamType
        Input.
    stages : tuple of Stage
        Layers, each of which reads the one before.
    """

    stream: StreamType
    stages: tuple[StageT, ...]

    @property
    @abstractmethod
    def lanes(self) -> int:
        """Its kind says what they are."""

    @cached_property
    def period(self) -> int:
        """Cycles from a frame, or a pixel, to the next one, if its beats come fast enough."""
        return max(stage.period for stage in self.stages)

    @property
    @abstractmethod
    def logic(self) -> Parts:
        """How often each part of its logic is there."""

    @abstractmethod
    def component(self, *, framed: bool) -> wiring.Component:
        """The hardware."""

    @property
    def name(self) -> str:
        return str(self.last.name)

    @property
    def nodes(self) -> tuple[str, ...]:
        return tuple(stage.layer.name for stage in self.stages)

    @property
    def first(self) -> SumLayer:
        """The layer that reads the stream."""
        layer: SumLayer = self.stages[0].layer
        return layer

    @property
    def last(self) -> SumLayer:
        """The layer that gives the results."""
        layer: SumLayer = self.stages[-1].layer
        return layer

    @property
    def inputs(self) -> tuple[StreamType, ...]:
        return (self.stream,)

    @cached_property
    def windows(self) -> Windows | None:
        """Of a convolution."""
        sizes = self.first.sizes
        return None if sizes is None else Windows(sizes=sizes, stream=self.stream)

    @property
    def pixels(self) -> int:
        """Sums of each row in a frame."""
        sizes = self.first.sizes
        return 1 if sizes is None else sizes.rows * sizes.columns

    @property
    def output(self) -> StreamType:
        order, sizes = tuple(int(channel) for channel in self.last.channels), self.first.sizes
        return StreamType(
            element=self.element,
            shape=(self.last.all_channels, *(() if sizes is None else (sizes.rows, sizes.columns))),
            order=order,
            elements=len(order),
            by_pixel=sizes is not None and len(order) > 1,
        )

    @cached_property
    def element(self) -> Shape:
        """Of a result."""
        if self.last.requantize is not None:
            return code_shape(self.last.requantize.output)
        low, high = self.last.bounds
        return shape_of(int((low + self.last.offset).min()), int((high + self.last.offset).max()))

    @property
    def work(self) -> Work:
        steps = self.period if self.windows is None else self.windows.steps(self.period)
        return Work(steps=steps, beats=self.stream.beats, results=self.pixels)

    @property
    def lead(self) -> int:
        """Cycles from a frame's last beat, or a window's, to the inputs of the first layer's adders."""
        return 1

    @property
    def begins(self) -> list[int]:
        """Cycles from a frame's last beat, or a window's, to each layer's inputs."""
        return list(accumulate((stage.until_next(self.period) for stage in self.stages[:-1]), initial=self.lead))

    @property
    def latency(self) -> int:
        """Cycles from a frame's last beat, or a window's, to its results."""
        return self.begins[-1] + self.stages[-1].until_codes(self.period)

    @property
    def outlet(self) -> Outlet:
        """Where results leave: all of a frame, or a pixel, at once."""
        return Outlet(
            shape=self.element,
            tables=None,
            elements=len(self.last.channels),
            beats=1,
            pipeline=self.latency,
            spacing=self.period,
        )

    @property
    def memories(self) -> tuple[MemoryUse, ...]:
        rows = () if self.windows is None else self.windows.memories
        width = self.output.elements * self.element.width
        return (*rows, *outlet_memories(None, depth=self.outlet.depth, width=width))

    def clockwork(self, inputs: Sequence[Channel], output: Channel) -> SumClockwork | WindowClockwork:
        (beats,) = inputs
        if self.windows is not None:
            return WindowClockwork(
                beats=beats, windows=self.windows, period=self.period, outlet=self.outlet, results=output
            )
        return SumClockwork(
            beats=beats, count=self.stream.beats, period=self.period, outlet=self.outlet, results=output
        )

    def describe(self) -> dict[str, Any]:
        layers = [stage.describe() for stage in self.stages]
        totals = {key: sum(layer[key] for layer in layers) for key in ("nonzeros", "adders")}
        left_out = {key: layers[-1][key] for key in ("constant_channels", "unused_channels")}
        return {
            "kind": self.last.kind.name,
            **totals,
            "layers": layers,
            "fifo_depth": self.outlet.depth,
            **self._describe_windows(),
            **left_out,
        }

    def _describe_windows(self) -> dict[str, Any]:
        sizes = self.first.sizes
        return {} if sizes is None else {key: list(getattr(sizes, key)) for key in ("kernel", "stride", "padding")}


PlanT = TypeVar("PlanT", bound=SumPlan[Any])


def graph_for(
    layer: LayerT, *, stream: StreamType, order: Sequence[int] | None = None, effort: int = 1
) -> Mapping[str, Any]:
    """A layer as its adders read the stream, and these.

    Parameters
    ----------
    layer : SumLayer
    stream : StreamType
        What comes in.
    order : sequence of int, optional
        The layer's channels in the order in which results leave; without it, the layer's own.
    effort : int
        As in :func:`~sterna.hw.sums.sharing.share_sums`.

    Returns
    -------
    mapping
        The attributes of a :class:`Stage`.
    """
    if order is not None:
        layer = in_order(layer, order)
    layer = permuted(layer, stream) if layer.sizes is None else _in_windows(layer, layer.sizes, stream)
    return {"layer": layer, "graph": share_sums(layer.weights, effort=effort)}


def _in_windows(layer: LayerT, sizes: WindowSizes, stream: StreamType) -> LayerT:
    """A convolution with its weights in the order of a window's codes."""
    Windows(sizes=sizes, stream=stream).check(layer.name)
    column = {int(index): k for k, index in enumerate(layer.inputs)}
    order = [column.get(channel, len(column)) for channel in stream.order]  # what it does not read has no weights
    weights = np.pad(layer.weights, ((0, 0), (0, 1), (0, 0), (0, 0)))[:, order]
    return replace(layer, weights=weights.transpose(0, 2, 3, 1).reshape(len(weights), -1))


def chained(before: PlanT, behind: PlanT) -> PlanT:
    """One unit for two, of which the second alone reads the first: codes pass from layer to layer without a stream."""
    return replace(before, stages=(*before.stages, *behind.stages))
