"""What layers of integers ask of a graph: whole spikes, constant biases, weights as int8."""

from __future__ import annotations

import numpy as np
import pytest

from onnx2snn.passes.integer_layers import (
    bias_of,
    biased_layer,
    evaluate_constant,
    extremes,
    fires_whole,
    neuron_behind,
    retire,
    whole_weights,
)
from tests.helpers import graph_of, parse

W = np.float32([[0.5, -1.25, 1], [0, 0.75, -0.5]])


def graph(body, inputs="float[N,2] x", **weights):
    return graph_of(parse(f"({inputs}) => (float[N,M] y) {{ {body} }}", **weights))


def fire(levels=4, potential=0.0):
    return f"onnx2snn.AccumulateFire<levels={levels}, potential={potential}>(h, one)"


@pytest.mark.parametrize(
    ("levels", "potential", "yes"), [(255, 0.0, True), (256, 0.0, False), (4, 0.5, False)]
)
def test_whole_spikes_fit_eight_bits_and_are_one_each(levels, potential, yes):
    found = graph(f"h = Neg(x) y = {fire(levels, potential)}", one=np.float32(1))
    assert fires_whole(found.nodes[1]) is yes
    behind = neuron_behind(found.nodes[0])
    assert behind is (found.nodes[1] if yes else None)


def test_a_result_that_others_read_has_no_neuron_behind_it():
    found = graph(f"h = Neg(x) a = {fire()} y = Add(a, h)", one=np.float32(1))
    assert neuron_behind(found.nodes[0]) is None


@pytest.mark.parametrize(
    ("body", "op"),
    [
        ("y = Gemm(x, w, b)", "Gemm"),
        ("a = Gemm(x, w, b) c = Neg(x) d = MatMul(c, w) h = Add(d, a) y = Neg(h)", "Gemm"),
        ("a = Gemm(x, w) y = Neg(a)", None),
        ("h = Gemm(x, w, b) a = Neg(h) y = Add(h, a)", None),
        ("h = MatMul(x, w) y = Neg(h)", None),
    ],
)
def test_the_layer_whose_bias_a_current_holds_alone(body, op):
    weights = {"w": W} | ({"b": np.ones(3, "f")} if ", b)" in body else {})
    found = graph(body if "h =" in body else body.replace("y =", "h =") + " y = Neg(h)", **weights)
    layer = biased_layer(found, found.tensors()["h"])
    assert (layer and layer.op) == op


def test_a_retired_node_is_read_and_named_no_more():
    (node,) = graph("y = Neg(x)").nodes
    retire(node)
    assert (list(node.inputs), list(node.outputs), node.name) == ([], [], "")


def test_a_constant_behind_operators_is_evaluated():
    found = graph("a = Abs(x) y = Sub(a, x)")
    found.tensors()["x"].to_constant(np.float32([[-1, 2]]))
    assert evaluate_constant(found, found.tensors()["y"]).tolist() == [[2, 0]]


@pytest.mark.parametrize(
    ("body", "weight", "expected"),
    [
        ("y = MatMul(x, w)", W, [[2, -2, 4], [0, 2, -2]]),
        ("y = Gemm<transB=1>(x, w)", W.T.copy(), [[2, -2, 4], [0, 2, -2]]),
    ],
)
def test_weights_are_multiples_of_a_step_for_each_output(body, weight, expected):
    (layer,) = graph(body, w=weight).nodes
    found = whole_weights(layer, np.float64([0.25, 0.5, 0.25]))
    assert (found.tolist(), found.dtype) == (expected, np.int8)


def test_weights_of_a_convolution_keep_their_shape():
    model = parse("(float[N,1,1,2] x) => (float[N,2,1,1] y) { y = Conv(x, w) }", w=W[:, None, None, :2])
    found = whole_weights(graph_of(model).nodes[0], np.float64([0.25, 0.25]))
    assert found.tolist() == [[[[2, -5]]], [[[0, 3]]]]


def test_biases():
    (gemm,) = graph("y = Gemm<beta=2.0>(x, w, b)", w=W, b=np.float32([1, 2, 3])).nodes
    assert bias_of(gemm).tolist() == [2, 4, 6]
    (gemm,) = graph("y = Gemm<transB=1>(x, w)", w=W.T.copy()).nodes
    assert bias_of(gemm).tolist() == [0, 0, 0]
    (product,) = graph("y = MatMul(x, w)", w=W).nodes
    assert bias_of(product).tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ("value", "dims", "expected"),
    [
        (3.0, 4, ([3], [3])),
        ([1, -2], 2, ([1, -2], [1, -2])),
        ([[[1, -1]], [[5, 2]]], 4, ([-1, 2], [1, 5])),
        ([4, 7], 1, ([4], [7])),
    ],
)
def test_extremes_of_each_channel(value, dims, expected):
    least, most = extremes(np.float32(value), dims)
    assert (least.tolist(), most.tolist()) == expected
