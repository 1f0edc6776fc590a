"""Opset 6: operands that broadcast along an axis, and attributes that opset 7 has no more."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import helper
from onnx.version_converter import ConvertError

from onnx2snn.model.broadcast import broadcast_as_numpy
from onnx2snn.model.check import check_model
from onnx2snn.model.file import flatten_model, normalize_model
from tests.helpers import normal, of_opset, run

X = "float[N,3,4,5] x"


@pytest.mark.parametrize("batch", ["N", "2"])
@pytest.mark.parametrize(
    ("old", "new", "shape"),
    [
        ("Add<broadcast = 1, axis = 1>(x, b)", "Add(x, c)", (3,)),
        ("Mul<broadcast = 1, axis = 1>(x, b)", "Mul(x, c)", (3, 4)),
        ("Sub<broadcast = 1, axis = -3>(x, b)", "Sub(x, c)", (3,)),
        ("Div<broadcast = 1>(x, b)", "Div(x, b)", (4, 5)),
        ("Pow<broadcast = 1, axis = 2>(x, b)", "Pow(x, b)", (4, 5)),
        ("PRelu(x, b)", "PRelu(x, c)", (3,)),
    ],
)
def test_what_broadcasts_along_an_axis(batch, old, new, shape, rng):
    b = np.abs(rng.standard_normal(shape)).astype(np.float32) + 1
    aligned = {"b": b} | ({"c": b.reshape(*shape, *[1] * (3 - len(shape)))} if "c" in new else {})
    if "c" in aligned:
        del aligned["b"]
    text = f"({X.replace('N', batch)}) => (float[{batch},3,4,5] y) {{ y = "
    x = np.abs(rng.standard_normal((2, 3, 4, 5))).astype(np.float32)
    found = normalize_model(flatten_model(of_opset(6, f"{text}{old} }}", b=b)))
    np.testing.assert_array_equal(
        run(found, {"x": x})[0], run(of_opset(9, f"{text}{new} }}", **aligned), {"x": x})[0]
    )


def test_gemm_and_layers_for_inference(rng):
    """With any number of samples, which ONNX's converter does not take out of opset 6."""
    text = """(float[N,3,2,2] x) => (float[N,5] y) {{ n = BatchNormalization<{0}>(x, s, b, b, s)
        d = Dropout<{0}>(n) f = Flatten(d) y = Gemm<{1}>(f, g, h) }}"""
    weights = normal(rng, b=(3,), g=(12, 5), h=(5,)) | {"s": np.float32([1, 2, 3])}
    old = of_opset(6, text.format("is_test = 1", "broadcast = 1"), **weights)
    x = rng.standard_normal((4, 3, 2, 2)).astype(np.float32)
    found = normalize_model(flatten_model(old))
    check_model(found, "net.onnx")
    (expected,) = run(of_opset(9, text.format("", "").replace("<>", ""), **weights), {"x": x})
    np.testing.assert_allclose(run(found, {"x": x})[0], expected, rtol=1e-6)


def test_an_axis_of_who_knows_what_is_refused():
    model = of_opset(6, "(float[N,3] x) => (float[] y) { u = Foo(x) y = Add<broadcast = 1, axis = 1>(u, b) }")
    model.graph.node[0].domain = "other"
    model.opset_import.append(helper.make_opsetid("other", 1))
    with pytest.raises(ConvertError, match="broadcasts along an axis of a tensor of unknown rank"):
        broadcast_as_numpy(model)
