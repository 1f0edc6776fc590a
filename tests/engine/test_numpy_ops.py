"""Operators that ONNX's reference implementation gets wrong, against onnxruntime."""

from __future__ import annotations

import numpy as np
import pytest

from onnx2snn.engine.engines import NumpyEngine, OnnxruntimeEngine, make_engine
from onnx2snn.engine.numpy_ops import requantize
from tests.helpers import feeds, normal, parse

PADDED = "kernel_shape=[3,2], strides=[2,2], pads=[1,1,1,1], ceil_mode=1"


@pytest.mark.parametrize(
    "node",
    [
        f"MaxPool<{PADDED}>(x)",
        'MaxPool<kernel_shape=[2,2], strides=[2,2], auto_pad="SAME_LOWER">(x)',
        "MaxPool<kernel_shape=[3,3], pads=[1,1,1,1], ceil_mode=1>(x)",
        f"AveragePool<{PADDED}>(x)",
        f"AveragePool<{PADDED}, count_include_pad=1>(x)",
        'AveragePool<kernel_shape=[2,2], strides=[2,2], auto_pad="SAME_LOWER", count_include_pad=1>(x)',
    ],
)
def test_pools_are_onnxruntime_s(rng, node):
    model = parse(f"(float[N,2,9,7] x) => (float[] y) {{ y = {node} }}")
    x = rng.normal(size=(2, 2, 9, 7)).astype(np.float32)
    found, expected = (make_engine(model, backend).run({"x": x})["y"] for backend in ("numpy", "onnxruntime"))
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("size", [(5,), (4, 3), (4, 3, 5)])
def test_a_maximum_over_all_places(rng, size):
    axes = ",".join(map(str, size))
    model = parse(f"(float[N,2,{axes}] x) => (float[] y) {{ y = GlobalMaxPool(x) }}")
    x = rng.normal(size=(2, 2, *size)).astype(np.float32)
    found, expected = (make_engine(model, backend).run({"x": x})["y"] for backend in ("numpy", "onnxruntime"))
    np.testing.assert_array_equal(found, expected)


def test_indices_are_onnx_s_own():
    model = parse(
        "(float[N,1,4] x) => (float[] y, int64[] i) { y, i = MaxPool<kernel_shape=[2], strides=[2]>(x) }"
    )
    x = np.float32([[[1, 2, 4, 3]]])
    for backend in ("numpy", "onnxruntime"):
        found = make_engine(model, backend).run({"x": x})
        assert (found["y"].tolist(), found["i"].tolist()) == ([[[2, 4]]], [[[1, 2]]])


@pytest.mark.parametrize("group", [1, 2, 4])
def test_numpy_transposes_convolutions_of_groups(rng, group):
    attributes = f"group={group}, strides=[2,2], pads=[1,0,0,1], output_padding=[1,0]"
    text = f"(float[N,4,3,5] x) => (float[N,M,P,Q] y) {{ y = ConvTranspose<{attributes}>(x, w, b) }}"
    model = parse(text, **normal(rng, w=(4, 3, 3, 2), b=(3 * group,)))
    x = feeds(rng, model, 2)
    expected = OnnxruntimeEngine(model).run(x)["y"]
    np.testing.assert_allclose(NumpyEngine(model).run(x)["y"], expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("sums", "scale", "expected"),
    [
        ([0, 2, 3, 4], [1, 0.5], [[10, 12, 13, 14], [10, 10, 11, 12]]),
        ([-99, 255, 999, 5], [1, 2], [[0, 255, 255, 15], [0, 255, 255, 18]]),
    ],
)
def test_requantising_rounds_half_to_even_between_0_and_255(sums, scale, expected):
    """Channels of their own bias 0 and -1 and scale; 10 stands for 0."""
    both = np.int32([[sums, sums]])
    found = requantize(both, np.int32([0, -1]), np.float32(scale), np.uint8(10))
    assert (found.tolist(), found.dtype) == ([expected], np.uint8)


@pytest.mark.parametrize(("shape", "kernel"), [((6,), "[3]"), ((5, 4), "[3,2]"), ((3, 4, 3), "[2,2,2]")])
def test_numpy_convolves_integers_as_onnxruntime_does(shape, kernel, rng):
    dims = ",".join(map(str, shape))
    size = tuple(int(part) for part in kernel.strip("[]").split(","))
    text = f"""(uint8[N,2,{dims}] x) => (uint8[] y) {{
        y = QLinearConv<kernel_shape={kernel}>(x, xs, zero, w, ws, none, ys, shift, b) }}"""
    model = parse(
        text,
        xs=np.float32(0.5),
        zero=np.uint8(0),
        w=rng.integers(-9, 10, (3, 2, *size)).astype(np.int8),
        ws=np.float32([0.5, 0.25, 0.125]),
        none=np.int8([0, 0, 0]),
        ys=np.float32(4),
        shift=np.uint8(7),
        b=np.int32([3, -40, 900]),
    )
    model.graph.output[0].type.tensor_type.ClearField("shape")
    x = {"x": rng.integers(0, 30, (2, 2, *shape)).astype(np.uint8)}
    found, expected = (make_engine(model, backend).run(x)["y"] for backend in ("numpy", "onnxruntime"))
    np.testing.assert_array_equal(found, expected)
    assert len(np.unique(expected)) > 5
