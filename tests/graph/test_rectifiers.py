from __future__ import annotations

import numpy as np
import pytest

from onnx2snn.graph.graph import Constant, Node, Variable
from onnx2snn.graph.rectifiers import Rectifier, clip_bounds, rectifier
from onnx2snn.ops import DOMAIN, QUANTIZED_RELU
from tests.helpers import graph_of, parse, run

CONSTANTS = {
    "zero": np.float32(0),
    "zero1": np.float32([0]),
    "six": np.float32(6),
    "below": np.float32(-1),
    "big": np.finfo(np.float32).max,
    "inf": np.float32(np.inf),
    "slopes": np.float32([0.25, 0, -2]),
    "slope": np.float32([0.5]),
    "q": np.asarray(0.5, np.float32),
    "steps": np.float32([0.25, 0.5, 1]),
}


def node_of(text, kind="float"):
    (node,) = graph_of(
        parse(f"({kind}[N,3] x, float top) => ({kind}[] y) {{ y = {text} }}", **CONSTANTS)
    ).nodes
    return node


@pytest.mark.parametrize(
    ("node", "ceiling"),
    [
        ("Relu(x)", np.inf),
        ("Clip(x, zero)", np.inf),
        ("Clip(x, zero, inf)", np.inf),
        ("Clip(x, zero, big)", np.inf),
        ("Clip(x, zero1)", np.inf),
        ("Clip(x, zero, six)", 6.0),
        ("Clip(x, zero, below)", None),
        ("Clip(x, zero, zero)", None),
        ("Clip(x, below, six)", None),
        ("Clip(x, , six)", None),
        ("Clip(x, zero, top)", None),
        ("Clip(x, top)", None),
        ("Clip(x)", None),
        ("Neg(x)", None),
    ],
)
def test_ceiling_of_a_rectifier(node, ceiling):
    kind = rectifier(node_of(node))
    assert (None if kind is None else kind.ceiling) == ceiling
    assert kind is None or (kind.slope is None and kind.step is None)


@pytest.mark.parametrize(
    ("node", "slope"),
    [
        ("LeakyRelu(x)", 0.01),
        ("LeakyRelu<alpha=0.5>(x)", 0.5),
        ("LeakyRelu<alpha=-1.0>(x)", -1.0),
        ("PRelu(x, slope)", [0.5]),
        ("PRelu(x, slopes)", [0.25, 0, -2]),
    ],
)
def test_slope_of_a_leaky_rectifier(node, slope):
    kind = rectifier(node_of(node))
    np.testing.assert_array_equal(kind.slope, slope)
    assert kind.ceiling == np.inf
    assert kind.step is None


def test_a_slope_that_is_computed_is_none():
    assert rectifier(node_of("PRelu(x, top)")) is None


@pytest.mark.parametrize("element", ["int32", "int64"])
def test_integers_are_not_rectified(element):
    assert rectifier(node_of("Relu(x)", element)) is None


def quantized(step):
    x, y = Variable("x", np.float32, ["N", 3]), Variable("y", np.float32, ["N", 3])
    return Node("QuantizedRelu", "y", {"levels": 3}, [x, Constant("q", step)], [y], domain=DOMAIN)


@pytest.mark.parametrize("step", ["q", "steps"])
def test_step_and_levels_of_a_quantiser(step):
    kind = rectifier(quantized(CONSTANTS[step]))
    np.testing.assert_array_equal(kind.step, CONSTANTS[step])
    assert kind.levels == 3
    assert kind.slope is None


def test_another_operator_of_our_domain_is_no_rectifier():
    node = quantized(CONSTANTS["q"])
    node.op = "BurstIF"
    assert rectifier(node) is None


def test_an_operator_of_a_foreign_domain_is_no_rectifier():
    node = node_of("Relu(x)")
    node.domain = "own"
    assert rectifier(node) is None


X = np.arange(-16, 17, dtype=np.float32).reshape(11, 3) / 2


@pytest.mark.parametrize(
    "node",
    [
        "Relu(x)",
        "Clip(x, zero, six)",
        "LeakyRelu<alpha=0.25>(x)",
        "LeakyRelu<alpha=-1.0>(x)",
        "PRelu(x, slope)",
        "PRelu(x, slopes)",
    ],
)
def test_is_the_activation_of_onnxruntime(node):
    model = parse(f"(float[N,3] x) => (float[] y) {{ y = {node} }}", **CONSTANTS)
    found = rectifier(node_of(node))(X)
    np.testing.assert_array_equal(found, run(model, {"x": X})[0])
    assert found.dtype == np.float32


@pytest.mark.parametrize("step", ["q", "steps"])
def test_is_the_quantiser_of_the_function_body(step):
    model = parse(
        f"(float[N,3] x) => (float[] y) {{ y = onnx2snn.QuantizedRelu<levels=3>(x, {step}) }}", **CONSTANTS
    )
    model.functions.append(QUANTIZED_RELU)
    found = rectifier(quantized(CONSTANTS[step]))(X / 4)
    np.testing.assert_array_equal(found, run(model, {"x": X / 4})[0])
    assert np.unique(found / CONSTANTS[step]).tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize(
    "kind", [Rectifier(6.0), Rectifier(slope=np.float64(0.1)), Rectifier(step=np.float64(0.1), levels=3)]
)
def test_keeps_the_type_of_its_input(kind, dtype):
    assert kind(X.astype(dtype)).dtype == dtype


@pytest.mark.parametrize(
    ("node", "bounds"),
    [
        ("Clip(x)", (-np.inf, np.inf)),
        ("Clip(x, below)", (-1, np.inf)),
        ("Clip(x, , six)", (-np.inf, 6)),
        ("Clip(x, below, six)", (-1, 6)),
        ("Clip(x, zero1, big)", (0, np.inf)),
        ("Clip(x, top, six)", None),
        ("Clip(x, below, top)", None),
    ],
)
def test_bounds_of_a_clip(node, bounds):
    assert clip_bounds(node_of(node)) == bounds


VALUES, CURRENT = np.float32([-2, -1, 0, 2, 3, 7]), np.float32([-5, 4, -1, 9, 1, 1])


@pytest.mark.parametrize(
    ("kind", "nearest"),
    [
        (Rectifier(), [-5, 0, -1, 2, 3, 7]),
        (Rectifier(ceiling=3.0), [-5, 0, -1, 2, 3, 3]),
        (Rectifier(slope=np.float32(0.5)), [-2, -1, 0, 2, 3, 7]),
        (Rectifier(slope=np.float32(-1)), [-2, -1, 0, 2, 3, 7]),
        (Rectifier(slope=np.float32(0)), [-5, 0, -1, 2, 3, 7]),
        (Rectifier(slope=np.float32([0, 0.5, 0, 0, 0, 0])), [-5, -1, -1, 2, 3, 7]),
    ],
)
def test_the_nearest_current_of_the_same_activation(kind, nearest):
    found = kind.nearest(CURRENT, VALUES)
    assert (found.tolist(), found.dtype) == (nearest, np.float32)
    np.testing.assert_array_equal(kind(found), kind(VALUES))
    larger = Rectifier(ceiling=3.0).nearest(np.float32([5]), np.float32([3]))
    assert larger.tolist() == [5]
