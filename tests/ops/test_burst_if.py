"""The burst neuron: ties, saturation, rounding to the nearest step, its set-up for an activation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onnx2snn.graph.rectifiers import Rectifier
from onnx2snn.ops.burst_if import CELL, initial_state, most_spikes, set_up
from onnx2snn.options import CompileOptions
from tests.ops.cells import BACKENDS, ONE, PER_CHANNEL, check_case, numpy_step, one, simulate, suited

CASES = {
    # Membrane potential starts at θ/2: a current of 1/2 brings u to θ exactly, and a tie fires.
    "tie at θ": ({"max_spikes": 4}, (ONE,), one(0.5, 0.0), one(1, 0)),
    "just below θ": ({"max_spikes": 4}, (ONE,), one(0.4375, 0.0625), one(0, 1)),
    "tie at 3θ": ({"max_spikes": 4}, (ONE,), one(2.5, 1.0), one(3, 1)),
    "saturates at Γ and keeps the rest": ({"max_spikes": 2}, (ONE,), one(4.5, 0, 0), one(2, 2, 1)),
    "Γ = 1 is the classic neuron": ({"max_spikes": 1}, (ONE,), one(0.75, 0.75, 0.75, 0.75), one(1, 1, 0, 1)),
    "negative current fires nothing, and is owed": ({"max_spikes": 4}, (ONE,), one(-2, 2, 2), one(0, 0, 2)),
    "output carries θ": ({"max_spikes": 4}, (np.asarray(0.25, np.float32),), one(0.5, 0.125), one(0.5, 0.25)),
    "θ per channel, state broadcasts": (
        {"max_spikes": 4},
        (PER_CHANNEL,),
        [[[[1, 3], [1, 3]], [[0, 9], [0, 9]]], [[[0, 0], [0, 0]], [[0, 0], [0, 0]]]],
        [[[[1, 3], [2, 4]], [[0, 4], [0, 8]]], [[[0, 0], [0, 0]], [[0, 4], [0, 2]]]],
    ),
}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("case", CASES)
def test_literal_case(backend, case):
    check_case(backend, "BurstIF", *CASES[case])


@given(
    share=st.floats(0, 1), timesteps=st.integers(1, 20), levels=st.integers(1, 8), top=st.floats(0.01, 100)
)
@pytest.mark.parametrize("op", ["BurstIF", "SignedBurstIF"])
def test_constant_current_is_rounded_to_the_nearest_step(op, share, timesteps, levels, top):
    """For 0 ≤ a ≤ R the potential never leaves [0, θ), so |Σy - T·a| = |v_0 - v_T| ≤ θ/2."""
    threshold, current = np.asarray(top / levels, np.float32), np.float32(share * top)
    outputs = simulate(numpy_step, op, one(*[current] * timesteps), (threshold,), {"max_spikes": levels})
    mean = np.sum(outputs, dtype=np.float64) / timesteps
    assert abs(mean - current) <= threshold * (0.5 / timesteps + 1e-5)


def test_the_activations_that_it_stands_for():
    assert suited("BurstIF") == {"Relu stream", "Clip stream"}


def test_headroom_is_for_what_has_no_ceiling():
    options = CompileOptions(max_spikes=4, levels=2)
    plain, bounded = set_up(Rectifier(), options), set_up(Rectifier(6.0), options)
    assert plain.threshold(np.float32([6, 3])).tolist() == [3, 1.5]
    assert (plain.attributes, plain.levels, plain.max_spikes) == ({"max_spikes": 4}, 2, 4)
    assert bounded.threshold(np.float32([6, 3])).tolist() == [3, 1.5]
    assert (bounded.attributes, bounded.levels, bounded.max_spikes) == ({"max_spikes": 2}, 2, 2)


def test_the_potential_starts_at_half_of_each_threshold():
    for dtype in (np.float16, np.float32, np.float64):
        (potential,) = initial_state([np.asarray([[[1], [0.25]]], dtype)])
        assert potential.tolist() == [[[0.5], [0.125]]]
        assert potential.dtype == dtype


def test_most_spikes_of_a_run():
    assert most_spikes({"max_spikes": 3}, 5) == 15


def test_what_may_be_done_with_it():
    assert (CELL.neuron.adaptable, CELL.neuron.scales) == (True, True)
    assert (CELL.neuron.takes_back, CELL.neuron.fires_once, CELL.uneven) == (False, False, False)
    assert CELL.sends_units
    assert CELL.neuron.limit == "max_spikes"
