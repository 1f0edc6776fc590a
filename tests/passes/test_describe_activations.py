"""The small histogram of a layer's activations, beside a count by hand."""

from __future__ import annotations

import json

import numpy as np
import pytest

import onnx2snn
from onnx2snn.artifact.artifact import take_apart
from onnx2snn.emit.metadata import read_metadata
from tests.helpers import normal, parse

NET = "(float[N,8] x) => (float[N,3] y) { h = MatMul(x, w1) r = Relu(h) y = MatMul(r, w2) }"


def build(rng, **options):
    weights = normal(rng, w1=(8, 5), w2=(5, 3))
    x = normal(rng, x=(200, 8))["x"]
    compiled = onnx2snn.compile(parse(NET, **weights), x, **{"code": "burst", **options})
    return compiled, np.maximum(x @ weights["w1"], 0).astype(np.float64)


@pytest.mark.parametrize(
    "options", [{}, {"granularity": "layer"}, {"schedule": "layer"}, {"signed": True, "levels": 2}]
)
def test_counts_ranges_and_what_is_clipped(rng, options):
    compiled, activations = build(rng, threshold="percentile", percentile=90.0, **options)
    said = compiled.report.to_dict()["activations"]["r"]
    assert read_metadata(compiled.model)["activations"] == {"r": said}
    assert said["zeros"] == pytest.approx((activations == 0).mean(), rel=1e-5)
    assert said["maximum"] == pytest.approx(activations.max(), rel=1e-5)
    assert sum(said["counts"]) == (activations > 0).sum()
    assert 32 <= len(said["counts"]) <= 64
    assert (
        said["bin"] * (len(said["counts"]) - 1)
        <= said["maximum"]
        <= said["bin"] * len(said["counts"]) * 1.0001
    )
    edges = said["bin"] * np.arange(len(said["counts"]) + 1)
    counted, _ = np.histogram(activations[activations > 0], edges)
    # Channels have bins of their own, so that what lies near an edge may be counted beside it.
    assert np.abs(np.cumsum(counted) - np.cumsum(said["counts"])).max() <= 3

    neuron = compiled.report.to_dict()["neurons"]["r"]
    for name, value in neuron["threshold"].items():
        assert said["threshold"][name] == pytest.approx(value, rel=1e-5)
        assert said["range"][name] == pytest.approx(value * neuron["levels"], rel=1e-5)
    whole = options.get("granularity") == "layer"
    ranges = np.percentile(activations, 90.0, axis=None if whole else 0, method="inverted_cdf")
    headroom = 2 if "levels" in options else 1
    lost = np.maximum(activations - ranges * headroom, 0).sum() / activations.sum()
    assert said["clipped"] == pytest.approx(lost, abs=0.002)
    assert said["clipped"] > 0 or headroom > 1


def test_it_is_small_and_the_same_every_time(rng):
    compiled, _ = build(rng)
    again, _ = build(np.random.default_rng(0))
    assert compiled.report.to_dict()["activations"] == again.report.to_dict()["activations"]
    assert len(json.dumps(compiled.report.to_dict()["activations"]["r"])) < 2000


def test_layers_that_fire_in_their_own_way_show_it(rng):
    compiled, _ = build(rng, compress="spikes", max_loss=50.0)
    said, neuron = compiled.report.to_dict()["activations"]["r"], compiled.report.to_dict()["neurons"]["r"]
    assert compiled.report.to_dict()["adaptation"]["layers"]["r"]["scale"] > 1
    assert said["threshold"]["median"] == pytest.approx(neuron["threshold"]["median"], rel=1e-5)


def test_a_silent_layer_has_no_bins(rng):
    weights = normal(rng, w1=(8, 5), w2=(5, 3))
    model = parse(NET.replace("r = Relu(h)", "n = Abs(h) m = Neg(n) r = Relu(m)"), **weights)
    said = onnx2snn.compile(model, normal(rng, x=(20, 8))["x"], code="burst").report.to_dict()["activations"][
        "r"
    ]
    assert said["counts"] == []
    assert said["zeros"] == 1
    assert said["clipped"] == 0


@pytest.mark.parametrize(
    ("options", "spikes"),
    [
        ({"timesteps": 2}, 2),
        ({"timesteps": 4, "percentile": 50.0}, 3),
        ({"timesteps": 1, "schedule": "layer"}, 1),
    ],
    ids=["stream", "waiting", "layer"],
)
def test_graded_neurons_clip_what_their_spikes_do_not_reach(rng, options, spikes):
    """The second layer waits a timestep where T is 4."""
    weights = normal(rng, w1=(8, 5), w2=(5, 6), w3=(6, 3))
    text = NET.replace("y = MatMul(r, w2)", "g = MatMul(r, w2) q = Relu(g) y = MatMul(q, w3)")
    x = normal(rng, x=(200, 8))["x"]
    chosen = {"code": "graded", "threshold": "percentile", "percentile": 80.0, "correct_bias": False}
    compiled = onnx2snn.compile(parse(text, **weights), x, **{**chosen, **options})
    activations = np.maximum(np.maximum(x @ weights["w1"], 0) @ weights["w2"], 0).astype(np.float64)
    said = compiled.report.to_dict()["activations"]["q/neuron"]
    artifact = take_apart(compiled.model)
    ranges = artifact.threshold(artifact.neurons[-1]).ravel()
    lost = np.maximum(activations - spikes * ranges, 0).sum() / activations.sum()
    assert lost > 0.005
    assert said["clipped"] == pytest.approx(lost, abs=0.002)
    assert said["range"]["greatest"] == pytest.approx(ranges.max(), rel=1e-5)


def test_counts_by_weights_of_any_size_can_be_read_again(rng):
    text = NET.replace("Relu(h)", "LeakyRelu<alpha = 1e12>(h)")
    model = parse(text, **normal(rng, w1=(8, 5), w2=(5, 3)))
    compiled = onnx2snn.compile(model, normal(rng, x=(9, 8))["x"], code="burst")
    (said,) = take_apart(compiled.model).record.activations.values()
    assert max(said.counts) == 1 << 53
