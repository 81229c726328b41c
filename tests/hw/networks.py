"""Accelerators drawn at random, and an accelerator's bench, for the tests of whole chains."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from bench import S1, S2, U1, U2, Port, Record, drive, random_codes
from hypothesis import strategies as st

from sterna.hw.config import AcceleratorConfig
from sterna.hw.emit.accelerator import Accelerator, byte_width
from sterna.hw.graph.lower import lower
from sterna.hw.graph.plan import AcceleratorPlan, plan_accelerator
from sterna.net import Requantization, ShiftRound, Thresholds
from sterna.sim.golden import GoldenModel
from sterna.sim.random_networks import random_dense_network, random_map_network


def random_plan(seed: int) -> AcceleratorPlan:
    """An accelerator of all sorts."""
    rng = np.random.default_rng(seed)
    network = random_dense_network(rng, sizes=rng.integers(1, 31, 2 + seed % 4).tolist())
    elements = min(1 << int(rng.integers(3)), 1 << (network.input_shape[0].bit_length() - 1))
    lanes = [int(rng.integers(1, min(len(layer.weights), 9) + 1)) for layer in lower(network)]
    config = AcceleratorConfig(
        lanes=lanes,
        elements_per_beat=elements,
        argmax=bool(rng.random() < 0.3),
        escape_price=int(rng.choice([0, 256, 1024])),
    )
    return plan_accelerator(network, config)


def random_map_plan(seed: int) -> AcceleratorPlan:
    """An accelerator of convolutions, pools and dense layers, whose results leave one a beat."""
    network = random_map_network(np.random.default_rng(seed), most_nodes=5)
    plan = plan_accelerator(network, AcceleratorConfig())
    assert plan.output.elements == 1
    return plan


def axi_beats(frames: Sequence[Sequence[int]], plan: AcceleratorPlan) -> list[tuple[int, bool]]:
    """(tdata, tlast) of each beat; the padding is anything but 0."""
    elements = plan.input.elements
    lane = byte_width(plan.network.input_type.width)
    beats = []
    for frame in frames:
        for first in range(0, len(frame), elements):
            data = (1 << lane * elements) - 1
            for k, code in enumerate(frame[first : first + elements]):
                data &= ~(((1 << lane) - 1) << k * lane)
                data |= (code & ((1 << lane) - 1)) << k * lane
            beats.append((data, first + elements >= len(frame)))
    return beats


def drive_accelerator(
    plan: AcceleratorPlan, beats: Sequence[tuple[int, bool]], *, frames: int, probes: Sequence[Any] = (), **stalls: Any
) -> tuple[Record, Accelerator]:
    """Sends beats and takes so many frames of results, as integers; ``tlast`` is checked."""
    dut = Accelerator(plan)

    def set_beat(ctx: Any, beat: tuple[int, bool]) -> None:
        ctx.set(dut.s_axis_tdata, beat[0])
        ctx.set(dut.s_axis_tlast, beat[1])

    record = drive(
        dut,
        Port(dut.s_axis_tvalid, dut.s_axis_tready, dut.s_axis_tdata),
        Port(dut.m_axis_tvalid, dut.m_axis_tready, dut.m_axis_tdata),
        beats,
        count=frames * plan.output.beats,
        set_beat=set_beat,
        probes=(dut.m_axis_tvalid & dut.m_axis_tready, dut.m_axis_tlast, dut.frame_error),
        **stalls,
    )
    lasts = [last for transfer, last, _ in record.probes if transfer]
    assert lasts == ([0] * (plan.output.beats - 1) + [1]) * frames
    width = len(dut.m_axis_tdata)
    if plan.output.element.signed:
        record.results = [value - (1 << width) if value >> (width - 1) else value for value in record.results]
    return record, dut


def check_accelerator(plan: AcceleratorPlan, frames: np.ndarray, **stalls: Any) -> Record:
    """Every output of every frame equals the golden model's."""
    golden = GoldenModel(plan.network)
    expected = golden.classify(frames)[:, None] if plan.config.argmax else golden.predict(frames)
    expected = expected.transpose(0, 2, 1, 3) if expected.ndim == 4 else expected
    streamed = frames.transpose(0, 2, 1, 3) if frames.ndim == 4 else frames
    beats = axi_beats(streamed.reshape(len(frames), -1).tolist(), plan)
    record, _ = drive_accelerator(plan, beats, frames=len(frames), **stalls)
    np.testing.assert_array_equal(np.array(record.results).reshape(expected.shape), expected)
    assert not any(error for _, _, error in record.probes)
    return record


def random_frames(plan: AcceleratorPlan, count: int, seed: int = 0) -> np.ndarray:
    return random_codes(np.random.default_rng(seed), plan.network.input_type, count, *plan.network.input_shape)


def code_by_definition(requantize: Requantization | None, row: int, acc: int) -> int:
    """Rules 7 and 8 in plain integers."""
    if requantize is None:
        return acc
    output = requantize.output
    if isinstance(requantize, Thresholds):
        return output.min + sum(acc >= int(level) for level in requantize.levels[row])
    shift = int(requantize.shift[row])
    rounded = (acc + int(requantize.bias[row]) + (2**shift // 2)) // 2**shift
    return min(max(rounded, output.min), output.max)


def draw_requantize(data: st.DataObject, rng: np.random.Generator, rows: int) -> Requantization:
    """One of small sums, for some rows."""
    output = data.draw(st.sampled_from([U1, S1, U2, S2]))
    if data.draw(st.booleans()):
        return ShiftRound(output=output, bias=rng.integers(-9, 10, rows), shift=rng.integers(0, 4, rows))
    levels = np.sort(rng.integers(-8, 9, (rows, (1 << output.width) - 1)), axis=1)
    return Thresholds(output=output, levels=levels)
