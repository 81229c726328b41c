"""The folded convolution unit as a kind; see ``hw/units/protocol.py``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sterna.hw.graph.stream import StreamType, by_rows
from sterna.hw.units.conv.layer import ConvLayer, conv_layer
from sterna.hw.units.conv.plan import ConvPlan, plan_conv
from sterna.hw.units.convolution import lower_convolution
from sterna.hw.units.protocol import Delivery, Lowering
from sterna.net import Network, Node


class Conv:
    """Plans Conv2d nodes."""

    name = "conv"
    makes = ("Conv2d",)

    def lower(self, network: Network, node: Node) -> Lowering | None:
        return lower_convolution(network, node, conv_layer)

    def plan(
        self,
        layer: ConvLayer,
        *,
        inputs: Sequence[StreamType],
        lanes: int,
        delivery: Delivery,
        options: Mapping[str, Any],
        cycles: int | None = None,
    ) -> ConvPlan:
        (stream,) = (by_rows(each, layer.name) for each in inputs)
        mine = {name: options[name] for name in ("slack", "escape_price", "loaded", "compact")}
        return plan_conv(layer, lanes=lanes, stream=stream, delivery=delivery, cycles=cycles, **mine)


CONV = Conv()
