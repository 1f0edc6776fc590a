"""Analog islands: what stands between neurons and is no linear operator, in maximal connected regions.

An island computes on running means, exactly, and not on spikes. Linear operators without weights that lie
between two of its nodes belong to it: a GELU written as nine nodes is one island.
"""

from __future__ import annotations

from onnx2snn.graph.graph import Graph, Node, is_cell, operands, producer
from onnx2snn.graph.linear import why_not_linear
from onnx2snn.graph.sections import Sections
from onnx2snn.ops.standard import SHAPE_OPS, WEIGHTED


def find_islands(graph: Graph, sections: Sections) -> dict[str, str]:
    """Every node that belongs to an island → the name of its island's first node.

    Args:
        graph: sorted topologically.
        sections: its sections.
    """
    members = {node.name for node in graph.nodes if is_analog(node, sections)}
    members |= _between(graph, members, sections)
    first: dict[str, str] = {}
    for node in graph.nodes:
        if node.name not in members:
            continue
        sources = [producer(tensor) for tensor in operands(node)]
        touching = {first[source.name] for source in sources if source is not None and source.name in members}
        name = next((island_name for island_name in first.values() if island_name in touching), node.name)
        first[node.name] = name
        first |= {member: name for member, island in first.items() if island in touching}
    return first


def is_analog(node: Node, sections: Sections) -> bool:
    """Whether the node stands between neurons and is not linear in what changes over time."""
    changes = any(tensor.name in sections.temporal for tensor in node.outputs)
    return (
        changes
        and sections.of[node.name] == "body"
        and node.name not in sections.cells
        and not is_cell(node)
        and why_not_linear(node, sections.temporal) is not None
    )


def _between(graph: Graph, members: set[str], sections: Sections) -> set[str]:
    """Linear nodes without weights, reached from a member and reaching one by way of such nodes only."""
    passable = {node.name for node in graph.nodes if _is_passable(node, sections)} - members
    behind: set[str] = set()
    made: set[str] = set()
    for node in graph.nodes:
        if node.name in passable and any(tensor.name in made for tensor in operands(node)):
            behind.add(node.name)
        if node.name in members or node.name in behind:
            made.update(tensor.name for tensor in node.outputs)
    between: set[str] = set()
    read: set[str] = set()
    for node in reversed(graph.nodes):
        if node.name in behind and any(tensor.name in read for tensor in node.outputs):
            between.add(node.name)
        if node.name in members or node.name in between:
            read.update(tensor.name for tensor in operands(node))
    return between


def _is_passable(node: Node, sections: Sections) -> bool:
    return (
        node.op not in WEIGHTED
        and node.op not in SHAPE_OPS
        and node.name not in sections.cells
        and sections.of[node.name] == "body"
        and any(tensor.name in sections.temporal for tensor in node.outputs)
    )
