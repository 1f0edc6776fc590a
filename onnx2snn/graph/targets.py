"""Where graded neurons stand: the targets that the sums of their spikes approach."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal

from onnx2snn.graph.graph import (
    Graph,
    Node,
    Tensor,
    constant,
    has_layers,
    is_cell,
    is_float,
    is_output,
    operands,
    producer,
    sole_consumer,
)
from onnx2snn.graph.linear import before_weights
from onnx2snn.graph.rectifiers import rectifier
from onnx2snn.graph.tail import find_tail
from onnx2snn.graph.univariate import MOST_NODES, Univariate, find_functions, is_elementwise
from onnx2snn.ops import CELLS
from onnx2snn.ops.standard import COPIES, SHAPE_OPS, WEIGHTED, passes_spikes, standard

#: What arrives in a tensor: spikes of neurons, or values that weights or an island have made.
_Arriving = Literal["spikes", "values"]


@dataclass(frozen=True)
class Target:
    """One target.

    Attributes:
        source: what the activation is a function of; the tensor itself where there is none.
        tensor: what the neurons behind it send in spikes.
        nodes: the activation, its last node last; empty where there is none.
    """

    source: Tensor
    tensor: Tensor
    nodes: tuple[Node, ...] = ()


def find_targets(graph: Graph) -> list[Target]:
    """The targets of a topologically sorted graph, in its order.

    Cases:
        1. A rectifier, also a leaky, a bounded or a quantised one.
        2. Any other function of one tensor that weights follow, however many nodes it has: behind the last
           weights it is computed once, exactly.
        3. What weights read, or what a gate multiplies, where other weights or an island have made it: a
           linear bottleneck, a normalisation, queries and keys.
    """
    tail = find_tail(graph)
    activations = _activations(graph, tail)
    inside = {node.name for target in activations.values() for node in target.nodes[:-1]}
    found = list(activations.values())
    arriving: dict[str, _Arriving] = {}
    weighty = before_weights(graph)
    for node in graph.nodes:
        if node.op in SHAPE_OPS or node.name in inside or node.name in tail:
            continue
        if node.name in activations or is_cell(node):
            arriving[node.outputs[0].name] = "spikes"
            continue
        for tensor in [*_multiplied(node, arriving), *_gated(node, arriving, weighty)]:
            for place in _places(graph, tensor, arriving):
                found.append(Target(place, place))
                arriving[place.name] = "spikes"
            arriving[tensor.name] = "spikes"
        arrived = _arrived(node, arriving)
        if arrived is not None:
            arriving.update({tensor.name: arrived for tensor in node.outputs})
    order = {t.name: number for number, t in enumerate(t for node in graph.nodes for t in node.outputs)}
    return sorted(found, key=lambda target: order[target.tensor.name])


def neuron_name(target: Target) -> str:
    """Name of the neuron behind a target."""
    return f"{target.nodes[-1].name if target.nodes else target.tensor.name}/neuron"


def is_target(node: Node) -> bool:
    """Whether a graded neuron stands behind the node, or behind the function that it is a part of."""
    pending, met = [node], {id(node): node}
    while pending:
        part = pending.pop()
        if any(is_graded(tensor) for tensor in part.outputs):
            continue
        readers = [reader for tensor in part.outputs for reader in tensor.outputs]
        if not readers or len(met) > MOST_NODES or not all(map(is_elementwise, (part, *readers))):
            return False
        pending += [reader for reader in readers if id(reader) not in met]
        met |= {id(reader): reader for reader in readers}
    return True


def is_graded(tensor: Tensor) -> bool:
    """Whether a graded neuron reads the tensor."""
    return any(is_cell(reader) and CELLS[reader.op].sums for reader in tensor.outputs)


def _activations(graph: Graph, tail: Collection[str]) -> dict[str, Target]:
    """Activations by the name of their last node."""
    weighty = before_weights(graph)
    functions: dict[str, Univariate] = {
        activation.nodes[0].name: activation
        for activation in find_functions(graph)
        if activation.result.name in weighty and activation.nodes[0].name not in tail
    }
    inside = {node.name for activation in functions.values() for node in activation.nodes}
    targets = {
        name: Target(activation.source, activation.result, activation.nodes[::-1])
        for name, activation in functions.items()
    }
    for node in graph.nodes:
        if node.name in inside or node.name in tail or is_cell(node):
            continue
        if rectifier(node) is not None:
            targets[node.name] = Target(node.inputs[0], node.outputs[0], (node,))
    return targets


def _multiplied(node: Node, arriving: Mapping[str, _Arriving]) -> list[Tensor]:
    """The inputs of a node that weights, or each other, multiply, and that bring values."""
    if node.domain or node.op not in WEIGHTED:
        return []
    return [t for t in node.inputs[:2] if arriving.get(t.name) == "values" and is_float(t) is not False]


def _gated(node: Node, arriving: Mapping[str, _Arriving], weighty: Collection[str]) -> list[Tensor]:
    """What a gate multiplies, or a gate itself, where it brings values and the other factor spikes."""
    given = [arriving.get(tensor.name) for tensor in node.inputs]
    if node.op != "Mul" or set(given) != {"spikes", "values"} or node.outputs[0].name not in weighty:
        return []
    return [tensor for tensor, what in zip(node.inputs, given, strict=True) if what == "values"]


def _places(graph: Graph, tensor: Tensor, arriving: Mapping[str, _Arriving]) -> list[Tensor]:
    """Where neurons stand so that a tensor brings spikes: before what only moves it, in each part of it."""
    node = producer(tensor)
    if node is None or arriving.get(tensor.name) != "values":
        return []
    alone = sole_consumer(graph, tensor) is not None and not is_output(graph, tensor)
    moved = [t for t in operands(node) if t.name in arriving]
    if alone and node.op == "Concat":
        return [place for part in moved for place in _places(graph, part, arriving)]
    if alone and standard(node.op).moves and len(moved) == 1 and node.op != "Gather":
        return _places(graph, moved[0], arriving)
    return [tensor]


def _arrived(node: Node, arriving: Mapping[str, _Arriving]) -> _Arriving | None:
    """What a node hands on; None for what depends on no weights yet."""
    given = {arriving[tensor.name] for tensor in operands(node) if tensor.name in arriving}
    multiplies = node.op in WEIGHTED or has_layers(node)
    if multiplies and any(constant(tensor) is None for tensor in node.inputs):
        return "values"
    if not given or "values" in given:
        return "values" if given else None
    moving = [tensor.name in arriving for tensor in node.inputs]
    passes = passes_spikes(node.op, moving, node.attrs.get("mode", COPIES)) or standard(node.op).picks
    return "spikes" if passes else "values"
