"""Other networks in the same hardware, swapped in while frames run: each frame has the right one's results."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sterna.hw import AcceleratorConfig, UnsupportedError, generate, load_design, load_stream, plan_accelerator
from sterna.hw.config import Room
from sterna.net import ActivationType, Conv2d, Flatten, Linear, Network, ShiftRound, Thresholds
from sterna.net.errors import InvalidTypeError, InvalidValueError
from sterna.sim.compare import compare
from sterna.sim.golden import GoldenModel
from sterna.sim.manifest import Manifest
from sterna.sim.protocol import ProtocolBench
from sterna.sim.random_networks import random_frames, random_weights
from sterna.sim.rtl import RtlModel
from sterna.sim.scenarios import Drain, Early, Event, Late, Load, Partial, Reset, Send
from sterna.sim.simulators import Simulator
from sterna.sim.stalls import RandomStall

U4, S3 = ActivationType(width=4, signed=False), ActivationType(width=3, signed=True)


def network(seed: int, zeros: float = 0.7, *, names: str = "fc", shift: bool = False) -> Network:
    """Three dense layers behind a map; requantizations and sparsity differ from one seed to the next."""
    rng = np.random.default_rng(seed)
    hidden = np.sort(rng.integers(-20, 20, (7, 7)), axis=1)
    first = (
        ShiftRound(output=U4, bias=rng.integers(-9, 9, 12), shift=rng.integers(0, 4, 12))
        if shift
        else Thresholds(output=U4, levels=np.sort(rng.integers(-30, 60, (12, 15)), axis=1))
    )
    return Network(
        input_shape=(2, 3, 4),
        input_type=U4,
        input_scale=1.0,
        nodes=[
            Flatten(name="flatten"),
            Linear(name=f"{names}1", weights=random_weights(rng, rows=12, columns=24, zeros=zeros), requantize=first),
            Linear(
                name=f"{names}2",
                weights=random_weights(rng, rows=7, columns=12, zeros=zeros),
                requantize=Thresholds(output=S3, levels=hidden),
            ),
            Linear(
                name=f"{names}3",
                weights=random_weights(rng, rows=5, columns=7, zeros=zeros),
                bias=rng.integers(-20, 20, 5),
            ),
        ],
    )


CONFIG = AcceleratorConfig(lanes=(4, 2, 1), loadable=4, name="loadable_net")
MADE = network(0)
#: As dense as there is room for, all zeros, a shift in place of thresholds, other names.
OTHERS = [network(1, 0.5), network(2, 1.0), network(3, shift=True), network(4, 0.9, names="layer"), network(5, 0.0)]


def loads_of(networks: list[Network], config: AcceleratorConfig = CONFIG) -> list[bytes]:
    design = load_design(plan_accelerator(MADE, config))
    return [load_stream(each, design) for each in networks]


@pytest.mark.parametrize("argmax", [False, True])
def test_equal_to_the_golden_model_and_its_timing(argmax: bool, tmp_path: Path, any_simulator: Simulator) -> None:
    generate(MADE, tmp_path, config=replace(CONFIG, argmax=argmax))
    frames = random_frames(np.random.default_rng(1), MADE, 70)
    compare(MADE, tmp_path, frames, simulator=any_simulator, trace=True).check()


@pytest.mark.parametrize("stalls", [0.0, 0.5], ids=["free", "stalled"])
@pytest.mark.parametrize("simulator", list(Simulator), ids=lambda each: each.value, indirect=True)
def test_networks_are_swapped_while_frames_run(stalls: float, tmp_path: Path, simulator: Simulator) -> None:
    """A frame that begins behind a load's last byte has the new network's result, all others the old one's."""
    generate(MADE, tmp_path, config=CONFIG)
    networks = [*OTHERS, MADE, *reversed(OTHERS)]
    stall = RandomStall(share=stalls) if stalls else None
    model = RtlModel(tmp_path, simulator=simulator, input_stall=stall, output_stall=stall, seed=3)
    frames = random_frames(np.random.default_rng(2), MADE, 300)
    found = model.predict(frames, loads=loads_of(networks))
    results = np.stack([GoldenModel(each).predict(frames) for each in [MADE, *networks]])
    np.testing.assert_array_equal(found, results[model.loaded, np.arange(len(frames))])
    assert np.bincount(model.loaded, minlength=len(networks) + 1).min() > 5, "some network has hardly had a frame"


@pytest.mark.parametrize("stalls", [0.0, 0.4], ids=["free", "stalled"])
def test_bad_frames_resets_and_broken_loads(stalls: float, tmp_path: Path, any_simulator: Simulator) -> None:
    """Dropped frames hold no swap up, resets lose none, and a load of a wrong length changes nothing.

    What is broken holds another network's words, so whoever took it would be seen.
    """
    generate(MADE, tmp_path, config=CONFIG)
    frames = random_frames(np.random.default_rng(2), MADE, 4)
    size, beats = Manifest.load(tmp_path).load_beats, Manifest.load(tmp_path).input.beats
    scenario: list[Event] = [
        Send(0), Send(1), Load(), Send(2), Early(0, 3), Drain(), Load(), Send(3), Late(1, 4), Drain(), Load(), Send(0),
        Load(1, beats=1), Send(1), Load(1, beats=size - 1), Send(2), Load(1, beats=size + 1), Send(3), Load(), Send(1),
        Partial(2, beats - 1), Reset(2), Send(2), Load(), Reset(1), Send(3), Drain(), Load(1, beats=size // 2),
        Reset(1), Load(), Send(0), Send(1),
    ]  # fmt: skip
    stall = RandomStall(share=stalls) if stalls else None
    bench = ProtocolBench(tmp_path, simulator=any_simulator)
    expected = GoldenModel(MADE).predict(frames)
    bench.play(scenario, frames, expected, input_stall=stall, output_stall=stall, loads=loads_of([OTHERS[0]]))


def test_the_verilog_of_all_is_the_same_but_for_the_words(tmp_path: Path) -> None:
    """What `load_stream` relies on, judged by the emitted text and not by what it compares itself."""
    rooms = plan_accelerator(MADE, CONFIG).rooms
    texts = []
    for k, made in enumerate([MADE, *(other for other in OTHERS if other.nodes[1].name == "fc1")]):
        generate(made, tmp_path / str(k), config=replace(CONFIG, loadable=rooms))
        text = re.sub(r"^// .*\n", "", (tmp_path / str(k) / "loadable_net.v").read_text(), flags=re.M)
        texts.append(re.sub(r"^    memory\[\d+\] = .*\n", "", text, flags=re.M))
    assert len(texts) == len(OTHERS)
    for text in texts[1:]:
        assert text == texts[0]


def test_what_cannot_be_loaded() -> None:
    design = load_design(plan_accelerator(MADE, CONFIG))
    assert len(design) <= 318
    more = network(6)
    nodes = [*more.nodes[:-1], Linear(name="fc3", weights=np.ones((6, 7), np.int8))]
    wide = Network(input_shape=(2, 3, 4), input_type=U4, input_scale=1.0, nodes=nodes)
    with pytest.raises(InvalidValueError, match="other shapes or types"):
        load_stream(wide, design)
    with pytest.raises(InvalidValueError, match="has 1 layers with weights, and the accelerator 3"):
        load_stream(Network(input_shape=(7,), input_type=U4, input_scale=1.0, nodes=[nodes[-1]]), design)
    small = load_design(plan_accelerator(MADE, replace(CONFIG, loadable=1)))
    with pytest.raises(InvalidValueError, match=r"layer 'fc1': its weights take \d+ steps, and there is room for \d+"):
        load_stream(OTHERS[-1], small)
    with pytest.raises(InvalidValueError, match="the accelerator's design is none"):
        load_stream(MADE, design[:-5])


def test_convolutions_are_made_for_their_weights() -> None:
    kernels = np.ones((2, 1, 3, 3), np.int8)
    made = Network(input_shape=(1, 8, 8), input_type=U4, input_scale=1.0, nodes=[Conv2d(name="c", weights=kernels)])
    with pytest.raises(UnsupportedError, match=r"layer 'c' \(conv\) is made for its own weights"):
        plan_accelerator(made, AcceleratorConfig(loadable=1))


def test_words_of_one_network_alone(tmp_path: Path) -> None:
    """Where the hardware is made for a network, and only its words are missing, no other one fits."""
    config = AcceleratorConfig(load=("all",))
    plan = plan_accelerator(MADE, config)
    design = load_design(plan)
    path = generate(MADE, tmp_path, config=config)
    assert load_stream(MADE, design) == Manifest.load(path).read_load()
    with pytest.raises(InvalidValueError, match="alone"):
        load_stream(OTHERS[0], design)
    assert load_design(plan_accelerator(MADE, AcceleratorConfig())) == b""


def test_names_in_the_configuration_are_the_first_networks_own() -> None:
    design = load_design(plan_accelerator(MADE, replace(CONFIG, units={"fc1": "folded"})))
    assert len(load_stream(OTHERS[3], design)) == len(loads_of([MADE])[0])


def test_rooms_that_are_none() -> None:
    room = Room(run_width=4, steps=99)
    with pytest.raises(InvalidValueError, match="loadable must name the layers fc1, fc2, fc3, not fc1"):
        plan_accelerator(MADE, replace(CONFIG, loadable={"fc1": room}))
    for wrong in ({}, {"fc1": 3}, "x", True):
        with pytest.raises(InvalidTypeError, match="loadable must be a number, or map names of nodes to rooms"):
            AcceleratorConfig(loadable=wrong)
    for size in ((0, 9), (11, 9), (4, 1)):
        with pytest.raises(InvalidValueError, match=r"run_width|steps"):
            Room(*size)


def test_no_timing_is_measured_where_networks_are_swapped(tmp_path: Path, any_simulator: Simulator) -> None:
    generate(MADE, tmp_path, config=CONFIG)
    model = RtlModel(tmp_path, simulator=any_simulator)
    frames = random_frames(np.random.default_rng(2), MADE, 70)
    model.predict(frames)
    assert model.interval is not None
    model.predict(frames, loads=loads_of([OTHERS[0]]))
    assert model.interval is None


@pytest.mark.parametrize("loadable", [0.9, 65.0])
def test_room_out_of_range(loadable: float) -> None:
    with pytest.raises(InvalidValueError, match=r"loadable must be 1 to 64"):
        AcceleratorConfig(loadable=loadable)


def test_loads_where_nothing_is_loaded(tmp_path: Path) -> None:
    generate(MADE, tmp_path, config=replace(CONFIG, loadable=None))
    frames = random_frames(np.random.default_rng(0), MADE, 1)
    with pytest.raises(InvalidValueError, match="loads nothing while it runs: generate it with --loadable"):
        RtlModel(tmp_path).predict(frames, loads=[b""])
    generate(MADE, tmp_path, config=CONFIG)
    with pytest.raises(InvalidValueError, match=r"a load of loadable_net has [\d,]+ bytes, not 3"):
        RtlModel(tmp_path).predict(frames, loads=[b"abc"])
