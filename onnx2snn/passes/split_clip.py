"""Clip(x, a, b), Max(x, a), Min(x, b) → rectifiers and constants."""

from __future__ import annotations

import numpy as np

from onnx2snn.graph.graph import (
    Constant,
    Graph,
    Node,
    Tensor,
    Variable,
    constant,
    is_float,
    producer,
    rank,
    scalar,
    tidy,
    unique_name,
)
from onnx2snn.graph.linear import before_weights
from onnx2snn.graph.rectifiers import clip_bounds, rectifier
from onnx2snn.passes.base import Context, Pass

_INFINITE = float("inf")


class SplitClip(Pass):
    """Write a hidden activation that saturates at other values than zero as rectifiers.

    Cases:
        1. Clip(x, a, b) with a < 0 < b (HardTanh) → Clip(x, 0, b) - Clip(-x, 0, -a): silent around zero.
        2. Clip(x, a, b) with 0 < a → a + Clip(x - a, 0, b - a); with b ≤ 0 → b - Clip(b - x, 0, b - a).
        3. Max(x, a) and Min(x, b) with a scalar: the same with an infinite bound.
        4. Keeps what no weights follow, which is exact after the last neuron, what bounds a graph input, and
           bounds that cross, which make a constant.
    """

    requires = frozenset({"rectifiers_normal"})
    ensures = frozenset({"clips_split"})

    def run(self, graph: Graph, context: Context) -> bool:
        """See `Pass.run`."""
        weighty = before_weights(graph)
        changed = False
        for node in list(graph.nodes):
            bounds = _bounds(node)
            if bounds is None or rectifier(node) is not None:
                continue
            source = next(tensor for tensor in node.inputs if constant(tensor) is None)
            if node.outputs[0].name not in weighty or producer(source) is None:
                continue
            if bounds[0] < bounds[1] and not all(map(np.isinf, bounds)):
                _split(graph, node, source, *bounds)
                changed = True
        if changed:
            tidy(graph)
        del context
        return changed


def _bounds(node: Node) -> tuple[float, float] | None:
    """Lower and upper bound of a Clip, Max or Min of one float activation and constant scalars."""
    if node.domain or not node.outputs or not is_float(node.outputs[0]):
        return None
    if node.op == "Clip":
        return clip_bounds(node)
    if node.op not in ("Max", "Min") or len(node.inputs) != 2:
        return None
    for tensor, other in (node.inputs, node.inputs[::-1]):
        value = scalar(tensor)
        if value is not None and constant(other) is None and (rank(tensor) or 0) <= (rank(other) or 0):
            return (value, _INFINITE) if node.op == "Max" else (-_INFINITE, value)
    return None


def _split(graph: Graph, node: Node, source: Tensor, low: float, high: float) -> None:
    maker = _Maker(graph, node)
    result = node.outputs[0]
    node.outputs.clear()
    if low < 0 < high:
        positive = maker.clip(source, high)
        below = maker.apply("Neg", "negated", source)
        negative = maker.clip(below, -low, f"{node.name}/negative")
        graph.nodes.append(Node("Sub", maker.name("difference"), {}, [positive, negative], [result]))
    elif low >= 0:
        above = maker.apply("Sub", "above", source, maker.number(low))
        clipped = maker.clip(above, high - low)
        graph.nodes.append(Node("Add", maker.name("raised"), {}, [clipped, maker.number(low)], [result]))
    else:
        below = maker.apply("Sub", "below", maker.number(high), source)
        clipped = maker.clip(below, high - low)
        graph.nodes.append(Node("Sub", maker.name("lowered"), {}, [maker.number(high), clipped], [result]))


class _Maker:
    """Makes nodes named after the one that they replace; the rectifier keeps its name."""

    def __init__(self, graph: Graph, node: Node) -> None:
        self._graph, self._node = graph, node
        self._like = node.outputs[0]
        self._bounds = 0

    def name(self, part: str) -> str:
        return unique_name(self._graph, f"{self._node.name}/{part}")

    def number(self, value: float) -> Constant:
        self._bounds += 1  # bounds that no node reads yet are not in the graph for `unique_name` to see
        return Constant(self.name(f"bound_{self._bounds}"), np.asarray(value, self._like.dtype))

    def apply(self, op: str, part: str, *inputs: Tensor) -> Variable:
        result = Variable(self.name(part), self._like.dtype, self._like.shape)
        self._graph.nodes.append(Node(op, result.name, {}, list(inputs), [result]))
        return result

    def clip(self, source: Tensor, ceiling: float, name: str = "") -> Variable:
        """Clip(source, 0, ceiling), as the node itself unless another name is given."""
        result = Variable(self.name("clipped"), self._like.dtype, self._like.shape)
        node = self._node
        if name:
            node = Node("Relu", unique_name(self._graph, name))
            self._graph.nodes.append(node)
        node.op, node.attrs = ("Relu", {}) if np.isinf(ceiling) else ("Clip", {})
        bounds = [] if np.isinf(ceiling) else [self.number(0.0), self.number(ceiling)]
        node.inputs, node.outputs = [source, *bounds], [result]
        return result
