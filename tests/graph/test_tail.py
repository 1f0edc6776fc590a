"""What follows an operator whose output's shape depends on activations."""

from __future__ import annotations

import numpy as np
import pytest

from onnx2snn.graph.sections import divide
from onnx2snn.graph.tail import filled_up, find_tail, first_of_tail
from onnx2snn.graph.targets import find_targets
from tests.helpers import graph_of, normal, parse

CONSTANTS = {
    "half": np.float32(0.5),
    "one": np.int64([1]),
    "two": np.int64([2]),
    "mask": np.bool_([True, False]),
}


def graph(body, rng, inputs="float[N,4] x"):
    weights = normal(rng, w=(4, 4), v=(1, 4))
    model = parse(f"({inputs}) => (float[] y) {{ a = MatMul(x, w)  r = Relu(a)  {body} }}", **weights)
    read = {name for node in model.graph.node for name in node.input}
    model = parse(
        f"({inputs}) => (float[] y) {{ a = MatMul(x, w)  r = Relu(a)  {body} }}",
        **{name: value for name, value in {**weights, **CONSTANTS}.items() if name in read},
    )
    return graph_of(model)


@pytest.mark.parametrize(
    ("body", "tail", "first"),
    [
        ("i = NonZero(r)  t = Transpose(i)  y = GatherND(r, t)", {"i", "t", "y"}, ["i"]),
        ("g = Greater(r, half)  c = Compress(r, g)  q = Relu(c)  y = Neg(q)", {"c", "q", "y"}, ["c"]),
        ("c = Compress<axis = 1>(r, mask)  y = Relu(c)", {"c", "y"}, ["c"]),
        (
            "k = Cast<to = 7>(a)  s = ReduceMax<keepdims = 0>(k)  o = Expand(s, two)  y = Tile(r, o)",
            {"y"},
            ["y"],
        ),
        ("i = NonZero(r)  s = Shape(i)  y = ConstantOfShape(s)", {"i", "s", "y"}, ["i"]),
        ("i = NonZero(x)  t = Transpose(i)  y = GatherND(r, t)", set(), []),
        ("s = Shape(r)  z = ConstantOfShape(s)  y = Add(z, r)", set(), []),
        ("y = Softmax(r)", set(), []),
    ],
)
def test_it_begins_where_values_give_the_shape(body, tail, first, rng):
    found = graph(body, rng)
    assert {node.outputs[0].name for node in found.nodes if node.name in find_tail(found)} == tail
    assert [node.outputs[0].name for node in first_of_tail(found)] == first


def test_nothing_in_it_spikes(rng):
    body = "g = Greater(r, half)  c = Compress(r, g)  u = Unsqueeze(c, one)  q = Relu(u)  b = MatMul(q, v)"
    found = graph(f"{body}  s = Sigmoid(b)  y = MatMul(s, w)", rng)
    assert [target.tensor.name for target in find_targets(found)] == ["r"]
    sections = divide(found)
    assert {name for name, section in sections.of.items() if section == "body"} == {"r"}
    assert sections.cells == {"r"}


def test_zeros_stand_for_the_rows_that_another_has():
    short, long = filled_up(np.float32([[1, 2]]), np.float32([[3, 4], [5, 6]]))
    assert short.tolist() == [[1, 2], [0, 0]]
    assert long.tolist() == [[3, 4], [5, 6]]
    assert [array.tolist() for array in filled_up(np.ones(()), np.zeros((), int))] == [1, 0]
    assert filled_up(np.ones(3, np.float32))[0].dtype == np.float64
