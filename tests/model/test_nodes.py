"""Nodes in bodies are nodes as well."""

from __future__ import annotations

import onnx

from onnx2snn.model.nodes import label, nested, subgraphs, tensors

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


def test_the_tensors_of_a_node():
    made = onnx.parser.parse_model("""<ir_version: 10, opset_import: ["" : 21]> g () => (float[2] y) {
        a = Constant <value = float[2] {1, 2}> () y = ConstantOfShape <value = float[1] {3}> (a) }""")
    made.graph.node[0].attribute.append(
        onnx.helper.make_attribute("more", [onnx.helper.make_tensor("m", 1, [1], [4.0])])
    )
    found = [[list(tensor.dims) for tensor in tensors(node)] for node in made.graph.node]
    assert found == [[[2], [1]], [[1]]]


def test_a_node_without_name_or_outputs():
    assert label(onnx.NodeProto(op_type="Relu")) == "node '' (Relu)"
