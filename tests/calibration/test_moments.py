"""Moments per channel over all calibration samples that make whole batches."""

from __future__ import annotations

import numpy as np
import pytest

from onnx2snn.calibration.moments import measure_moments
from onnx2snn.data.dataset import InputSpec
from onnx2snn.data.readers import dataset_from_arrays
from tests.helpers import graph_of, parse

F32 = np.dtype(np.float32)
X = np.float32([[1, 10], [2, 20], [3, 30], [4, 40], [100, 1000]])


def measured(wanted, batch="N", batch_size=2, x=X):
    graph = graph_of(parse(f"(float[{batch},2] x) => (float[{batch},2] y) {{ a = Neg(x) y = Neg(a) }}"))
    spec = InputSpec("x", F32, (None if batch == "N" else int(batch), 2))
    return measure_moments(graph, wanted, dataset_from_arrays(x, [spec]), batch_size)


@pytest.mark.parametrize("batch_size", [1, 2, 3, 5, 64])
def test_means_weigh_every_sample_alike(batch_size):
    found = measured([("a", 1)], batch_size=batch_size)["a", 1]
    np.testing.assert_allclose(found.mean, [-22, -220])
    np.testing.assert_allclose(found.square, [2006, 200600])


def test_a_tensor_without_channels_has_one_of_each():
    found = measured([("y", None), ("y", 1)])
    np.testing.assert_allclose(found["y", None].mean, [121])
    np.testing.assert_allclose(found["y", 1].mean, [22, 220])


def test_what_fills_no_batch_of_the_model_is_left_out():
    np.testing.assert_allclose(measured([("y", 1)], batch="2")["y", 1].mean, [2.5, 25])


def test_many_samples_are_spread_evenly():
    """Of 1024 every fourth is enough."""
    x = np.zeros((1024, 2), np.float32)
    x[::4] = [1, 3]
    np.testing.assert_allclose(measured([("y", 1)], batch_size=100, x=x)["y", 1].mean, [1, 3])


def test_moments_are_those_of_the_spikes(rng):
    text = """(float[N,4,5,5] x) => (float[] r) { one = Constant<value_float=1.0>()
        r = onnx2snn.AccumulateFire<levels=3, code="burst", potential=0.5>(x, one) }"""
    data = rng.normal(1, 2, (24, 4, 5, 5)).astype(np.float32)
    dataset = dataset_from_arrays(data, [InputSpec("x", F32, (None, 4, 5, 5))])
    spikes = np.clip(np.floor(data + 0.5), 0, 3)
    for axis, axes in ((1, (0, 2, 3)), (None, (0, 1, 2, 3))):
        found = measure_moments(graph_of(parse(text)), [("r", axis)], dataset, 7)["r", axis]
        np.testing.assert_allclose(found.mean, np.atleast_1d(spikes.mean(axis=axes)), rtol=1e-6)
        np.testing.assert_allclose(found.square, np.atleast_1d((spikes**2).mean(axis=axes)), rtol=1e-6)
