"""Networks, their parts and encoded matrices can be copied and pickled, and are checked again when they come back."""

from __future__ import annotations

import copy
import multiprocessing
import pickle
from pathlib import Path

import numpy as np
import pytest

from sterna.codes import CODES, MatrixCode
from sterna.net import AccumulatorType, ActivationType, Conv2d, Linear, Node, ShiftRound, Thresholds, load
from sterna.sim.golden import GoldenModel

SAMPLE = load(Path(__file__).parent / "data" / "version_2.safetensors")
TERNARY = np.array([[0, 1, 0, -1, 0], [0, 0, 0, 1, 0], [0, 0, 0, 0, -1]], dtype=np.int8)
U4 = ActivationType(4, False)
PARTS = [
    *SAMPLE.nodes,
    U4,
    AccumulatorType(-3, 7),
    Thresholds(output=U4, levels=np.tile(np.arange(15), (2, 1))),
    ShiftRound(output=U4, bias=3, shift=[1, 2]),
    ShiftRound(output=U4, bias=3, shift=0),
    Linear(name="f", weights=[[1, -1]], bias=[3]),
]


@pytest.mark.parametrize("value", [SAMPLE, *PARTS, Conv2d(name="c", weights=[[[[1]]]])], ids=lambda v: type(v).__name__)
def test_a_copy_is_the_value_itself(value: object) -> None:
    assert copy.copy(value) is value
    assert copy.deepcopy([value])[0] is value


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_network_comes_back(protocol: int) -> None:
    network = pickle.loads(pickle.dumps(SAMPLE, protocol))
    assert network is not SAMPLE
    assert network.digest == SAMPLE.digest
    assert network.metadata == SAMPLE.metadata
    assert repr(network) == repr(SAMPLE)
    assert dict(network.accumulators) == dict(SAMPLE.accumulators)
    x = np.random.default_rng(0).integers(0, 16, size=(5, 2, 6, 6))
    assert np.array_equal(GoldenModel(network).predict(x), GoldenModel(SAMPLE).predict(x))
    for node in network.nodes:
        assert not any(value.flags.writeable for value in vars(node).values() if isinstance(value, np.ndarray))


@pytest.mark.parametrize("part", PARTS, ids=lambda part: type(part).__name__)
def test_parts_come_back(part: object) -> None:
    back = pickle.loads(pickle.dumps(part))
    assert type(back) is type(part)
    assert same(back, part)


def same(a: object, b: object) -> bool:
    if isinstance(a, np.ndarray):
        assert isinstance(b, np.ndarray)
        return a.dtype == b.dtype and a.tolist() == b.tolist() and not a.flags.writeable
    if isinstance(a, (Node, Thresholds, ShiftRound)):
        return vars(a).keys() == vars(b).keys() and all(same(vars(a)[name], vars(b)[name]) for name in vars(a))
    return a == b


def test_what_was_changed_on_the_way_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^name must be made of letters, .*, not 'st-m'$"):
        pickle.loads(pickle.dumps(SAMPLE).replace(b"stem", b"st-m"))
    content = pickle.dumps(ActivationType(7, True))
    with pytest.raises(ValueError, match=r"^width must be an integer from 1 to 8, not 9$"):
        pickle.loads(content.replace(b"K\x07", b"K\x09"))


@pytest.mark.parametrize("code", CODES.values(), ids=list(CODES))
def test_encoded_matrices_come_back(code: type[MatrixCode]) -> None:
    coded = code.encode(TERNARY)
    coded.matvec(np.ones(5, dtype=int))  # fills what it keeps
    assert copy.copy(coded) is copy.deepcopy(coded) is coded
    back = pickle.loads(pickle.dumps(coded))
    assert (type(back), back.digest) == (code, coded.digest)
    assert np.array_equal(back.decode(), TERNARY)
    assert not any(array.flags.writeable for array in back.arrays.values())


def test_a_process_of_its_own_takes_a_network() -> None:
    """As sweeps do: the child imports everything anew."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        back, weights = pool.map(copy.copy, [SAMPLE, Linear(name="f", weights=[[1, -1]]).weights])
    assert back.digest == SAMPLE.digest
    assert weights.tolist() == [[1, -1]]
