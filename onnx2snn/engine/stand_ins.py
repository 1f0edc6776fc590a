"""Whether native kernels may stand in for the functions of a model.

A file brings its own function bodies, and anybody may have written it. A kernel does what the body of the
same name does in this version; where a file has another, that one is what runs. Nor may a file use what the
kernels understand beyond their functions: that belongs to graphs which `onnx2snn.engine.blocked` makes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import onnx

from onnx2snn.engine.blocked import BLOCK, RECTIFIED, REPEATS
from onnx2snn.ops import CELLS, DOMAIN

_OWN = {BLOCK, RECTIFIED, REPEATS}


def why_not(model: onnx.ModelProto) -> str:
    """What forbids it, in a few words; empty where nothing does."""
    for function in model.functions:
        cell = CELLS.get(function.name) if function.domain == DOMAIN else None
        if cell is not None and cell.native and not _are_alike(function, cell.function):
            return f"its {function.name} has a body of its own"
    for node in _all_nodes(model.graph.node):
        cell = CELLS.get(node.op_type) if node.domain == DOMAIN else None
        if cell is None or not cell.native:
            continue
        function, own = cell.function, _OWN.intersection(item.name for item in node.attribute)
        if own or len(node.input) > len(function.input) or len(node.output) > len(function.output):
            return f"node '{node.name}' has more than {node.op_type} takes"
    return ""


def _are_alike(one: onnx.FunctionProto, other: onnx.FunctionProto) -> bool:
    """Whether two functions compute the same in the same way."""
    parts = ("input", "output", "attribute", "attribute_proto", "node", "opset_import")
    return all(list(getattr(one, part)) == list(getattr(other, part)) for part in parts)


def _all_nodes(nodes: Iterable[onnx.NodeProto]) -> Iterator[onnx.NodeProto]:
    """Those inside of Loops as well."""
    for node in nodes:
        yield node
        for attribute in node.attribute:
            yield from _all_nodes(attribute.g.node)
