"""Where a node stands in time: before the first neuron, between neurons, or after the last.

*prefix* nodes depend on no neuron, so their value is the same at every timestep. *body* nodes act at every
timestep. *head* nodes follow the last neuron and act once, on the mean over time; so do those of the tail,
where no neuron stands (`onnx2snn.graph.tail`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from onnx2snn.graph.channels import static_dims
from onnx2snn.graph.graph import (
    Graph,
    Node,
    constant,
    is_cell,
    is_float,
    is_output,
    operands,
    rank,
)
from onnx2snn.graph.rectifiers import rectifier
from onnx2snn.graph.tail import find_tail
from onnx2snn.graph.targets import is_target
from onnx2snn.ops import CELLS
from onnx2snn.ops.standard import SHAPE_OPS, standard

Section = Literal["prefix", "body", "head"]


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


def is_neuron(node: Node) -> bool:
    """Whether the node is a neuron, or an activation that becomes one; not one that is a neuron's target."""
    if is_cell(node):
        return CELLS[node.op].kind == "neuron"
    return rectifier(node) is not None and not is_target(node)


def is_pool(graph: Graph, node: Node) -> bool:
    """Whether the node is a pool, or becomes one once its input changes over time.

    Maximum pooling of floats does whose indices nobody reads, and whose window is known.
    """
    if is_cell(node):
        return CELLS[node.op].kind == "pool"
    if node.domain or not standard(node.op).picks:
        return False
    if is_float(node.inputs[0]) is False:
        return False
    if node.op == "GlobalMaxPool":
        return static_dims(node.inputs[0], 2) is not None
    if node.op == "ReduceMax":
        return reduced_axes(node) is not None
    return not any(indices.outputs or is_output(graph, indices) for indices in node.outputs[1:])


def reduced_axes(node: Node) -> list[int] | None:
    """The axes of a reduction, all of them where it names none; None if they are not known."""
    if len(node.inputs) > 1 and not node.inputs[1].is_empty():
        values = constant(node.inputs[1])
        given = None if values is None else [int(axis) for axis in values.reshape(-1)]
    else:
        given = []
    if given or given is None:
        return given
    if node.attrs.get("noop_with_empty_axes", 0):
        return None
    dims = rank(node.inputs[0])
    return None if dims is None else list(range(dims))


def divide(graph: Graph) -> Sections:
    """Find every node's section. The graph must be sorted topologically."""
    tail = find_tail(graph)
    temporal: set[str] = set()
    dependent: set[str] = set()  # on a neuron's output, be it only on its shape
    cells: set[str] = set()
    for node in graph.nodes:
        read = [tensor.name for tensor in operands(node)]
        outputs = [tensor.name for tensor in node.outputs]
        moves = any(name in temporal for name in read)
        if node.name not in tail and (is_neuron(node) or is_cell(node) or (moves and is_pool(graph, node))):
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
