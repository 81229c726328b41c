"""Sizes near and beyond the limits (docs/arithmetic.md, rule 11): exact, or refused, and never allocated."""

from __future__ import annotations

import json
import re
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from sterna.net import (
    AccumulatorType,
    ActivationType,
    Add,
    Conv2d,
    FileFormatError,
    Flatten,
    Linear,
    MaxPool2d,
    Network,
    Node,
    ShiftRound,
    SumPool2d,
    load,
)
from sterna.net.checks import MAX_ELEMENTS, shown

U1, U8 = ActivationType(1, False), ActivationType(8, False)
MOST = 2**31 - 1
ROOM = 1 << 20  # bytes


def make(*nodes: Node, shape: tuple[int, ...] = (1, 2, 2), **more: Any) -> Network:
    return Network(**{"input_shape": shape, "input_type": U8, "input_scale": 1.0, "nodes": nodes} | more)


def within_room(build: Callable[[], Any]) -> Any:
    tracemalloc.start()
    try:
        return build()
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < ROOM


@pytest.mark.parametrize("shape", [(1, 1, MOST), (MOST, 1, 1), (2, 3, 357913941), (46341, 46340, 1), (MOST,)])
def test_the_largest_maps(shape: tuple[int, ...]) -> None:
    """All figures are exact, and none takes the memory of a map."""
    nodes: list[Node] = [Add(name="twice", inputs=("input", "input"), shifts=(8, 8))]
    if len(shape) == 3:
        nodes += [SumPool2d(name="sum", kernel=shape[1:]), Flatten(name="flat")]
    network = within_room(lambda: make(*nodes, shape=shape))
    assert network.accumulators["twice"] == AccumulatorType(0, 255 << 9)
    assert network.channel_bounds("twice")[1].shape == (shape[0],)
    assert network.channel_bounds("twice")[1][-1] == 255 << 9
    if len(shape) == 3:
        assert network.output_shape == (shape[0],)
        assert network.output_type == AccumulatorType(0, (255 << 9) * shape[1] * shape[2])


def test_flatten_multiplies_exactly() -> None:
    assert Flatten(name="flat").output_shape([(2**21, 2**21, 2**22)]) == (2**64,)
    assert make(Flatten(name="flat"), shape=(1289, 1290, 1291)).output_shape == (1289 * 1290 * 1291,)


def test_a_large_window_on_a_large_map() -> None:
    """Tables of its taps would take 45 GiB."""
    network = within_room(
        lambda: make(SumPool2d(name="sum", kernel=40000, stride=1, padding=20000), shape=(1, 6000, 1), input_type=U1)
    )
    assert network.output_shape == (1, 6001, 2)
    assert network.output_type == AccumulatorType(0, 6000)
    padded = make(Conv2d(name="conv", weights=np.ones((1, 1, 2, 2), int), padding=20000), shape=(1, 1, 1))
    assert padded.accumulators["conv"] == AccumulatorType(0, 255)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: make(shape=(2**31,), nodes=[]), r"input_shape must be below 2\^31, not 2147483648"),
        (lambda: make(shape=(46341, 46341, 1)), r"the input must have fewer .*, not the shape \(46341, 46341, 1\)"),
        (lambda: make(shape=(10**5000,)), r"input_shape must be below 2\^31, not an integer of 16610 bits"),
        (
            lambda: make(SumPool2d(name="p", kernel=(1, 10**5000))),
            r"kernel of node 'p' must be below 2\^31, not an integer of 16610 bits",
        ),
        (
            lambda: make(MaxPool2d(name="p", kernel=2**20, padding=2**19)),
            r"the padded input of node 'p' must have fewer than 2\^31 elements, not the shape \(1, 1048578, 1048578\)",
        ),
        (
            lambda: make(Conv2d(name="c", weights=np.ones((2, 1, 1, 1), int)), shape=(1, 2**15, 2**15 + 1)),
            r"the output of node 'c' must have fewer than 2\^31 elements, not the shape \(2, 32768, 32769\)",
        ),
        (
            lambda: Conv2d(name="c", weights=[[[[1]]]], groups=2**31),
            r"groups of node 'c' must be below 2\^31, not 2147483648",
        ),
        (lambda: make(input_scale=10**400), r"input_scale must fit a float, not an integer of 1329 bits"),
        (lambda: make(input_scale=np.longdouble("1e-4000")), r"input_scale must be a positive number, not 0\.0"),
        (lambda: make(metadata={"a": 10**5000}), r"metadata must be what JSON can hold: Exceeds the limit .*"),
        (lambda: make(metadata={"a": nested(64)}), r"metadata must be nested at most 64 deep"),
        (lambda: make(metadata={"a": nested(99999)}), r"metadata must be what JSON can hold: maximum recursion .*"),
        (
            lambda: Linear(name="f", weights=[[1, 0], [1]]),
            r"weights of node 'f' must be an array: .* inhomogeneous .*",
        ),
    ],
)
def test_beyond(build: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        build()


def nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth - 1):
        value = [value]
    return value


def test_metadata_as_deep_as_may_be() -> None:
    assert make(Flatten(name="f"), metadata={"a": nested(62), "b": (1,)}).metadata["b"] == [1]
    assert make(Flatten(name="f"), metadata={"a": nested(63)}).metadata == {"a": nested(63)}


def test_a_shift_for_the_layer_is_spread_in_memory_only(tmp_path: Path) -> None:
    """In a file it would be as large as the header says."""
    entry = {"name": "p", "kind": "sum_pool2d", "inputs": [], "kernel": [1, 1], "stride": [1, 1], "padding": [0, 0]}
    entry["requantize"] = {"kind": "shift_round", "output": {"width": 1, "signed": False}}
    tensors = {"p.requantize.bias": np.array(0, np.int32), "p.requantize.shift": np.array(0, np.int32)}
    message = "requantize of node 'p': bias must have shape (channels,), not ()"
    refuses(tmp_path, [entry], tensors, [2**22, 1, 1], message)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([10**4000, 10**4000], "fewer than 2^31 elements, not the shape (an integer of 13288 bits, an integer of "),
        ([0, 2**70], "fewer than 2^31 elements, not the shape (0, 1180591620717411303424)"),
        ([9] * 100_000, "at most 4 sizes, not 100000"),
    ],
)
def test_sizes_of_weights(weights: list[int], message: str, tmp_path: Path) -> None:
    entry = {"name": "f", "kind": "linear", "inputs": [], "weights": weights}
    refuses(tmp_path, [entry], {"f.weights": np.zeros(1, np.uint8)}, [1], f"weights of node 'f' must have {message}")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[" * 100_000, "its header is nested too deeply"),
        ('{"version": 2, "a": ' + "9" * 5000 + "}", "its header is no JSON: Exceeds the limit"),
        ('{"version": [[[[[[[[[[]]]]]]]]]]}', "its format version is [[[[[[[...]]]]]]], and this Sterna reads "),
        ('{"version": "' + "9" * 9999 + '"}', "its format version is '999"),
    ],
)
def test_headers(text: str, message: str, tmp_path: Path) -> None:
    refused(tmp_path, text, {}, message)


def refuses(
    folder: Path, nodes: list[dict[str, Any]], tensors: dict[str, np.ndarray], shape: list[int], message: str
) -> None:
    inputs = {"shape": shape, "type": {"width": 1, "signed": False}, "scale": 1}
    header = {"version": 2, "digest": "0" * 64, "input": inputs, "nodes": nodes, "metadata": {}}
    refused(folder, json.dumps(header), tensors, message)


def refused(folder: Path, text: str, tensors: dict[str, np.ndarray], message: str) -> None:
    path = folder / "bad.safetensors"
    save_file(tensors, path, metadata={"sterna": text})
    with pytest.raises(FileFormatError, match=f"^{re.escape(f'{path}: {message}')}") as caught:
        within_room(lambda: load(path)) if len(text) < 10_000 else load(path)
    assert len(str(caught.value)) < 1000


def test_what_messages_show() -> None:
    assert MAX_ELEMENTS == MOST
    assert shown(2**255) == str(2**255)
    assert shown(-(2**256)) == "an integer of 257 bits"
    assert shown({"a": [1, None]}) == "{'a': [1, None]}"
    assert shown("\ud800") == r"'\ud800'"
    assert len(shown("x" * 10**6)) < 250
    assert len(shown([[i] * 99 for i in range(99)])) < 2000


def test_a_network_without_a_shift_a_channel_still_has_one() -> None:
    network = make(SumPool2d(name="p", kernel=2, requantize=ShiftRound(output=U1, bias=1, shift=2)), shape=(3, 2, 2))
    assert network.accumulators["p"] == AccumulatorType(3, 4 * 255 + 3)
    assert [bound.tolist() for bound in network.channel_bounds("p")] == [[0] * 3, [1020] * 3]
    assert not any(bound.flags.writeable for bound in network.channel_bounds("p"))
