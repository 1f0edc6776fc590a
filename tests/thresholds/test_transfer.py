"""What a rule is told of the neuron, and what a neuron does with it."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

import numpy as np
import pytest

from onnx2snn.ops.burst_if import CELL as BURST_IF
from onnx2snn.thresholds.transfer import Transfer
from tests.thresholds.histograms import transferred

INFINITE = float("inf")


@pytest.mark.parametrize(("levels", "max_spikes", "timesteps"), [(1, 1, 8), (4, 4, 8), (2, 4, 3)])
def test_the_rule_knows_the_transfer_function_of_the_neuron(levels, max_spikes, timesteps, rng):
    """Away from ties, where float32 decides, a simulated neuron gives what the formula says."""
    transfer = Transfer(levels * timesteps, max_spikes * timesteps)
    threshold = np.asarray(1.0 / levels, np.float32)
    currents = (
        (rng.integers(0, 3 * transfer.most_steps, 200) + rng.uniform(0.1, 0.9, 200)) / transfer.steps / 2
    )
    state, total = BURST_IF.initial_state([threshold]), np.zeros(200)
    for _ in range(timesteps):
        spikes, state = BURST_IF.step(
            currents.astype(np.float32), state, [threshold], {"max_spikes": max_spikes}
        )
        total += spikes
    np.testing.assert_allclose(total / timesteps, transferred(currents, 1.0, transfer), rtol=1e-6, atol=1e-6)


def test_the_percentile_of_who_names_none():
    assert Transfer(4, 8) == Transfer(steps=4, most_steps=8, percentile=99.9)


def test_it_stays_as_it_is():
    with pytest.raises(FrozenInstanceError, match="cannot assign to field 'steps'"):
        Transfer(4, 8).steps = 5
