"""Buffers where streams join: how deep they must be follows from the units' timing.

Where two ways from one unit meet again, beats on the short way wait for those on the long one, and the unit can only go
on if they wait in a buffer. Frames run through the graph with buffers that have no end, and what stood in each tells
its depth; an edge on which nothing ever waits gets none. The frames come evenly, as fast as the slowest unit can take
them: so units that are faster do not run ahead, and nothing waits for that alone. A graph with these buffers is as fast
as its slowest unit alone: that flow is one that they allow, and units that go on as soon as they can are not later.

No network can deadlock. Every unit reads and writes its streams in an order that no time changes, so what has passed
over each edge when nothing moves any more does not depend on time either (Kahn, "The semantics of a simple language
for parallel programming", 1974; a buffer's free places are beats that run backwards). So one run that does not stop
stands for all, whatever stalls: the one that computes latency and interval, with the depths that are built, and stops
with an error if the units do (``timing.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sterna.hw.graph.stream import StreamType
from sterna.hw.graph.timing import run_frames
from sterna.hw.units import BufferClockwork, buffered
from sterna.hw.units.protocol import Unit

#: Frames that are run to see how much waits, besides those that come until the first has left.
MORE = 3

Graph = tuple[list[Unit], list[tuple[int, ...]]]
#: The input streams of units that read several: unit and input, by number.
Port = tuple[int, int]


def with_buffers(units: Sequence[Unit], sources: Sequence[tuple[int, ...]], stream: StreamType) -> Graph:
    """A graph with the buffers that it needs.

    Parameters
    ----------
    units : sequence of Unit
        In topological order.
    sources : sequence of tuples of int
        The units that each one reads, by number; -1 is the graph's input.
    stream : StreamType
        The graph's input.
    """
    ports = [(k, port) for k, unit in enumerate(units) if len(unit.inputs) > 1 for port in range(len(unit.inputs))]
    if not ports:
        return list(units), list(sources)

    def made(depth: Callable[[Port], int | None]) -> Graph:
        return _inserted(units, sources, stream, [port for port in ports if depth(port) != 0], depth)

    pace = max(stream.beats, *(unit.work.interval for unit in units))
    works = run_frames(*made(lambda port: None), pace=pace, more=MORE)
    needed = [work.needed for work in works if isinstance(work, BufferClockwork)]
    depths = {}
    for (k, port), words in zip(ports, needed, strict=True):
        narrower = _stream(units, stream, sources[k][port]).elements != units[k].inputs[port].elements
        depths[k, port] = 1 << max(words - 1, 1).bit_length() if words or narrower else 0
    return made(depths.__getitem__)


def _stream(units: Sequence[Unit], stream: StreamType, number: int) -> StreamType:
    return stream if number < 0 else units[number].output


def _inserted(
    units: Sequence[Unit],
    sources: Sequence[tuple[int, ...]],
    stream: StreamType,
    ports: Sequence[Port],
    depth: Callable[[Port], int | None],
) -> Graph:
    """The graph with a buffer before each of these inputs."""
    placed: dict[int, int] = {-1: -1}
    more: list[Unit] = []
    reads: list[tuple[int, ...]] = []
    for k, unit in enumerate(units):
        read = [placed[number] for number in sources[k]]
        for port, number in enumerate(sources[k]):
            if (k, port) in ports:
                reads.append((read[port],))
                read[port] = len(more)
                more.append(
                    buffered(
                        f"buffer_{sum(not each.nodes for each in more)}",
                        _stream(units, stream, number),
                        elements=unit.inputs[port].elements,
                        depth=depth((k, port)),
                    )
                )
        placed[k] = len(more)
        more.append(unit)
        reads.append(tuple(read))
    return more, reads
