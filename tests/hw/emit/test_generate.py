"""Files: the same bytes from anywhere, a complete description, nothing left behind."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from bench import S4, U4, random_weights

from sterna.hw import AcceleratorConfig, UnsupportedError, generate, load_design, plan_accelerator
from sterna.hw.graph.timing import compute_timing
from sterna.net import Add, Linear, MaxPool2d, Network, ShiftRound, SumPool2d, Thresholds, entropy, save

CONFIG = AcceleratorConfig(lanes=[4, 2], elements_per_beat=2)


@pytest.fixture(scope="module")
def network() -> Network:
    """Two layers, of which channels are constant, unused, and requantized in their own ways."""
    rng = np.random.default_rng(7)
    levels = np.sort(rng.integers(-40, 40, (12, 15)), axis=1)
    levels[4] = -(1 << 20)  # always the highest code
    first, second = random_weights(rng, 12, 21, 0.6), random_weights(rng, 10, 12, 0.5)
    second[:, 7] = 0
    nodes = [
        Linear(
            name="fc1", weights=first, bias=rng.integers(-5, 6, 12), requantize=Thresholds(output=S4, levels=levels)
        ),
        Linear(name="fc2", weights=second, bias=rng.integers(-5, 6, 10)),
    ]
    return Network(input_shape=(21,), input_type=U4, input_scale=0.5, nodes=nodes, metadata={"name": "tiny net"})


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_same_bytes_again(network: Network, tmp_path: Path) -> None:
    path = generate(network, tmp_path / "a" / "b", config=CONFIG)
    assert path == tmp_path / "a" / "b" / "tiny_net.json"
    generate(network, tmp_path / "c", config=CONFIG)
    first = contents(tmp_path / "a" / "b")
    assert set(first) == {"tiny_net.json", "tiny_net.v"}
    assert first == contents(tmp_path / "c")
    generate(network, tmp_path / "c", config=CONFIG)  # over what is there
    assert first == contents(tmp_path / "c")


def test_the_same_bytes_from_another_folder_and_process(network: Network, tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    generate(network, here, config=CONFIG)
    there.mkdir()
    save(network, there / "net.safetensors")
    script = (
        "from sterna.hw import AcceleratorConfig, load_design, generate\nfrom sterna.net import load\n"
        "config = AcceleratorConfig(lanes=[4, 2], elements_per_beat=2)\n"
        "generate(load('net.safetensors'), 'made', config=config)\n"
    )
    for seed in ("1", "77"):
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        subprocess.run([sys.executable, "-c", script], cwd=there, env=environment, check=True)
        assert contents(there / "made") == contents(here)


def test_verilog(network: Network, tmp_path: Path) -> None:
    path = generate(network, tmp_path, config=CONFIG)
    text = path.with_suffix(".v").read_text()
    header, digest = text.splitlines()[:2]
    assert re.fullmatch(r"// tiny_net: made by `sterna generate` [0-9.]+ from the network", header)
    assert digest == f"// {network.digest}"
    assert str(Path(__file__).parents[4]) not in text
    assert "src" not in text
    (top,) = re.findall(r"^module tiny_net\((.*?)\);", text, re.M | re.S)
    assert {port.strip() for port in top.split(",")} == {
        "clk", "rst", "frame_error",
        "s_axis_tdata", "s_axis_tvalid", "s_axis_tready", "s_axis_tlast",
        "m_axis_tdata", "m_axis_tvalid", "m_axis_tready", "m_axis_tlast",
    }  # fmt: skip
    for instance in ("fc1", "fc2"):
        assert re.search(rf"\\tiny_net\.{instance}\s+{instance} \(", text)
    for operator in ("$mul", "$div", "$mod", " * ", " / ", " % "):
        assert operator not in re.sub(r"/\*.*?\*/|\(\*.*?\*\)", "", text, flags=re.S)


def test_what_real_inputs_become_is_no_matter_of_hardware(network: Network, tmp_path: Path) -> None:
    """Hardware takes codes: a network with preprocessing gives the same Verilog but for its digest."""
    rule = {"input_shape": (21,), "input_type": U4, "input_scale": 0.5, "metadata": {"name": "tiny net"}}
    other = Network(nodes=network.nodes, input_range=(1, 14), input_gain=np.arange(1, 22), input_offset=-0.5, **rule)
    plain, changed = (generate(each, tmp_path / each.digest, config=CONFIG) for each in (network, other))
    text = plain.with_suffix(".v").read_text()
    assert network.digest in text
    assert changed.with_suffix(".v").read_text() == text.replace(network.digest, other.digest)
    assert json.loads(changed.read_text())["network_digest"] == other.digest


def test_description(network: Network, tmp_path: Path) -> None:
    found = json.loads(generate(network, tmp_path, config=CONFIG).read_text())
    plan = plan_accelerator(network, CONFIG)
    timing = compute_timing(plan)
    units = found.pop("units")
    assert set(found.pop("tools")) == {"sterna", "amaranth"}
    weights = found.pop("weights")
    assert found == {
        "schema": "sterna-accelerator-3",
        "name": "tiny_net",
        "network_digest": network.digest,
        "verilog_sha256": hashlib.sha256((tmp_path / "tiny_net.v").read_bytes()).hexdigest(),
        "config": CONFIG.as_json(),
        "clock": "clk",
        "reset": "rst",
        "input": {
            "prefix": "s_axis", "shape": [21], "element_width": 4, "signed": False, "bytes_per_element": 1,
            "elements_per_beat": 2, "beats": 11, "tdata_width": 16,
        },
        "output": {
            "prefix": "m_axis", "shape": [10], "element_width": plan.output.element.width, "signed": True,
            "bytes_per_element": 1, "elements_per_beat": 1, "beats": 10, "tdata_width": 8, "argmax": False,
        },
        "timing": {
            "latency_cycles": timing.latency, "interval_cycles": timing.interval,
            "period_cycles": timing.period_cycles, "period_frames": timing.period_frames,
            "settled_frames": timing.settled_frames, "largest_gap_cycles": timing.largest_gap,
        },
        "buffers": [],
    }  # fmt: skip
    arrays = [node.weights for node in network.nodes]
    bound = sum(entropy(array) * array.size for array in arrays)
    bits = sum(unit.schedule.bits for unit in plan.units)
    assert weights == {
        "count": 12 * 21 + 10 * 12,
        "nonzeros": sum(int(np.count_nonzero(array)) for array in arrays),
        "index_bits": bits,
        "entropy_bits": bound,
        "bits_over_entropy": bits / bound,
        "table_bits": sum(unit.tables.bits for unit in plan.units),
    }
    first, second = units
    assert (first["name"], first["node"], first["kind"], first["lanes"]) == ("fc1", "fc1", "dense", 4)
    assert (first["rows"], first["columns"]) == (10, 21)
    assert first["constant_channels"] == {"4": 7}
    assert first["unused_channels"] == [7]
    assert sorted(first["channel_order"]) == [0, 1, 2, 3, 5, 6, 8, 9, 10, 11]
    assert first["output"] == {"element_width": 4, "signed": True, "shape": [12], "elements_per_beat": 1}
    assert (first["nodes"], first["inputs"], second["inputs"]) == (["fc1"], ["input"], ["fc1"])
    assert (first["beats"], first["results"], second["beats"]) == (11, 10, 10)
    assert first["trace"] == {"transfer": ["fc1", "transfer"], "payload": ["fc1", "o__payload"]}
    assert first["requantizer"] == "level"
    for number, unit in enumerate(units):
        schedule = plan.units[number].schedule
        assert unit["cycles"] == schedule.steps
        assert unit["interval_cycles"] == timing.unit_intervals[number]
        assert unit["nonzeros"] == schedule.nonzeros
        assert unit["utilization"] == schedule.nonzeros / (schedule.lanes * schedule.steps)
        assert unit["index_bits"] == schedule.bits
        assert unit["word"]["step_width"] == schedule.format.width
        assert unit["fifo_depth"] == plan.units[number].fifo_depth
    assert second["channel_order"] == list(range(10))
    assert (second["columns"], second["constant_channels"], second["unused_channels"]) == (10, {}, [])
    assert second["requantizer"] == "score"


def test_description_of_a_class(network: Network, tmp_path: Path) -> None:
    config = AcceleratorConfig(lanes=1, argmax=True, name="classes")
    output = json.loads(generate(network, tmp_path, config=config).read_text())["output"]
    assert output == {
        "prefix": "m_axis", "shape": [1], "element_width": 4, "signed": False, "bytes_per_element": 1,
        "elements_per_beat": 1, "beats": 1, "tdata_width": 8, "argmax": True,
    }  # fmt: skip


def test_description_of_branches(tmp_path: Path) -> None:
    """A buffer stands for the unit before it."""
    weights = random_weights(np.random.default_rng(3), 6, 6, 0.4)
    shift = ShiftRound(output=U4, bias=0, shift=1)
    nodes = [
        Linear(name="a", weights=weights, requantize=shift),
        Linear(name="b", weights=weights, requantize=shift),
        Add(name="sum", inputs=("b", "a"), shifts=(0, 1), requantize=shift),
    ]
    network = Network(input_shape=(6,), input_type=U4, input_scale=1.0, nodes=nodes)
    config = AcceleratorConfig(argmax=True)
    found = json.loads(generate(network, tmp_path, config=config).read_text())
    (buffer,) = found["buffers"]
    depth = buffer.pop("depth")
    assert depth >= 6
    assert buffer == {"name": "buffer_0", "from": "a", "to": "sum", "width": 4, "memory_bits": 4 * depth}
    total = found["units"][-1]
    assert (total["kind"], total["inputs"], total["shifts"]) == ("add", ["b", "a"], [0, 1])
    assert [unit["name"] for unit in found["units"]] == ["a", "b", "sum"]


def test_loaded_words_are_in_their_file_and_not_in_the_verilog(network: Network, tmp_path: Path) -> None:
    config = replace(CONFIG, load=("all",))
    path = generate(network, tmp_path, config=config)
    behind = re.findall(r"single_port = .*\n +reg .*\n(.*)\n", path.with_suffix(".v").read_text())
    assert len(behind) == 2
    assert all("initial" not in line for line in behind)
    plan = plan_accelerator(network, config)
    images = [image for _, image in plan.images]
    words = path.with_suffix(".load.bin").read_bytes()
    assert words == b"".join(image.to_bytes() for image in images)
    assert json.loads(path.read_text())["load"] == {
        "prefix": "load_axis",
        "tdata_width": 8,
        "bytes": len(words),
        "sha256": hashlib.sha256(words).hexdigest(),
        "keeps": False,
        "design": load_design(plan).hex(),
        "memories": [
            {"unit": name, "words": len(image.words), "width": image.width, "bytes_per_word": -(-image.width // 8)}
            for name, image in zip(("fc1", "fc2"), images, strict=True)
        ],
    }
    generate(network, tmp_path, config=CONFIG)
    assert not path.with_suffix(".load.bin").exists()


def test_networks_without_weights_have_no_entropy(tmp_path: Path) -> None:
    zeros = Network(
        input_shape=(3,),
        input_type=U4,
        input_scale=1.0,
        nodes=[Linear(name="fc", weights=np.zeros((2, 3), np.int8), requantize=ShiftRound(output=U4, bias=3, shift=1))],
    )
    assert json.loads(generate(zeros, tmp_path).read_text())["weights"]["bits_over_entropy"] is None


def test_nothing_is_made_for_what_cannot_be(network: Network, tmp_path: Path) -> None:
    image = Network(
        input_shape=(1, 3, 3),
        input_type=U4,
        input_scale=1.0,
        nodes=[SumPool2d(name="sum", kernel=2), MaxPool2d(name="max", kernel=1)],
    )
    with pytest.raises(UnsupportedError):
        generate(image, tmp_path / "made")
    with pytest.raises(ValueError, match=r"^layer 'fc1' has 10 rows"):
        generate(network, tmp_path / "made", config=AcceleratorConfig(lanes=11))
    assert list(tmp_path.iterdir()) == []


def test_a_failing_disk_leaves_nothing_half_written(
    network: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    generate(network, tmp_path, config=CONFIG)
    before = contents(tmp_path)
    write_text = Path.write_text

    def full(self: Path, text: str, encoding: str) -> int:
        write_text(self, text[: len(text) // 2], encoding=encoding)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(OSError, match="No space left on device"):
        generate(network, tmp_path, config=AcceleratorConfig(lanes=1))
    assert contents(tmp_path) == before


def test_a_file_where_the_folder_should_be(network: Network, tmp_path: Path) -> None:
    (tmp_path / "made").write_text("")
    with pytest.raises(FileExistsError):
        generate(network, tmp_path / "made", config=CONFIG)
    assert (tmp_path / "made").read_text() == ""
