"""What decides the way of control flow."""

from __future__ import annotations

import pytest

from onnx2snn.graph.control import count_rounds, decided_by, depends_on_data, scan_inputs
from onnx2snn.graph.graph import import_explicit
from tests.graph.flows import LAYER, ROUND, SEQUENCES, UNROLLED, net


def flow(body, shape="N,4"):
    """The node of control flow of a net, as it was read, before anything is written out."""
    model = net(body, shape)
    for number, node in enumerate(model.graph.node):
        node.name = f"n{number}"
    graph = import_explicit(model)
    return next(node for node in graph.nodes if node.op in ("Loop", "Scan"))


def loop(condition, trips="hundred", start="yes"):
    return f"b = Loop({trips}, {start}, r) <body = rounds {ROUND} {{ {condition} {LAYER} }}>"


ON = "keep = Identity(on)"


@pytest.mark.parametrize(
    ("body", "most", "rounds"),
    [
        (UNROLLED["a known number of rounds"], 64, 3),
        (UNROLLED["a known number of rounds"], 2, None),
        (UNROLLED["a condition that counts"], 64, 3),
        (loop("keep = Less(i, one)"), 64, 2),
        (loop("keep = Not(on)"), 64, 1),
        (loop(ON, start="no"), 64, 0),
        (loop(ON), 64, None),
        (loop(ON), 100, 100),
        (loop("n = ReduceMax<keepdims = 0>(s) keep = Less(n, half)"), 100, None),
    ],
)
def test_rounds_are_counted_where_constants_alone_say_it(body, most, rounds):
    assert count_rounds(flow(body), most) == rounds


def test_those_of_a_scan_by_its_input():
    node = flow(SEQUENCES["a Scan"], "N,5,4")
    assert scan_inputs(node) == 1
    node.inputs[-1].shape = [5, "N", 4]
    assert count_rounds(node, 64) == 5
    node.inputs[-1].shape = ["M", "N", 4]
    assert count_rounds(node, 64) is None


@pytest.mark.parametrize(
    ("body", "inputs", "data"),
    [
        (loop(ON), [0, 1], False),
        (loop("n = ReduceMax<keepdims = 0>(s) keep = Less(n, half)"), [0, 1, 2], True),
        (loop(f"{ON} k = NonZero(s) v = Shape(k) c = Cast<to = 1>(v)"), [0, 1], True),
        (UNROLLED["a condition that counts"], [0, 1, 2], False),
        (UNROLLED["a branch"], [], False),
        (
            """n = ReduceMax<keepdims = 0>(r) c = Greater(n, half)
            b = If(c) <then_branch = a () => (float[N,4] p) { p = Relu(r) },
                else_branch = d () => (float[N,4] q) { q = Neg(r) }>""",
            [2],
            True,
        ),
    ],
)
def test_data_decide_where_they_reach_the_condition_or_a_shape(body, inputs, data):
    node = flow(body)
    assert decided_by(node) == inputs
    assert depends_on_data(node, {"r", "c"}) == data
