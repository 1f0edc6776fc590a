"""Stages run on their own: in every float type, under whatever names the user's tensors have."""

from __future__ import annotations

import numpy as np
import pytest

import onnx2snn
from onnx2snn.calibration.stages import Train
from tests.helpers import normal, parse, relative_error, run

TYPES = {"float16": np.float16, "double": np.float64}


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_a_mean_has_the_type_of_the_net(dtype):
    spikes = [np.int8([[1, 0]]), np.int8([[3, -1]])]
    for train in (Train(spikes, np.asarray([0.5, 2], dtype)), Train([s.astype(dtype) for s in spikes], None)):
        expected = [[1, -1]] if train.scale is not None else [[2, -0.5]]
        assert train.mean().dtype == dtype
        np.testing.assert_array_equal(train.mean(), np.asarray(expected, dtype))


def test_a_float16_mean_is_added_up_in_float32():
    train = Train([np.ones((1, 2), np.float16)] * 4096, None)
    np.testing.assert_array_equal(train.mean(), np.ones((1, 2), np.float16))


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("signed", [False, True])
def test_bias_correction_in_every_float_type(dtype, signed, rng):
    kind = TYPES[dtype]
    nodes = """h = Gemm(x, w1) r = Relu(h) u = Unsqueeze(r, axis)
        m = MaxPool<kernel_shape=[2], strides=[2]>(u) f = Flatten(m)
        z = Gemm(f, w2) q = Relu(z) y = Gemm(q, w3)"""
    shapes = {"w1": (4, 8), "w2": (4, 6), "w3": (6, 3)}
    weights = {name: (w / 2).astype(kind) for name, w in normal(rng, **shapes).items()}
    model = parse(f"({dtype}[N,4] x) => ({dtype}[N,3] y) {{ {nodes} }}", axis=np.int64([1]), **weights)
    data = rng.standard_normal((64, 4)).astype(kind)
    artifact = onnx2snn.compile(model, data, timesteps=32, signed=signed, code="burst").model
    found = onnx2snn.SpikingSession(artifact).run(data).outputs["y"]
    assert found.dtype == kind
    assert relative_error([found], run(model, {"x": data})) < 0.1


def test_tensors_may_bear_the_names_of_states(rng):
    """Names that ONNX or our cells give their parameters are free for the user's tensors."""
    nodes = "h = Gemm(x, w1) r = Relu(h) potential = Gemm(r, sent) sum = Relu(potential) y = Gemm(sum, total)"
    weights = normal(rng, w1=(4, 6), sent=(6, 6), total=(6, 3))
    model = parse(f"(float[N,4] x) => (float[N,3] y) {{ {nodes} }}", **weights)
    data = rng.standard_normal((64, 4)).astype(np.float32)
    artifact = onnx2snn.compile(model, data, timesteps=32, signed=True).model
    found = onnx2snn.SpikingSession(artifact).run(data).outputs["y"]
    assert relative_error([found], run(model, {"x": data})) < 0.1
