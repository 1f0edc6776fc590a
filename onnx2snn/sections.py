"""Where a node stands in time: before the first neuron, between neurons, or after the last.

*prefix* nodes depend on no neuron, so their value is the same at every timestep. *body* nodes act at every
timestep. *head* nodes follow the last neuron and act once, on the mean over time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from onnx2snn.graph import Graph, Node, is_cell, operands, scalar
from onnx2snn.ops import CELLS

Section = Literal["prefix", "body", "head"]

#: Operators whose output depends on the shape of their input only, never on its values.
SHAPE_OPS = frozenset({"Shape", "Size"})


@dataclass(frozen=True)
class Sections:
    """Sections of a topologically sorted graph.

    Attributes:
        of: node name → section.
        temporal: names of the tensors whose values change from timestep to timestep.
        cells: names of the stateful nodes (neurons and pools, converted or still to be converted).
    """

    of: dict[str, Section]
    temporal: frozenset[str]
    cells: frozenset[str]


def relu_ceiling(node: Node) -> float | None:
    """The c of a `Clip(0, c)`, infinity for a plain ReLU, None for a node that is neither."""
    dtype = node.inputs[0].dtype if node.inputs else None
    if node.domain not in (None, "") or (dtype is not None and np.dtype(dtype).kind != "f"):
        return None
    if node.op == "Relu":
        return float("inf")
    if node.op != "Clip":
        return None
    bounds = [scalar(tensor) for tensor in node.inputs[1:3]]
    if not bounds or bounds[0] != 0.0:
        return None
    if len(bounds) < 2 or node.inputs[2].is_empty():
        return float("inf")
    ceiling = bounds[1]
    if ceiling is None or not ceiling > 0:
        return None
    return float("inf") if ceiling >= np.finfo(np.float32).max else ceiling


def is_neuron(node: Node) -> bool:
    """Whether the node is a neuron, or a ReLU that becomes one."""
    return (is_cell(node) and CELLS[node.op].kind == "neuron") or relu_ceiling(node) is not None


def divide(graph: Graph) -> Sections:
    """Find every node's section. The graph must be sorted topologically."""
    temporal: set[str] = set()
    dependent: set[str] = set()  # on a neuron's output, be it only on its shape
    cells: set[str] = set()
    for node in graph.nodes:
        read = [tensor.name for tensor in operands(node)]
        outputs = [tensor.name for tensor in node.outputs]
        moves = any(name in temporal for name in read)
        if is_neuron(node) or is_cell(node) or (node.op in ("MaxPool", "GlobalMaxPool") and moves):
            cells.add(node.name)
            moves = True
        if moves and node.op not in SHAPE_OPS:
            temporal.update(outputs)
        if node.name in cells or any(name in dependent for name in read):
            dependent.update(outputs)
    return Sections(_sections(graph, dependent, cells), frozenset(temporal), frozenset(cells))


def _sections(graph: Graph, dependent: set[str], cells: set[str]) -> dict[str, Section]:
    sections: dict[str, Section] = {}
    before_a_cell: set[str] = set()  # tensors that some cell depends on
    for node in reversed(graph.nodes):
        in_body = node.name in cells or any(tensor.name in before_a_cell for tensor in node.outputs)
        if in_body:
            before_a_cell.update(tensor.name for tensor in operands(node))
        if not any(tensor.name in dependent for tensor in node.outputs):
            sections[node.name] = "prefix"
        else:
            sections[node.name] = "body" if in_body else "head"
    return sections
