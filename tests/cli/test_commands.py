"""What commands print and write when all is well."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sterna.net import ActivationType, Network
from sterna.net.file import load, save
from sterna.sim.simulators import Simulator, available

COMMANDS = ("train", "plot", "info", "codes", "generate", "simulate", "synth", "report", "boards", "bitstream", "demo")
SIMULATOR = Simulator.ICARUS.value if Simulator.ICARUS in available() else Simulator.VERILATOR.value


@pytest.mark.parametrize("command", COMMANDS)
def test_help(command: str, sterna: Callable) -> None:
    outcome = sterna(command, "--help")
    assert outcome.status == 0
    assert f"Usage: sterna {command}" in outcome.out
    assert "--json" in outcome.out


def test_without_arguments(sterna: Callable) -> None:
    outcome = sterna()
    assert outcome.status == 0
    for command in COMMANDS:
        assert command in outcome.out


def test_console_script_and_module() -> None:
    script = Path(sys.executable).parent / "sterna"
    for command in ([str(script)], [sys.executable, "-m", "sterna.cli"]):
        result = subprocess.run([*command, "--version"], capture_output=True, text=True, check=True)
        assert result.stdout.startswith("sterna 0.")
        failed = subprocess.run([*command, "info", "none.safetensors"], capture_output=True, text=True, check=False)
        assert failed.returncode == 1
        assert failed.stderr == "sterna: cannot use none.safetensors: there is no such file or folder\n"
        assert failed.stdout == ""


def test_info(model: Path, sterna: Callable) -> None:
    network = load(model)
    outcome = sterna("info", model)
    assert outcome.status == 0
    assert network.digest in outcome.out
    figures = json.loads(sterna("info", model, "--json").out)
    assert figures["network_digest"] == network.digest
    assert figures["zeros"] == network.zeros
    assert [node["name"] for node in figures["nodes"]] == ["hidden", "scores"]
    assert figures["nodes"][0]["cost"]["weights"] == 48
    assert figures["metadata"] == {"test_accuracy": 0.5}


def test_info_of_an_input_rule(model: Path, tmp_path: Path, sterna: Callable) -> None:
    network = load(model)
    path = tmp_path / "narrow.safetensors"
    rule = {"input_shape": network.input_shape, "input_type": ActivationType(4, True), "input_scale": 0.125}
    nodes = network.nodes
    save(Network(**rule, nodes=nodes, input_range=(-7, 7), input_gain=2, input_offset=-1), path)
    assert "8 s4, scale 0.125, codes -7 .. 7 of x * 2 + -1" in sterna("info", path).out
    entry = json.loads(sterna("info", path, "--json").out)["input"]
    assert (entry["range"], entry["gain"], entry["offset"]) == ([-7, 7], [2.0], [-1.0])
    save(Network(**rule, nodes=nodes, input_offset=np.arange(network.input_shape[0])), path)
    assert "8 s4, scale 0.125, codes -8 .. 7 of x * 1 + (by channel)" in sterna("info", path).out


RECIPE = """
name = "short"
seed = 3
[data]
name = "digits"
validation = 200
[model]
topology = "8"
[training]
batch = 128
epochs = 2
[method]
name = "sparsity-induced"
zeros = 0.5
"""
PICTURES = ("training.png", "accuracy-zeros.png", "weights.png")


def test_train_and_plot(tmp_path: Path, sterna: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe, folder = tmp_path / "short.toml", tmp_path / "[v2] run[" / "b]"
    recipe.write_text(RECIPE)
    trained = sterna("train", recipe, "-o", folder)
    assert trained.status == 0, trained.err
    drawn = {name: (folder / name).read_bytes() for name in PICTURES}
    for name in PICTURES:
        assert str(folder / name) in trained.out

    plotted = sterna("plot", folder, "-o", tmp_path / "pictures", "--json")
    assert plotted.status == 0, plotted.err
    assert json.loads(plotted.out) == {"pictures": [str(tmp_path / "pictures" / name) for name in PICTURES]}
    assert {name: (tmp_path / "pictures" / name).read_bytes() for name in PICTURES} == drawn
    for name in PICTURES:
        (folder / name).unlink()
    plotted = sterna("plot", folder)
    assert plotted.status == 0, plotted.err
    for name in PICTURES:
        assert str(folder / name) in plotted.out
        assert (folder / name).is_file()

    # The run counts without pictures too.
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    trained = sterna("train", recipe, "-o", folder, "--json")
    assert trained.status == 0
    assert json.loads(trained.out)["pictures"] == []
    reason = "the Python package matplotlib is missing; install it with `pip install 'sterna[train]'`"
    assert trained.err == f"no pictures: {reason}\n"
    assert sterna("plot", folder).error == reason


@pytest.mark.parametrize("method", ["sparsity-induced", "float"])
def test_train_says_what_there_is_to_use(method: str, tmp_path: Path, sterna: Callable) -> None:
    recipe, folder = tmp_path / "short.toml", tmp_path / "run"
    recipe.write_text(RECIPE.replace("sparsity-induced", method))
    trained = sterna("train", recipe, "-o", folder, "--seed", 4, "--json")
    assert trained.status == 0, trained.err
    figures = json.loads(trained.out)
    results = json.loads((folder / "results.json").read_text())
    for key in ("test_accuracy", "validation_accuracy", "zeros", "epoch", "seed"):
        assert figures[key] == results[key]
    assert figures["seed"] == 4
    table = sterna("train", recipe, "-o", folder, "--seed", 4)
    assert table.status == 0, table.err
    if method == "float":
        assert (figures["model"], figures["network_digest"]) == (None, None)
        assert figures["refusal"].startswith("its weights are real numbers; train with ")
        assert f"none: {figures['refusal'][:40]}" in table.out
    else:
        assert figures["refusal"] is None
        assert figures["network_digest"] == load(Path(figures["model"])).digest
        assert figures["network_digest"] in table.out


def test_generate(model: Path, tmp_path: Path, sterna: Callable) -> None:
    outcome = sterna("generate", model, "-o", tmp_path / "out", "--lanes", "2,1")
    assert outcome.status == 0, outcome.err
    assert load(model).digest in outcome.out
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "small_net.json",
        "small_net.safetensors",
        "small_net.v",
    ]
    description = json.loads((tmp_path / "out" / "small_net.json").read_text())
    assert [unit["lanes"] for unit in description["units"]] == [2, 1]


def test_generate_for_a_device(model: Path, tmp_path: Path, sterna: Callable) -> None:
    outcome = sterna("generate", model, "-o", tmp_path / "out", "--fit", "up5k")
    assert outcome.status == 0, outcome.err
    assert "up5k has 30 RAM blocks and 5,280 logic slots; 85% of the logic may be taken" in outcome.out
    for heading in ("adds", "index kbit", "RAM blocks", "logic slots", "limited by"):
        assert heading in outcome.out
    assert re.search(r"hidden +│ dense +│ +\d+ +│", outcome.out)
    made = json.loads((tmp_path / "out" / "small_net.json").read_text())
    again = sterna("generate", model, "-o", tmp_path / "again", "--fit", "iCE40-UP5K", "--json")
    assert json.loads(again.out) == made
    lanes = [unit["lanes"] for unit in made["units"]]
    assert made["config"]["lanes"] == lanes
    plain = json.loads(sterna("generate", model, "-o", tmp_path / "plain", "--json").out)
    assert [unit["lanes"] for unit in plain["units"]] == lanes  # there is room enough
    rate = ("--fps", 1000, "--clock-mhz", 12)
    slow = json.loads(sterna("generate", model, "-o", tmp_path / "slow", "--fit", "up5k", *rate, "--json").out)
    assert (slow["config"]["fps"], [unit["lanes"] for unit in slow["units"]]) == (1000, [1, 1])


def test_generate_chooses_units_for_a_device(model: Path, tmp_path: Path, sterna: Callable) -> None:
    """What is recorded makes the same again; a device that is large has an adder for every weight."""
    options = ("--fit", "85f", "--units", "auto", "--elements-per-beat", 8)
    outcome = sterna("generate", model, "-o", tmp_path / "out", *options)
    assert outcome.status == 0, outcome.err
    assert "unrolled" in outcome.out
    made = json.loads(next((tmp_path / "out").glob("*.json")).read_text())
    assert set(made["config"]["units"].values()) & {"bitserial", "unrolled"}
    assert {unit["kind"] for unit in made["units"]} & {"bitserial", "unrolled"}
    folded = json.loads(sterna("generate", model, "-o", tmp_path / "folded", *options[:2], "--json").out)
    assert made["timing"]["interval_cycles"] < folded["timing"]["interval_cycles"]


def test_a_price_of_ones_own_is_the_only_one_that_is_tried(model: Path, tmp_path: Path, sterna: Callable) -> None:
    made = sterna("generate", model, "-o", tmp_path / "out", "--fit", "up5k", "--escape-price", 7, "--json")
    assert json.loads(made.out)["config"]["escape_price"] == 7


def test_generate_with_words_of_ones_own(model: Path, tmp_path: Path, sterna: Callable) -> None:
    made = json.loads(sterna("generate", model, "--slack", 0.25, "--escape-price", 7, "--json").out)["config"]
    usual = json.loads(sterna("generate", model, "--json").out)["config"]
    assert (made["slack"], made["escape_price"]) == (0.25, 7)
    assert made == {**usual, "slack": 0.25, "escape_price": 7}


def test_generate_with_loaded_words(model: Path, tmp_path: Path, sterna: Callable) -> None:
    folder = tmp_path / "loaded"
    shown = sterna("generate", model, "--load", "all", "--compact", "--output", folder)
    made = json.loads((folder / "small_net.json").read_text())
    assert (made["config"]["load"], made["config"]["compact"]) == (["all"], True)
    words = folder / "small_net.load.bin"
    assert len(words.read_bytes()) == made["load"]["bytes"]
    assert "to be loaded" in shown.out
    names = [memory["unit"] for memory in made["load"]["memories"]]
    assert sterna("simulate", folder, "--limit", 3, "--simulator", "icarus").status == 0
    one = sterna("generate", model, "--load", f" {names[0]} ", "--output", folder, "--json")
    assert [memory["unit"] for memory in json.loads(one.out)["load"]["memories"]] == names[:1]
    assert "load" not in json.loads(sterna("generate", model, "--output", folder, "--json").out)
    assert not words.exists()
    refused = sterna("generate", model, "--load", "nothing", "--output", folder)
    assert refused.status == 1
    assert "load must be 'all' or name layers with index words" in refused.err


def test_generate_for_other_networks_too(model: Path, tmp_path: Path, sterna: Callable) -> None:
    """Fitted, too, and with a class at the end: what the table shows has a row for it."""
    folder = tmp_path / "loadable"
    shown = sterna("generate", model, "--loadable", 1.5, "--fit", "up5k", "--argmax", "--output", folder)
    assert shown.status == 0, shown.err
    assert "can be loaded" in shown.out
    assert "argmax" in shown.out
    made = json.loads((folder / "small_net.json").read_text())
    assert made["config"]["loadable"] == 1.5
    assert made["load"]["keeps"]
    assert (folder / "small_net.load.bin").stat().st_size == made["load"]["bytes"]
    assert sterna("simulate", folder, "--limit", 3, "--simulator", "icarus").status == 0
    assert "'--loadable': loadable must be 1 to 64" in sterna("generate", model, "--loadable", 0.5).err
    assert "give load or loadable" in sterna("generate", model, "--loadable", 2, "--load", "all").err


def test_generate_is_deterministic(model: Path, tmp_path: Path, sterna: Callable) -> None:
    first = sterna("generate", model, "-o", tmp_path / "a", "--argmax", "--json")
    second = sterna("generate", model, "-o", tmp_path / "b", "--argmax", "--json")
    assert first.out == second.out
    assert json.loads(first.out)["output"]["argmax"]
    assert (tmp_path / "a" / "small_net.v").read_bytes() == (tmp_path / "b" / "small_net.v").read_bytes()


def test_default_folder(model: Path, tmp_path: Path, sterna: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert sterna("generate", model, "--name", "top").status == 0
    assert (tmp_path / "build" / "small-net" / "top.v").is_file()


def test_the_whole_way(model: Path, tmp_path: Path, sterna: Callable) -> None:
    """Generate, simulate, synthesize and report on one folder."""
    folder, digest = tmp_path / "out", load(model).digest
    assert sterna("generate", model, "-o", folder).status == 0

    codes = np.random.default_rng(1).integers(0, 4, (100, 8))
    np.save(tmp_path / "x.npy", codes)
    simulated = sterna("simulate", folder, "--simulator", SIMULATOR, "--inputs", tmp_path / "x.npy", "--json")
    assert simulated.status == 0, simulated.err
    result = json.loads(simulated.out)
    assert (result["network_digest"], result["frames"], result["equal"]) == (digest, 100, True)
    assert result["latency_cycles"] == result["computed_latency_cycles"]
    assert result["interval_cycles"] == result["computed_interval_cycles"]

    synthesized = sterna("synth", folder, "--device", "up5k", "--json")
    assert synthesized.status == 0, synthesized.err
    report = json.loads(synthesized.out)
    written = json.loads((folder / "synth-up5k" / "report.json").read_text())
    timing = json.loads((folder / "small_net.json").read_text())["timing"]
    rate = round(report["clock"]["median_hz"] / timing["interval_cycles"])
    assert report == {
        **written,
        "interval_cycles": timing["interval_cycles"],
        "largest_gap_cycles": timing["largest_gap_cycles"],
        "images_per_second": rate,
        "images_per_second_is": "clock / interval, of the block alone, without pins",
    }
    assert report["network_digest"] == digest
    assert report["total"]["dsps"] == 0
    assert {"hidden", "scores"} < set(report["units"])

    figures = json.loads(sterna("report", folder, "--json").out)
    assert figures["network_digest"] == digest
    assert figures["test_accuracy"] == 0.5
    assert figures["simulation"]["frames"] == 100
    (device,) = figures["devices"]
    assert device["images_per_second"] == rate
    table = sterna("report", folder)
    assert table.status == 0
    assert digest in table.out
    assert "every value equal to the golden model" in table.out
    assert "iCE40UP5K" in table.out


def test_simulate_a_model_with_stalls(model: Path, tmp_path: Path, sterna: Callable) -> None:
    outcome = sterna(
        "simulate", model, "-o", tmp_path / "out", "--simulator", SIMULATOR, "--limit", 12, "--stalls", "--trace"
    )
    assert outcome.status == 0, outcome.err
    assert load(model).digest in outcome.out
    assert "not measured" in outcome.out
    assert (tmp_path / "out" / "small_net.v").is_file()


def test_waves(model: Path, tmp_path: Path, sterna: Callable) -> None:
    arguments = ("simulate", model, "-o", tmp_path / "out", "--simulator", SIMULATOR, "--limit", 1, "--waves")
    waves = Path(json.loads(sterna(*arguments, "--json").out)["waves_path"])
    assert waves.stat().st_size > 0
    assert "waves" in sterna(*arguments).out


def test_a_difference_is_named_and_nothing_kept(model: Path, tmp_path: Path, sterna: Callable) -> None:
    """The folder's network has one other sign than its Verilog: exit status 1, and no result for `sterna report`."""
    folder = tmp_path / "out"
    arguments = ("simulate", folder, "--simulator", SIMULATOR)
    assert sterna("generate", model, "-o", folder).status == 0
    assert sterna(*arguments).status == 0
    assert (folder / "simulation.json").is_file()
    network = load(model)
    hidden, scores = network.nodes
    weights = scores.weights.copy()
    weights[0, 0] = 1 if weights[0, 0] != 1 else -1
    changed = Network(
        input_shape=network.input_shape,
        input_type=network.input_type,
        input_scale=network.input_scale,
        nodes=[hidden, replace(scores, weights=weights)],
    )
    save(changed, folder / "small_net.safetensors")
    description = json.loads((folder / "small_net.json").read_text())
    (folder / "small_net.json").write_text(json.dumps({**description, "network_digest": changed.digest}))
    outcome = sterna(*arguments)
    assert outcome.error.startswith("small_net: unit 'scores' is the first to differ: frame ")
    assert "NO" in outcome.out
    assert not (folder / "simulation.json").exists()
