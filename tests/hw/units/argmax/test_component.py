"""The class with the highest score."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from amaranth.hdl import Shape, signed, unsigned
from bench import Port, Record, drive

from sterna.hw.units.argmax.component import ARGMAX_LATENCY, Argmax


def classify(
    frames: np.ndarray, shape: Shape, *, input_stall: float = 0.0, output_stall: float = 0.0, seed: int = 0
) -> Record:
    unit = Argmax(count=frames.shape[1], shape=shape)
    record = drive(
        unit,
        Port(unit.i.valid, unit.i.ready, unit.i.payload),
        Port(unit.o.valid, unit.o.ready, unit.o.payload),
        frames.reshape(-1).tolist(),
        count=len(frames),
        input_stall=input_stall,
        output_stall=output_stall,
        seed=seed,
    )
    assert record.results == [
        min(k for k, score in enumerate(frame) if score == max(frame)) for frame in frames.tolist()
    ]
    return record


def test_every_order_of_three_scores() -> None:
    classify(np.array(list(itertools.product([-2, -1, 0, 1], repeat=3))), signed(2))
    classify(np.array(list(itertools.product([0, 1, 3], repeat=3))), unsigned(2))


def test_equal_scores_give_the_lowest_index() -> None:
    frames = np.array([[5, 5, 5, 5], [0, 5, 5, 0], [-8, -8, -8, -8], [-8, -8, -8, 7], [7, 7, -8, 7]])
    assert classify(frames, signed(4)).results == [0, 1, 0, 3, 0]


def test_one_score() -> None:
    classify(np.array([[3], [-4], [0]]), signed(3))


@pytest.mark.parametrize("shape", [signed(12), unsigned(12)])
def test_extremes(shape: Shape) -> None:
    low = -2048 if shape.signed else 0
    high = low + 4095
    frames = np.array(
        [[low, high, low], [high, low, high], [low, low, low], [high, high, high], [low, low + 1, high - 1]]
    )
    classify(frames, shape)


@pytest.mark.parametrize("stalls", [(0.0, 0.0), (0.5, 0.0), (0.0, 0.7), (0.4, 0.6)])
@pytest.mark.parametrize("count", [1, 2, 5, 10])
def test_stalls_change_nothing(count: int, stalls: tuple[float, float]) -> None:
    frames = np.random.default_rng(count).integers(-4, 4, (20, count))
    record = classify(frames, signed(3), input_stall=stalls[0], output_stall=stalls[1], seed=count)
    if stalls == (0.0, 0.0):
        assert record.sent == list(range(20 * count))
        last = record.sent[count - 1 :: count]
        assert [b - a for a, b in zip(last, record.received, strict=True)] == [ARGMAX_LATENCY] * 20
