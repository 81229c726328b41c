"""The folded convolution unit as a kind; see ``hw/units/protocol.py``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sterna.hw.graph.stream import StreamType
from sterna.hw.units.conv.layer import ConvLayer, ConvLowering
from sterna.hw.units.conv.plan import ConvPlan, plan_conv
from sterna.hw.units.protocol import Delivery
from sterna.net import ActivationType, Conv2d, Network, Node


class Conv:
    """Plans Conv2d nodes."""

    name = "conv"
    makes = ("Conv2d",)

    def lower(self, network: Network, node: Node) -> ConvLowering | None:
        if not isinstance(node, Conv2d):
            return None
        input_type = network.types[node.inputs[0]]
        assert isinstance(input_type, ActivationType)  # held by Network
        return ConvLowering(node, input_type, network.shapes[node.inputs[0]])

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
        (stream,) = inputs
        mine = {name: options[name] for name in ("slack", "escape_price", "loaded", "compact")}
        return plan_conv(layer, lanes=lanes, stream=stream, delivery=delivery, cycles=cycles, **mine)


CONV = Conv()
