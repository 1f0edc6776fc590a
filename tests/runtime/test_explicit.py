"""Explicit timesteps of the schedule `layer`: what goes through a net at each of them, by hand."""

from __future__ import annotations

import numpy as np
import pytest

import onnx2snn
from onnx2snn.artifact.artifact import take_apart
from onnx2snn.runtime.explicit import simulate
from tests.helpers import parse
from tests.runtime.tiny import AFTER_4, X, tiny

EXACT = {"code": "burst", "timesteps": 4, "schedule": "layer", "threshold": "max", "correct_bias": False}


def layered(body, x, constants, **options):
    model = parse(f"(float[N,2] x) => (float[N,M] y) {{ {body} }}", **constants)
    return take_apart(onnx2snn.compile(model, x, **EXACT | options).model)


def test_spikes_currents_and_outputs_are_those_by_hand():
    found = simulate(tiny("layer"), {"x": X})
    np.testing.assert_array_equal(found.outputs["y"], AFTER_4)
    np.testing.assert_array_equal(found.currents["r"], X)
    np.testing.assert_array_equal(
        found.spikes["r"],
        [
            [[1, 1], [1, 1], [0, 1]],
            [[1, 1], [1, 0], [0, 1]],
            [[0, 1], [1, 0], [0, 1]],
            [[0, 1], [1, 0], [0, 1]],
        ],
    )


def test_a_spike_of_a_radix_code_is_worth_half_the_one_before():
    x = np.float32([[15, 6], [9, 15]])
    artifact = layered("r = Relu(x) y = MatMul(r, w)", x, {"w": np.eye(2, dtype="f")}, code="radix")
    found = simulate(artifact, {"x": x})
    np.testing.assert_array_equal(
        found.spikes["r"], [[[1, 0], [1, 1]], [[1, 1], [0, 1]], [[1, 1], [0, 1]], [[1, 0], [1, 1]]]
    )
    np.testing.assert_allclose(found.outputs["y"], x, rtol=1e-6)


def test_a_bias_is_shared_by_the_timesteps_and_its_sum_is_whole():
    x = np.float32([[4, 2], [3, 4]])
    weights = {"w": np.float32([[1], [1]]), "b": np.float32([10])}
    artifact = layered("r = Relu(x) y = Gemm(r, w, b)", x, weights, max_spikes=1)
    np.testing.assert_array_equal(simulate(artifact, {"x": x}).outputs["y"], [[16], [17]])


@pytest.mark.parametrize("function", ["Sigmoid", "Tanh", "Abs"])
def test_what_is_not_linear_acts_on_sums(function):
    x = np.float32([[4, 2], [3, 4]])
    artifact = layered(f"r = Relu(x) y = {function}(r)", x, {}, max_spikes=1)
    expected = {"Sigmoid": 1 / (1 + np.exp(-x)), "Tanh": np.tanh(x), "Abs": x}[function]
    np.testing.assert_allclose(simulate(artifact, {"x": x}).outputs["y"], expected, rtol=1e-6)


def test_what_is_infinite_for_a_while_waits():
    """log(0) before the first spike; the sum in the end is not."""
    x = np.float32([[1, 4], [4, 4]])
    artifact = layered(
        "r = Relu(x) s = ReduceSum<keepdims=1>(r, a) y = Log(s)", x, {"a": np.int64([1])}, max_spikes=1
    )
    found = simulate(artifact, {"x": x}).outputs["y"]
    np.testing.assert_allclose(found, np.log([[5], [8]]), rtol=1e-6)


def test_a_pool_passes_the_maximum_of_the_sums():
    text = """(float[N,1,2,2] x) => (float[N,1,1,1] y)
        { r = Relu(x) m = MaxPool<kernel_shape=[2,2]>(r) y = Mul(m, two) }"""
    x = np.float32([[[[1, 3], [4, 2]]], [[[0, 1], [0, 0]]]])
    compiled = onnx2snn.compile(parse(text, two=np.float32(2)), x, max_spikes=1, **EXACT)
    np.testing.assert_array_equal(simulate(take_apart(compiled.model), {"x": x}).outputs["y"].ravel(), [8, 2])


def test_what_nothing_moves_is_given_out_as_it_is():
    model = parse("(float[N,2] x) => (float[N,2] y, float[N,2] z) { r = Relu(x) y = Neg(r) z = Neg(x) }")
    compiled = onnx2snn.compile(model, X, **EXACT)
    np.testing.assert_array_equal(simulate(take_apart(compiled.model), {"x": X}).outputs["z"], -X)
