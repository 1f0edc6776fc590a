"""Nodes in bodies are nodes as well."""

from __future__ import annotations

import onnx

from onnx2snn.model.nodes import label, nested, subgraphs

BRANCHES = """<ir_version: 10, opset_import: ["" : 21]> g (float[N,2] x, bool c) => (float[N,2] y) {
    [choose] y = If (c) <
        then_branch = g1 () => (float[N,2] a) { [first] r = Relu(x) a = Neg(r) },
        else_branch = g2 () => (float[N,2] b) { [second] b = Abs(x) } >
}"""


def test_each_before_those_inside():
    (choose,) = onnx.parser.parse_model(BRANCHES).graph.node
    found = [(node.op_type, label(node)) for node in nested([choose])]
    assert found == [
        ("If", "node 'choose' (If)"),
        ("Relu", "node 'first' (Relu)"),
        ("Neg", "node 'a' (Neg)"),
        ("Abs", "node 'second' (Abs)"),
    ]
    assert [graph.name for graph in subgraphs(choose)] == ["g1", "g2"]


def test_a_node_without_name_or_outputs():
    assert label(onnx.NodeProto(op_type="Relu")) == "node '' (Relu)"
