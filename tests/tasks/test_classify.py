"""Answers right at once and among five."""

from __future__ import annotations

import numpy as np
import pytest

from onnx2snn.errors import DataError
from onnx2snn.tasks.classify import CLASSIFY, ClassMeter
from onnx2snn.tasks.task import Output, Setting
from tests.tasks.fitted import check


def test_the_fitted_net_has_the_figures_of_other_libraries():
    check(
        "classify",
        network={"top1": 0.64, "top5": 0.95},
        ann={"top1": 0.63, "top5": 0.98},
    )


def figures(found, truth):
    meter = ClassMeter(Setting())
    for one, classes in zip(np.array_split(np.asarray(found), 2), np.array_split(truth, 2), strict=True):
        meter.add(one, classes)
    return meter.figures()


def test_of_equal_scores_the_first_wins():
    assert figures(np.zeros((4, 3)), np.array([0, 1, 2, 0])) == {"top1": 0.5}


def test_five_answers_are_counted_of_six_classes():
    scores = np.arange(6.0)[None].repeat(4, axis=0)
    assert figures(scores, np.array([5, 1, 0, 0])) == {"top1": 0.25, "top5": 0.5}


def test_answers_that_are_classes_already():
    assert figures(np.array([3, 1, 2, 2]), np.array([3, 1, 0, 0])) == {"top1": 0.5}


def test_what_it_takes():
    scores = Output("y", (4, 3), np.dtype(np.float32))
    assert CLASSIFY.takes(scores)
    assert CLASSIFY.takes(Output("y", (4,), np.dtype(np.int64)))
    for shape, dtype in [
        ((4, 1), np.float32),
        ((4, 3), np.int64),
        ((4, 3, 1), np.float32),
        ((4,), np.float32),
    ]:
        assert not CLASSIFY.takes(Output("y", shape, np.dtype(dtype)))
    assert CLASSIFY.fits(np.array([0, 1]), scores)
    assert not CLASSIFY.fits(np.array([0.0, 1]), scores)
    with pytest.raises(DataError, match="labels: expected classes 0 to 2, those of output 'y', found 3;"):
        CLASSIFY.check_labels("d.npz", np.array([0, 3]), scores)
