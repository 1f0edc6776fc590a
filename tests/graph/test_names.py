"""Names that differ from all that a graph has or had."""

from __future__ import annotations

from onnx2snn.graph.graph import Graph, Node, Variable, unique_name
from onnx2snn.graph.names import Names


def chain(*names):
    values = [Variable(f"{name}/in") for name in (*names, "end")]
    nodes = [
        Node("Neg", name, inputs=values[i : i + 1], outputs=values[i + 1 : i + 2])
        for i, name in enumerate(names)
    ]
    return Graph(nodes, values[:1], values[-1:])


def test_differ_from_nodes_values_and_each_other():
    graph = chain("a")
    assert unique_name(graph, "b") == "b"
    assert [unique_name(graph, name) for name in ("a", "a/in", "end/in", "b")] == [
        "a_1",
        "a/in_1",
        "end/in_1",
        "b_1",
    ]


def test_know_what_came_since():
    graph = chain("a")
    assert unique_name(graph, "new") == "new"
    graph.nodes.append(Node("Neg", "c", inputs=[Variable("p")], outputs=[Variable("q")]))
    assert [unique_name(graph, name) for name in "cpq"] == ["c_1", "p_1", "q_1"]


def test_know_what_came_where_something_went():
    graph = chain("a", "b", "c")
    unique_name(graph, "x")
    graph.nodes[1:] = [Node("Neg", "d"), Node("Neg", "e")]
    assert [unique_name(graph, name) for name in "adeb"] == ["a_1", "d_1", "e_1", "b_1"]


def test_are_read_of_nodes_once():
    names, graph = Names(), chain("a")
    assert names.unique(graph.nodes, [], "b") == "b"
    graph.nodes[0].name = "c"
    assert names.unique(graph.nodes, [], "c") == "c"
