"""The golden model and the generator share no rule: where one is wrong, their comparison says so."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sterna.hw import AcceleratorConfig, plan_accelerator
from sterna.hw.graph.lower import lower
from sterna.hw.parts import tables
from sterna.net import ActivationType, Linear, Network, ShiftRound, Thresholds, arithmetic
from sterna.net.requantize import rounding_term
from sterna.sim.golden import GoldenModel

U2 = ActivationType(2, False)


def network(requantize: ShiftRound | Thresholds) -> Network:
    """Two layers: the first one's third row has no weight, and its code is folded into the second one."""
    return Network(
        input_shape=(2,),
        input_type=U2,
        input_scale=1.0,
        nodes=[
            Linear(name="a", weights=np.array([[1, 1], [1, 0], [0, 0]], np.int8), requantize=requantize),
            Linear(name="b", weights=np.array([[1, -1, 1]], np.int8)),
        ],
    )


SHIFTED = network(ShiftRound(output=U2, bias=np.array([0, 0, 3]), shift=np.array([1, 1, 1])))
SEARCHED = network(Thresholds(output=U2, levels=np.array([[1, 2, 4], [1, 2, 3], [-1, 0, 9]])))


def folded(model: Network) -> list[int]:
    """What lowering computes of the constant channel: its code, and the offset that it becomes."""
    first, second = lower(model)
    return [first.constants[2], int(second.offset[0])]


def golden(model: Network) -> list[int]:
    """The same by the golden model."""
    codes = GoldenModel(model).trace(np.zeros((1, 2), np.int64))["a"][0]
    return [int(codes[2]), int(codes[2])]


@pytest.mark.parametrize("model", [SHIFTED, SEARCHED], ids=["shift", "thresholds"])
def test_both_agree(model: Network) -> None:
    assert folded(model) == golden(model) == [2, 2]


def test_a_wrong_rounding_term_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rounded down instead of to the nearest: ``(0 + 3) >> 1`` is 1, where ``(0 + 3 + 1) >> 1`` is 2."""

    right = arithmetic.shift_round

    def wrong(acc: np.ndarray, bias: np.ndarray, shift: np.ndarray, output: ActivationType) -> np.ndarray:
        return right(acc, bias - rounding_term(shift), shift, output)

    monkeypatch.setattr(arithmetic, "shift_round", wrong)
    assert golden(SHIFTED) == [1, 1]
    assert folded(SHIFTED) == [2, 2]


def test_wrong_thresholds_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    right = arithmetic.thresholds
    monkeypatch.setattr(arithmetic, "thresholds", lambda acc, levels, low: right(acc - 1, levels, low))
    assert golden(SEARCHED) == [1, 1]
    assert folded(SEARCHED) == [2, 2]


def test_a_wrong_rounding_term_is_not_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    """The requantizer's table holds the bias and half of what the shift divides by, whatever net/ says of it."""
    monkeypatch.setattr("sterna.net.requantize.rounding_term", lambda shift: np.zeros_like(shift, np.int64))
    assert ShiftRound(output=U2, bias=0, shift=3).offset == 0
    plan = plan_accelerator(SHIFTED, AcceleratorConfig(lanes=1))
    assert plan.units[0].tables.bias.entries == (1, 1)
    assert int(rounding_term(np.array(3))) == 4


def test_the_generator_calls_no_rule_of_the_golden_model() -> None:
    for path in sorted(Path(tables.__file__).parents[1].rglob("*.py")):
        names = path.read_text(encoding="utf-8")
        for rule in ("shift_round(", "thresholds(", "rounding_term(", "requantize.offset"):
            assert rule not in names, (path.name, rule)
