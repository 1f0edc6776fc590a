"""Smooth activations, however many nodes an exporter wrote them as: functions of one tensor, elementwise."""

from __future__ import annotations

from dataclasses import dataclass

from onnx2snn.graph.graph import Graph, Node, Tensor, constant, operands, producer
from onnx2snn.ops.standard import having

#: What makes a function an activation, and not the square root of a LayerNormalization, say.
SMOOTH = having(univariate="smooth")
_ELEMENTWISE = SMOOTH | having(univariate="plain")


@dataclass(frozen=True)
class Univariate:
    """y = f(x), elementwise.

    Attributes:
        source: x.
        result: y.
        nodes: what computes y from x.
    """

    source: Tensor
    result: Tensor
    nodes: tuple[Node, ...]


def find_activations(graph: Graph) -> list[Univariate]:
    """The smooth activations of a topologically sorted graph, each as large as it can be; none overlap."""
    place = {node.name: index for index, node in enumerate(graph.nodes)}
    taken: set[str] = set()
    activations = []
    for node in reversed(graph.nodes):
        if node.name in taken or not _is_elementwise(node):
            continue
        activation = _trace(node, place)
        if activation is not None and taken.isdisjoint(part.name for part in activation.nodes):
            taken.update(part.name for part in activation.nodes)
            activations.append(activation)
    return activations[::-1]


def _trace(last: Node, place: dict[str, int]) -> Univariate | None:
    """Go back from a node, latest first, until one tensor is left that all depends on."""
    nodes: list[Node] = []
    frontier: list[Tensor] = list(last.outputs)
    while True:
        frontier.sort(key=lambda tensor: place.get(tensor.inputs[0].name, -1) if tensor.inputs else -1)
        node = producer(frontier.pop())
        if node is None or not _is_elementwise(node):
            return None
        nodes.append(node)
        frontier += [t for t in operands(node) if not any(t is other for other in frontier)]
        if len(frontier) == 1 and any(part.op in SMOOTH for part in nodes):
            return Univariate(frontier[0], last.outputs[0], tuple(nodes))
        if not frontier:
            return None


def _is_elementwise(node: Node) -> bool:
    """Whether the node works element by element, with no constants but single numbers."""
    values = [constant(tensor) for tensor in node.inputs]
    return (
        not node.domain
        and node.op in _ELEMENTWISE
        and len(node.outputs) == 1
        and all(value is None or value.size == 1 for value in values)
    )
