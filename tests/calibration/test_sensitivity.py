"""What layers are measured to cost and to suffer, against the network itself."""

from __future__ import annotations

import numpy as np
import pytest

import onnx2snn
from onnx2snn.artifact.records import Adaptation
from onnx2snn.calibration.sensitivity import divergence
from onnx2snn.calibration.stages import Stage
from onnx2snn.compiler import adaptation
from tests.exits.nets import TEXT, WEIGHTS
from tests.helpers import normal, parse


def measured(monkeypatch, rng, samples=64, **options):
    """The sensitivities that a compilation measures, and its samples and base network."""
    x = normal(rng, x=(samples, 3, 6, 6))["x"]
    model = parse(TEXT, **normal(rng, **WEIGHTS))
    seen = {}

    def spend(search):
        seen["base"], seen["session"] = search.try_out({})
        seen["sensitivity"] = search.sensitivity()
        return seen["base"], Adaptation("spike_budget")

    monkeypatch.setattr(adaptation, "_spend", spend)
    onnx2snn.compile(model, x, max_spikes="auto", **options)
    return seen


@pytest.mark.parametrize(
    "options", [{}, {"signed": True}, {"schedule": "layer"}, {"schedule": "layer", "timesteps": 3}]
)
def test_the_first_way_is_the_networks_own(monkeypatch, rng, options):
    found = measured(monkeypatch, rng, **options)
    for name, layer in found["sensitivity"].items():
        # Biases are corrected batch by batch here, and over all samples there.
        assert layer.spikes[0] == pytest.approx(found["base"].spikes[name], rel=0.1)


@pytest.mark.parametrize("signed", [False, True])
def test_higher_thresholds_send_less_and_move_the_output_more(monkeypatch, rng, signed):
    for layer in measured(monkeypatch, rng, signed=signed)["sensitivity"].values():
        ways = sorted(zip(layer.ways, layer.spikes, layer.divergence, strict=True), key=lambda x: x[0].scale)
        assert len({way.scale for way, _, _ in ways}) > 3
        assert ways[0][1] > ways[-1][1]
        assert ways[0][2] < ways[-1][2]
        assert min(layer.divergence) >= 0


def test_a_search_costs_a_few_passes_a_layer(monkeypatch, rng):
    """Half a pass of the ANN for each way that is worth following, not a network each."""
    runs = []
    current = Stage.current
    monkeypatch.setattr(Stage, "current", lambda self, feeds: runs.append(self.key) or current(self, feeds))
    found = measured(monkeypatch, rng, samples=16, correct_bias=False)["sensitivity"]
    ways = sum(len(layer.ways) for layer in found.values())
    stages = len(set(runs))
    # One sweep of the SNN's means and of its eight timesteps, one of the ANN, and what is behind each way.
    assert len(runs) <= stages * (1 + 1 + 1 + 8) + ways * stages / 2 + ways


def test_divergence_is_symmetric_and_none_of_itself(rng):
    one, other = rng.normal(size=(2, 7, 5))
    assert divergence(one, one) == 0
    assert divergence(one / one.std(), other / other.std()) == pytest.approx(
        divergence(other / other.std(), one / one.std())
    )
    assert divergence(one, other) > 0


def test_divergence_of_probabilities_is_that_of_their_scores(rng):
    scores, wanted = rng.normal(size=(2, 7, 5))
    soft = [np.exp(x) / np.exp(x).sum(axis=1, keepdims=True) for x in (scores, wanted)]
    centred = [x - np.log(np.exp(x).sum(axis=1, keepdims=True)) for x in (scores, wanted)]
    assert divergence(*soft, probabilities=True) == pytest.approx(divergence(*centred))


def test_without_classes_it_is_the_relative_squared_error(rng):
    wanted = rng.normal(size=(6, 4, 4))
    assert divergence(wanted * 1.1, wanted) == pytest.approx(6 * 0.01)


def test_a_class_that_is_out_of_the_question_is_no_infinity_away():
    """A softmax that is 0 in float32 counts as 1e-30."""
    sure, unsure = np.float32([[1, 0]]), np.float32([[0.5, 0.5]])
    assert divergence(sure, sure, probabilities=True) == 0
    logs = np.log([1, 1e-30])
    temperature = np.std(logs)
    share = 1 / (1 + np.exp((logs[1] - logs[0]) / temperature))
    expected = (share - 0.5) * (logs[0] - logs[1]) / temperature
    assert divergence(unsure, sure, probabilities=True) == pytest.approx(expected)
