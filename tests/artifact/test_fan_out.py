"""Connections of layers: counted one by one, whatever the weights are."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from onnx2snn.artifact.fan_out import count_dense, fan_out, in_floats
from onnx2snn.artifact.layouts import TOGETHER
from onnx2snn.engine.engines import OnnxruntimeEngine
from tests.helpers import parse


def arrivals(text, x, weight, layout=0, *, constant=True, counted=("x",)):
    """Sums by rows of what arrives at the layer `text`, for the counts x."""
    model = parse("(float[] x, float[] w) => (float[] y) { " + text + " }")
    weights = {"w": numpy_helper.from_array(weight, "w")} if constant else {}
    nodes = fan_out(model.graph.node[0], {name: name for name in counted}, weights, "sums", layout)
    inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("x", "w")]
    output = helper.make_tensor_value_info("sums", TensorProto.DOUBLE, None)
    graph = helper.make_graph(nodes, "g", inputs, [output])
    whole = helper.make_model(graph, opset_imports=model.opset_import, ir_version=10)
    return OnnxruntimeEngine(whole).run({"x": x, "w": weight})["sums"].tolist()


#: Counts of two samples.
ROWS = np.float32([[1, 0, 2], [0, 0, 5]])
IMAGES = np.zeros((2, 2, 3, 3), np.float32)
IMAGES[0, 0, 1, 1], IMAGES[0, 1, 0, 0], IMAGES[1, 1, 2, 1] = 1, 10, 100


@pytest.mark.parametrize("constant", [True, False])
@pytest.mark.parametrize(
    ("text", "shape", "expected"),
    [
        ("y = MatMul(x, w)", (3, 4), [12, 20]),
        ("y = Gemm(x, w)", (3, 4), [12, 20]),
        ("y = Gemm<transB=1, alpha=0.5>(x, w)", (4, 3), [12, 20]),
        ("y = MatMul(x, w)", (3, 1), [3, 5]),
    ],
)
def test_products(text, shape, expected, constant):
    assert arrivals(text, ROWS, np.zeros(shape, np.float32), constant=constant) == expected


@pytest.mark.parametrize("constant", [True, False])
@pytest.mark.parametrize(
    ("text", "shape", "expected"),
    [
        # A kernel of 2x2 reads the middle four times, a corner once, the middle of a border twice.
        ("y = Conv(x, w)", (3, 2, 2, 2), [3 * (4 + 10), 3 * 200]),
        ("y = Conv<group=2>(x, w)", (6, 1, 2, 2), [3 * (4 + 10), 3 * 200]),
        ("y = Conv<pads=[1,1,1,1]>(x, w)", (1, 2, 2, 2), [4 + 40, 400]),
        ("y = Conv<strides=[2,2]>(x, w)", (1, 2, 2, 2), [1 + 10, 0]),
        ("y = ConvTranspose(x, w)", (2, 5, 2, 2), [5 * (4 + 40), 5 * 400]),
        ("y = ConvTranspose<group=2>(x, w)", (2, 5, 2, 2), [5 * (4 + 40), 5 * 400]),
    ],
)
def test_convolutions(text, shape, expected, constant):
    assert arrivals(text, IMAGES, np.zeros(shape, np.float32), constant=constant) == expected


@pytest.mark.parametrize(
    ("layout", "rows"), [(0, [32]), (TOGETHER, [32]), (None, [32]), (1, [12, 20]), (2, [12, 20])]
)
def test_rows_end_behind_the_axis_of_the_samples(layout, rows):
    assert arrivals("y = MatMul(x, w)", ROWS[None], np.ones((3, 4), np.float32), layout) == rows


def test_an_operand_without_counts_counts_one_everywhere():
    assert arrivals("y = MatMul(x, w)", ROWS, np.zeros((3, 4), np.float32), counted=()) == [12, 12]


def test_counts_are_exact_beyond_float32():
    x = np.float32([[2**24, 1, 1]])
    found = arrivals("y = Conv(x, w)", x.reshape(1, 1, 1, 3), np.zeros((3, 1, 1, 1), np.float32))
    assert found == [3 * (2**24 + 2)]


def test_the_arithmetic_of_a_whole_model_is_what_depends_on_an_input():
    model = parse(
        """(float[N,3] x) => (float[N,2] y) {
        own = MatMul(a, b) h = Gemm(x, a, bias) r = Relu(h) y = MatMul(r, own) }""",
        a=np.zeros((3, 3), "f"),
        b=np.zeros((3, 2), "f"),
        bias=np.zeros(3, "f"),
    )
    for node in model.graph.node:
        node.name = node.output[0]
    counted, names = count_dense(model)
    assert names == {"h/macs": "h", "y/macs": "y"}
    found = OnnxruntimeEngine(counted).run({"x": ROWS})
    assert found["h/macs"].tolist() == [9, 9]
    assert found["y/macs"].tolist() == [6, 6]
    assert len(model.graph.output) == 1


def test_a_layer_of_integers_is_one_of_floats():
    model = parse(
        "(int8[] x) => (int8[] y) { y = QLinearConv(x, s, z, w, s2, z2, s3, z3) m = MatMulInteger(x, w) }"
    )
    assert in_floats(model.graph.node[0]) == ("Conv", ("x", "w"))
    assert in_floats(model.graph.node[1]) == ("MatMul", ("x", "w"))
