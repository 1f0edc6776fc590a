"""The tail: what follows an operator whose output's shape depends on activations, as in suppressing boxes.

It stays behind the read-out as it is, and acts once, on what neurons have sent in all: a neuron in it would
have another shape in every timestep.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
import numpy.typing as npt

from onnx2snn.graph.control import depends_on_data
from onnx2snn.graph.graph import Graph, Node, has_layers, is_cell, is_flow, operands
from onnx2snn.graph.linear import REARRANGES, why_not_linear
from onnx2snn.graph.rectifiers import rectifier
from onnx2snn.ops.standard import SHAPE_OPS, WEIGHTED, standard

Array = npt.NDArray[Any]


def find_tail(graph: Graph, activations: Collection[str] = ()) -> frozenset[str]:
    """Names of the nodes in the tail of a topologically sorted graph, before conversion or behind it.

    Args:
        graph: the graph.
        activations: tensors that are activations beside those that its nodes make.
    """
    activations = set(activations)
    inside: set[str] = set()
    given: set[str] = set()
    for node in graph.nodes:
        read = {tensor.name for tensor in operands(node)}
        moving = not read.isdisjoint(activations)
        if not read.isdisjoint(given) or (moving and is_shaped_by(node, activations)):
            inside.add(node.name)
            given.update(tensor.name for tensor in node.outputs)
        elif node.op not in SHAPE_OPS and (moving or (read and _activates(node))):
            activations.update(tensor.name for tensor in node.outputs)
    return frozenset(inside)


def first_of_tail(graph: Graph) -> list[Node]:
    """The operators that the tail begins with."""
    tail = find_tail(graph)
    within = {tensor.name for node in graph.nodes if node.name in tail for tensor in node.outputs}
    beginning = (node for node in graph.nodes if node.name in tail)
    return [node for node in beginning if all(tensor.name not in within for tensor in operands(node))]


def is_shaped_by(node: Node, changing: Collection[str]) -> bool:
    """Whether tensors that change, which a node reads, give the shape of its output, or the way it takes."""
    record = standard(node.op)
    if node.domain:
        return False
    if is_flow(node):
        return depends_on_data(node, changing)
    if record.value_shaped:
        return any(tensor.name in changing for tensor in operands(node))
    return bool(record.linear) and not record.indexes and why_not_linear(node, changing) == REARRANGES


def _activates(node: Node) -> bool:
    weighted = not node.domain and node.op in WEIGHTED
    return weighted or has_layers(node) or is_cell(node) or rectifier(node) is not None


def filled_up(*values: Array) -> list[Array]:
    """Arrays of one rank as float64 of one shape: where a tail gives fewer rows, zeros stand for others."""
    wide = [array.astype(np.float64) for array in values]
    if len({array.shape for array in wide}) == 1:
        return wide
    most = np.max([array.shape for array in wide], axis=0).tolist()
    return [np.pad(a, [(0, end - size) for end, size in zip(most, a.shape, strict=True)]) for a in wide]
