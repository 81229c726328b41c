"""Units: what a network's nodes become in hardware, one folder a kind. Nothing outside this folder names a kind."""

from __future__ import annotations

from dataclasses import replace

from sterna.hw.graph.stream import StreamType
from sterna.hw.units.add.kind import ADD
from sterna.hw.units.argmax.plan import ArgmaxPlan
from sterna.hw.units.argmax.tree_plan import ArgmaxTreePlan
from sterna.hw.units.bitserial.kind import BITSERIAL
from sterna.hw.units.buffer.plan import BufferPlan
from sterna.hw.units.buffer.timing import BufferClockwork
from sterna.hw.units.conv.kind import CONV
from sterna.hw.units.dense.kind import DENSE
from sterna.hw.units.pool.kind import POOL
from sterna.hw.units.protocol import Kind, Unit
from sterna.hw.units.summing.plan import SumPlan, chained
from sterna.hw.units.unrolled.kind import UNROLLED

#: Every kind that computes nodes. Of several that compute the same, the first is the usual one.
KINDS: tuple[Kind, ...] = (DENSE, CONV, POOL, ADD, BITSERIAL, UNROLLED)


def classifier(scores: StreamType) -> Unit:
    """What gives the index of the highest score instead of the scores, which it takes all in a beat, or one a beat."""
    if 1 < scores.elements == len(scores.order):
        return ArgmaxTreePlan(scores=scores)
    return ArgmaxPlan(scores=replace(scores, elements=1))


def joined(before: Unit, behind: Unit) -> Unit | None:
    """One unit for two, of which the second alone reads the first; None where they stay two."""
    if not isinstance(before, SumPlan) or type(before) is not type(behind):
        return None
    if before.windows is behind.windows is None and before.lanes == behind.lanes:
        return chained(before, behind)
    return None


def buffered(name: str, stream: StreamType, *, elements: int, depth: int | None) -> Unit:
    """What holds a stream's beats before a join, and may make them narrower; with no depth, as many as come."""
    return BufferPlan(name=name, stream=stream, elements=elements, depth=depth)


__all__ = ["KINDS", "BufferClockwork", "buffered", "classifier", "joined"]
