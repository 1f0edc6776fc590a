"""What a network loses, from how far its margins are from the ANN's."""

from __future__ import annotations

import numpy as np
import pytest

from onnx2snn import OptionError
from onnx2snn.aim import Aim
from onnx2snn.analysis.loss import LossMeter
from onnx2snn.data.readers import InputSpec, dataset_from_arrays

SPECS = [InputSpec("x", np.dtype(np.float32), (None, 1))]


def meter(scores, labels=None, **aim):
    data = dataset_from_arrays(np.zeros((len(scores), 1), np.float32), SPECS, labels=labels)
    return LossMeter(np.asarray(scores, np.float32), data, Aim(1, **aim))


def test_the_same_scores_lose_nothing():
    scores = [[2, 0], [1, 0], [0, 3], [0, 4]]
    for labels in (None, np.array([0, 0, 1, 1])):
        one = meter(scores, labels)
        assert one.loss(np.asarray(scores, np.float32)) == (0, 0)
        assert one.changed(np.asarray(scores, np.float32)) == 0


def test_errors_are_lent_to_all_samples():
    # Margins 1, 2, 3, 4; errors of the half with smaller margins: -1.5 and 0. So 1 changes with chance 1/2.
    scores = np.array([[1, 0], [2, 0], [3, 0], [4, 0]], np.float32)
    found = scores + np.array([[-1.5, 0], [0, 0], [-9, 0], [0, 0]], np.float32)
    assert meter(scores).loss(found)[0] == pytest.approx(100 * 0.5 / 4)
    assert meter(scores).changed(found) == 50
    # The ANN is right on all: each change costs a point, and there will be more on other images.
    assert meter(scores, np.zeros(4, int)).loss(found)[0] == pytest.approx(2 * 100 * 0.5 / 4)
    # A change to the right answer gives a point.
    assert meter(scores, np.array([1, 0, 0, 0])).loss(found)[0] == pytest.approx(-100 * 0.5 / 4)
    assert meter(scores, np.zeros(4, int), loss_measure="agreement").measure == "agreement"


def test_the_first_samples_alone_can_be_judged():
    scores = np.array([[1, 0], [2, 0], [3, 0], [4, 0]], np.float32)
    one = meter(scores)
    assert one.loss(scores[:2] - np.array([[5, 0]], np.float32)) == (100, 0)


def test_what_is_no_class_is_measured_by_its_error():
    scores = np.array([[[3.0, 4.0]], [[0.0, 5.0]]], np.float32)
    one = meter(scores)
    assert one.measure == "error"
    assert one.changed(scores) is None
    assert one.loss(scores) == (0, 0)
    assert one.loss(scores * np.float32(1.1))[0] == pytest.approx(10, rel=1e-5)


def test_measures_that_are_not_there_are_refused():
    with pytest.raises(OptionError, match="--loss-measure: expected labels in"):
        meter([[1, 0]], loss_measure="accuracy")
    with pytest.raises(OptionError, match="--loss-measure: expected class scores for agreement"):
        meter([[1], [2]], loss_measure="agreement")
