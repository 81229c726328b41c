"""Units with an adder for every nonzero weight: exact whatever stalls, and a frame every period."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from bench import (
    S1,
    S4,
    S8,
    U1,
    U4,
    U8,
    Port,
    Record,
    beats_of,
    drive,
    extremes,
    linear_network,
    random_codes,
    random_weights,
)
from networks import check_accelerator

from sterna.hw.config import AcceleratorConfig
from sterna.hw.graph.lower import lower
from sterna.hw.graph.plan import plan_accelerator
from sterna.hw.graph.stream import whole
from sterna.hw.parts.fifo import FIFO_LATENCY
from sterna.hw.parts.tables import code_shape
from sterna.hw.units.bitserial.plan import BitserialPlan, plan_bitserial
from sterna.hw.units.summing.plan import SumPlan
from sterna.hw.units.unrolled.plan import UnrolledPlan, plan_unrolled
from sterna.net import ActivationType, Add, Linear, Network, Requantization, ShiftRound, Thresholds
from sterna.sim.golden import GoldenModel
from sterna.sim.random_networks import random_dense_network

KINDS = pytest.mark.parametrize("kind", ["bitserial", "unrolled"])
#: And bit-serial units that add several bits of a sum in a cycle.
SLOWER = [pytest.param(kind, marks=pytest.mark.slow) for kind in ("2 bits", "3 bits")]
ALL_KINDS = pytest.mark.parametrize("kind", ["bitserial", *SLOWER, "4 bits", "unrolled"])
FEWER_KINDS = pytest.mark.parametrize(
    "kind", ["bitserial", "unrolled", *SLOWER, pytest.param("4 bits", marks=pytest.mark.slow)]
)


def named(kind: str) -> tuple[str, int]:
    """The kind of unit, and its lanes."""
    return ("bitserial", int(kind[0])) if kind.endswith("bits") else (kind, 1)


def plan_of(network: Network, elements: int, kind: str, *, adder_levels: int = 2) -> SumPlan[Any]:
    kind, lanes = named(kind)
    (layer,) = lower(network, {"fc": kind})
    stream = whole(network.input_shape, code_shape(network.input_type), elements=elements)
    if kind == "unrolled":
        return plan_unrolled(layer, stream=stream, adder_levels=adder_levels, effort=0)
    return plan_bitserial(layer, stream=stream, effort=0, lanes=lanes)


def check(network: Network, plan: SumPlan[Any], frames: np.ndarray, **stalls: Any) -> Record:
    """Every result of every frame, all of a frame at once."""
    unit: Any = plan.component(framed=False)
    record = drive(
        unit,
        Port(unit.i.valid, unit.i.ready, unit.i.payload),
        Port(unit.o.valid, unit.o.ready, unit.o.payload),
        beats_of(frames, plan.stream.elements),
        count=len(frames),
        **stalls,
    )
    rows = len(plan.output.order)
    found = [[result] if rows == 1 else list(result) for result in record.results]
    np.testing.assert_array_equal(found, GoldenModel(network).predict(frames)[:, list(plan.output.order)])
    return record


def requantize_of(how: str, rows: int, rng: np.random.Generator) -> Requantization | None:
    bias = rng.integers(-20, 20, rows)
    match how:
        case "shift":
            return ShiftRound(output=U4, bias=bias, shift=2)
        case "shifts":
            return ShiftRound(output=S4, bias=bias, shift=rng.integers(0, 5, rows))
        case "wide shifts":
            return ShiftRound(output=S8, bias=bias, shift=rng.integers(0, 9, rows))
        case "no shift":
            return ShiftRound(output=U1, bias=bias, shift=0)
        case "sign":
            return ShiftRound(output=S1, bias=bias, shift=1)
        case "levels":
            return Thresholds(output=U4, levels=np.sort(rng.integers(-60, 60, (rows, 15)), axis=1))
        case "signed levels":
            return Thresholds(output=S4, levels=np.sort(rng.integers(-20, 20, (rows, 15)), axis=1))
        case "one level":
            return Thresholds(output=U1, levels=rng.integers(-9, 9, (rows, 1)))
    return None


CASES = {
    # rows, columns, zeros, elements, input type, requantize
    "scores": (16, 20, 0.5, 1, U4, ""),
    "shift": (16, 20, 0.5, 4, U4, "shift"),
    "shifts": (10, 40, 0.9, 8, S4, "shifts"),
    "a wide code": (6, 12, 0.5, 12, U4, "wide shifts"),
    "no shift": (9, 12, 0.6, 4, S4, "no shift"),
    "a sign": (9, 12, 0.6, 4, S4, "sign"),
    "levels": (12, 60, 0.9, 64, U4, "levels"),
    "signed levels": (12, 30, 0.6, 16, S8, "signed levels"),
    "one level": (7, 9, 0.5, 2, U1, "one level"),
    "all at once": (7, 33, 0.8, 33, S8, "shift"),
    "fewer beats than bits": (7, 33, 0.8, 16, U8, "levels"),
    "all zeros": (5, 9, 1.0, 1, U4, ""),
    "no zeros": (5, 9, 0.0, 2, S1, ""),
    "one row, one column": (1, 1, 0.0, 1, U1, ""),
    "one row of zeros": (1, 6, 1.0, 2, U8, ""),
    "no adders": (4, 4, 0.8, 4, U4, "levels"),
}


#: Of input and output; free flow and both in the default run.
STALLS = [
    pytest.param((0.0, 0.0), id="free"),
    pytest.param((0.5, 0.0), id="in", marks=pytest.mark.slow),
    pytest.param((0.0, 0.9), id="out", marks=pytest.mark.slow),
    pytest.param((0.3, 0.8), id="both"),
]


@ALL_KINDS
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
@pytest.mark.parametrize("stalls", STALLS)
def test_exact_whatever_stalls(case: tuple, stalls: tuple[float, float], kind: str) -> None:
    rows, columns, zeros, elements, code, how = case
    rng = np.random.default_rng(rows * columns)
    bias = rng.integers(-9, 10, rows) if not how else None
    network = linear_network(
        random_weights(rng, rows, columns, zeros), code=code, bias=bias, requantize=requantize_of(how, rows, rng)
    )
    plan = plan_of(network, elements, kind, adder_levels=1 + rows % 3)
    frames = random_codes(rng, code, 8, columns)
    check(network, plan, frames, input_stall=stalls[0], output_stall=stalls[1], seed=rows)


@FEWER_KINDS
@pytest.mark.parametrize("code", [U1, S1, U8, S8], ids=str)
@pytest.mark.parametrize("how", ["", "shift", "levels"])
@pytest.mark.parametrize("rows", [[1] * 9, [-1] * 9, [1, -1] * 4 + [0], [0] * 9])
def test_sums_at_both_extremes(code: ActivationType, how: str, rows: list[int], kind: str) -> None:
    """No sum, nor its negative, leaves its bits."""
    weights = np.array([rows, [0, 0, 1, -1, 0, 0, 0, 0, 1], [1] * 9, [-1] * 9], np.int8)
    network = linear_network(weights, code=code, requantize=requantize_of(how, 4, np.random.default_rng(0)))
    check(network, plan_of(network, 9, kind), extremes(weights, code))


@ALL_KINDS
def test_levels_at_and_beside_every_sum(kind: str) -> None:
    """Each sum between the extremes, each level one below, at and one above."""
    weights = np.array([[1, 1], [-1, -1], [1, -1]], np.int8)
    levels = np.array([np.arange(15), np.arange(-14, 1), np.arange(-7, 8)])
    network = linear_network(weights, code=U4, requantize=Thresholds(output=U4, levels=levels))
    frames = np.stack(np.meshgrid(np.arange(16), np.arange(16)), axis=-1).reshape(-1, 2)
    check(network, plan_of(network, 2, kind), frames)


@ALL_KINDS
@pytest.mark.parametrize("code", [U1, S1, U4, S4], ids=str)
def test_shifts_of_every_sum(code: ActivationType, kind: str) -> None:
    """All of -255 to 255, by every shift at once, inside the codes, just outside and far out; passed on, too."""
    weights = np.array([[1, 0], [-1, 0]] * 5, np.int8)
    shift = np.repeat(np.arange(5), 2)
    network = linear_network(
        weights, code=U8, requantize=ShiftRound(output=code, bias=np.zeros(10, np.int32), shift=shift)
    )
    frames = np.stack([np.arange(256), np.zeros(256, int)], axis=1)
    check(network, plan_of(network, 2, kind), frames)
    scores = Linear(name="scores", inputs=("fc",), weights=np.eye(10, dtype=np.int8))
    passed = Network(input_shape=(2,), input_type=U8, input_scale=1.0, nodes=[*network.nodes, scores])
    kind, lanes = named(kind)
    (unit,) = plan_accelerator(passed, AcceleratorConfig(units={"all": kind}, elements_per_beat=2, lanes=lanes)).units
    assert isinstance(unit, SumPlan)
    check(passed, unit, frames)


@pytest.mark.parametrize(
    ("kind", "levels", "period"),
    [("bitserial", 1, 9), ("2 bits", 1, 5), ("4 bits", 1, 3), ("unrolled", 1, 1), ("unrolled", 3, 1)],
)
@pytest.mark.parametrize("how", ["", "shift", "levels", "one level"])
def test_a_frame_every_period(kind: str, levels: int, period: int, how: str) -> None:
    """And its results ``latency`` cycles after its last beat, and those of the FIFO."""
    rng = np.random.default_rng(0)
    network = linear_network(random_weights(rng, 8, 24, 0.5), requantize=requantize_of(how, 8, rng))
    plan = plan_of(network, 24, kind, adder_levels=levels)
    record = check(network, plan, random_codes(rng, U4, 90, 24))
    assert np.diff(record.sent).tolist() == [period] * 89
    assert [out - came for came, out in zip(record.sent, record.received, strict=True)] == (
        [plan.latency + FIFO_LATENCY] * 90
    )


def test_beats_are_held_while_the_frame_before_is_computed() -> None:
    rng = np.random.default_rng(1)
    network = linear_network(random_weights(rng, 8, 24, 0.5))
    plan = plan_of(network, 8, "bitserial")
    record = check(network, plan, random_codes(rng, U4, 5, 24))
    starts = record.sent[2::3]
    assert np.diff(starts).tolist() == [plan.period] * 4
    for start, beats in zip(starts, np.reshape(record.sent[3:], (-1, 3)), strict=False):
        assert beats[:2].tolist() == [start + 1, start + 2]


@KINDS
def test_results_wait_in_the_fifo_and_no_more_begin(kind: str) -> None:
    rng = np.random.default_rng(2)
    network = linear_network(random_weights(rng, 8, 24, 0.5))
    plan = plan_of(network, 24, kind)
    record = check(network, plan, random_codes(rng, U4, 40, 24), output_stall=lambda cycle: cycle < 200)
    before = sum(cycle < 200 for cycle in record.sent)
    assert before == plan.outlet.depth


@ALL_KINDS
@pytest.mark.parametrize("seed", range(12))
def test_layers_of_one_unit(seed: int, kind: str) -> None:
    """Codes of all kinds pass from layer to layer, signed ones too, with frames close together and far apart."""
    rng = np.random.default_rng(seed)
    network = random_dense_network(rng, sizes=rng.integers(1, 16, 4).tolist())
    kind, lanes = named(kind)
    config = AcceleratorConfig(units={"all": kind}, adder_levels=1 + seed % 4, lanes=lanes)
    (unit,) = plan_accelerator(network, config).units
    assert isinstance(unit, BitserialPlan if kind == "bitserial" else UnrolledPlan)
    assert len(unit.nodes) == len(network.nodes)
    frames = random_codes(rng, network.input_type, 12, *network.input_shape)
    check(network, unit, frames, input_stall=0.8 * (seed % 2), output_stall=0.9 * (seed % 3 == 0), seed=seed)


@KINDS
def test_a_layer_that_others_read_too_is_a_unit(kind: str) -> None:
    """A chain ends where a value goes two ways."""
    code = ActivationType(width=3, signed=True)
    first = Linear(name="fc1", weights=np.eye(3, dtype=np.int8), requantize=ShiftRound(output=code, bias=0, shift=0))
    second = replace(first, name="fc2", inputs=("fc1",))
    nodes = [first, second, Add(name="sum", inputs=("fc1", "fc2"), shifts=(0, 1))]
    network = Network(input_shape=(3,), input_type=code, input_scale=1.0, nodes=nodes)
    plan = plan_accelerator(network, AcceleratorConfig(units={"all": kind}))
    assert [unit.nodes for unit in plan.units if unit.nodes] == [("fc1",), ("fc2",), ("sum",)]
    check_accelerator(plan, random_codes(np.random.default_rng(0), code, 5, 3), input_stall=0.2, output_stall=0.3)


@pytest.mark.parametrize("seed", range(6))
def test_between_units_of_other_kinds(seed: int) -> None:
    """Wide beats become narrow ones for a folded unit, and for argmax; bit-serial and unrolled layers are two units."""
    rng = np.random.default_rng(seed)
    network = random_dense_network(rng, sizes=rng.integers(2, 20, 4).tolist())
    units = {layer.name: str(rng.choice(["folded", "bitserial", "unrolled"])) for layer in lower(network)}
    elements = int(rng.choice([1, network.input_shape[0]]))
    config = AcceleratorConfig(units=units, elements_per_beat=elements, argmax=True)
    frames = random_codes(rng, network.input_type, 4, *network.input_shape)
    check_accelerator(plan_accelerator(network, config), frames, input_stall=0.2, output_stall=0.4, seed=seed)


@pytest.mark.parametrize(
    ("units", "message"),
    [
        ({"fc": "parallel"}, "no unit 'parallel' computes node 'fc': choose folded or bitserial or unrolled"),
        ({"fc": "conv"}, "no unit 'conv' computes node 'fc': choose folded or bitserial or unrolled"),
        ({"fc2": "bitserial"}, "units names node 'fc2', and the network has fc"),
        ({"all": "serial"}, "no unit 'serial' computes node 'fc': choose folded or bitserial or unrolled"),
    ],
)
def test_units_that_are_not_there(units: dict[str, str], message: str) -> None:
    network = linear_network(np.ones((2, 3), np.int8))
    with pytest.raises(ValueError, match=f"^{message}$"):
        plan_accelerator(network, AcceleratorConfig(units=units))


@pytest.mark.parametrize(
    ("units", "kinds"),
    [({"all": "bitserial"}, "bitserial"), ({"fc": "unrolled"}, "unrolled"), ({"fc": "folded"}, "dense")],
)
def test_units_by_name(units: dict[str, str], kinds: str) -> None:
    plan = plan_accelerator(linear_network(np.ones((2, 3), np.int8)), AcceleratorConfig(units=units))
    assert [unit.describe()["kind"] for unit in plan.units] == [kinds]


@pytest.mark.parametrize(("elements", "fits"), [(1, True), (2, True), (6, True), (3, False), (5, False)])
def test_a_power_of_two_or_all_inputs_a_beat(elements: int, fits: bool) -> None:
    network = linear_network(np.ones((2, 6), np.int8))
    config = AcceleratorConfig(units={"all": "bitserial"}, elements_per_beat=elements)
    if fits:
        assert plan_accelerator(network, config).input.elements == elements
    else:
        with pytest.raises(ValueError, match=rf"^elements_per_beat must be a power of two, or all 6, not {elements}$"):
            plan_accelerator(network, config)


def test_only_index_words_are_loaded() -> None:
    network = linear_network(np.ones((2, 6), np.int8))
    with pytest.raises(ValueError, match=r"^load must be 'all' or name layers with index words \(\), not 'fc'$"):
        plan_accelerator(network, AcceleratorConfig(units={"all": "bitserial"}, load=["fc"]))
    assert not plan_accelerator(network, AcceleratorConfig(units={"all": "bitserial"}, load=["all"])).images
