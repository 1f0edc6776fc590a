"""What is asked of a net, and of which of its layers."""

from __future__ import annotations

import numpy as np

from onnx2snn.checks.net import Net, look_at, moments
from tests.checks.pictures import fitted
from tests.helpers import graph_of, normal, parse


def test_the_first_batchnorm_is_found():
    model = fitted().model
    net = look_at(model, graph_of(model))
    assert (net.trained.tensor, net.biased, net.inputs) == ("c", [], ["x"])
    x = np.ones((2, 3, 16, 16), np.float32)
    assert net.first_layers({"x": x})["c"].shape == (2, 8, 16, 16)
    assert net.output({"x": x}).shape == (2, 4)


def test_without_one_the_first_biases_are():
    model = fitted().folded
    net = look_at(model, graph_of(model))
    assert net.trained is None
    assert [place.tensor for place in net.biased] == ["c", "y"]


def test_statistics_that_were_never_updated_say_nothing(rng):
    parameters = {"gamma": np.ones(2), "beta": np.ones(2), "mean": np.zeros(2), "var": np.ones(2)}
    model = parse(
        "(float[N,2] x) => (float[N,2] y) { y = BatchNormalization (x, gamma, beta, mean, var) }",
        **{name: value.astype(np.float32) for name, value in parameters.items()},
    )
    net = look_at(model, graph_of(model))
    assert (net.trained, net.biased) == (None, [])
    assert net.first_layers(normal(rng, x=(3, 2))) == {}


def test_a_fixed_batch_and_integers_are_noted():
    fixed = parse("(float[4,2] x) => (float[4,2] y) { y = Relu (x) }")
    assert Net(fixed, graph_of(fixed)).fixed_batch == 4
    whole = parse("(int32[N,2] x) => (float[N,2] y) { y = Cast <to = 1> (x) }")
    net = Net(whole, graph_of(whole))
    assert (net.fixed_batch, net.float_input) == (None, False)


def test_moments_by_channel(rng):
    values = rng.standard_normal((5, 3, 2, 2))
    mean, variance = moments(values)
    np.testing.assert_allclose(mean, values.mean(axis=(0, 2, 3)))
    np.testing.assert_allclose(variance, values.var(axis=(0, 2, 3)))
