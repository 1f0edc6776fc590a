"""The shapes that exporters give a rectifier → Relu or Clip(0, c)."""

from __future__ import annotations

from typing import TypeGuard

import numpy as np

from onnx2snn.graph.graph import (
    Array,
    Constant,
    Graph,
    Node,
    Tensor,
    constant,
    producer,
    rank,
    sole_consumer,
    tidy,
    unique_name,
)
from onnx2snn.graph.rectifiers import Rectifier, clip_bounds, rectifier
from onnx2snn.passes.base import Context, Pass


class NormalizeRelu(Pass):
    """Write every rectifier as Relu(x) or Clip(x, 0, c).

    Cases:
        1. Max(x, 0) → Relu(x).
        2. Clip(x, 0, ∞) → Relu(x); LeakyRelu with alpha 0 → Relu(x).
        3. Min(c, r), Clip(r, b, c) or Relu(r) behind a rectifier r that nothing else reads, with
           b ≤ 0 < c → Clip(x, 0, c) with the smaller of both ceilings.
        4. Keeps anything else as it is.
    """

    requires = frozenset({"identities_removed"})
    ensures = frozenset({"rectifiers_normal"})

    def run(self, graph: Graph, context: Context) -> bool:
        """See `Pass.run`."""
        changed = False
        for node in graph.nodes:
            changed |= _write_plainly(node)
            changed |= _merge_into_rectifier(graph, node, context)
        if changed:
            tidy(graph)
        return changed


def _write_plainly(node: Node) -> bool:
    if node.op == "Max" and len(node.inputs) == 2:
        values = [constant(tensor) for tensor in node.inputs]
        for index, value in enumerate(values):
            other = node.inputs[1 - index]
            if values[1 - index] is None and _is_scalar(value, other) and not value.any():
                node.op, node.inputs = "Relu", [other]
                return True
    elif (node.op == "LeakyRelu" and node.attrs.get("alpha", 0.01) == 0) or (
        node.op == "Clip" and rectifier(node) == Rectifier()
    ):
        node.op, node.inputs = "Relu", node.inputs[:1]
        node.attrs.clear()
        return True
    return False


def _merge_into_rectifier(graph: Graph, node: Node, context: Context) -> bool:
    bounded = _bounded_operand(node)
    if bounded is None:
        return False
    index, ceiling = bounded
    inner = producer(node.inputs[index])
    if inner is None or sole_consumer(graph, node.inputs[index]) is None:
        return False
    kind = rectifier(inner)
    if kind is None or kind.slope is not None or kind.step is not None:
        return False
    lowest, source = min(kind.ceiling, ceiling), inner.inputs[0]
    context.note(inner.name, inner.op, "folded", f"merged into the rectifier '{node.name}'")
    inner.inputs.clear()
    if np.isinf(lowest):
        node.op, node.inputs = "Relu", [source]
    else:
        dtype = source.dtype or np.float32
        bounds = [
            Constant(unique_name(graph, f"{node.name}/{name}"), np.asarray(value, dtype=dtype))
            for name, value in (("min", 0.0), ("max", lowest))
        ]
        node.op, node.inputs = "Clip", [source, *bounds]
    node.attrs.clear()
    return True


def _bounded_operand(node: Node) -> tuple[int, float] | None:
    """Which operand the node bounds from above (and not above zero from below), and by how much."""
    if node.op == "Relu":
        return 0, float("inf")
    if node.op == "Min" and len(node.inputs) == 2:
        for index in (0, 1):
            ceiling = constant(node.inputs[1 - index])
            if _is_scalar(ceiling, node.inputs[index]) and float(ceiling.item()) > 0:
                return index, float(ceiling.item())
    if node.op == "Clip":
        low, high = clip_bounds(node) or (np.nan, np.nan)
        if low <= 0 < high:
            return 0, high
    return None


def _is_scalar(value: Array | None, other: Tensor) -> TypeGuard[Array]:
    """Whether a constant is one number that leaves the shape of `other` alone when it broadcasts with it."""
    return value is not None and value.size == 1 and value.ndim <= max(1, rank(other) or 0)
