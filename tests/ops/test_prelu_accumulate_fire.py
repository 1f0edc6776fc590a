"""The neuron of a PReLU that fires once: rounded on either side, negative spikes carry the slope."""

from __future__ import annotations

import numpy as np
import pytest

from onnx2snn.ops.prelu_accumulate_fire import CELL, step
from tests.ops.cells import BACKENDS, HALF, ONE, PER_CHANNEL, check_case, one, suited

CASES = {
    "ties round up on either side": (
        {"levels": 4, "code": "burst", "potential": 0.5},
        (HALF, ONE),
        one(0.5, -0.5, -0.5625, -1.5, -1.5625, 2.5),
        one(1, 0, -0.5, -0.5, -1, 3),
    ),
    "between -N and N": (
        {"levels": 3, "code": "radix", "potential": 0.5},
        (HALF, ONE),
        one(99, 3, -3, -3.5625, -99),
        one(3, 3, -1.5, -1.5, -1.5),
    ),
    "a negative slope sends positive values": (
        {"levels": 3, "code": "burst", "potential": 0.5},
        (np.asarray(-1, np.float32), ONE),
        one(-2, 1),
        one(2, 1),
    ),
    "slope and θ per channel": (
        {"levels": 8, "code": "burst", "potential": 0.5},
        (np.float32([0.25, 2]).reshape(1, 2, 1), PER_CHANNEL),
        [[[[-2], [-4]], [[2], [7]]]],
        [[[[-0.5], [-8]], [[2], [8]]]],
    ),
}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("case", CASES)
def test_literal_case(backend, case):
    check_case(backend, "LeakyAccumulateFire", *CASES[case])


def test_the_activations_that_it_stands_for():
    assert suited("LeakyAccumulateFire") == {"PRelu layer"}


@pytest.mark.parametrize(
    ("current", "expected"),
    [(-4, [-1, 0, -12, 4]), (-99, [-1.5, 0, -18, 6]), (0, [0] * 4), (4, [4] * 4), (99, [6] * 4)],
)
def test_every_channel_has_its_own_slope_below_zero(current, expected):
    slopes = np.float32([0.25, 0, 3, -1]).reshape(1, 4, 1)
    attributes = {"levels": 3, "code": "burst", "potential": 0.5}
    currents = np.full((2, 4, 1), current, np.float32)
    output, state = step(currents, (), [slopes, np.float32(2)], attributes)
    assert output[:, :, 0].tolist() == [expected] * 2
    assert (output.dtype, state) == (np.float32, ())


def test_what_may_be_done_with_it():
    assert (CELL.neuron.fires_once, CELL.uneven, CELL.neuron.limit) == (True, True, "levels")
    assert (CELL.neuron.adaptable, CELL.neuron.scales, CELL.neuron.takes_back) == (False, False, False)
