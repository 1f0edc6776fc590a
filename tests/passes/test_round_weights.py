"""Weights rounded to int8: multiples of the step that costs least, without a shift of the mean."""

from __future__ import annotations

import numpy as np
import pytest

from onnx2snn.calibration.moments import Moments
from onnx2snn.data.readers import InputSpec, dataset_from_arrays
from onnx2snn.graph.graph import constant
from onnx2snn.options import CompileOptions
from onnx2snn.passes import round_weights
from onnx2snn.passes.base import Context
from onnx2snn.passes.pipeline import run_pass
from onnx2snn.passes.round_weights import RoundWeights
from tests.helpers import graph_of, normal, parse

#: name → what reads the spikes r [N,4,6,6] or f [N,4]; weights, their axis of output channels
LAYERS = {
    "conv": ("y = Conv<pads=[1,1,1,1]>(r, w, b)", {"w": (3, 4, 3, 3), "b": (3,)}, 0),
    "no bias": ("y = Conv(r, w)", {"w": (3, 4, 3, 3)}, 0),
    "grouped": ("y = Conv<group=2>(r, w, b)", {"w": (6, 2, 3, 3), "b": (6,)}, 0),
    "gemm": ("f = Flatten(r) y = Gemm(f, w, b)", {"w": (144, 3), "b": (3,)}, 1),
    "transposed gemm": ("f = Flatten(r) y = Gemm<transB=1>(f, w, b)", {"w": (3, 144), "b": (3,)}, 0),
    "matmul": ("f = Flatten(r) y = MatMul(f, w)", {"w": (144, 3)}, 1),
}


def rounded(name, rng, monkeypatch=None, moments=None, **changed):
    nodes, shapes, axis = LAYERS[name]
    weights = normal(rng, **shapes) | changed
    text = "(float[N,4,6,6] x) => (float[] y) { one = Constant<value_float=1.0>() "
    text += f'r = onnx2snn.AccumulateFire<levels=15, code="radix", potential=0.5>(x, one) {nodes} }}'
    graph = graph_of(parse(text, **weights))
    data = np.abs(rng.normal(2, 2, (32, 4, 6, 6))).astype(np.float32)
    options = CompileOptions(schedule="layer", code="radix", timesteps=4, weights="int8")
    specs = [InputSpec("x", np.dtype(np.float32), (None, 4, 6, 6))]
    context = Context(options, dataset=dataset_from_arrays(data, specs))
    if moments is not None:
        monkeypatch.setattr(
            round_weights, "measure_moments", lambda _, wanted, *__: dict.fromkeys(wanted, moments)
        )
    context.established |= RoundWeights.requires
    assert run_pass(RoundWeights(), graph, context)
    assert not run_pass(RoundWeights(), graph, context)
    layer = next(node for node in graph.nodes if node.op in ("Conv", "Gemm", "MatMul"))
    (step,) = context.steps.values()
    return weights, layer, np.moveaxis(constant(layer.inputs[1]), axis, 0), step, graph


@pytest.mark.parametrize("name", LAYERS)
def test_weights_are_multiples_of_one_step_a_channel(name, rng):
    weights, _, found, step, _ = rounded(name, rng)
    whole = found / step.reshape(-1, *[1] * (found.ndim - 1))
    np.testing.assert_allclose(whole, np.rint(whole), atol=1e-4)
    assert 100 < np.abs(whole).max() < 127.5
    original = np.moveaxis(weights["w"], LAYERS[name][2], 0)
    largest = np.abs(original).max(axis=tuple(range(1, original.ndim)))
    assert np.abs(found - original).max() < 0.25 * largest.max()
    assert np.abs(found - original).mean() < 0.005 * largest.mean()


def test_a_large_weight_that_is_never_used_does_not_coarsen_the_step(rng, monkeypatch):
    weight = rng.uniform(-1, 1, (1, 4, 3, 3)).astype(np.float32)
    weight[0, 3] = 3.0
    unused = Moments(np.zeros(4), np.float64([1, 1, 1, 0]))
    used = Moments(np.zeros(4), np.ones(4))
    steps = [
        rounded("conv", rng, monkeypatch, moments, w=weight, b=np.zeros(1, np.float32))[3]
        for moments in (unused, used)
    ]
    assert steps[0][0] < 0.6 * steps[1][0]
    np.testing.assert_allclose(steps[1], 3 / 127, rtol=0.05)


@pytest.mark.parametrize("name", ["conv", "grouped", "gemm", "transposed gemm"])
def test_the_bias_takes_back_what_rounding_shifts(name, rng, monkeypatch):
    mean = rng.uniform(0, 10, 4 if "gemm" not in name else 144)
    moments = Moments(mean, mean**2 + 1)
    weights, layer, found, _, _ = rounded(name, rng, monkeypatch, moments)
    lost = (np.moveaxis(weights["w"], LAYERS[name][2], 0) - found).astype(np.float64)
    groups = 2 if name == "grouped" else 1
    for channel, gap in enumerate(lost):
        inputs = mean.reshape(groups, -1)[channel * groups // len(lost)]
        shift = (gap.reshape(len(gap), -1).sum(axis=1) * inputs).sum()
        assert constant(layer.inputs[2])[channel] == pytest.approx(weights["b"][channel] + shift, abs=1e-5)


def test_no_step_is_finer_than_a_bias_of_int32_allows(rng):
    bias = np.float32([1024, -2048, 0])
    weight = np.full((3, 4, 3, 3), 2.0**-30, np.float32)
    _, _, _, step, _ = rounded("conv", rng, w=weight, b=bias)
    assert step[:2].tolist() == [2.0**-20, 2.0**-19]
    assert step[2] < 2.0**-30
