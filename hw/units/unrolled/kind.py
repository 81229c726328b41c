"""The unrolled unit as a kind; see ``hw/units/protocol.py``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sterna.hw.graph.stream import StreamType
from sterna.hw.units.convolution import lower_convolution
from sterna.hw.units.linear import lower_linear
from sterna.hw.units.protocol import Delivery, Lowering
from sterna.hw.units.unrolled.layer import UnrolledLayer
from sterna.hw.units.unrolled.plan import UnrolledPlan, plan_unrolled
from sterna.net import Network, Node


class Unrolled:
    """Plans Linear and Conv2d nodes."""

    name = "unrolled"
    makes = ("Linear", "Conv2d")

    def lower(self, network: Network, node: Node) -> Lowering | None:
        return lower_linear(network, node, UnrolledLayer) or lower_convolution(network, node, UnrolledLayer)

    def plan(
        self,
        layer: UnrolledLayer,
        *,
        inputs: Sequence[StreamType],
        lanes: int,
        delivery: Delivery,
        options: Mapping[str, Any],
        cycles: int | None = None,
    ) -> UnrolledPlan:
        (stream,) = inputs
        return plan_unrolled(layer, stream=stream, order=delivery.order, adder_levels=options["adder_levels"])


UNROLLED = Unrolled()
