"""What units that compute one node of the network have in common."""

from __future__ import annotations

from typing import Any


class OneNode:
    """Part of such a unit: it is called as its node is; see :class:`~sterna.hw.units.protocol.Unit`.

    Attributes
    ----------
    layer
        What is computed, with the node's name.
    """

    layer: Any

    @property
    def name(self) -> str:
        return str(self.layer.name)

    @property
    def nodes(self) -> tuple[str, ...]:
        return (self.name,)
