"""The folded dense unit as a kind; see ``hw/units/protocol.py``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sterna.hw.graph.stream import StreamType, narrowed
from sterna.hw.units.dense.layer import DenseLayer
from sterna.hw.units.dense.plan import DensePlan, plan_dense
from sterna.hw.units.linear import lower_linear
from sterna.hw.units.protocol import Delivery, Lowering
from sterna.net import Network, Node

#: Input elements in a beat.
MOST_ELEMENTS = 64


class Dense:
    """Plans Linear nodes."""

    name = "dense"
    makes = ("Linear",)

    def lower(self, network: Network, node: Node) -> Lowering | None:
        return lower_linear(network, node, DenseLayer)

    def plan(
        self,
        layer: DenseLayer,
        *,
        inputs: Sequence[StreamType],
        lanes: int,
        delivery: Delivery,
        options: Mapping[str, Any],
        cycles: int | None = None,
    ) -> DensePlan:
        pace = cycles if options["room"] is None else None  # other weights may need another one
        (stream,) = (narrowed(each, most=MOST_ELEMENTS, cycles=pace) for each in inputs)
        mine = {name: options[name] for name in ("slack", "escape_price", "loaded", "room")}
        return plan_dense(layer, lanes=lanes, stream=stream, order=delivery.order, **mine)


DENSE = Dense()
