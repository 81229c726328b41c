"""What becomes of every node of a model, said before anything is made of it."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from sterna.imports.node import GraphNode
from sterna.net.checks import shown


class Fate(enum.StrEnum):
    """What becomes of a node."""

    KEPT = "kept"
    FOLDED = "folded"
    LEFT_OUT = "left out"
    REFUSED = "refused"
    BEHIND = "behind a refused node"


@dataclass(frozen=True, kw_only=True)
class Row:
    """One node of the original graph, and what becomes of it.

    Parameters
    ----------
    node, operator : str
    fate : Fate
    detail : str
        What it is kept as, what it is folded into, or why it is refused and what helps.
    """

    node: str
    operator: str
    fate: Fate
    detail: str


@dataclass(kw_only=True)
class Preflight:
    """Every node of a model, and what is worth knowing about the import; filled while the graph is folded."""

    rows: list[Row] = field(default_factory=list)
    input: dict[str, Any] = field(default_factory=dict)
    scores: dict[str, Any] = field(default_factory=dict)
    layers: dict[str, dict[str, Any]] = field(default_factory=dict)

    def add(self, node: GraphNode, fate: Fate, detail: str) -> None:
        """Say what becomes of a node."""
        self.rows.append(Row(node=node.name, operator=node.operator, fate=fate, detail=detail))

    @property
    def refused(self) -> list[Row]:
        """The nodes that stop the import."""
        return [row for row in self.rows if row.fate is Fate.REFUSED]

    def summary(self) -> str:
        """The first refusal in one line, with the number of the others."""
        first, *others = self.refused
        more = f" (and {len(others)} more: see the table of --dry-run)" if others else ""
        operator = first.operator if first.operator.isprintable() else shown(first.operator)
        return f"node {shown(first.node)} ({operator}): {first.detail}{more}"

    def as_json(self) -> dict[str, Any]:
        """Everything, for JSON."""
        return {
            "nodes": [{**asdict(row), "fate": str(row.fate)} for row in self.rows],
            "input": self.input,
            "scores": self.scores,
            "layers": self.layers,
        }

    def in_order(self, nodes: Iterable[GraphNode]) -> None:
        """Sort the rows as the nodes stand in the graph."""
        places = {node.name: index for index, node in enumerate(nodes)}
        self.rows.sort(key=lambda row: places.get(row.node, len(places)))
