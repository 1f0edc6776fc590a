"""The order of nodes: topological, by the longest way to them, however deep the graph."""

from __future__ import annotations

import numpy as np
import pytest

from onnx2snn.graph.graph import Graph, Node, Variable, sort
from onnx2snn.graph.order import by_depth


def ladder(rng, rungs):
    """Sums of the two values before, in an order of chance."""
    values = [Variable("x", np.float32, ("N", 2)), Variable("z", np.float32, ("N", 2))]
    nodes = []
    for rung in range(rungs):
        values.append(Variable(f"v{rung}"))
        nodes.append(Node("Add", f"n{rung}", inputs=values[-3:-1], outputs=values[-1:]))
    return Graph([nodes[index] for index in rng.permutation(rungs)], values[:2], values[-1:])


def test_is_that_of_onnx_graphsurgeon(rng):
    graph = ladder(rng, 50)
    expected = [node.name for node in graph.copy().toposort().nodes]
    assert [node.name for node in sort(graph).nodes] == expected


def test_reaches_as_deep_as_graphs_are(rng):
    assert [node.name for node in sort(ladder(rng, 3000)).nodes] == [f"n{rung}" for rung in range(3000)]


def test_a_cycle_is_an_error():
    with pytest.raises(ValueError, match="depends on itself"):
        by_depth("ab", lambda item: {"a": "b", "b": "a"}[item])


def test_of_the_same_depth_what_is_met_first_comes_first():
    before = {"a": "", "b": "c", "c": "", "d": "ab"}
    assert by_depth("dabc", before.__getitem__) == ["a", "c", "b", "d"]
