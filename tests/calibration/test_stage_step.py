"""One timestep of a stage as a graph of its own."""

from __future__ import annotations

import numpy as np

from onnx2snn.calibration.stage_step import initial_states, threshold, widened
from onnx2snn.graph.graph import Constant, Node, Variable
from onnx2snn.ops import DOMAIN


def neuron(op, *parameters):
    constants = [
        Constant(f"p{number}", np.asarray(value, np.float32)) for number, value in enumerate(parameters)
    ]
    return Node(op, "cell", {"max_spikes": 2}, [Variable("u"), *constants], [Variable("y")], domain=DOMAIN)


def test_a_cell_begins_with_its_states_in_a_wide_type():
    states = initial_states(neuron("SignedBurstIF", 3.0), None, np.dtype(np.float16))
    assert {name: (float(value), value.dtype) for name, value in states.items()} == {
        "onnx2snn/cell/potential": (1.5, np.float32),
        "onnx2snn/cell/sent": (0.0, np.float32),
    }
    assert initial_states(None, None, np.dtype(np.float32)) == {}


def test_theta_is_the_last_parameter():
    assert threshold(neuron("LeakyBurstIF", 0.1, 3.0)) == 3


def test_sums_are_wide():
    types = (np.float16, np.float32, np.float64)
    assert [widened(np.dtype(item)) for item in types] == [np.float32, np.float32, np.float64]
