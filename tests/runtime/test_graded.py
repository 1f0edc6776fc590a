"""Networks of graded spikes: sums, both schedules, all backends, at rest, and event by event."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

import onnx2snn
from onnx2snn import SpikingSession
from onnx2snn.artifact.artifact import take_apart
from onnx2snn.runtime.explicit import simulate
from tests.helpers import normal, parse, relative_error, run

NET = """(float[N,2,6,6] x) => (float[N,3] y) {
    a = Conv<pads: ints = [1, 1, 1, 1]>(x, w, b)  r = Relu(a)
    c = Conv<pads: ints = [1, 1, 1, 1]>(r, v, b)  d = Add(c, r)  s = Sigmoid(d)  t = Mul(d, s)
    p = MaxPool<kernel_shape: ints = [2, 2], strides: ints = [2, 2]>(t)
    l = Conv(p, u)  k = Conv(l, z)  q = Relu(k)  g = GlobalAveragePool(q)  f = Flatten(g)  y = Gemm(f, o)
}"""
SHAPES = {"w": (4, 2, 3, 3), "b": (4,), "v": (4, 4, 3, 3), "u": (2, 4, 1, 1), "z": (5, 2, 1, 1), "o": (5, 3)}


@pytest.fixture(scope="module")
def ann():
    return parse(NET, **normal(np.random.default_rng(3), **SHAPES))


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(4).normal(size=(40, 2, 6, 6)).astype(np.float32)


def session(ann, images, backend="onnxruntime", **options):
    chosen = {"threshold": "percentile", "correct_bias": False, "code": "graded", **options}
    return SpikingSession(onnx2snn.compile(ann, images, **chosen).model, backend)


@pytest.mark.parametrize(("schedule", "timesteps"), [("stream", 4), ("layer", 3)])
def test_backends_agree(ann, images, schedule, timesteps):
    given, expected = (
        session(ann, images, backend, schedule=schedule, timesteps=timesteps).run(images[:3]).outputs["y"]
        for backend in ("onnxruntime", "numpy")
    )
    np.testing.assert_allclose(given, expected, atol=1e-5)


@pytest.mark.parametrize(("exponents", "bound"), [(4, 0.2), (8, 0.02), (12, 0.002)])
def test_at_rest_it_is_the_ann_as_far_as_its_exponents_reach(ann, images, exponents, bound):
    network = session(ann, images, timesteps=24, exponents=exponents)
    outputs = list(network.outputs_by_step(images[:8], 26))
    np.testing.assert_array_equal(outputs[-1]["y"], outputs[-3]["y"])
    assert relative_error([outputs[-1]["y"]], run(ann, {"x": images[:8]})) < bound
    recorded = network.run(images[:8], 26, record=True)
    assert not any(spikes[-2:].any() for spikes in recorded.spikes.values())


def test_the_schedule_layer_is_that_of_explicit_timesteps(ann, images):
    network = session(ann, images, schedule="layer", timesteps=3)
    explicit = simulate(network.artifact, {"x": images[:2]})
    np.testing.assert_allclose(explicit.outputs["y"], network.run(images[:2]).outputs["y"], atol=1e-5)
    recorded = network.run(images[:2], record=True).spikes
    assert recorded.keys() == explicit.spikes.keys()
    differing = [np.mean(recorded[name] != explicit.spikes[name]) for name in recorded]
    assert max(differing) < 0.01  # at a tie the order of a sum decides


@pytest.mark.parametrize("schedule", ["stream", "layer"])
def test_every_change_of_a_sum_is_counted_once(ann, images, schedule):
    network = session(ann, images, schedule=schedule, timesteps=3)
    (checkpoint,) = network.run_counted(images[:2], [3])
    spikes = network.run(images[:2], record=True).spikes
    for name, trains in spikes.items():
        np.testing.assert_array_equal(
            checkpoint.spikes[name], (trains != 0).sum(axis=(0, *range(2, trains.ndim)))
        )
    assert network.uncounted == ()


def test_weights_meet_spikes_only(ann, images):
    """A linear layer between others has neurons before and behind it, as activations have."""
    names = session(ann, images).neurons
    assert names == ("r/neuron", "t/neuron", "l/neuron", "q/neuron")


def test_a_net_of_smooth_activations_alone_spikes(images):
    lines = "a = Conv(x, w)  t = Tanh(a)  b = Conv(t, v)  e = Elu(b)  y = Conv(e, u)"
    text = f"(float[N,2,6,6] x) => (float[N,3,6,6] y) {{ {lines} }}"
    shapes = {"w": (3, 2, 1, 1), "v": (3, 3, 1, 1), "u": (3, 3, 1, 1)}
    net = parse(text, **normal(np.random.default_rng(5), **shapes))
    network = session(net, images, timesteps=16, exponents=12)
    assert network.neurons == ("t/neuron", "e/neuron")
    assert relative_error([network.run(images[:4]).outputs["y"]], run(net, {"x": images[:4]})) < 0.005


def test_samples_may_change_their_mind_about_nothing(ann, images):
    """Words are those of a run from the start, however the run is cut into steps."""
    network = session(ann, images, timesteps=5)
    steps = [outputs["y"] for outputs in network.outputs_by_step(images[:2], 5)]
    np.testing.assert_array_equal(steps[-1], network.run(images[:2]).outputs["y"])
    assert any((before != after).any() for before, after in pairwise(steps))


def test_the_file_says_what_it_is(ann, images):
    artifact = take_apart(onnx2snn.compile(ann, images[:8], code="graded", exponents=5).model)
    assert artifact.sums
    assert artifact.record.options["exponents"] == 5
    assert {record.exponents for record in artifact.record.neurons.values()} == {5}


def test_every_node_is_accounted_for_as_spiking_or_linear(ann, images):
    nodes = onnx2snn.compile(ann, images[:8], code="graded").report.nodes
    spiking = {verdict.node: verdict.reason for verdict in nodes if verdict.role == "spiking"}
    assert set(spiking) == {"r", "s", "t", "p", "q", "l/neuron"}
    assert spiking["t"] == "the target of GradedIF"
    said = {verdict.node: verdict.reason for verdict in nodes}
    assert said["y"] == "after the last neuron: applied once, to the sum"


def test_what_takes_several_inputs_is_computed_on_sums(images):
    text = """(float[N,2,6,6] x) => (float[N,2,6,6] y) { a = Conv(x, w) r = Relu(a) m = MatMul(r, x)
        n = MatMul(m, r) s = Softmax(n) y = Conv(s, w) }"""
    model = parse(text, **normal(np.random.default_rng(6), w=(2, 2, 1, 1)))
    nodes = onnx2snn.compile(model, images[:8], code="graded").report.nodes
    said = {verdict.node: verdict.reason for verdict in nodes if verdict.role == "analog"}
    assert said == {
        "n": "it multiplies two activations: exact, on sums",
        "s": "it is not linear: exact, on sums",
    }
