"""What counts as a smooth activation, in the many nodes that exporters write one as."""

from __future__ import annotations

import numpy as np
import pytest

from onnx2snn.graph.univariate import find_activations
from tests.helpers import graph_of, parse

CONSTANTS = {
    "half": np.float32(0.5),
    "one": np.asarray([1], np.float32),
    "root2": np.float32(np.sqrt(2)),
    "three": np.float32(3),
    "six": np.float32(6),
    "zero": np.float32(0),
    "cubic": np.float32(0.044715),
    "root2pi": np.float32(np.sqrt(2 / np.pi)),
    "row": np.asarray([0.5, 1, 2, 3], np.float32),
    "axis": np.asarray([-1], np.int64),
}
#: From a to y.
ACTIVATIONS = {
    "Sigmoid": "y = Sigmoid(a)",
    "SiLU": "s = Sigmoid(a) y = Mul(a, s)",
    "SiLU, the other way": "s = Sigmoid(a) y = Mul(s, a)",
    "GELU by Erf": "d = Div(a, root2) e = Erf(d) p = Add(e, one) m = Mul(a, p) y = Mul(m, half)",
    "GELU by Tanh": """c = Pow(a, three) k = Mul(c, cubic) t = Add(a, k) u = Mul(t, root2pi) h = Tanh(u)
        p = Add(h, one) m = Mul(a, p) y = Mul(m, half)""",
    "GELU by products": """b = Mul(a, a) c = Mul(b, a) k = Mul(c, cubic) t = Add(a, k) u = Mul(t, root2pi)
        h = Tanh(u) p = Add(h, one) m = Mul(a, p) y = Mul(half, m)""",
    "HardSwish": "y = HardSwish(a)",
    "HardSwish by HardSigmoid": "s = HardSigmoid<alpha = 0.1666667>(a) y = Mul(a, s)",
    "Mish": "s = Softplus(a) t = Tanh(s) y = Mul(a, t)",
    "Mish, written out": "x1 = Exp(a) x2 = Add(x1, one) x3 = Log(x2) t = Tanh(x3) y = Mul(a, t)",
    "Elu": "y = Elu(a)",
}
NONE = {
    "ReLU6 arithmetic": "p = Add(a, three) c = Clip(p, zero, six) m = Mul(a, c) y = Div(m, six)",
    "a square root": "y = Sqrt(a)",
    "LayerNorm's square root": """m = ReduceMean(a, axis) d = Sub(a, m) q = Mul(d, d) v = ReduceMean(q, axis)
        e = Add(v, half) s = Sqrt(e) y = Div(d, s)""",
    "a product of two": "b = MatMul(x, w) y = Mul(a, b)",
    "Softmax": "y = Softmax(a)",
    "Tanh of integers": "i = Cast<to = 7>(a) f = Cast<to = 1>(i) y = Mul(f, half)",
    "an operator of a foreign domain": "y = com.unknown.Sigmoid(a)",
}


def find(body, outputs="float[] y"):
    model = parse(f"(float[N,4] x) => ({outputs}) {{ a = MatMul(x, w) {body} }}")
    read = {name for node in model.graph.node for name in node.input}
    constants = {name: value for name, value in CONSTANTS.items() if name in read}
    weights = {"w": np.eye(4, dtype=np.float32)}
    model = parse(f"(float[N,4] x) => ({outputs}) {{ a = MatMul(x, w) {body} }}", **constants, **weights)
    if any(node.domain for node in model.graph.node):
        model.opset_import.add(domain="com.unknown", version=1)
    return find_activations(graph_of(model))


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_an_activation_is_found_whole(name):
    body = ACTIVATIONS[name]
    (found,) = find(body)
    assert (found.source.name, found.result.name) == ("a", "y")
    assert len(found.nodes) == body.count(" = ") - body.count("alpha = ")


@pytest.mark.parametrize("name", NONE)
def test_no_activation(name):
    assert find(NONE[name]) == []


@pytest.mark.parametrize(
    ("body", "ends"),
    [
        ("b = MatMul(x, w) s = Sigmoid(b) y = Mul(a, s)", [("b", "s")]),
        ("s = Sigmoid(a) y = Mul(s, row)", [("a", "s")]),
        ("s = Mul(a, three) t = Add(s, half) y = Tanh(t)", [("t", "y")]),
        ("s = Mul(a, row) y = Sigmoid(s)", [("s", "y")]),
        ("s = Sigmoid(a) m = ReduceMean(s, axis) y = Tanh(m)", [("a", "s"), ("m", "y")]),
        ("s = Sigmoid(a) m = MatMul(s, w) t = Sigmoid(m) y = Mul(m, t)", [("a", "s"), ("m", "y")]),
        ("s = Sigmoid(a) b = MatMul(a, w) y = Mul(s, b)", [("a", "s")]),
    ],
)
def test_only_the_part_of_one_variable_belongs(body, ends):
    assert [(found.source.name, found.result.name) for found in find(body)] == ends


def test_none_overlap():
    """Two results of one variable share its nodes: each node belongs to one activation at most."""
    found = find("s = Sigmoid(a) y = Mul(a, s) z = Add(s, one)", "float[] y, float[] z")
    names = [node.name for activation in found for node in activation.nodes]
    assert found
    assert len(names) == len(set(names))


def test_what_is_read_from_within_is_still_computed():
    """An activation whose inner tensor is read elsewhere: replacing it must not take that tensor away."""
    found = find("s = Sigmoid(a) y = Mul(a, s) m = MatMul(s, w)", "float[] y, float[] m")
    assert ("a", "y") in [(activation.source.name, activation.result.name) for activation in found]


def test_an_activation_of_the_input_itself():
    """The input, which no node makes, is looked at last, after the first node."""
    (found,) = find_activations(
        graph_of(parse("(float[N,4] x) => (float[] y) { s = Sigmoid(x) y = Mul(s, x) }"))
    )
    assert (found.source.name, [node.op for node in found.nodes]) == ("x", ["Mul", "Sigmoid"])
