"""Spikes from what a step computes, by hand."""

from __future__ import annotations

import numpy as np
import pytest

import onnx2snn
from onnx2snn.artifact.artifact import take_apart
from onnx2snn.runtime.trains import step_spikes, whole_train
from tests.helpers import parse
from tests.runtime.tiny import X, tiny


def graded(schedule):
    model = parse(
        "(float[N,2] x) => (float[N,2] y) { c = MatMul(x, w) r = Relu(c) y = MatMul(r, v) }",
        w=np.eye(2, dtype=np.float32),
        v=np.float32([[1, 2], [3, 4]]),
    )
    options = {"code": "graded", "timesteps": 3, "exponents": 4, "threshold": "max", "correct_bias": False}
    return take_apart(onnx2snn.compile(model, X, schedule=schedule, **{"code": "burst", **options}).model)


def test_a_burst_is_a_number_of_thresholds():
    artifact = tiny()
    (cell,) = artifact.neurons
    sent = step_spikes(
        artifact, cell, {}, {cell.output[0]: artifact.threshold(cell) * np.float32([[1, 0], [0, 3]])}
    )
    assert (sent.dtype, sent.tolist()) == (np.int16, [[1, 0], [0, 3]])


def test_a_graded_spike_is_a_change_of_the_sum():
    artifact = graded("stream")
    (cell,) = artifact.neurons
    before = {cell.input[1]: np.float32([[2, 1]])}
    sent = step_spikes(artifact, cell, before, {cell.output[0]: np.float32([[1, 1.25]])})
    assert sent.tolist() == [[-3, 1]]  # R = 2 is 4: down by 1 is -3, up by 1/4 is 1


@pytest.mark.parametrize(
    ("artifact", "units", "trains"),
    [
        (graded("layer"), [[0.875, 0.25]], [[[4, 2]], [[-1, 0]], [[0, 0]]]),
        (tiny("layer"), [[2, 4]], [[[1, 1]], [[1, 1]], [[0, 1]], [[0, 1]]]),
    ],
)
def test_a_neuron_that_fires_once_sends_a_train(artifact, units, trains):
    (cell,) = artifact.neurons
    target = artifact.threshold(cell) * np.float32(units)
    assert whole_train(artifact, cell, {cell.input[0]: target}).tolist() == trains
