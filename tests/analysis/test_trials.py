"""Settings that a search tries, what they take, and when there is no more to spend."""

from __future__ import annotations

import numpy as np
import pytest

from onnx2snn import DataError
from onnx2snn.aim import Aim
from onnx2snn.analysis import trials as module
from onnx2snn.analysis.trials import BudgetError, Trials, latency
from onnx2snn.data.readers import InputSpec, dataset_from_arrays
from tests.helpers import normal, parse

FINE = {"schedule": "layer", "code": "graded", "timesteps": 3, "exponents": 8}
COARSE = FINE | {"timesteps": 1, "exponents": 1}


@pytest.fixture
def net(rng):
    weights = normal(rng, w1=(4, 6), w2=(6, 3))
    return parse(
        "(float[N,4] x) => (float[N,3] y) { h = Gemm(x, w1) r = Relu(h) y = Gemm(r, w2) }", **weights
    )


def samples(rng, count):
    specs = [InputSpec("x", np.dtype(np.float32), (None, 4))]
    return dataset_from_arrays(rng.standard_normal((count, 4)).astype(np.float32), specs)


def test_each_setting_is_converted_once_and_judged_by_what_is_held_back(net, rng):
    trials = Trials(net, samples(rng, 80), Aim(1), {}, None)
    fine, coarse = trials.measure(FINE), trials.measure(COARSE)
    assert trials.measure(FINE) is fine
    assert (len(trials.candidates.calibration), len(trials.held_back)) == (40, 40)
    before = trials.passes
    assert before > 0
    trials.lose(fine)
    trials.lose(coarse)
    assert trials.passes > before
    assert fine.lost < coarse.lost
    assert fine.energy > coarse.energy
    assert (fine.latency, coarse.latency) == (3, 1)


def test_what_clearly_loses_too_much_is_given_up(net, rng, monkeypatch):
    monkeypatch.setattr(module, "_CHUNK", 16)
    trials = Trials(net, samples(rng, 400), Aim(1), {"batch_size": 16}, None)
    coarse = trials.measure(COARSE)
    before = trials.passes
    trials.lose(coarse, 0.1)
    assert coarse.lost > 0.1
    assert trials.passes - before < (200 + 2 * 200) / 400  # the ANN on all of them, the network on fewer


def test_the_budget_is_kept_but_one_setting_is_always_tried(net, rng):
    trials = Trials(net, samples(rng, 40), Aim(1, search_minutes=1e-9), {}, None)
    trials.measure(FINE)
    with pytest.raises(BudgetError, match="1e-09 minutes are over"):
        trials.measure(COARSE)
    trials = Trials(net, samples(rng, 40), Aim(1), {}, None)
    trials.spend(60 * 40)
    trials.measure(FINE)
    with pytest.raises(BudgetError, match="60 passes of the ANN are used up"):
        trials.measure(COARSE)


def test_one_sample_cannot_be_held_back(net, rng):
    with pytest.raises(DataError, match="expected at least 2 samples to choose options by"):
        Trials(net, samples(rng, 1), Aim(1), {}, None)


def test_layers_that_wait_for_each_other_take_longer():
    assert latency({"schedule": "layer", "timesteps": 3}, 5) == 15
    assert latency({"schedule": "stream", "timesteps": 3}, 5) == 7
