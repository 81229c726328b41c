"""The pooling unit as a kind; see ``hw/units/protocol.py``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sterna.hw.graph.stream import StreamType
from sterna.hw.units.pool.layer import PoolLayer, PoolLowering
from sterna.hw.units.pool.plan import PoolPlan, plan_pool
from sterna.hw.units.protocol import Delivery
from sterna.net import ActivationType, MaxPool2d, Network, Node, SumPool2d


class Pool:
    """Plans MaxPool2d and SumPool2d nodes."""

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
    ) -> PoolPlan:
        (stream,) = inputs
        return plan_pool(layer, stream=stream)


POOL = Pool()
