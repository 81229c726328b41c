"""The buffer: beats in their order, narrower ones too, at the computed times, and no more than fit."""

from __future__ import annotations

import numpy as np
import pytest
from amaranth.hdl import Value, signed, unsigned
from bench import Port, drive

from sterna.hw.graph.stream import StreamType
from sterna.hw.graph.timing import find_steady, run_frames, transfer_times
from sterna.hw.units.buffer.plan import BufferPlan
from sterna.hw.units.buffer.timing import BufferClockwork

#: Shapes, and elements of a beat before and behind.
WIDTHS = [((2, 3, 5), 1, 1), ((2, 3, 5), 5, 1), ((3, 2, 7), 4, 2), ((1, 2, 9), 8, 4), ((2, 2, 6), 4, 4), ((6,), 4, 1)]
STALLS = [(0.0, 0.0), (0.0, 0.7), (0.6, 0.0), (0.3, 0.5)]


def plan_of(shape: tuple[int, ...], elements: int, narrow: int, *, depth: int = 4) -> BufferPlan:
    stream = StreamType(element=signed(3), shape=shape, order=tuple(range(shape[0])), elements=elements)
    return BufferPlan(name="buffer_0", stream=stream, elements=narrow, depth=depth)


@pytest.mark.parametrize(("shape", "elements", "narrow"), WIDTHS)
@pytest.mark.parametrize("stalls", STALLS)
def test_elements_pass(shape: tuple[int, ...], elements: int, narrow: int, stalls: tuple[float, float]) -> None:
    plan = plan_of(shape, elements, narrow)
    rng = np.random.default_rng(1)
    frames = 4
    values = rng.integers(0, 8, (frames, int(np.prod(shape))))

    def beats(stream: StreamType) -> list[int]:
        places = stream.places()
        codes = np.where(places < 0, 0, values[:, places]).reshape(-1, stream.elements)
        return [sum(int(code) << 3 * k for k, code in enumerate(beat)) for beat in codes]

    unit = plan.component(framed=False)
    record = drive(
        unit,
        Port(unit.i.valid, unit.i.ready, Value.cast(unit.i.payload)),
        Port(unit.o.valid, unit.o.ready, Value.cast(unit.o.payload).as_unsigned()),
        beats(plan.stream),
        count=frames * plan.output.beats,
        input_stall=stalls[0],
        output_stall=stalls[1],
    )
    assert record.results == beats(plan.output)
    if stalls == (0.0, 0.0):
        inputs, outputs = transfer_times([plan], [[-1]], frames)
        assert record.sent == inputs
        assert record.received == outputs


@pytest.mark.parametrize("depth", [2, 8])
def test_it_holds_what_its_memory_does_and_two_beats_more(depth: int) -> None:
    """A sink that takes nothing for long: the memory, and the output's register."""
    plan = plan_of((40,), 1, 1, depth=depth)
    unit = plan.component(framed=False)
    record = drive(
        unit,
        Port(unit.i.valid, unit.i.ready, Value.cast(unit.i.payload)),
        Port(unit.o.valid, unit.o.ready, Value.cast(unit.o.payload).as_unsigned()),
        [k % 8 for k in range(40)],
        count=40,
        output_stall=lambda cycle: cycle < 100,
    )
    assert sum(cycle < 100 for cycle in record.sent) == depth + 1
    assert record.results == [k % 8 for k in range(40)]


def test_words_that_are_needed() -> None:
    """Beats that come one a cycle and leave in bursts: by hand."""
    plan = BufferPlan(
        name="b", stream=StreamType(element=unsigned(1), shape=(6,), order=tuple(range(6))), elements=1, depth=None
    )
    (work,) = run_frames([plan], [[-1]], pace=100, more=1)
    assert isinstance(work, BufferClockwork)
    assert work.needed == 0
    # the fourth beat comes when one of the three before has moved: two stand in the memory beside it
    work.pushes, work.moves = [0, 1, 2, 3], [1, 3, 4, 5]
    assert work.needed == 3
    # a place that becomes free in a cycle can be taken in the next one
    work.pushes, work.moves = [0, 1, 4], [3, 5, 6]
    assert work.needed == 2
    assert find_steady([plan], [[-1]]).interval == 6
