"""The addition unit as a kind; see ``hw/units/protocol.py``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sterna.hw.graph.stream import StreamType, by_rows
from sterna.hw.units.add.layer import AddLayer, AddLowering
from sterna.hw.units.add.plan import AddPlan, plan_add
from sterna.hw.units.protocol import Delivery
from sterna.net import Add, Network, Node


class Addition:
    """Plans Add nodes."""

    name = "add"
    makes = ("Add",)

    def lower(self, network: Network, node: Node) -> AddLowering | None:
        if not isinstance(node, Add):
            return None
        return AddLowering(node, tuple(network.types[name] for name in node.inputs), network.shapes[node.name][0])

    def plan(
        self,
        layer: AddLayer,
        *,
        inputs: Sequence[StreamType],
        lanes: int,
        delivery: Delivery,
        options: Mapping[str, Any],
        cycles: int | None = None,
    ) -> AddPlan:
        return plan_add(layer, streams=[by_rows(stream, layer.name) for stream in inputs])


ADD = Addition()
