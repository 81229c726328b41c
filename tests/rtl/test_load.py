"""Accelerators whose index words are loaded: nothing is known of them at power-up, whatever loads come."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sterna.hw import AcceleratorConfig, generate
from sterna.net import ActivationType, Conv2d, Flatten, Linear, MaxPool2d, Network, ShiftRound
from sterna.sim.compare import compare
from sterna.sim.errors import ManifestError, SimulationError
from sterna.sim.golden import GoldenModel
from sterna.sim.manifest import Manifest
from sterna.sim.protocol import ProtocolBench
from sterna.sim.random_networks import random_frames, random_weights
from sterna.sim.rtl import RtlModel
from sterna.sim.scenarios import Drain, Event, Load, Partial, Reset, Send
from sterna.sim.simulators import Simulator
from sterna.sim.stalls import RandomStall

U4 = ActivationType(width=4, signed=False)


def network(signs: int | None = None) -> Network:
    """A convolution, a pool and two dense layers.

    With ``signs``, networks that differ in the signs of the last layer's weights alone: each row has as many of each.
    """
    rng = np.random.default_rng(3)
    kernels = random_weights(rng, rows=6, columns=18, zeros=0.5).reshape(6, 2, 3, 3)
    shift = ShiftRound(output=U4, bias=0, shift=2)
    hidden = random_weights(rng, rows=12, columns=54, zeros=0.7)
    last = random_weights(rng, rows=5, columns=12, zeros=0.3)
    for row in last if signs is not None else ():
        row[row != 0] = np.random.default_rng(signs).permutation(row[row != 0])
    return Network(
        input_shape=(2, 8, 8),
        input_type=U4,
        input_scale=1.0,
        nodes=[
            Conv2d(name="conv", weights=kernels, requantize=shift),
            MaxPool2d(name="pool", kernel=2),
            Flatten(name="flatten"),
            Linear(name="fc1", weights=hidden, requantize=shift),
            Linear(name="fc2", weights=last),
        ],
    )


CONFIG = AcceleratorConfig(lanes=(12, 3, 2), load=("conv", "fc1", "fc2"), name="loaded_net")


@pytest.mark.parametrize(
    "load",
    [("all",), *(pytest.param(some, marks=pytest.mark.slow) for some in (("conv", "fc1", "fc2"), ("fc1",)))],
    ids=str,
)
@pytest.mark.parametrize("simulator", ["icarus", pytest.param("verilator", marks=pytest.mark.slow)], indirect=True)
def test_equal_to_the_golden_model(load: tuple[str, ...], tmp_path: Path, simulator: Simulator) -> None:
    """Icarus begins with X in every memory, Verilator with random words: the right ones come through the port."""
    made = network()
    generate(made, tmp_path, config=replace(CONFIG, load=load))
    frames = random_frames(np.random.default_rng(1), made, 70)
    compare(made, tmp_path, frames, simulator=simulator, trace=True).check()
    stall = RandomStall(share=0.5)
    compare(made, tmp_path, frames[:6], simulator=simulator, input_stall=stall, output_stall=stall, seed=1).check()


def test_loading_changes_neither_latency_nor_interval(tmp_path: Path) -> None:
    kept = replace(CONFIG, load=(), escape_price=1 << 40)
    timings = [
        Manifest.load(generate(network(), tmp_path / name, config=config))
        for name, config in (("loaded", CONFIG), ("kept", kept))
    ]
    assert len({(timing.latency_cycles, timing.interval) for timing in timings}) == 1


@pytest.mark.parametrize("stalls", [0.0, 0.5])
def test_loads_of_all_sorts(stalls: float, tmp_path: Path, any_simulator: Simulator) -> None:
    """Cut short, too long, once more, and behind resets: frames wait for a whole load, which a reset keeps."""
    made = network()
    generate(made, tmp_path, config=CONFIG)
    frames = random_frames(np.random.default_rng(2), made, 3)
    size = Manifest.load(tmp_path).load_beats
    scenario: list[Event] = [
        Load(beats=1), Load(beats=size - 1), Load(beats=size + 1), Load(), Send(0), Send(1),
        Reset(2), Send(2), Drain(),
        Load(beats=size // 2), Load(), Send(1), Partial(0, 5),
        Reset(1), Send(0), Drain(), Load(), Load(), Send(2),
    ]  # fmt: skip
    stall = RandomStall(share=stalls) if stalls else None
    bench = ProtocolBench(tmp_path, simulator=any_simulator)
    bench.play(scenario, frames, GoldenModel(made).predict(frames), input_stall=stall, output_stall=stall)


def test_new_weights_of_the_same_shape(tmp_path: Path, any_simulator: Simulator) -> None:
    """The same Verilog, other words: what is loaded decides what is computed."""
    first, second = network(0), network(1)
    texts, words = [], []
    for name, made in (("first", first), ("second", second)):
        manifest = Manifest.load(generate(made, tmp_path / name, config=CONFIG))
        texts.append(re.sub(r"^// .*\n", "", manifest.read_verilog(), flags=re.M))
        words.append(manifest.read_load())
    assert texts[0] == texts[1]
    assert words[0] != words[1]
    frames = random_frames(np.random.default_rng(4), first, 4)
    results = [GoldenModel(made).predict(frames[k::2]) for k, made in enumerate((first, second))]
    expected = np.stack(results, axis=1).reshape(4, -1)
    assert (expected[1] != GoldenModel(first).predict(frames[1:2])).any()
    scenario: list[Event] = [Load(), Send(0), Load(words=1), Send(1), Send(3), Load(), Send(2)]
    bench = ProtocolBench(tmp_path / "first", simulator=any_simulator)
    bench.play(scenario, frames, expected, loads=words[1:])


def test_a_third_partys_source_loads(tmp_path: Path, any_simulator: Simulator) -> None:
    made = network()
    generate(made, tmp_path, config=CONFIG)
    frames = random_frames(np.random.default_rng(5), made, 3)
    stall = RandomStall(share=0.3)
    bench = ProtocolBench(tmp_path, simulator=any_simulator)
    bench.play_axi(frames, GoldenModel(made).predict(frames), input_stall=stall, output_stall=stall)


def test_a_wrong_file_is_refused(tmp_path: Path) -> None:
    path = generate(network(), tmp_path, config=CONFIG)
    words = path.with_suffix(".load.bin")
    words.write_bytes(words.read_bytes()[:-1])
    with pytest.raises(ManifestError, match=r"loaded_net\.load\.bin: not what loaded_net\.json describes"):
        Manifest.load(tmp_path)
    words.unlink()
    with pytest.raises(ManifestError, match=r"loaded_net\.load\.bin is missing; generate the Verilog again"):
        Manifest.load(tmp_path)


def test_nothing_is_computed_from_words_that_are_wrong(tmp_path: Path, any_simulator: Simulator) -> None:
    """The words are not in the Verilog: others, though described well, give other scores."""
    made = network(0)
    generate(made, tmp_path, config=CONFIG)
    other = generate(network(1), tmp_path / "other", config=CONFIG)
    frames = random_frames(np.random.default_rng(6), made, 8)
    scores = RtlModel(other, simulator=any_simulator).predict(frames)
    assert (scores != GoldenModel(made).predict(frames)).any()


def test_frames_wait_for_words(tmp_path: Path, any_simulator: Simulator) -> None:
    made = network()
    generate(made, tmp_path, config=CONFIG)
    frames = random_frames(np.random.default_rng(7), made, 1)
    with pytest.raises(SimulationError, match="not done after"):
        ProtocolBench(tmp_path, simulator=any_simulator).play([Send(0)], frames, GoldenModel(made).predict(frames))
