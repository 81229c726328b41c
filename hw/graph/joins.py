"""Buffers where streams join: how deep they must be follows from the units' timing.

Where two ways from one unit meet again, beats on the short way wait for those on the long one, and the unit can only go
on if they wait in a buffer. Frames run through the graph with buffers that have no end, and what stood in each tells
its depth; an edge on which nothing ever waits gets none. The frames come evenly, as fast as the slowest unit can take
them: so units that are faster do not run ahead, and nothing waits for that alone.

The frames of that run see buffers everywhere, which take their time; and units hold some results themselves. So the
graph that is built is timed too. Should it be slower than its slowest unit alone, or stop, buffers also stand behind
forks, whose readers may pause at different times, and all depths are doubled, ``TRIES - 1`` times at most.

No network can deadlock. Every unit reads and writes its streams in an order that no time changes, so what has passed
over each edge when nothing moves any more does not depend on time either (Kahn, "The semantics of a simple language
for parallel programming", 1974; a buffer's free places are beats that run backwards). So one run that does not stop
stands for all, whatever stalls: the one that computes latency and interval, with the depths that are built, and stops
with an error if the units do (``timing.py``).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from math import inf

from sterna.hw.graph.stream import StreamType
from sterna.hw.graph.timing import StoppedError, find_alone, find_steady, run_frames
from sterna.hw.units import BufferClockwork, buffered
from sterna.hw.units.protocol import Unit

#: Frames that are run to see how much waits, besides those that come until the first has left.
MORE = 3
#: Graphs that are timed, at most, each with buffers of twice the depth.
TRIES = 6
#: Beats in a buffer that only makes them narrower.
LEAST = 2

Graph = tuple[list[Unit], list[tuple[int, ...]]]
#: An input stream: unit and input, by number.
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
    readers = Counter(number for before in sources for number in before)
    every = [(k, port) for k, before in enumerate(sources) for port in range(len(before))]
    joins = [(k, port) for k, port in every if len(sources[k]) > 1]
    brought = {(k, port): _stream(units, stream, sources[k][port]).elements for k, port in every}
    narrower = [(k, port) for k, port in every if brought[k, port] != units[k].inputs[port].elements]
    alone = {port: LEAST for port in narrower if port not in joins}
    forks = [(k, port) for k, port in every if readers[sources[k][port]] > 1]

    def made(depths: Mapping[Port, int | None]) -> Graph:
        kept = {port: depth for port, depth in {**alone, **depths}.items() if depth != 0}
        return _inserted(units, sources, stream, kept)

    if not joins:
        return made({})

    pace = max(stream.beats, *(unit.work.interval for unit in units))
    works = run_frames(*made(dict.fromkeys(joins)), pace=pace, more=MORE)
    buffers = [work for work in works if isinstance(work, BufferClockwork)]
    needed = {port: work.needed for port, work in zip(sorted({*joins, *alone}), buffers, strict=True) if port in joins}
    depths = {
        port: 1 << max(words - 1, 1).bit_length() if words or port in narrower else 0 for port, words in needed.items()
    }
    slowest = max(float(stream.beats), *(float(find_alone(unit).interval) for unit in units))
    tried: list[tuple[float, Graph]] = []
    for _ in range(TRIES):
        graph = made(depths)
        tried.append((_interval(graph), graph))
        if tried[-1][0] <= slowest:
            break
        depths = {port: max(2 * depths.get(port, 0), 2) for port in sorted({*joins, *forks})}
    return min(tried, key=lambda one: one[0])[1]  # of those that are as fast, the first


def _interval(graph: Graph) -> float:
    """Cycles of a frame; without an end, if the graph stops."""
    try:
        return float(find_steady(*graph).interval)
    except StoppedError:
        return inf


def _stream(units: Sequence[Unit], stream: StreamType, number: int) -> StreamType:
    return stream if number < 0 else units[number].output


def _inserted(
    units: Sequence[Unit],
    sources: Sequence[tuple[int, ...]],
    stream: StreamType,
    depths: Mapping[Port, int | None],
) -> Graph:
    """The graph with buffers of some depths before some inputs."""
    placed: dict[int, int] = {-1: -1}
    more: list[Unit] = []
    reads: list[tuple[int, ...]] = []
    for k, unit in enumerate(units):
        read = [placed[number] for number in sources[k]]
        for port, number in enumerate(sources[k]):
            if (k, port) in depths:
                reads.append((read[port],))
                read[port] = len(more)
                more.append(
                    buffered(
                        f"buffer_{sum(not each.nodes for each in more)}",
                        _stream(units, stream, number),
                        elements=unit.inputs[port].elements,
                        depth=depths[k, port],
                    )
                )
        placed[k] = len(more)
        more.append(unit)
        reads.append(tuple(read))
    return more, reads
