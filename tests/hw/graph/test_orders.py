"""Which orders and widths units agree upon."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from amaranth.hdl import unsigned
from bench import U4

from sterna.hw.graph.lower import lower
from sterna.hw.graph.orders import Orders
from sterna.hw.graph.stream import StreamType, whole
from sterna.hw.units.protocol import Delivery
from sterna.net import Add, Conv2d, MaxPool2d, Network, Node, ShiftRound

SHIFT = ShiftRound(output=U4, bias=0, shift=2)
BESIDE_INPUT = Add(name="sum", inputs=("a", "input"), shifts=(0, 0), requantize=SHIFT)


def conv(name: str, source: str, *, channels: int = 2, stride: int = 1) -> Conv2d:
    weights = np.ones((2, channels, 1, 1), np.int8)
    return Conv2d(name=name, inputs=(source,), weights=weights, stride=stride, requantize=SHIFT)


def orders_of(*nodes: Node, channels: int = 2, elements: int = 4) -> tuple[Orders, dict[str, Delivery]]:
    """What is agreed upon before anything is planned."""
    network = Network(input_shape=(channels, 8, 8), input_type=U4, input_scale=1.0, nodes=nodes)
    layers = lower(network)
    orders = Orders(network, layers, whole(network.input_shape, unsigned(4), elements=elements))
    return orders, {layer.name: orders.delivery(layer) for layer in layers}


def stream(shape: Sequence[int], order: tuple[int, ...], elements: int) -> StreamType:
    return StreamType(element=unsigned(4), shape=tuple(shape), order=order, elements=elements)


def delivery(nodes: Sequence[Node], name: str, *, after: dict[str, StreamType]) -> Delivery:
    """What a layer must deliver after others have chosen."""
    network = Network(input_shape=(2, 8, 8), input_type=U4, input_scale=1.0, nodes=nodes)
    layers = lower(network)
    orders = Orders(network, layers, whole(network.input_shape, unsigned(4)))
    for chosen, output in after.items():
        orders.settle(chosen, output)
    return orders.delivery(next(layer for layer in layers if layer.name == name))


def test_a_chain_is_free_but_for_its_output() -> None:
    _, found = orders_of(conv("a", "input"), conv("b", "a"))
    assert found == {"a": Delivery(), "b": Delivery(order=(0, 1), elements=1)}


def test_a_pool_at_the_end_keeps_the_order() -> None:
    _, found = orders_of(conv("a", "input"), MaxPool2d(name="pool", kernel=2))
    assert found["a"] == Delivery(order=(0, 1), elements=1, together=2)


def test_pools_behind_each_other_take_products() -> None:
    _, found = orders_of(
        conv("a", "input"), MaxPool2d(name="p", kernel=2), MaxPool2d(name="q", kernel=2), conv("b", "q")
    )
    assert found["a"] == Delivery(together=4)


def test_what_is_added_to_the_input_comes_as_the_input_does() -> None:
    _, found = orders_of(conv("a", "input"), BESIDE_INPUT, conv("b", "sum"))
    assert found["a"] == Delivery(order=(0, 1), elements=4)


BLOCK = [
    conv("stem", "input"),
    conv("a", "stem"),
    Add(name="sum", inputs=("a", "stem"), shifts=(0, 0), requantize=SHIFT),
    conv("last", "sum"),
]


def test_the_first_of_a_sum_chooses() -> None:
    assert delivery(BLOCK, "stem", after={}) == Delivery()
    chosen = stream((2, 8, 8), (1, 0), 4)
    assert delivery(BLOCK, "a", after={"stem": chosen}) == Delivery(order=(1, 0), elements=4)


def test_through_a_pool_an_order_goes_on_and_a_width_does_not() -> None:
    nodes = [
        conv("stem", "input"),
        MaxPool2d(name="pool", inputs=("stem",), kernel=2),
        conv("a", "stem", stride=2),
        Add(name="sum", inputs=("a", "pool"), shifts=(0, 0), requantize=SHIFT),
        conv("last", "sum"),
    ]
    chosen = {"stem": stream((2, 8, 8), (1, 0), 4)}
    assert delivery(nodes, "a", after=chosen) == Delivery(order=(1, 0))
    chosen["pool"] = stream((2, 4, 4), (1, 0), 2)
    assert delivery(nodes, "a", after=chosen) == Delivery(order=(1, 0), elements=2)


def test_a_width_that_a_pool_behind_cannot_take_is_not_followed() -> None:
    nodes = [*BLOCK[:2], MaxPool2d(name="pool", inputs=("a",), kernel=3), BLOCK[2], conv("b", "sum"), conv("c", "pool")]
    nodes = [
        *nodes,
        MaxPool2d(name="other", inputs=("b",), kernel=(1, 1)),
        MaxPool2d(name="third", inputs=("other",), kernel=3),
        Add(name="end", inputs=("c", "third"), shifts=(0, 0)),
    ]
    chosen = {"stem": stream((2, 8, 8), (1, 0), 4)}
    assert delivery(nodes, "a", after=chosen) == Delivery(order=(1, 0), elements=1, together=3)
