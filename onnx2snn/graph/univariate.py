"""Smooth activations, however many nodes an exporter wrote them as: functions of one tensor, elementwise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from onnx2snn.graph.graph import Graph, Node, Tensor, constant, is_output, operands, producer
from onnx2snn.graph.rectifiers import rectifier
from onnx2snn.ops.standard import having

#: What makes a function an activation, and not the square root of a LayerNormalization, say.
SMOOTH = having(univariate="smooth")
#: Of these what is not even continuous.
JUMPING = frozenset({"ThresholdedRelu"})
_ELEMENTWISE = SMOOTH | having(univariate="plain")

#: Nodes of the longest function that is looked for; exporters write a GELU in some ten. Without a bound,
#: looking through a chain of thousands of nodes takes hours.
MOST_NODES = 64


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
    """The smooth activations of a topologically sorted graph, each as large as it can be; none overlap.

    What jumps is none: no sum of ReLUs does.
    """
    found = _find(graph, _curves)
    return [one for one in found if not any(node.op in JUMPING for node in one.nodes)]


def find_functions(graph: Graph) -> list[Univariate]:
    """What one neuron can stand behind: as `find_activations`, but nothing is read from within.

    Products and sums of a rectifier and its own argument are among them: x·Clip(x + 3, 0, 6), a HardTanh.
    """
    return _find(graph, _bends, closed=True)


def is_elementwise(node: Node) -> bool:
    """Whether the node works element by element, with no constants but single numbers."""
    values = [constant(tensor) for tensor in node.inputs]
    return (
        not node.domain
        and node.op in _ELEMENTWISE
        and len(node.outputs) == 1
        and all(value is None or value.size == 1 for value in values)
    )


def _traits(node: Node) -> frozenset[str]:
    """What a node brings into a function."""
    found = {
        "smooth": node.op in SMOOTH,
        "joins": len({tensor.name for tensor in operands(node)}) > 1,
        "rectifies": rectifier(node) is not None,
    }
    return frozenset(trait for trait, has in found.items() if has)


def _curves(traits: set[str]) -> bool:
    return "smooth" in traits


def _bends(traits: set[str]) -> bool:
    return _curves(traits) or {"joins", "rectifies"} <= traits


def _find(graph: Graph, enough: Callable[[set[str]], bool], *, closed: bool = False) -> list[Univariate]:
    place = {node.name: index for index, node in enumerate(graph.nodes)}
    taken: set[str] = set()
    activations = []
    for node in reversed(graph.nodes):
        if node.name in taken or not is_elementwise(node):
            continue
        activation = _trace(graph, node, place, enough, closed=closed)
        if activation is not None and taken.isdisjoint(part.name for part in activation.nodes):
            taken.update(part.name for part in activation.nodes)
            activations.append(activation)
    return activations[::-1]


def _trace(
    graph: Graph, last: Node, place: dict[str, int], enough: Callable[[set[str]], bool], *, closed: bool
) -> Univariate | None:
    """Go back from a node, latest first, until one tensor is left that all depends on."""
    nodes: list[Node] = []
    traits: set[str] = set()
    frontier: list[Tensor] = list(last.outputs)
    while True:
        frontier.sort(key=lambda tensor: place.get(tensor.inputs[0].name, -1) if tensor.inputs else -1)
        tensor = frontier.pop()
        node = producer(tensor)
        if node is None or len(nodes) == MOST_NODES or not is_elementwise(node):
            return None
        if closed and nodes and (is_output(graph, tensor) or not _all_in(tensor.outputs, nodes)):
            return None
        nodes.append(node)
        traits |= _traits(node)
        frontier += [t for t in operands(node) if not any(t is other for other in frontier)]
        if len(frontier) == 1 and enough(traits):
            return Univariate(frontier[0], last.outputs[0], tuple(nodes))
        if not frontier:
            return None


def _all_in(nodes: list[Node], others: list[Node]) -> bool:
    return all(any(node is other for other in others) for node in nodes)
