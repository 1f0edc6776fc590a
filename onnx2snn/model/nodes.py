"""Nodes of a model, wherever they stand: in a graph, or in the bodies of loops and branches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import onnx


def nested(nodes: Iterable[onnx.NodeProto]) -> Iterator[onnx.NodeProto]:
    """Nodes, each before those of the subgraphs that its attributes hold."""
    for node in nodes:
        yield node
        for graph in subgraphs(node):
            yield from nested(graph.node)


def subgraphs(node: onnx.NodeProto) -> Iterator[onnx.GraphProto]:
    """The graphs that a node's attributes hold."""
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.g
        yield from attribute.graphs


def label(node: onnx.NodeProto) -> str:
    """How a message speaks of a node: by its name, else by what it makes."""
    return f"node '{node.name or next(iter(node.output), '')}' ({node.op_type})"
