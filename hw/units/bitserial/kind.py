"""The bit-serial unit as a kind; see ``hw/units/protocol.py``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sterna.hw.graph.stream import StreamType
from sterna.hw.units.bitserial.layer import BitserialLayer
from sterna.hw.units.bitserial.plan import BitserialPlan, plan_bitserial
from sterna.hw.units.convolution import lower_convolution
from sterna.hw.units.linear import lower_linear
from sterna.hw.units.protocol import Delivery, Lowering
from sterna.net import Network, Node


class Bitserial:
    """Plans Linear and Conv2d nodes."""

    name = "bitserial"
    makes = ("Linear", "Conv2d")

    def lower(self, network: Network, node: Node) -> Lowering | None:
        return lower_linear(network, node, BitserialLayer) or lower_convolution(network, node, BitserialLayer)

    def plan(
        self,
        layer: BitserialLayer,
        *,
        inputs: Sequence[StreamType],
        lanes: int,
        delivery: Delivery,
        options: Mapping[str, Any],
        cycles: int | None = None,
    ) -> BitserialPlan:
        (stream,) = inputs
        return plan_bitserial(layer, stream=stream, order=delivery.order, lanes=lanes)


BITSERIAL = Bitserial()
