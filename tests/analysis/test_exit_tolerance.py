"""Tolerances of an early exit for tasks without class scores: within their bound, and what they save."""

from __future__ import annotations

import numpy as np
import pytest

import onnx2snn
from onnx2snn.analysis import exit_tolerance
from onnx2snn.analysis.evaluation import evaluate
from onnx2snn.analysis.exit_tolerance import find_exit
from onnx2snn.data.readers import dataset_from_arrays
from onnx2snn.errors import DataError, OptionError
from onnx2snn.exits.rule import ExitRule
from onnx2snn.tasks.asked import Asked
from tests.analysis.by_hand import SAMPLES, compiled
from tests.tasks.fitted import example

STEPS = 6


def session_of(one):
    return onnx2snn.SpikingSession(
        onnx2snn.compile(one.model, one.calibration, timesteps=STEPS, exponents=8, threshold="max").model
    )


@pytest.fixture(scope="module")
def denoiser():
    one = example("restore")
    return one, session_of(one)


def test_a_bound_in_decibels_is_kept(denoiser):
    one, session = denoiser
    whole = evaluate(session, one.dataset(), [STEPS])
    tolerances = []
    for bound in (0.05, 1.0):
        rule = find_exit(session, one.dataset(), bound)
        tolerances.append(rule.thresholds[0])
        found = evaluate(session, one.dataset(), [STEPS], early_exit=rule).early_exit
        assert (rule.criterion, found.task) == ("change", "restore")
        assert whole.measures["psnr"][0] - found.measures["psnr"] <= bound
        assert found.mean_timesteps < STEPS
    assert tolerances[0] < tolerances[1]


def test_without_labels_the_bound_is_on_the_relative_error(denoiser):
    one, session = denoiser
    rule = find_exit(session, one.dataset(labelled=False), 5)
    found = session.run(one.samples, early_exit=rule)
    last = session.run(one.samples).outputs["y"]
    assert np.linalg.norm(found.outputs["y"] - last) <= 0.05 * np.linalg.norm(last)
    assert found.timesteps_used.mean() < STEPS


def test_what_a_session_runs_is_what_evaluate_counts(denoiser):
    one, session = denoiser
    rule = ExitRule("change", (0.1,))
    ran = session.run(one.samples, early_exit=rule)
    found = evaluate(session, one.dataset(), [STEPS], early_exit=rule).early_exit
    assert found.mean_timesteps == ran.timesteps_used.mean()
    error = ((ran.outputs["y"] - one.labels) ** 2).mean()
    assert found.measures["psnr"] == pytest.approx(-10 * np.log10(error), rel=1e-5)


def test_nobody_leaves_where_no_tolerance_keeps_the_bound(monkeypatch):
    monkeypatch.setattr(exit_tolerance, "_TOLERANCES", (1.0,))
    session = compiled()
    data = dataset_from_arrays(SAMPLES, session.inputs)
    rule = find_exit(session, data, 1e-6, asked=Asked("control"))
    assert rule == ExitRule("change", (-1.0,))
    assert session.run(SAMPLES, early_exit=rule).timesteps_used.tolist() == [4] * 4


def test_boxes_may_stop_too():
    one = example("detect")
    rule = find_exit(session_of(one), one.dataset(), 2)
    assert rule.criterion == "change"


def test_class_scores_are_judged_by_their_confidence():
    session = compiled()
    assert find_exit(session, dataset_from_arrays(SAMPLES, session.inputs)).criterion == "confidence"
    done = []
    rule = find_exit(
        session,
        dataset_from_arrays(SAMPLES, session.inputs),
        100,
        asked=Asked("control"),
        batch_size=3,
        progress=done.append,
    )
    assert (rule, done) == (ExitRule("change", (1.0,)), [0.75, 1.0])


def test_refused():
    session = compiled()
    data = dataset_from_arrays(SAMPLES, session.inputs)
    with pytest.raises(
        OptionError, match="--max-loss: expected more than 0 and at most 100 percent, found 0"
    ):
        find_exit(session, data, 0)
    with pytest.raises(DataError, match="arrays: expected at least one sample"):
        find_exit(session, data.every(1, 4))
    with pytest.raises(OptionError, match="whose confidence tells when one is decided, found control; give"):
        evaluate(session, data, [2], early_exit=ExitRule("confidence", (0.9,)), asked=Asked("control"))
    with pytest.raises(
        OptionError, match="confidence or entropy, which a file can tell by itself, found 'change'"
    ):
        onnx2snn.CompileOptions(early_exit="change")
