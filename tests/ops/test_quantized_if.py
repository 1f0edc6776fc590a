"""The neuron of a trained quantiser: the quantised mean, whatever the order of the current."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from onnx2snn.engine.engines import OnnxruntimeEngine
from onnx2snn.graph.rectifiers import Rectifier
from onnx2snn.ops import DOMAIN, DOMAIN_VERSION, OPSET_VERSION, QUANTIZED_RELU
from onnx2snn.ops.quantized_if import CELL, initial_state, most_spikes, set_up
from onnx2snn.options import CompileOptions
from tests.ops.cells import BACKENDS, HALF, ONE, PER_CHANNEL, check_case, numpy_step, one, simulate, suited

eighths = st.integers(-64, 64).map(lambda n: n / 8)
CASES = {
    "tie at θ": ({"levels": 4, "timesteps": 4}, (ONE,), one(0.5, 0, 0, 0), one(1, 0, 0, 0)),
    "just below θ": ({"levels": 4, "timesteps": 4}, (ONE,), one(0.4375, 0, 0, 0.0625), one(0, 0, 0, 1)),
    "N·t/T so far, the rest waits": ({"levels": 4, "timesteps": 4}, (ONE,), one(3, 0, 0, 0), one(1, 1, 1, 0)),
    "a share of N is rounded down": ({"levels": 3, "timesteps": 4}, (ONE,), one(9, 0, 0, 0), one(0, 1, 1, 1)),
    "bursts where N > T": ({"levels": 6, "timesteps": 2}, (ONE,), one(4, 1), one(3, 2)),
    "takes back without a bound": ({"levels": 12, "timesteps": 3}, (ONE,), one(4, 4, -7), one(4, 4, -7)),
    "never below n = 0": ({"levels": 4, "timesteps": 4}, (ONE,), one(1, -9, 9, 0), one(1, -1, 1, 0)),
    "silent from the start": ({"levels": 4, "timesteps": 4}, (ONE,), one(-3, 3, 1, 0), one(0, 0, 1, 0)),
    "θ per channel": (
        {"levels": 2, "timesteps": 2},
        (PER_CHANNEL,),
        [[[[2], [2]]], [[[0], [0]]]],
        [[[[1], [2]]], [[[1], [0]]]],
    ),
}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("case", CASES)
def test_literal_case(backend, case):
    check_case(backend, "QuantizedIF", *CASES[case])


@cache
def quantized_relu(levels):
    infos = [
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in part]
        for part in (["x", "q"], ["y"])
    ]
    node = helper.make_node("QuantizedRelu", ["x", "q"], ["y"], domain=DOMAIN, levels=levels)
    opsets = [helper.make_opsetid("", OPSET_VERSION), helper.make_opsetid(DOMAIN, DOMAIN_VERSION)]
    return OnnxruntimeEngine(
        helper.make_model(
            helper.make_graph([node], "relu", *infos),
            functions=[QUANTIZED_RELU],
            opset_imports=opsets,
            ir_version=10,
        )
    )


@settings(deadline=None)
@given(
    currents=st.lists(eighths, min_size=1, max_size=20),
    step=st.sampled_from([0.125, 0.5, 1.0, 4.0]),
    levels=st.integers(1, 15),
)
def test_quantised_neuron_sends_the_quantised_mean_whatever_the_order(currents, step, levels):
    timesteps = len(currents)
    theta, attributes = np.asarray(step * timesteps, np.float32), {"levels": levels, "timesteps": timesteps}
    mean = np.float32(np.sum(currents) / timesteps)
    expected = step * np.clip(np.floor(np.sum(currents) / (timesteps * step) + 0.5), 0, levels)
    for order in (currents, sorted(currents), sorted(currents)[::-1]):
        outputs = simulate(numpy_step, "QuantizedIF", one(*order), (theta,), attributes)
        assert np.sum(outputs, dtype=float) == expected * timesteps
        ceilings = np.arange(1, timesteps + 1) * levels // timesteps
        counts = np.cumsum(outputs) / theta
        assert (counts >= 0).all()
        assert (counts <= ceilings).all()
    (relu,) = quantized_relu(levels).run({"x": mean.reshape(1), "q": np.float32([step])}).values()
    assert relu == expected


def test_the_activations_that_it_stands_for():
    assert suited("QuantizedIF") == {"quantised stream", "quantised signed"}


def test_it_takes_the_levels_and_the_step_of_the_trained_net():
    setting = set_up(Rectifier(step=HALF, levels=6), CompileOptions(timesteps=4, max_spikes=2))
    assert setting.threshold(np.float32([0.5, 2])).tolist() == [2, 8]
    assert setting.attributes == {"levels": 6, "timesteps": 4}
    assert (setting.levels, setting.max_spikes) == (1.5, 6)


def test_most_spikes_are_those_due():
    attributes = {"levels": 6, "timesteps": 4}
    assert [most_spikes(attributes, timesteps) for timesteps in (1, 2, 3, 4)] == [1, 3, 4, 6]


def test_it_starts_with_half_a_spike_none_sent_at_time_zero():
    potential, sent, elapsed = initial_state([np.float64([[[1], [0.25]]])])
    assert potential.tolist() == [[[0.5], [0.125]]]
    assert potential.dtype == np.float64
    for state in (sent, elapsed):
        assert (state.shape, state.dtype, state.item()) == ((), np.float32, 0)


def test_what_may_be_done_with_it():
    assert (CELL.neuron.takes_back, CELL.neuron.limit) == (True, "levels")
    assert (CELL.neuron.adaptable, CELL.neuron.scales, CELL.neuron.fires_once) == (False, False, False)
