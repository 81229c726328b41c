"""Damaged manifests, arrays and exported models: one line each, or ``None``, and never anything else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from google.protobuf.message import DecodeError

from sterna.imports import from_arrays
from sterna.imports.export import to_qonnx
from sterna.imports.restore import restore_network
from sterna.net import FileFormatError, load

MODEL = load(Path(__file__).parents[2] / "models" / "digits-resnet.safetensors")
SIGNS = b"0123456789-.,eE[]{}\"'=\nax #_\xff\x00"
MANIFEST = """
[input]
shape = [2]
type = "s4"
scale = 0.125
range = [-7, 7]
gain = [1.0, 2.0]
[[nodes]]
name = "hidden"
kind = "linear"
weights = "w"
requantize = { kind = "thresholds", output = "u1", levels = "l" }
[metadata]
author = "somebody"
"""
COUNTS = [pytest.param(400, id="some"), pytest.param(5000, id="many", marks=pytest.mark.slow)]


def damage(rng: np.random.Generator, content: bytes, *, signs: bytes = bytes(range(256))) -> bytes:
    """One to three bytes changed, put in or taken out."""
    changed = bytearray(content)
    for _ in range(int(rng.integers(1, 4))):
        place, sign = int(rng.integers(len(changed))), signs[int(rng.integers(len(signs)))]
        new = (bytes([sign]), bytes([sign, changed[place]]), b"")[int(rng.integers(3))]
        changed[place : place + 1] = new
    return bytes(changed)


@pytest.mark.parametrize("count", COUNTS)
def test_folders(tmp_path, count):
    rng = np.random.default_rng(count)
    files = {"manifest.toml": MANIFEST.encode(), "w.csv": b"1,-1\n0,1\n", "l.csv": b"2\n-3\n"}
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    from_arrays(tmp_path)
    messages = []
    for _ in range(count):
        name = ("manifest.toml", *files)[int(rng.integers(4))]
        (tmp_path / name).write_bytes(damage(rng, files[name], signs=SIGNS))
        try:
            from_arrays(tmp_path)
        except FileFormatError as error:
            messages.append(str(error))
        (tmp_path / name).write_bytes(files[name])
    assert len(messages) > count / 2
    assert [message for message in messages if "\n" in message] == []


@pytest.mark.parametrize("count", COUNTS)
def test_models(count):
    """Most damage shows as None: what is restored is the network that was exported."""
    rng = np.random.default_rng(count)
    content = to_qonnx(MODEL).SerializeToString()
    restored = 0
    for k in range(count):
        start = len(content) - 3000 if k % 2 else 0  # the metadata, or all
        try:
            model = onnx.load_from_string(content[:start] + damage(rng, content[start:]))
        except (DecodeError, ValueError):
            continue
        network = restore_network(model)
        if network is not None:
            restored += 1
            assert network.digest == MODEL.digest
    assert restored < count / 4
