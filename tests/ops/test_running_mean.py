"""The way into an analog island: the mean so far."""

from __future__ import annotations

import numpy as np
import pytest

from onnx2snn.ops.running_mean import CELL, initial_state, step
from tests.ops.cells import BACKENDS, check_case, one

CASES = {
    "mean so far": ({}, (), one(1, 0, 5, -2), one(1, 0.5, 2, 1)),
}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("case", CASES)
def test_literal_case(backend, case):
    check_case(backend, "RunningMean", *CASES[case])


def test_it_counts_the_timesteps_and_adds_up_what_came():
    state = initial_state(())
    for total, elapsed, mean in ((3, 1, 3), (2, 2, 1), (9, 3, 3)):
        output, state = step(np.float64([total - state[0].item()]), state, (), {})
        assert (output.tolist(), [item.tolist() for item in state]) == ([mean], [[total], elapsed])
    assert output.dtype == np.float64


def test_what_it_acts_as():
    assert (CELL.kind, CELL.acts_as, CELL.states) == ("rate", "Identity", ("total", "elapsed"))
    assert (CELL.neuron, CELL.sends_units) == (None, False)
