"""Scales and shifts per channel: read from nodes, and taken up by weights and biases."""

from __future__ import annotations

import numpy as np
import pytest

from onnx2snn.errors import ModelError
from onnx2snn.graph.affine import (
    Affine,
    add_bias,
    along,
    read_arithmetic,
    read_batchnorm,
    read_bias,
    scale_outputs,
)
from onnx2snn.graph.graph import write_model
from tests.helpers import graph_of, normal, parse, run

TWO = Affine(np.float64([2, -3]), np.float64([10, 20]))
BATCHNORM = {"gamma": [2, 3], "beta": [1, 1], "mean": [1, 2], "var": [3, 8]}


def floats(**values):
    return {name: np.asarray(value, np.float32) for name, value in values.items()}


def batchnorm(attributes="epsilon=1.0", inputs="gamma, beta, mean, var", **values):
    text = f"(float[N,2] x) => (float[N,2] y) {{ y = BatchNormalization<{attributes}>(x, {inputs}) }}"
    return graph_of(parse(text, **floats(**BATCHNORM | values))).nodes[0]


def test_a_batchnorm_is_a_scale_and_a_shift():
    found = read_batchnorm(batchnorm())
    assert found.scale.tolist() == [1, 1]
    assert found.shift.tolist() == [0, -1]


def test_why_a_batchnorm_is_not_known():
    node = batchnorm()
    node.attrs["training_mode"] = 1
    assert read_batchnorm(node) == "it is in training mode"
    text = "(float[N,2] x, float[2] beta) => (float[N,2] y) { y = BatchNormalization(x, g, beta, m, v) }"
    node = graph_of(parse(text, **floats(g=[1, 1], m=[0, 0], v=[1, 1]))).nodes[0]
    assert read_batchnorm(node) == "its parameter 'beta' is a graph input or computed, not a constant"
    node = batchnorm()
    node.inputs[1].values = np.float32([1])
    assert read_batchnorm(node) == "its parameters differ in shape"


@pytest.mark.parametrize("variance", [-1, -2])
def test_a_variance_below_epsilon_is_refused(variance):
    node = batchnorm(var=[4, variance])
    node.name = "bn"
    with pytest.raises(ModelError) as caught:
        read_batchnorm(node)
    assert str(caught.value) == (
        f"node 'bn' (BatchNormalization): expected variances above -epsilon, found {variance}; "
        "repair the model"
    )


@pytest.mark.parametrize(
    ("call", "value", "scale", "shift"),
    [
        ("Add(x, c)", [4, 5], [1, 1], [4, 5]),
        ("Add(c, x)", [4, 5], [1, 1], [4, 5]),
        ("Sub(x, c)", [4, 5], [1, 1], [-4, -5]),
        ("Sub(c, x)", [4, 5], [-1, -1], [4, 5]),
        ("Mul(c, x)", [4, 5], [4, 5], [0, 0]),
        ("Mul(x, c)", 4, [4, 4], [0, 0]),
        ("Div(x, c)", [4, 5], [0.25, 0.2], [0, 0]),
    ],
)
def test_arithmetic_with_a_constant(call, value, scale, shift):
    text = f"(float[N,2] x) => (float[N,2] y) {{ y = {call} }}"
    affine, source = read_arithmetic(graph_of(parse(text, c=np.float32(value))).nodes[0])
    assert source.name == "x"
    np.testing.assert_allclose(affine.scale, scale)
    np.testing.assert_allclose(affine.shift, shift)


@pytest.mark.parametrize(
    ("call", "value"),
    [
        ("Div(c, x)", [4, 5]),
        ("Div(x, c)", [4, 0]),
        ("Pow(x, c)", [4, 5]),
        ("Add(x, c)", [[4, 5], [6, 7]]),
        ("Add(x, c)", [[[4, 5]]]),
        ("Add(x, x)", 1),
    ],
)
def test_what_is_no_such_arithmetic(call, value):
    text = f"(float[N,2] x) => (float[] y) {{ y = {call} }}"
    weights = {"c": np.float32(value)} if "c" in call.split("(")[1] else {}
    assert read_arithmetic(graph_of(parse(text, **weights)).nodes[0]) is None


LAYERS = {
    "Conv": ("y = Conv(x, w, b)", (2, 4, 2, 2), (2,)),
    "Conv without bias": ("y = Conv(x, w)", (2, 4, 2, 2), None),
    "ConvTranspose": ("y = ConvTranspose(x, w, b)", (4, 2, 2, 2), (2,)),
    "grouped ConvTranspose": ("y = ConvTranspose<group=2>(x, w, b)", (4, 1, 2, 2), (2,)),
    "Gemm": ("f = Flatten(x) y = Gemm<beta=0.5>(f, w, b)", (64, 2), (2,)),
    "transposed Gemm": ("f = Flatten(x) y = Gemm<transB=1>(f, w, b)", (2, 64), (1,)),
    "BatchNormalization": ("c = Conv(x, w) y = BatchNormalization(c, b, b, b, v)", (2, 4, 1, 1), (2,)),
}


def layer(kind, rng):
    text, weight, bias = LAYERS[kind]
    weights = normal(rng, w=weight, **({"b": bias} if bias else {}))
    if "v)" in text:
        weights["v"] = np.float32([1, 2])
    rank = "N,2" if "Gemm" in text else "N,2,P,Q"
    return parse(f"(float[N,4,4,4] x) => (float[{rank}] y) {{ {text} }}", **weights)


@pytest.mark.parametrize("kind", LAYERS)
def test_a_layer_takes_up_a_scale_and_a_shift(kind, rng):
    model = layer(kind, rng)
    x = normal(rng, x=(3, 4, 4, 4))
    (before,) = run(model, x)
    graph = graph_of(model)
    assert scale_outputs(graph, graph.nodes[-1], TWO) is None
    (after,) = run(write_model(graph), x)
    expected = along(TWO.scale, 1, before.ndim) * before + along(TWO.shift, 1, before.ndim)
    np.testing.assert_allclose(after, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", [kind for kind in LAYERS if kind != "BatchNormalization"])
def test_a_layer_takes_up_a_bias(kind, rng):
    model = layer(kind, rng)
    x = normal(rng, x=(3, 4, 4, 4))
    (before,) = run(model, x)
    graph = graph_of(model)
    add_bias(graph, graph.nodes[-1], TWO.shift)
    (after,) = run(write_model(graph), x)
    np.testing.assert_allclose(after, before + along(TWO.shift, 1, before.ndim), rtol=1e-4, atol=1e-4)


def test_a_product_takes_up_a_scale_but_no_shift():
    def product():
        text = "(float[N,3] x) => (float[N,2] y) { y = MatMul(x, w) }"
        graph = graph_of(parse(text, w=np.ones((3, 2), "f")))
        graph.nodes[0].name = "fc"
        return graph, graph.nodes[0]

    graph, node = product()
    assert scale_outputs(graph, node, TWO) == "'fc' has no bias to take the shift"
    assert scale_outputs(graph, node, Affine(TWO.scale, np.zeros(2))) is None
    assert run(write_model(graph), {"x": np.ones((1, 3), "f")})[0].tolist() == [[6, -9]]
    graph, node = product()
    wide = Affine(np.ones(3), np.zeros(3))
    assert scale_outputs(graph, node, wide) == "the weights of 'fc' are no matrix with one column per channel"
    add_bias(graph, node, TWO.shift)
    assert run(write_model(graph), {"x": np.ones((1, 3), "f")})[0].tolist() == [[13, 23]]


def test_what_is_no_constant_takes_up_nothing():
    text = "(float[N,3] x, float[3,2] w, float[2] b) => (float[N,2] y) { y = Gemm(x, w, b) }"
    graph = graph_of(parse(text))
    graph.nodes[0].name = "fc"
    assert (
        scale_outputs(graph, graph.nodes[0], TWO) == "the weights 'w' of 'fc' are a graph input or computed"
    )
    text = text.replace(", float[3,2] w", "")
    graph = graph_of(parse(text, w=np.ones((3, 2), "f")))
    graph.nodes[0].name = "fc"
    assert scale_outputs(graph, graph.nodes[0], TWO) == (
        "the bias 'b' of 'fc' is a graph input or not one per channel"
    )


def test_weights_that_others_read_stay_as_they_are():
    text = "(float[N,3] x) => (float[N,2] y, float[N,2] z) { y = MatMul(x, w) z = MatMul(x, w) }"
    graph = graph_of(parse(text, w=np.ones((3, 2), "f")))
    scale_outputs(graph, graph.nodes[0], Affine(TWO.scale, np.zeros(2)))
    y, z = run(write_model(graph), {"x": np.ones((1, 3), "f")})
    assert (y.tolist(), z.tolist()) == ([[6, -9]], [[3, 3]])


@pytest.mark.parametrize(
    ("bias", "attributes", "expected"),
    [
        ([1, 2], "", [1, 2]),
        ([1, 2], "<beta=0.5>", [0.5, 1]),
        (3, "", [3, 3]),
        ([[1, 2]], "", [1, 2]),
        ([[1], [2]], "", None),
    ],
)
def test_a_bias_is_one_number_per_channel(bias, attributes, expected):
    text = f"(float[2,3] x) => (float[2,2] y) {{ y = Gemm{attributes}(x, w, b) }}"
    node = graph_of(parse(text, w=np.ones((3, 2), "f"), b=np.float32(bias))).nodes[0]
    found = read_bias(node, 2)
    assert found is None if expected is None else found.tolist() == expected
