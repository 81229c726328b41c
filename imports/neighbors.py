"""What stands behind a tensor of a graph, up to the next weight layers and quantizers."""

from __future__ import annotations

from sterna.imports.graph import Graph
from sterna.imports.node import GraphNode
from sterna.imports.quantizers import QUANTIZERS

WEIGHTS = {"Conv", "Gemm", "MatMul"}


class Neighbors:
    """The nodes of a graph by the tensors that they take.

    Parameters
    ----------
    graph : Graph
    """

    def __init__(self, graph: Graph) -> None:
        self._outputs = set(graph.outputs)
        self._consumers: dict[str, list[GraphNode]] = {}
        for node in graph.nodes:
            for name in dict.fromkeys(node.inputs):
                self._consumers.setdefault(name, []).append(node)

    def consumers(self, tensor: str) -> list[GraphNode]:
        """The nodes that take a tensor."""
        return self._consumers.get(tensor, [])

    def only_consumer(self, tensor: str) -> GraphNode | None:
        """The one node that takes a tensor; ``None`` where there are others, or it is an output of the graph."""
        consumers = self.consumers(tensor)
        return consumers[0] if len(consumers) == 1 and tensor not in self._outputs else None

    def behind(self, node: GraphNode) -> list[GraphNode]:
        """All nodes that depend on a node, the nearest first."""
        found: dict[str, GraphNode] = {}
        waiting = list(node.outputs)
        while waiting:
            for consumer in self.consumers(waiting.pop(0)):
                if consumer.name not in found:
                    found[consumer.name] = consumer
                    waiting.extend(consumer.outputs)
        return list(found.values())

    def reached(self, tensor: str) -> list[GraphNode]:
        """The nodes behind a tensor up to weight layers and quantizers, these included."""
        found: dict[str, GraphNode] = {}
        waiting = [tensor]
        while waiting:
            for node in self.consumers(waiting.pop()):
                if node.name not in found:
                    found[node.name] = node
                    if node.operator not in WEIGHTS and node.operator not in QUANTIZERS:
                        waiting.extend(node.outputs)
        return list(found.values())

    def needs_zero(self, tensor: str) -> bool:
        """Whether a code for 0 is needed behind a tensor, so that a bit is not enough for -1 and 1.

        So it is where it is padded, and before scores, whose rows would be half a step apart.
        """
        reached = self.reached(tensor)
        return any(_is_padded(node) for node in reached) or any(
            not self._is_quantized(output) for node in reached if node.operator in WEIGHTS for output in node.outputs
        )

    def _is_quantized(self, tensor: str) -> bool:
        """Whether quantizers stand between a tensor and all outputs."""
        reached = self.reached(tensor)
        seen = {tensor, *(name for node in reached for name in node.outputs)}
        ends = {name for node in reached if node.operator in QUANTIZERS for name in node.outputs}
        return not (seen - ends) & self._outputs


def _is_padded(node: GraphNode) -> bool:
    if node.operator == "Pad":
        return True
    if node.operator not in ("Conv", "AveragePool"):
        return False
    return any(node.integers("pads", (0, 0, 0, 0))) or node.text("auto_pad", "NOTSET").startswith("SAME")
