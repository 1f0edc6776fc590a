"""What operators meant in their opset stays: ONNX's version converter forgets some of it."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper

import onnx2snn
from onnx2snn.model.file import flatten_model, normalize_model
from tests.helpers import normal, of_opset, parse, run


def test_opset_six(rng):
    """ONNX's converter wants a fixed batch for the broadcasts that opset 7 changed, such as a Gemm's bias."""
    text = """(float[8,3,6,6] x) => (float[8,5] y) {
        c = Conv<pads = [1,1,1,1]>(x, w) n = BatchNormalization(c, s, b, b, s) r = Relu(n)
        p = MaxPool<kernel_shape = [2,2], strides = [2,2]>(r) f = Flatten(p) y = Gemm(f, g, h) }"""
    weights = normal(rng, w=(4, 3, 3, 3), b=(4,), g=(36, 5), h=(8, 5))
    weights["s"] = rng.uniform(0.5, 1.5, 4).astype(np.float32)
    model, newer = of_opset(6, text, **weights), of_opset(9, text, **weights)
    model.graph.input.extend(
        helper.make_tensor_value_info(name, TensorProto.FLOAT, array.shape) for name, array in weights.items()
    )
    model.ir_version = 3
    x = rng.standard_normal((32, 3, 6, 6)).astype(np.float32)
    (found,) = run(onnx2snn.compile(model, x, timesteps=128, signed=True).model, {"x": x[:8]})
    (expected,) = run(newer, {"x": x[:8]})
    assert np.linalg.norm(found - expected) < 0.02 * np.linalg.norm(expected)


OLD_OPERATORS = {
    "Upsample, linear": (9, "float[N,2,4,4]", 'Upsample<mode="linear">(r, s)', [1, 1, 2, 2]),
    "Upsample, nearest": (9, "float[N,2,4,4]", 'Upsample<mode="nearest">(r, s)', [1, 1, 1.25, 2.5]),
    "Resize, linear": (10, "float[N,2,4,4]", 'Resize<mode="linear">(r, s)', [1, 1, 2, 2]),
    "Resize, nearest, smaller": (10, "float[N,2,9,9]", 'Resize<mode="nearest">(r, s)', [1, 1, 0.4, 0.7]),
    "Resize, nearest, larger": (10, "float[N,2,5,5]", 'Resize<mode="nearest">(r, s)', [1, 1, 1, 2.6]),
    "Hardmax over two axes": (12, "float[N,3,4]", "Hardmax<axis=1>(r)", None),
    "Hardmax over the last axis": (12, "float[N,3,4]", "Hardmax<axis=2>(r)", None),
}


@pytest.mark.parametrize("case", OLD_OPERATORS)
def test_what_operators_meant_in_their_opset(case, rng):
    """ONNX's version converter forgets it."""
    opset, kind, node, scales = OLD_OPERATORS[case]
    weights = {} if scales is None else {"s": np.float32(scales)}
    model = parse(f"({kind} x) => ({kind} y) {{ r = Neg(x) y = {node} }}", **weights)
    model.opset_import[0].version, model.ir_version = opset, 4
    model.graph.output[0].type.tensor_type.ClearField("shape")
    for item in model.graph.initializer:
        model.graph.input.append(helper.make_tensor_value_info(item.name, item.data_type, item.dims))
    dims = [dim.dim_value or 3 for dim in model.graph.input[0].type.tensor_type.shape.dim]
    x = rng.normal(size=dims).astype(np.float32)
    (expected,) = onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"x": x})
    (found,) = run(normalize_model(flatten_model(model)), {"x": x})
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_a_resize_that_means_two_things_is_refused():
    text = '(float[N,2,5,5] x) => (float[N,2,2,13] y) { y = Resize<mode="nearest">(x, s) }'
    model = parse(text, s=np.float32([1, 1, 0.4, 2.6]))
    model.opset_import[0].version = 10
    with pytest.raises(onnx2snn.ModelError, match="shrinks one axis and stretches another"):
        normalize_model(flatten_model(model))
