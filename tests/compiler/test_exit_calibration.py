"""Thresholds of an early exit from calibration data: by hand, within their bound, refused in one line."""

from __future__ import annotations

import numpy as np
import pytest

import onnx2snn
from onnx2snn.compiler.exit_calibration import calibrate_exit
from onnx2snn.data.readers import dataset_from_arrays
from onnx2snn.errors import OptionError
from tests.analysis.by_hand import SAMPLES, ann, compiled
from tests.exits import nets
from tests.helpers import parse

#: The last one's scores are 0, 0 | ½, 1 | ⅓, 4⁄3 | ½, 1 after each timestep: another answer after the first.
WAVERING = np.concatenate([SAMPLES, np.float32([[0.49, 0.375]])])
#: The largest probabilities of scores that are that far apart.
TWO, ONE, HALF = (1 / (1 + np.exp(-apart)) for apart in (2, 1, 0.5))
NOBODY = 2.0


def calibrated(samples, *arguments, batch="N", **options):
    session = compiled(ann(batch=batch))
    return calibrate_exit(session, dataset_from_arrays(samples, session.inputs), *arguments, **options)


@pytest.mark.parametrize("batch", ["N", 3])
def test_thresholds_are_those_by_hand(batch):
    rule = calibrated(WAVERING, batch=batch, batch_size=3)
    assert rule.criterion == "confidence"
    assert rule.probabilities is False
    assert rule.thresholds == pytest.approx((ONE, HALF, NOBODY, NOBODY))


def test_everybody_leaves_at_once_where_the_answers_stay():
    assert calibrated(SAMPLES).thresholds == pytest.approx((ONE, NOBODY, NOBODY, NOBODY))


@pytest.mark.parametrize("batch", ["N", 3])
def test_a_fifth_of_the_answers_may_differ(batch):
    """What fills a batch up does not count."""
    assert calibrated(WAVERING, 20, batch=batch).thresholds == pytest.approx((0.5, NOBODY, NOBODY, NOBODY))
    assert calibrated(WAVERING, 19.9).thresholds == pytest.approx((ONE, HALF, NOBODY, NOBODY))


def test_the_default_is_a_thousandth():
    many = np.concatenate([np.repeat(SAMPLES, 250, axis=0)[1:], WAVERING[-1:]])
    assert calibrated(many).thresholds == calibrated(many, 0.1).thresholds
    assert calibrated(many).thresholds[0] == 0.5
    assert calibrated(many[1:]).thresholds[0] == pytest.approx(ONE)


def test_the_last_of_fewer_timesteps_decides():
    assert calibrated(WAVERING, timesteps=2).thresholds == pytest.approx((TWO, HALF))
    assert calibrated(WAVERING, timesteps=1).thresholds == (0.5,)


def test_probabilities_are_taken_as_they_are():
    model = parse("(float[N,2] x) => (float[N,2] y) { r = Relu(x) y = Softmax<axis=1>(r) }")
    session = compiled(model)
    rule = calibrate_exit(session, dataset_from_arrays(SAMPLES[1:2], session.inputs))
    assert rule.probabilities is True
    assert rule.thresholds[0] == pytest.approx(ONE)


def test_progress_is_the_share_of_the_samples():
    done = []
    calibrated(SAMPLES, batch_size=3, progress=done.append)
    assert done == [0.75, 1.0]


@pytest.mark.parametrize("code", ["burst", "graded"])
def test_calibration_keeps_its_bound_on_its_own_samples(code, rng):
    model, x = nets.compiled(rng, samples=200, code=code)
    session = onnx2snn.SpikingSession(model)
    final = session.run(x).outputs["y"].argmax(axis=1)
    for bound in (1.0, 5.0):
        rule = calibrate_exit(session, dataset_from_arrays(x, session.inputs), bound)
        found = session.run(x, early_exit=rule)
        assert (found.outputs["y"].argmax(axis=1) != final).mean() <= bound / 100
        assert found.timesteps_used.mean() < 8


@pytest.mark.parametrize("bound", [0, -1.0, 100.5, float("nan")])
def test_a_bound_that_is_none(bound):
    with pytest.raises(OptionError) as caught:
        calibrated(SAMPLES, bound)
    assert str(caught.value) == (
        f"--max-loss: expected more than 0 and at most 100 percent, found {bound}; give 0.1, say"
    )


def test_all_answers_may_differ():
    assert calibrated(WAVERING, 100).thresholds[0] == 0.5


def test_what_cannot_exit_early_is_refused():
    session = compiled(schedule="layer")
    with pytest.raises(OptionError, match="early exit: expected a network of --schedule stream, found layer"):
        calibrate_exit(session, dataset_from_arrays(SAMPLES, session.inputs))
    model = parse(
        "(float[N,2] x) => (float[N,2,1] y) { r = Relu(x) y = Reshape(r, s) }", s=np.int64([-1, 2, 1])
    )
    session = compiled(model)
    with pytest.raises(OptionError, match="early exit: expected class scores"):
        calibrate_exit(session, dataset_from_arrays(SAMPLES, session.inputs))
