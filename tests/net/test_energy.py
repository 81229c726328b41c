"""The energy model by hand."""

import pytest

from sterna.net.energy import TABLE_I, Access, EnergyTable, Operations, energy


def operations(width=32, **changes):
    accesses = (
        Access(array="a", reads=10, width=8, array_bits=8 * 8 * 1024),
        Access(array="b", reads=3, writes=2, width=12, array_bits=8 * 8 * 1024 + 1),
        Access(array="c", reads=1, width=32, array_bits=8 * 1024 * 1024 + 1),
    )
    fields = {"multiplications": 4, "additions": 5, "operation_bits": width, "accesses": accesses}
    return Operations(**{**fields, **changes})


def test_by_hand():
    found = energy(operations())
    assert found.multiplications == pytest.approx(4 * 3.7)
    assert found.additions == pytest.approx(5 * 0.9)
    assert found.reads == pytest.approx(10 * 1.25 + 3 * 5.0 + 1000.0)
    assert found.writes == pytest.approx(2 * 5.0)
    assert found.total == pytest.approx(4 * 3.7 + 5 * 0.9 + 12.5 + 15 + 1000 + 10)


@pytest.mark.parametrize(("width", "add", "multiply"), [(1, 0.2, 0.6), (8, 0.2, 0.6), (9, 0.4, 1.1), (17, 0.9, 3.7)])
def test_widths_of_operations(width, add, multiply):
    found = energy(operations(width))
    assert (found.additions, found.multiplications) == (pytest.approx(5 * add), pytest.approx(4 * multiply))


@pytest.mark.parametrize(
    ("kib", "picojoules"),
    [(8, (1.25, 2.5, 5)), (32, (2.5, 5, 10)), (1024, (12.5, 25, 50)), (1025, (250, 500, 1000))],
)
def test_memories(kib, picojoules):
    for width, wanted in zip((8, 16, 32), picojoules, strict=True):
        assert TABLE_I.access_energy(width, 8 * 1024 * kib) == wanted
    assert TABLE_I.access_energy(8, 0) == 1.25


def test_sums():
    made = operations()
    assert (made.reads, made.writes, made.total) == (14, 2, 25)
    assert made.access("b").writes == 2
    with pytest.raises(KeyError, match="d"):
        made.access("d")


def test_several_products():
    made = operations().times(3)
    assert (made.multiplications, made.additions, made.reads, made.writes) == (12, 15, 42, 6)
    assert made.access("c").array_bits == 8 * 1024 * 1024 + 1
    assert energy(made).total == pytest.approx(3 * energy(operations()).total)


def test_what_the_table_does_not_have():
    with pytest.raises(ValueError, match=r"^the energy table has no multiplication of 64 bits$"):
        energy(operations(64))
    wide = (Access(array="a", reads=1, width=64, array_bits=64),)
    with pytest.raises(ValueError, match=r"^the energy table has no access of 64 bits$"):
        energy(operations(accesses=wide))
    small = EnergyTable(addition={8: 1.0}, multiplication={8: 1.0}, access=((1, {8: 1.0}),))
    with pytest.raises(ValueError, match=r"^the energy table has no memory for an array of 9 bits$"):
        small.access_energy(8, 9)
