"""Runs with neurons that are listened to, told what to send, or exact: every figure by hand."""

from __future__ import annotations

import numpy as np
import pytest

import onnx2snn
from onnx2snn.artifact.artifact import take_apart
from onnx2snn.artifact.probe_graphs import ExactNeuron
from onnx2snn.graph.rectifiers import Rectifier
from onnx2snn.runtime import probing
from onnx2snn.runtime.probing import Prober
from tests.helpers import parse
from tests.runtime.tiny import AFTER_2, AFTER_4, X, network, tiny

V = np.float32([[1, 2], [3, 4]])


@pytest.fixture(scope="module", params=["stream", "layer"])
def schedule(request):
    return request.param


@pytest.fixture(scope="module")
def prober(schedule):
    return Prober(network(tiny(schedule)))


@pytest.fixture(scope="module")
def unit(schedule):
    """What 1 in the artifact stands for: θ is in the weights where time passes."""
    return 2.0 if schedule == "stream" else 1.0


def exact(unit, ceiling=np.inf):
    return ExactNeuron("r", Rectifier(ceiling), np.float32(unit))


def test_a_recording_has_means_over_time(prober, unit):
    found = prober.record({"x": X}, 4)
    np.testing.assert_array_equal(found.outputs["y"], AFTER_4)
    np.testing.assert_array_equal(found.currents["r"] * unit, X)
    np.testing.assert_array_equal(found.sent["r"] * unit, X)
    np.testing.assert_array_equal(found.activity["r"] * unit, X)


def test_a_shorter_recording_has_means_over_the_time_that_it_took():
    found = Prober(network(tiny())).record({"x": X}, 2)
    np.testing.assert_array_equal(found.outputs["y"], AFTER_2)
    np.testing.assert_array_equal(found.currents["r"] * 2, X)
    np.testing.assert_array_equal(found.sent["r"] * 2, [[1, 2], [2, 1], [0, 2]])


def test_a_neuron_sends_what_it_is_told(prober, unit):
    currents, outputs = prober.teach({"x": X}, {"r": np.float64([[1, 0], [0, 1], [2, 2]])})
    np.testing.assert_array_equal(currents["r"] * unit, X)
    np.testing.assert_array_equal(outputs["y"], unit * np.float32([[1, 2], [3, 4], [8, 12]]))


def test_a_neuron_that_nobody_tells_is_exact(schedule, unit):
    prober = Prober(network(tiny(schedule)))
    x = np.float32([[0.3, -1], [0.1, 5]])
    currents, outputs = prober.teach({"x": x}, {}, [exact(unit)])
    np.testing.assert_allclose(currents["r"] * unit, x, rtol=1e-6)
    np.testing.assert_allclose(outputs["y"], np.maximum(x, 0) @ V, rtol=1e-6)


def test_other_neurons_may_be_told_the_next_time(schedule):
    """Of two neurons of one shape each is told in turn, and the other one is exact."""
    text = "(float[N,2] x) => (float[N,2] y) { r = Relu(x) s = MatMul(r, v) q = Relu(s) y = Identity(q) }"
    options = {"timesteps": 4, "max_spikes": 1, "schedule": schedule, "threshold": "max"}
    compiled = onnx2snn.compile(
        parse(text, v=np.eye(2, dtype="f")), X, correct_bias=False, **{"code": "burst", **options}
    )
    artifact = take_apart(compiled.model)
    units = {name: np.float32(n.unit or 1) for name, n in artifact.record.neurons.items()}
    prober, x, told = Prober(network(artifact)), np.float32([[0.5, 1]]), np.float32([[2, 4]])
    for name, other, expected in (("r", "q", told), ("q", "r", told), ("r", "q", told)):
        stand_in = ExactNeuron(other, Rectifier(), units[other])
        currents, outputs = prober.teach({"x": x}, {name: told / units[name]}, [stand_in])
        np.testing.assert_allclose(outputs["y"], expected, rtol=1e-6)
        np.testing.assert_allclose(currents["q"] * units["q"], told if name == "r" else x, rtol=1e-6)


def test_an_exact_neuron_sends_its_activation_in_the_end(schedule, unit):
    x = np.float32([[0.3, -1], [0.1, 5]])
    for ceiling in (np.inf, 4.0):
        prober = Prober(network(tiny(schedule)))
        (found,) = prober.outputs_with_each([exact(unit, ceiling)], {"x": x}, {"r": np.zeros((2, 2))}, 4)
        np.testing.assert_allclose(found["y"], np.clip(x, 0, ceiling) @ V, rtol=1e-5)


def test_a_shift_is_added_before_the_activation(prober, unit):
    shift = np.float32([[0.5, -5], [0, 0], [-1, 1]])
    (found,) = prober.outputs_with_each([exact(unit)], {"x": X}, {"r": shift}, 4)
    np.testing.assert_allclose(found["y"], np.maximum(X + shift, 0) @ V, rtol=1e-5)


def test_neurons_are_exact_one_after_the_other_whatever_the_memory(schedule, monkeypatch):
    text = "(float[N,2] x) => (float[N,2] y) { r = Relu(x) s = MatMul(r, v) q = Relu(s) y = Identity(q) }"
    options = {"timesteps": 4, "max_spikes": 1, "schedule": schedule, "threshold": "max"}
    compiled = onnx2snn.compile(
        parse(text, v=np.eye(2, dtype="f")), X, correct_bias=False, **{"code": "burst", **options}
    )
    artifact = take_apart(compiled.model)
    units = {name: neuron.unit or [1.0] for name, neuron in artifact.record.neurons.items()}
    stand_ins = [ExactNeuron(name, Rectifier(), np.float32(unit)) for name, unit in units.items()]
    # θ is 2: the first neurons send nothing for 0.2, and the second ones what the first do.
    x = np.float32([[0.2, 1], [2, 1]])
    shifts = {name: np.zeros((2, 2)) for name in units}
    shifts["q"] += 5
    shifts["r"][0, 0] = 0.8
    for memory in (1 << 20, 1):
        monkeypatch.setattr(probing, "_MEMORY", memory)
        first, second = Prober(network(artifact)).outputs_with_each(stand_ins, {"x": x}, shifts, 4)
        np.testing.assert_allclose(second["y"], [[5, 6], [7, 6]], atol=1e-6)
        np.testing.assert_allclose(first["y"], [[1, 1], [2, 1]], atol=1e-6)
