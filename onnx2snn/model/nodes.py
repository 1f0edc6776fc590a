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


def tensors(node: onnx.NodeProto) -> Iterator[onnx.TensorProto]:
    """The tensors that a node's attributes hold, such as the value of a Constant."""
    for attribute in node.attribute:
        if attribute.HasField("t"):
            yield attribute.t
        yield from attribute.tensors
        for sparse in [attribute.sparse_tensor] if attribute.HasField("sparse_tensor") else []:
            yield from (sparse.values, sparse.indices)


def label(node: onnx.NodeProto) -> str:
    """How a message speaks of a node: by its name, else by what it makes."""
    return f"node '{node.name or next(iter(node.output), '')}' ({node.op_type})"
