"""The burst neuron of a PReLU: what carries a slope below zero, and follows the leaky sum."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onnx2snn.ops.prelu_burst_if import CELL, initial_state, step
from tests.ops.cells import BACKENDS, HALF, ONE, PER_CHANNEL, check_case, numpy_step, one, simulate, suited

eighths = st.integers(-64, 64).map(lambda n: n / 8)
CASES = {
    # Below zero a spike carries slope·θ; the potential starts at θ/2 for both signs.
    "tie at θ": ({"max_spikes": 4}, (HALF, ONE), one(0.5, 0), one(1, 0)),
    "u = 0 sends nothing": ({"max_spikes": 4}, (HALF, ONE), one(-0.5, -0.0625, 0), one(0, -0.5, 0)),
    "through zero and back": ({"max_spikes": 4}, (HALF, ONE), one(-2, 3, -3), one(-1, 2, -2)),
    "from above zero down and up again": ({"max_spikes": 4}, (HALF, ONE), one(2, -4, 3), one(2, -3, 2)),
    "at most Γ a step on either side": (
        {"max_spikes": 2},
        (HALF, ONE),
        one(-5, 0, 0, 8, 0, 0, 0),
        one(-1, -1, -0.5, 1, 1, 1.5, 2),
    ),
    "Γ binds the spikes, not what they carry": (
        {"max_spikes": 1},
        (np.asarray(3, np.float32), ONE),
        one(-2, 0, 2),
        one(-3, -3, 3),
    ),
    "a negative slope sends positive values": (
        {"max_spikes": 4},
        (np.asarray(-1, np.float32), ONE),
        one(-2, 1),
        one(2, -1),
    ),
    "slope and θ per channel": (
        {"max_spikes": 8},
        (np.float32([0.25, 2]).reshape(1, 2, 1), PER_CHANNEL),
        [[[[-2], [-4]]], [[[4], [10]]]],
        [[[[-0.5], [-8]]], [[[2.5], [14]]]],
    ),
}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("case", CASES)
def test_literal_case(backend, case):
    check_case(backend, "LeakyBurstIF", *CASES[case])


@given(
    currents=st.lists(eighths, min_size=1, max_size=20),
    threshold=st.sampled_from([0.25, 1.0, 2.0]),
    slope=st.integers(-16, 16).map(lambda n: n / 8),
)
def test_unsaturated_leaky_neuron_follows_the_leaky_sum(currents, threshold, slope):
    """n = floor(1/2 + Σ I/θ), which is within 1/2 of Σ I/θ, and g stretches that by at most its slopes."""

    def leaky(x):
        return np.where(x < 0, slope * x, x)

    parameters = np.asarray(slope, np.float32), np.asarray(threshold, np.float32)
    outputs = simulate(numpy_step, "LeakyBurstIF", one(*currents), parameters, {"max_spikes": 255})
    sent, wanted = np.cumsum(outputs), np.cumsum(currents)
    np.testing.assert_array_equal(sent, threshold * leaky(np.floor(wanted / threshold + 0.5)))
    assert np.abs(sent - leaky(wanted)).max() <= threshold / 2 * max(1, abs(slope))


def test_the_activations_that_it_stands_for():
    assert suited("LeakyBurstIF") == {"PRelu stream", "PRelu signed"}


def test_every_channel_has_its_own_slope_below_zero():
    slopes = np.float32([0.25, 0, 3, -1]).reshape(1, 4, 1)
    current = np.full((1, 4, 1), -2, np.float32)
    output, (potential, sent) = step(current, initial_state([slopes, ONE]), [slopes, ONE], {"max_spikes": 4})
    assert output[0, :, 0].tolist() == [-0.5, 0, -6, 2]
    assert potential[0, :, 0].tolist() == [0.5] * 4  # what was spent is θ a spike, whatever the slope
    assert sent[0, :, 0].tolist() == [-2] * 4
    output, (_, sent) = step(current + 5, (potential, sent), [slopes, ONE], {"max_spikes": 4})
    assert output[0, :, 0].tolist() == [1.5, 1, 7, -1]
    assert sent[0, :, 0].tolist() == [1] * 4


def test_it_starts_with_half_of_the_threshold_not_of_the_slope():
    potential, sent = initial_state([np.float64([8]), np.float64([[[1], [0.25]]])])
    assert potential.tolist() == [[[0.5], [0.125]]]
    assert potential.dtype == np.float64
    assert (sent.shape, sent.dtype, sent.item()) == ((), np.float32, 0)


def test_what_may_be_done_with_it():
    assert (CELL.neuron.takes_back, CELL.uneven, CELL.sends_units) == (True, True, False)
    assert (CELL.neuron.adaptable, CELL.neuron.scales, CELL.neuron.fires_once) == (False, False, False)
