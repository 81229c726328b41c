"""The pooling unit as a kind; see ``hw/units/protocol.py``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sterna.hw.graph.stream import StreamType, by_rows
from sterna.hw.units.pool.layer import PoolLayer, PoolLowering
from sterna.hw.units.pool.pixel_plan import PixelPoolPlan, plan_pixel_pool
from sterna.hw.units.pool.plan import PoolPlan, plan_pool
from sterna.hw.units.protocol import Delivery
from sterna.net import ActivationType, MaxPool2d, Network, Node, SumPool2d


class Pool:
    """Plans MaxPool2d and SumPool2d nodes; maxima also of a map that comes pixel by pixel."""

    name = "pool"
    makes = ("MaxPool2d", "SumPool2d")

    def lower(self, network: Network, node: Node) -> PoolLowering | None:
        input_type = network.types[node.inputs[0]]
        if not isinstance(node, (MaxPool2d, SumPool2d)) or not isinstance(input_type, ActivationType):
            return None
        return PoolLowering(node, input_type, network.shapes[node.name])

    def plan(
        self,
        layer: PoolLayer,
        *,
        inputs: Sequence[StreamType],
        lanes: int,
        delivery: Delivery,
        options: Mapping[str, Any],
        cycles: int | None = None,
    ) -> PoolPlan | PixelPoolPlan:
        (stream,) = inputs
        if stream.by_pixel and not layer.sums:
            return plan_pixel_pool(layer, stream=stream)
        return plan_pool(layer, stream=by_rows(stream, layer.name))


POOL = Pool()
