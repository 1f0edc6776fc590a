"""Spikes and events of what a cell sends in a step, counted by hand."""

from __future__ import annotations

import numpy as np
import pytest

from onnx2snn.artifact.artifact import zero_state
from onnx2snn.artifact.spike_counts import count_cells, event_count, spike_count
from onnx2snn.engine.engines import OnnxruntimeEngine
from onnx2snn.runtime.stepper import make_stepper
from tests.artifact.flat import flat
from tests.runtime.tiny import X, tiny


def counts(artifact, x):
    """Cell → its spikes and its events of a whole run."""
    step, carried = count_cells(artifact)
    found = OnnxruntimeEngine(step).run({"x": x, **zero_state((*artifact.carried, *carried))})
    return {
        cell.name: (found[spike_count(cell)].tolist(), found[event_count(cell)].tolist())
        for cell in artifact.spiking
    }


def neuron(code, op="AccumulateFire", inputs="x, theta", levels=12):
    attributes = f'levels={levels}, code="{code}", potential=0.5'
    return f"r = onnx2snn.{op}<{attributes}>({inputs})"


def layered(code, way="y = Neg(r)", **options):
    text = f"(float[N,4] x) => (float[N,4] y) {{ {neuron(code, **options)} {way} }}"
    weights = {"theta": np.float32(2), "slope": np.float32(0.5)}
    read = {name: value for name, value in weights.items() if f"{name}" in text}
    return flat(text, timesteps=4, **read)


def test_counts_have_names_that_no_tensor_of_a_user_has():
    (cell,) = layered("burst").neurons
    assert spike_count(cell) == "onnx2snn/r/spikes_sent"
    assert event_count(cell) == "onnx2snn/r/events_sent"


def test_a_burst_is_one_event_and_holds_as_much_as_a_timestep_may():
    """Γ is 3 in 4 timesteps: 7 spikes take 3 of them."""
    x = np.float32([[0, 2, 14, 100]])
    assert counts(layered("burst"), x)["r"] == ([[0, 1, 7, 12]], [[0, 1, 3, 4]])


def test_a_radix_code_sends_the_one_bits():
    x = np.float32([[0, 2, 14, 100]])
    assert counts(layered("radix", levels=15), x)["r"] == ([[0, 1, 3, 4]], [[0, 1, 3, 4]])


def test_spikes_that_are_negative_count_as_others():
    x = np.float32([[-2, 2, -14, -1]])
    found = counts(layered("burst", op="LeakyAccumulateFire", inputs="x, slope, theta"), x)["r"]
    assert found == ([[1, 1, 7, 0]], [[1, 1, 3, 0]])


def test_a_pool_sends_the_spikes_of_the_greatest():
    text = f"""(float[N,1,2,2] x) => (float[N,1,1,1] y) {{ {neuron("burst")} p = Mul(r, half)
        y = MaxPool<kernel_shape=[2,2]>(p) }}"""
    artifact = flat(text, timesteps=4, theta=np.float32(2), half=np.float32(0.5))
    found = counts(artifact, np.float32([[[[2, 14], [4, 0]]]]))
    assert found["r"] == ([[[[1, 7], [2, 0]]]], [[[[1, 3], [1, 0]]]])
    assert found["y"] == ([[[[7]]]], [[[[3]]]])


@pytest.mark.parametrize("steps", [1, 2, 4])
def test_counts_of_a_stream_add_up(steps):
    artifact = tiny()
    step, carried = count_cells(artifact)
    stepper = make_stepper(OnnxruntimeEngine(step), (*artifact.carried, *carried), {"c": X / 2})
    for _ in range(steps):
        stepper.advance()
    (cell,) = artifact.neurons
    found = {name: value.tolist() for name, value in stepper.carried([v.before for v in carried]).items()}
    sent = {
        1: [[1, 1], [1, 0], [0, 1]],
        2: [[1, 2], [2, 1], [0, 2]],
        4: [[2, 4], [4, 1], [0, 4]],
    }[steps]
    assert found == {f"{spike_count(cell)}/in": sent, f"{event_count(cell)}/in": sent}
