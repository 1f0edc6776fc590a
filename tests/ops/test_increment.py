"""The way out of an analog island: the sum is t times the value, and what is not finite waits."""

from __future__ import annotations

import numpy as np
import pytest

from onnx2snn.ops.increment import CELL, initial_state, step
from tests.ops.cells import BACKENDS, check_case, one, simulate

CASES = {
    "increments of t times the value": ({}, (), one(1, 0.5, 2, 1), one(1, 0, 5, -2)),
    "what is not finite waits, and is made up for": (
        {},
        (),
        one(2, np.nan, np.inf, 3, -np.inf, -1),
        one(2, 0, 0, 10, 0, -18),
    ),
    "not finite from the start": ({}, (), one(np.nan, -np.inf, 2, 2), one(0, 0, 6, 2)),
    "not finite until the end": ({}, (), one(np.nan, np.inf), one(0, 0)),
    "each value waits by itself": (
        {},
        (),
        [[[1, np.inf]], [[np.nan, 4]], [[3, 4]]],
        [[[1, 0]], [[0, 8]], [[8, 4]]],
    ),
}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("case", CASES)
def test_literal_case(backend, case):
    check_case(backend, "Increment", *CASES[case])


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("function", [np.tanh, np.exp, lambda x: x @ x.swapaxes(-1, -2), np.sign])
@pytest.mark.parametrize("timesteps", [1, 7, 64])
def test_an_island_between_its_gates_is_exact_on_the_mean(backend, function, timesteps, rng):
    x = rng.standard_normal((timesteps, 2, 3, 3)).astype(np.float32)
    rates = simulate(backend, "RunningMean", x)
    outputs = simulate(backend, "Increment", [function(rate) for rate in rates])
    expected = function(x.mean(axis=0, dtype=np.float64))
    # A sum of T terms, each rounded in the 24th bit: 64/2^24 at worst.
    np.testing.assert_allclose(np.mean(outputs, axis=0, dtype=float), expected, rtol=4e-6, atol=4e-6)


def test_what_waits_leaves_the_state_but_not_the_time():
    state = initial_state(())
    for value, scaled, elapsed in ((2, 2, 1), (np.nan, 2, 2), (np.inf, 2, 3), (3, 12, 4)):
        _, state = step(np.float64([value]), state, (), {})
        assert [item.tolist() for item in state] == [[scaled], elapsed]
    assert state[0].dtype == np.float64


def test_what_it_acts_as():
    assert (CELL.kind, CELL.acts_as, CELL.states) == ("rate", "Identity", ("scaled", "elapsed"))
    assert (CELL.neuron, CELL.sends_units) == (None, False)
