"""Max(a, b, …), GlobalMaxPool of unknown size → ReduceMax."""

from __future__ import annotations

import numpy as np

from onnx2snn.graph.channels import static_dims
from onnx2snn.graph.graph import (
    Constant,
    Graph,
    Node,
    Variable,
    constant,
    is_float,
    rank,
    tidy,
    unique_name,
)
from onnx2snn.graph.sections import divide
from onnx2snn.passes.base import Context, Pass


class NormalizePool(Pass):
    """Write the maximum over branches or over all positions as ReduceMax, which becomes lateral inhibition.

    Cases:
        1. Max(a, b, …) of branches of one shape between neurons → ReduceMax(Concat) over a new last axis.
        2. GlobalMaxPool whose input's size is not known → ReduceMax over the spatial axes.
        3. Keeps a Max of branches that broadcast, and one that depends on no neuron or follows the last.
    """

    requires = frozenset({"rectifiers_normal", "clips_split"})
    ensures = frozenset({"pools_normal"})

    def run(self, graph: Graph, context: Context) -> bool:
        """See `Pass.run`."""
        del context
        sections = divide(graph)
        changed = False
        for node in list(graph.nodes):
            if node.domain or sections.of[node.name] != "body":
                continue
            dims = rank(node.inputs[0]) if node.inputs else None
            if node.op == "GlobalMaxPool" and dims is not None and static_dims(node.inputs[0], 2) is None:
                _reduce(graph, node, node.inputs[0], range(2, dims), keepdims=1)
                changed = True
            elif node.op == "Max" and _is_of_branches(node):
                _stack(graph, node)
                changed = True
        if changed:
            tidy(graph)
        return changed


def _is_of_branches(node: Node) -> bool:
    shapes = [tensor.shape for tensor in node.inputs]
    if not is_float(node.outputs[0]) or len(shapes) < 2:
        return False
    known = all(shape is not None and None not in shape for shape in shapes)
    return known and all(list(shape) == list(shapes[0]) for shape in shapes)


def _stack(graph: Graph, node: Node) -> None:
    axis = len(node.inputs[0].shape)
    parts: list[Variable | Constant] = []
    for tensor in node.inputs:
        value = constant(tensor)
        if value is not None:
            parts.append(Constant(unique_name(graph, f"{tensor.name}/branch"), value[..., None]))
            continue
        where = Constant(unique_name(graph, f"{node.name}/axis"), np.asarray([axis]))
        shape = [*tensor.shape, 1]
        part = Variable(unique_name(graph, f"{node.name}/branch"), tensor.dtype, shape)
        graph.nodes.append(Node("Unsqueeze", part.name, {}, [tensor, where], [part]))
        parts.append(part)
    shape = [*node.inputs[0].shape, len(parts)]
    stacked = Variable(unique_name(graph, f"{node.name}/branches"), node.outputs[0].dtype, shape)
    graph.nodes.append(Node("Concat", stacked.name, {"axis": axis}, parts, [stacked]))
    _reduce(graph, node, stacked, [axis], keepdims=0)


def _reduce(graph: Graph, node: Node, source: Variable, axes: range | list[int], keepdims: int) -> None:
    over = Constant(unique_name(graph, f"{node.name}/axes"), np.asarray(list(axes), np.int64))
    node.op, node.attrs, node.inputs = "ReduceMax", {"keepdims": keepdims}, [source, over]
