"""The signed burst neuron: what it takes back, and that its sum never falls below zero."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onnx2snn.ops.signed_burst_if import CELL, initial_state
from tests.ops.cells import BACKENDS, ONE, PER_CHANNEL, check_case, numpy_step, one, simulate, suited

eighths = st.integers(-64, 64).map(lambda n: n / 8)
CASES = {
    "tie at 2θ": ({"max_spikes": 4}, (ONE,), one(1.5), one(2)),
    "u = 0 takes nothing back": ({"max_spikes": 4}, (ONE,), one(1.5, 0, -1, -0.0625), one(2, 0, -1, -1)),
    "never below n = 0": ({"max_spikes": 4}, (ONE,), one(1, -9, 7), one(1, -1, 0)),
    "silent from the start": ({"max_spikes": 4}, (ONE,), one(-3, 3, 1), one(0, 0, 1)),
    "at most Γ back in a step": ({"max_spikes": 2}, (ONE,), one(2, 2, -5, 0, 0), one(2, 2, -2, -2, 0)),
    "at most Γ forth in a step": ({"max_spikes": 2}, (ONE,), one(5, 0, 0), one(2, 2, 1)),
    "Γ = 1": ({"max_spikes": 1}, (ONE,), one(2, -3, 0, 0.5), one(1, -1, 0, 0)),
    "θ per channel": (
        {"max_spikes": 4},
        (PER_CHANNEL,),
        [[[[3], [3]]], [[[-2], [-2]]]],
        [[[[3], [4]]], [[[-2], [-2]]]],
    ),
}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("case", CASES)
def test_literal_case(backend, case):
    check_case(backend, "SignedBurstIF", *CASES[case])


@given(currents=st.lists(eighths, min_size=1, max_size=20), max_spikes=st.integers(1, 4))
def test_signed_neuron_sends_a_sum_of_at_least_zero(currents, max_spikes):
    outputs = simulate(numpy_step, "SignedBurstIF", one(*currents), (ONE,), {"max_spikes": max_spikes})
    assert np.cumsum(outputs).min() >= 0


@given(currents=st.lists(eighths, min_size=1, max_size=20))
def test_unsaturated_signed_neuron_follows_the_rectified_sum(currents):
    """Without a bound by Γ the net count is n = max(0, floor(1/2 + Σ I/θ)): within θ/2 of max(0, Σ I) always.

    After each step either 0 ≤ v < θ, or n = 0 and v < 0; and Σ y = θ/2 + Σ I - v.
    """
    outputs = simulate(numpy_step, "SignedBurstIF", one(*currents), (ONE,), {"max_spikes": 255})
    rectified = np.maximum(0, np.cumsum(currents))
    assert np.abs(np.cumsum(outputs) - rectified).max() <= 0.5


@given(currents=st.lists(eighths.map(abs), min_size=1, max_size=20), max_spikes=st.integers(1, 4))
def test_signed_and_unsigned_agree_while_currents_are_positive(currents, max_spikes):
    outputs = [
        simulate(numpy_step, op, one(*currents), (ONE,), {"max_spikes": max_spikes})
        for op in ("BurstIF", "SignedBurstIF")
    ]
    np.testing.assert_array_equal(*outputs)


def test_the_activations_that_it_stands_for():
    assert suited("SignedBurstIF") == {"Relu signed", "Clip signed"}


def test_it_starts_with_half_a_spike_and_none_sent():
    potential, sent = initial_state([np.float64([[[1], [0.25]]])])
    assert potential.tolist() == [[[0.5], [0.125]]]
    assert potential.dtype == np.float64
    assert (sent.shape, sent.dtype, sent.item()) == ((), np.float32, 0)


def test_what_may_be_done_with_it():
    assert (CELL.neuron.takes_back, CELL.neuron.adaptable, CELL.neuron.scales) == (True, True, True)
    assert (CELL.neuron.fires_once, CELL.uneven) == (False, False)
