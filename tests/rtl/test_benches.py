"""The benches themselves, judged by an accelerator written by hand and by damaged copies of it."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from sterna.net import Network
from sterna.net.errors import InvalidValueError
from sterna.sim.compare import compare
from sterna.sim.errors import ManifestError, MismatchError, SimulationError
from sterna.sim.golden import GoldenModel
from sterna.sim.protocol import ProtocolBench
from sterna.sim.rtl import RtlModel
from sterna.sim.scenarios import Drain, Early, Event, Late, Partial, Reset, Send, Wait
from sterna.sim.simulators import Simulator
from sterna.sim.stalls import BurstStall, PeriodicStall, RandomStall, Stall
from sterna.sim.timing import MeasuredTiming

Tiny = Callable[..., Path]

# Frames 4, 6 and 8 follow what a bad frame or a reset may have left behind.
SCENARIO: list[Event] = [
    *[Send(0), Early(1, 2), Send(2), Late(3, 1), Send(4), Early(5, 3), Late(5, 7), Early(6, 1), Send(6), Wait(5)],
    *[Partial(7, 2), Reset(), Send(8), Send(1), Drain(), Wait(3), Send(9), Send(10), Wait(7), Reset(3)],
    *[Partial(3, 3), Wait(9), Reset(), Send(4), Late(5, 2), Reset(2), Send(11), Late(5, 4), Send(12), Early(2, 2)],
]


def test_predict(tiny: Tiny, tiny_network: Network, frames: np.ndarray, simulator: Simulator, builds: Path) -> None:
    model = RtlModel(tiny(), simulator=simulator, build_dir=builds)
    assert model.timing == MeasuredTiming()
    many = np.concatenate([frames, frames])
    np.testing.assert_array_equal(model.predict(many), GoldenModel(tiny_network).predict(many))
    assert (model.latency_cycles, model.interval_cycles) == (8, 7)
    assert set(model.intervals) == {7}
    assert model.frames_needed == 65
    model.predict(many[:65])
    assert (model.latency_cycles, model.interval) == (8, Fraction(7))
    model.predict(many[:64])
    assert (model.latency_cycles, model.interval) == (8, None)
    assert model.predict(frames[:0]).shape == (0, 2)
    assert model.latency_cycles is None


def test_trace_and_waves(tiny: Tiny, tiny_network: Network, frames: np.ndarray, any_simulator: Simulator) -> None:
    directory = tiny()
    model = RtlModel(directory, simulator=any_simulator, trace=True, waves=True)
    model.predict(frames)
    golden = GoldenModel(tiny_network).trace(frames)
    assert list(model.trace) == ["fc1", "fc2"]
    for name, values in golden.items():
        np.testing.assert_array_equal(model.trace[name], values)
    assert model.waves_path is not None
    assert model.waves_path.is_relative_to(directory)
    assert model.waves_path.stat().st_size > 1000


@pytest.mark.slow
def test_waves_of_verilator(tiny: Tiny, frames: np.ndarray) -> None:
    model = RtlModel(tiny(), simulator="verilator", trace=True, waves=True)
    model.predict(frames)
    assert model.waves_path is not None
    assert model.waves_path.read_text().startswith("$version")


def test_eliminated_channels(tiny: Tiny, tiny_network: Network, frames: np.ndarray, any_simulator: Simulator) -> None:
    def nobody_uses(manifest: dict) -> None:
        manifest["units"][0].update(constant_channels={}, unused_channels=[3])

    report = compare(tiny_network, tiny(fields=nobody_uses), frames, simulator=any_simulator, trace=True)
    report.check()

    def wrong(manifest: dict) -> None:
        manifest["units"][0]["constant_channels"] = {"3": 2}

    report = compare(tiny_network, tiny(fields=wrong), frames, simulator=any_simulator, trace=True)
    message = "unit 'fc1' is the first to differ: frame 0, channel 3: expected 1, got 2 .40 of 160 values in 40 of 40 "
    with pytest.raises(MismatchError, match=message):
        report.check()


@pytest.mark.parametrize(
    ("input_stall", "output_stall"),
    [
        (RandomStall(share=0.7), None),
        (None, RandomStall(share=0.7)),
        (RandomStall(), RandomStall()),
        (BurstStall(free=9, stalled=30), BurstStall(free=20, stalled=5)),
        (PeriodicStall(period=3), PeriodicStall(period=5, stalled=4, phase=2)),
    ],
)
def test_stalls(
    tiny: Tiny,
    tiny_network: Network,
    frames: np.ndarray,
    any_simulator: Simulator,
    builds: Path,
    input_stall: Stall | None,
    output_stall: Stall | None,
) -> None:
    model = RtlModel(
        tiny(), simulator=any_simulator, input_stall=input_stall, output_stall=output_stall, seed=3, build_dir=builds
    )
    np.testing.assert_array_equal(model.predict(frames), GoldenModel(tiny_network).predict(frames))
    assert model.latency_cycles is None
    assert model.interval_cycles is None
    assert model.intervals.mean() > 7


def test_report(tiny: Tiny, tiny_network: Network, frames: np.ndarray, any_simulator: Simulator, builds: Path) -> None:
    many = np.concatenate([frames, frames])
    report = compare(tiny_network, tiny(), many, simulator=any_simulator.value, build_dir=builds)
    report.check()
    assert report.as_json() == {
        "name": "tiny",
        "network_digest": tiny_network.digest,
        "simulator": any_simulator.value,
        "frames": 80,
        "equal": True,
        "mismatch": None,
        "latency_cycles": 8,
        "interval_cycles": 7,
        "computed_latency_cycles": 8,
        "computed_interval_cycles": 7,
        "largest_gap_cycles": 7,
        "computed_largest_gap_cycles": 7,
        "timing_equal": True,
        "waves_path": None,
    }


TIMING = {
    "latency_cycles": 8,
    "interval_cycles": 7,
    "period_cycles": 7,
    "period_frames": 1,
    "settled_frames": 0,
    "largest_gap_cycles": 7,
}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        pytest.param({"latency_cycles": 9}, "tiny: the latency is 8 cycles, but 9 were computed", id="latency"),
        pytest.param(
            {"interval_cycles": 6, "period_cycles": 6},
            "tiny: the interval is 7 cycles, but 6 were computed; "
            "frame 1 ends 7 cycles after frame 0, but 6 were computed",
            id="interval",
        ),
        pytest.param(
            {"interval_cycles": 6.5, "period_cycles": 13, "period_frames": 2},
            "tiny: the interval is 7 cycles, but 13/2 were computed; "
            "frame 2 ends 14 cycles after frame 0, but 13 were computed",
            id="interval of a longer period",
        ),
        pytest.param(
            {"largest_gap_cycles": 8}, "tiny: the largest gap between frames is 7 cycles, but 8 were computed", id="gap"
        ),
    ],
)
def test_wrong_timing(
    tiny: Tiny,
    tiny_network: Network,
    frames: np.ndarray,
    any_simulator: Simulator,
    builds: Path,
    wrong: dict[str, float],
    message: str,
) -> None:
    directory = tiny(fields=lambda manifest: manifest.update(timing={**TIMING, **wrong}))
    many = np.concatenate([frames, frames])
    report = compare(tiny_network, directory, many, simulator=any_simulator, build_dir=builds)
    assert report.equal
    assert not report.timing_equal
    with pytest.raises(MismatchError) as caught:
        report.check()
    assert str(caught.value) == message


def test_settled_too_early(tiny: Tiny, tiny_network: Network, frames: np.ndarray, any_simulator: Simulator) -> None:
    """Verilog that takes every second cycle at first: where that is no part of the steady state, all is as computed."""
    old = "assign i__ready = ~full;\n  assign o__valid = full;\n\n"
    new = (
        "reg [5:0] age = 0; always @(posedge clk) if (age != 63) age <= age + 1;\n"
        "  assign i__ready = ~full & (age == 63 | age[0]);\n  assign o__valid = full;\n\n"
    )
    many = np.concatenate([frames, frames])
    directory = tiny(old, new)
    model = RtlModel(directory, simulator=any_simulator)
    model.predict(many)
    slow = int(np.flatnonzero(model.intervals != 7)[-1]) + 1
    assert 1 < slow < 15

    def settled(frames: int) -> Callable[[dict], object]:
        timing = {**TIMING, "latency_cycles": model.latency_cycles, "settled_frames": frames}
        return lambda manifest: manifest.update(timing=timing)

    compare(tiny_network, tiny(old, new, fields=settled(slow)), many, simulator=any_simulator).check()
    report = compare(tiny_network, tiny(old, new, fields=settled(slow - 1)), many, simulator=any_simulator)
    with pytest.raises(
        MismatchError, match=f"; frame {slow} ends .* cycles after frame {slow - 1}, but 7 were computed"
    ):
        report.check()


@pytest.mark.parametrize("shape", [(0, 4), (0,), (0, 9)])
def test_nothing_is_no_comparison(
    tiny: Tiny, tiny_network: Network, shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")  # no simulator is looked for either
    directory = tiny()
    with pytest.raises(InvalidValueError, match="tiny: there are no frames to compare; give at least one"):
        compare(tiny_network, directory, np.zeros(shape, dtype=np.int64), simulator="icarus")
    assert sorted(path.name for path in directory.iterdir()) == ["tiny.json", "tiny.v"]


def test_another_network(tiny: Tiny, tiny_network: Network, frames: np.ndarray) -> None:
    def other(manifest: dict) -> None:
        manifest["network_digest"] = "0123456789abcdef"

    with pytest.raises(ManifestError, match=r"tiny.json: made from another network \(digest 0123456789ab..., not "):
        compare(tiny_network, tiny(fields=other), frames)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        pytest.param(
            "(s1 >= 1)",
            "(s1 >= 2)",
            r"unit 'fc1' is the first to differ: frame \d+, channel 1: expected 2, got 1 \(1 of \d+ values in 1 of ",
            id="threshold",
        ),
        pytest.param(
            "(column == 0 || column == 3 ? x",
            "(column == 0 ? x : column == 3 ? -x",
            r"unit 'fc1' is the first to differ: frame 1, channel 0: expected 3, got \d ",
            id="sign",
        ),
        pytest.param(
            "s1 - x : s1",
            "s1 + x : s1",
            r"unit 'fc2' is the first to differ: frame 0, channel 1: expected \d, got \d ",
            id="sign of the second unit",
        ),
        pytest.param(
            "{{3{score[4]}}, score}",
            "{{3{score[4]}}, score ^ 5'd1}",
            r"tiny: every unit is right, but the output frame 0, channel 0: expected -?\d, got -?\d ",
            id="behind the last unit",
        ),
    ],
)
def test_mismatch_names_the_unit(
    tiny: Tiny, tiny_network: Network, frames: np.ndarray, any_simulator: Simulator, old: str, new: str, message: str
) -> None:
    report = compare(tiny_network, tiny(old, new), frames, simulator=any_simulator)
    assert not report.equal
    with pytest.raises(MismatchError, match=message) as caught:
        report.check()
    assert caught.value.expected != caught.value.got
    assert report.as_json()["mismatch"] == str(caught.value)


UNSTABLE = ("row == 0 ? s0 : s1", "o__ready ? (row == 0 ? s0 : s1) : 0")
WITHDRAWN = (
    "assign o__valid = full;\n  assign o__payload = row == 0 ? s0",
    "reg turn = 0; always @(posedge clk) turn <= ~turn;\n  assign o__valid = full & turn;\n"
    "  assign o__payload = row == 0 ? s0",
)
KILL = 'initial #300 $system("kill -9 $PPID");'
NO_RESET = ("column <= 0;\n      row <= 0;\n      full <= 0;\n      skip <= 0;", "")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        pytest.param("o__last = row == 1", "o__last = row == 0", "tlast of the output is in the wrong", id="tlast"),
        pytest.param(*UNSTABLE, "the output changed, or was withdrawn, while it waited", id="unstable"),
        pytest.param(*WITHDRAWN, "the output changed, or was withdrawn, while it waited", id="withdrawn"),
        pytest.param("if (row == 2) full <= 0;", "", "more beats left than belong to the frames", id="for ever"),
        pytest.param("i__last) full <= 1;", "i__last) full <= 0;", "no beat was taken or given for a long", id="hang"),
        pytest.param(
            "    error <= 0;\n    if", "    error <= take;\n    if", "frame_error was raised", id="false error"
        ),
        pytest.param("{{3{score[4]}}", "{3'b0", "m_axis_tdata has .* no sign-extended 5-bit", id="extension"),
        pytest.param("wire [4:0] score;", "wire [4:0] score", "refused the Verilog; see .*log", id="syntax"),
        pytest.param("wire [4:0] score;", "wire [4:0] score; initial #300 $finish;", "prematurely", id="ends early"),
        pytest.param("wire [4:0] score;", f"wire [4:0] score; {KILL}", "died before the bench ended; see", id="dies"),
    ],
)
def test_broken_accelerator(
    tiny: Tiny, frames: np.ndarray, any_simulator: Simulator, old: str, new: str, message: str
) -> None:
    model = RtlModel(tiny(old, new), simulator=any_simulator, output_stall=RandomStall(share=0.3))
    with pytest.raises(SimulationError, match=message):
        model.predict(frames)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        pytest.param("assign i__ready = ~full;\n  assign o__valid = full;\n\n", "", "is X or Z", id="undriven"),
        pytest.param("-5'sd2 + x", "5'bx", "output frame 0: an output is X or Z", id="in the data"),
    ],
)
def test_unknown_output(tiny: Tiny, frames: np.ndarray, icarus: Simulator, old: str, new: str, message: str) -> None:
    model = RtlModel(tiny(old, new), simulator=icarus, output_stall=RandomStall(share=0.3))
    with pytest.raises(SimulationError, match=message):
        model.predict(frames)


def test_scenario_finds_unknown_output(
    tiny: Tiny, tiny_network: Network, frames: np.ndarray, icarus: Simulator
) -> None:
    bench = ProtocolBench(tiny("-5'sd2 + x", "5'bx"), simulator=icarus)
    with pytest.raises(SimulationError, match="m_axis_tdata is X"):
        bench.play(SCENARIO, frames, GoldenModel(tiny_network).predict(frames))


@pytest.mark.parametrize("simulator", ["icarus", pytest.param("verilator", marks=pytest.mark.slow)], indirect=True)
def test_scenario(tiny: Tiny, tiny_network: Network, frames: np.ndarray, simulator: Simulator, builds: Path) -> None:
    expected = GoldenModel(tiny_network).predict(frames)
    bench = ProtocolBench(tiny(), simulator=simulator, seed=1, build_dir=builds)
    bench.play(SCENARIO, frames, expected)
    bench.play(SCENARIO, frames, expected, input_stall=RandomStall(), output_stall=RandomStall(share=0.7))


def test_third_party(
    tiny: Tiny, tiny_network: Network, frames: np.ndarray, any_simulator: Simulator, builds: Path
) -> None:
    bench = ProtocolBench(tiny(), simulator=any_simulator, build_dir=builds)
    expected = GoldenModel(tiny_network).predict(frames)
    bench.play_axi(frames, expected, input_stall=RandomStall(), output_stall=BurstStall(free=4, stalled=6))
    expected[3, 1] += 1
    with pytest.raises(SimulationError, match=r"output frame 3: frame 3 owes [0-9a-f]{4}, got [0-9a-f]{4}"):
        bench.play_axi(frames, expected)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        pytest.param(*NO_RESET, "frame_error 1 times for 0 bad frames", id="no reset"),
        pytest.param("i__last != (column == 3)", "column == 3 && !i__last", "frame 2 owes .* got ", id="early tlast"),
        pytest.param("i__last != (column == 3)", "column != 3 && i__last", "frame 12 owes .* got ", id="late tlast"),
        pytest.param("skip <= ~i__last", "skip <= 0", "frame_error 6 times for 5 bad frames", id="no skip"),
        pytest.param("error <= 1;", "error <= skip;", "not done after .* beats after 4 resets", id="no error"),
        pytest.param(*UNSTABLE, "m_axis changed before tready: Beat", id="unstable"),
        pytest.param(*WITHDRAWN, "m_axis_tvalid fell before tready", id="withdrawn"),
        pytest.param("i__last) full <= 1;", "i__last) full <= 0;", "not done after .*: 0 of 8 output beats", id="hang"),
    ],
)
def test_scenario_finds(
    tiny: Tiny, tiny_network: Network, frames: np.ndarray, any_simulator: Simulator, old: str, new: str, message: str
) -> None:
    bench = ProtocolBench(tiny(old, new), simulator=any_simulator)
    with pytest.raises(SimulationError, match=message):
        bench.play(SCENARIO, frames, GoldenModel(tiny_network).predict(frames), output_stall=RandomStall(share=0.3))
