"""What a kind of unit owes everybody else: the rest of hw/ knows units by this alone.

A kind comes in four steps. Its *lowering* of a network's node takes part in leaving channels out (``graph/lower.py``)
and gives a *layer*. The kind plans a *unit* from a layer, its input streams and a number of lanes (``graph/plan.py``).
The unit tells its streams, its timing, its memories and its description, and becomes a *component*.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from amaranth.lib import wiring

from sterna.hw.graph.events import Channel, Marks, Process
from sterna.hw.graph.stream import StreamType
from sterna.hw.parts.loadable import MemoryImage
from sterna.net import Network, Node


@dataclass(frozen=True, kw_only=True)
class MemoryUse:
    """One memory of a unit.

    Attributes
    ----------
    depth, width : int
        Words, and bits of a word.
    writable : bool
        Written while the unit works; otherwise a table.
    image : MemoryImage, optional
        What the table is loaded with, where the bitstream does not fill it, or not for ever.
    halved : bool
        It has two halves: one is loaded while the other is read (:class:`HalvedMemory`).
    block : bool
        In block RAM, however small.
    at_once : bool
        Read without a clock, which no block RAM does.
    """

    name: str
    depth: int
    width: int
    writable: bool
    image: MemoryImage | None = None
    block: bool = False
    at_once: bool = False
    halved: bool = False

    @property
    def bits(self) -> int:
        """Bits of all words."""
        return self.depth * self.width


@dataclass(frozen=True, kw_only=True)
class Work:
    """What a frame costs a unit at least, in cycles, whatever stands before and behind it.

    Attributes
    ----------
    steps, beats, results : int
        Of computing, of the input stream that takes longest, and of the output.
    """

    steps: int
    beats: int
    results: int

    @property
    def interval(self) -> int:
        """The interval that the unit would have if nothing were lost."""
        return max(self.steps, self.beats, self.results)


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """How a unit's results have to leave, as far as it has lanes and can choose.

    Attributes
    ----------
    order : tuple of int or None
        Network's channel (or feature) of each one, in the order in which they leave; None: any order.
    elements : int or None
        Results in a beat; None: as many as the pace needs.
    together : int
        Where a beat has several results, their number is a multiple of this: the units behind take so many at once.
    """

    order: tuple[int, ...] | None = None
    elements: int | None = None
    together: int = 1


class Clockwork(Protocol):
    """A unit's timing, while frames run through it.

    Attributes
    ----------
    waited : bool
        Set where an input that came late has decided about anything.
    """

    waited: bool

    def processes(self) -> Sequence[Process]:
        """What says when beats are offered and taken."""
        ...

    @property
    def marks(self) -> Sequence[Marks]:
        """Events inside the unit that its processes wait for."""
        ...

    def state(self) -> tuple[int, ...]:
        """All times, inside the unit, that later frames may depend on; as many in every frame of a steady state."""
        ...

    def shift(self, cycles: int) -> None:
        """Moves all of them."""
        ...


class Layer(Protocol):
    """A node as hardware will compute it, before lanes are chosen."""

    @property
    def name(self) -> str:
        """The node whose output it gives."""
        ...

    @property
    def kind(self) -> Kind:
        """What plans it."""
        ...

    @property
    def sources(self) -> tuple[str, ...]:
        """The layers (or the network's input) that it reads."""
        ...

    @property
    def channels(self) -> np.ndarray:
        """Network index of each output channel that it gives; int64, (channels,)."""
        ...

    @property
    def lane_grain(self) -> int:
        """Lanes come in multiples of this; 0 where there are none to choose: then channels leave as they come."""
        ...

    @property
    def has_words(self) -> bool:
        """Whether its lanes follow index words, which may be loaded."""
        ...

    @property
    def takes_weights(self) -> bool:
        """Whether its unit can be made for weights that come later (``AcceleratorConfig.loadable``)."""
        ...

    @property
    def together(self) -> int:
        """Neighboring elements that it takes at once, where a beat has several."""
        ...

    @property
    def most_lanes(self) -> int:
        """Lanes that it can use."""
        ...

    def least_interval(self, inputs: Sequence[StreamType]) -> int:
        """Cycles of a frame below which no number of lanes gets it: its results and its input beats."""
        ...

    def least_lanes(self, cycles: int) -> int:
        """Lanes below which a frame cannot take so few cycles."""
        ...


class Lowering(Protocol):
    """A node while it is found out which channels are left out. Channels are the network's."""

    @property
    def node(self) -> Node:
        """What is lowered."""
        ...

    @property
    def channels(self) -> int:
        """Channels of its output."""
        ...

    def absorbs(self, constants: Mapping[int, int]) -> set[int]:
        """Which of an input's constant channels it can do without (behind padding, not all)."""
        ...

    def fold(self, constants: Mapping[int, int]) -> None:
        """Does without these."""
        ...

    def unfold(self, constants: Mapping[int, int]) -> None:
        """:meth:`fold` undone."""
        ...

    def constants(self) -> dict[int, int]:
        """Output channels whose code is the same for every input, and that code."""
        ...

    def reads(self, kept: np.ndarray) -> np.ndarray:
        """Whether each input channel is read for the output channels ``kept``; bool, (input channels,)."""
        ...

    def layer(
        self,
        *,
        sources: tuple[str, ...],
        inputs: np.ndarray,
        kept: np.ndarray,
        constants: Mapping[int, int],
        unused: tuple[int, ...],
    ) -> Layer:
        """The layer that computes the output channels ``kept`` from the input channels ``inputs``."""
        ...


class Unit(Protocol):
    """A planned unit: everything is decided, and nothing is hardware yet."""

    @property
    def name(self) -> str:
        """The node whose output it gives, or what else it is."""
        ...

    @property
    def nodes(self) -> tuple[str, ...]:
        """The network's nodes that it computes; none for what only looks at the output."""
        ...

    @property
    def inputs(self) -> tuple[StreamType, ...]:
        """Its input streams. Where it has several, the streams before may have more elements a beat."""
        ...

    @property
    def output(self) -> StreamType:
        """Its output stream."""
        ...

    @property
    def lanes(self) -> int:
        """Adders at work at once."""
        ...

    @property
    def work(self) -> Work:
        """What a frame costs."""
        ...

    @property
    def memories(self) -> tuple[MemoryUse, ...]:
        """All memories."""
        ...

    @property
    def logic(self) -> Mapping[str, int]:
        """How often each part of its logic is there, memories left out (``hw/units/logic.py``)."""
        ...

    def clockwork(self, inputs: Sequence[Channel], output: Channel) -> Clockwork:
        """Its timing between channels."""
        ...

    def component(self, *, framed: bool) -> wiring.Component:
        """The hardware.

        Its streams are ``i`` (``i_0``, ``i_1``, … if there are several) and ``o``. With ``framed`` it also looks at
        ``i_last``, and tells a dropped frame by ``error``. Where a memory is loaded, ``load`` fills it.
        """
        ...

    def describe(self) -> dict[str, Any]:
        """What NAME.json says of it, beside what it says of every unit (``emit/describe.py``)."""
        ...


class Kind(Protocol):
    """A kind of unit."""

    @property
    def name(self) -> str:
        """As NAME.json says it."""
        ...

    @property
    def makes(self) -> tuple[str, ...]:
        """Node kinds that it computes, for messages."""
        ...

    def lower(self, network: Network, node: Node) -> Lowering | None:
        """The node's lowering, or None if the kind does not compute it."""
        ...

    def plan(
        self,
        layer: Any,
        *,
        inputs: Sequence[StreamType],
        lanes: int,
        delivery: Delivery,
        options: Mapping[str, Any],
        cycles: int | None = None,
    ) -> Unit:
        """A unit for a layer that the kind lowered.

        ``cycles``: of a frame, that are enough; what costs hardware and gains nothing beyond may be left out.
        """
        ...
