"""The addition unit: every code of every type, shifted, requantized in all ways, element by element."""

from __future__ import annotations

import numpy as np
import pytest
from bench import S1, S4, U2, U4
from maps import requantize_of
from networks import check_accelerator

from sterna.hw.config import AcceleratorConfig
from sterna.hw.graph.plan import plan_accelerator
from sterna.hw.graph.timing import transfer_times
from sterna.net import ActivationType, Add, Network

KINDS = ["shift", "shifts", "search", "line", ""]


def sum_of(code: ActivationType, shape: tuple[int, ...], shifts: tuple[int, ...], kind: str) -> Network:
    """The input, several times."""
    ones = np.repeat([[1 << shift for shift in shifts]], shape[0], axis=0)
    requantize = requantize_of(kind, ones, code, np.random.default_rng(3))
    node = Add(name="sum", inputs=("input",) * len(shifts), shifts=shifts, requantize=requantize)
    return Network(input_shape=shape, input_type=code, input_scale=1.0, nodes=[node])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("code", [S1, U2, S4, U4], ids=str)
@pytest.mark.parametrize(("shape", "elements"), [((5,), 1), ((4,), 4), ((2, 3, 4), 1)])
def test_every_code(kind: str, code: ActivationType, shape: tuple[int, ...], elements: int) -> None:
    network = sum_of(code, shape, (0, 2, 1)[: 2 + (code is S4)], kind)
    plan = plan_accelerator(network, AcceleratorConfig(elements_per_beat=elements))
    codes = np.arange(code.min, code.max + 1)
    frames = np.stack([np.roll(np.resize(codes, shape), k) for k in range(len(codes))])
    record = check_accelerator(plan, frames)
    assert record.received == transfer_times(plan.units, plan.sources, len(frames))[1]
    check_accelerator(plan, frames[:4], input_stall=0.4, output_stall=0.6, seed=1)


def test_a_sum_a_cycle() -> None:
    plan = plan_accelerator(sum_of(U4, (1, 8, 8), (0, 0), "line"), AcceleratorConfig())
    frames = np.arange(64 * 3).reshape(3, 1, 8, 8) % 16
    assert check_accelerator(plan, frames).sent == list(range(64 * 3))
