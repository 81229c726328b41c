"""Which slots, beats and rows pooling windows take, against the windows' own places."""

from __future__ import annotations

import itertools

from amaranth.hdl import unsigned

from sterna.hw.graph.stream import StreamType, whole
from sterna.hw.units.pool.geometry import Axis, Windows


def all_axes(elements: tuple[int, ...]) -> list[Axis]:
    """All small ones whose beats and windows go into each other."""
    found = []
    for size, kernel, stride, each in itertools.product(range(1, 11), range(1, 8), range(1, 7), elements):
        for padding in range(max(kernel - size + 1, 0) // 2, kernel // 2 + 1):
            axis = Axis(size=size, kernel=kernel, stride=stride, padding=padding, elements=each)
            if axis.fit:
                found.append(axis)
    return found


ACROSS, DOWN = all_axes((1, 2, 3, 4, 6, 8)), all_axes((1,))


def places_of(axis: Axis) -> list[range]:
    """Each window's places in the map."""
    lefts = range(-axis.padding, axis.size + axis.padding - axis.kernel + 1, axis.stride)
    return [range(max(left, 0), min(left + axis.kernel, axis.size)) for left in lefts]


def test_beats_and_windows_go_into_each_other() -> None:
    fits = {
        (elements, stride): Axis(size=12, kernel=1, stride=stride, padding=0, elements=elements).fit
        for elements in (1, 2, 3, 4, 6)
        for stride in (1, 2, 3, 4, 5, 6)
    }
    assert fits == {(e, s): max(e, s) % min(e, s) == 0 for e, s in fits}


def test_any_beats_go_into_a_single_window() -> None:
    for size, elements, stride in itertools.product(range(1, 9), range(1, 10), range(1, 9)):
        axis = Axis(size=size, kernel=size, stride=stride, padding=0, elements=elements)
        assert axis.fit
        assert axis.apart
        assert (axis.windows, axis.results, axis.slots) == (1, 1, axis.inputs)


def test_numbers_and_taps_of_windows() -> None:
    for axis in ACROSS:
        windows = places_of(axis)
        assert axis.windows == len(windows)
        assert axis.taps == max(map(len, windows))
        assert axis.inputs == -(-axis.size // axis.elements)


def test_a_slot_completes_neighbours_whose_places_have_come() -> None:
    """One of them has its last place in that slot's beat, for one beat of results at least: no slot is lost."""
    for axis in ACROSS:
        windows = places_of(axis)
        slots = [slot for slot in range(axis.slots) if axis.completes(slot)]
        assert len(slots) == axis.outputs == -(-len(windows) // axis.results)
        least = []
        for k, slot in enumerate(slots):
            ends = [places[-1] // axis.elements for places in windows[k * axis.results : (k + 1) * axis.results]]
            assert max(ends) <= slot
            assert slot == slots[0] + k * axis.span
            least.append(slot - max(ends))
        assert min(least) == 0
        assert axis.slots == max(axis.inputs, slots[-1] + 1)


def test_results_begin_so_many_places_before_the_slot() -> None:
    for axis in ACROSS:
        for k, slot in enumerate(slot for slot in range(axis.slots) if axis.completes(slot)):
            first = k * axis.results * axis.step - axis.padding
            assert slot * axis.elements - axis.before == first
            assert axis.before >= 0


def test_without_overlap_and_padding_no_slot_is_added() -> None:
    for axis in ACROSS:
        if axis.apart:
            assert axis.slots == axis.inputs
            assert axis.gathers == (axis.span > 1)
            assert axis.gathers or axis.before == 0


def test_four_values_are_reduced_in_a_cycle() -> None:
    for kernel in range(1, 130):
        overlap = Axis(size=130, kernel=kernel, stride=1, padding=0)
        assert 4 ** (overlap.stages - 1) < max(kernel, 2) <= 4**overlap.stages
        assert Axis(size=2 * kernel, kernel=kernel, stride=kernel, padding=0).stages == 1


def test_parts_are_the_pixels_of_a_window() -> None:
    for axis in ACROSS:
        if not axis.gathers:
            continue
        elements = axis.elements
        inside = [len(set(range(axis.kernel)) & set(range(k * elements, (k + 1) * elements))) for k in range(8)]
        assert [axis.part(k) for k in range(8)] == inside
        assert axis.span * elements == axis.step


def test_rows_that_windows_take_begin_and_complete() -> None:
    for axis in DOWN:
        tops = [k * axis.step - axis.padding for k in range(axis.windows)]
        rows = range(axis.slots)
        taken = {top + k for top in tops for k in range(axis.kernel)}
        assert [row for row in rows if axis.taken(row)] == [row for row in rows if row in taken]
        assert [row for row in rows if axis.completes(row)] == [top + axis.before for top in tops]
        assert all(axis.begins(row) == (row in tops) for row in rows if row <= tops[-1])


def test_windows_that_are_kept_from_row_to_row() -> None:
    """Of all that begin every ``step`` rows, those that are not complete; when one is, so many have begun after it."""
    for axis in DOWN:
        begun = [range(top, top + axis.before) for top in range(-3 * axis.step * axis.kernel, 50, axis.step)]
        assert axis.kept == max(sum(row in rows for rows in begun) for row in range(20))
        assert axis.oldest == sum(axis.before >= top > 0 for top in range(0, 50, axis.step))


def test_a_frame_of_windows() -> None:
    stream: StreamType = whole((2, 5, 7), unsigned(3), elements=2)
    windows = Windows(stream=stream, kernel=(3, 3), stride=(1, 2), padding=(1, 1))
    assert (windows.down.size, windows.down.stride, windows.down.elements) == (5, 1, 1)
    assert (windows.across.size, windows.across.stride, windows.across.elements) == (7, 2, 2)
    assert windows.slots == (5 + 1) * 2 * 4
    assert windows.taps == 9
    assert Windows(stream=stream, kernel=(7, 2), stride=(9, 1), padding=(3, 1)).taps == 4 * 2
