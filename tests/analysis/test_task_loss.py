"""What a network loses in the measure of its task: by hand, and where a search is bound by it."""

from __future__ import annotations

import numpy as np
import pytest

import onnx2snn
from onnx2snn.analysis.judging import Judge
from onnx2snn.analysis.task_loss import TaskLoss, can_bound, join
from onnx2snn.data.preprocessing import Preprocessing
from onnx2snn.tasks import TASKS
from onnx2snn.tasks.detect import read_boxes
from onnx2snn.tasks.task import Setting
from tests.tasks.fitted import example

TRUTH = np.zeros((8, 2), np.float32)
ANN = TRUTH + 1


def judge(name, truth=None, **setting):
    task = next(task for task in TASKS if task.name == name)
    return Judge(task, Setting(**setting), truth, Preprocessing(), None)


def lost(name, found, truth=TRUTH, expected=ANN, **setting):
    meter = TaskLoss(judge(name, truth, **setting), expected)
    return meter.measure, *meter.loss(found)


def test_differences_are_counted_in_percent_of_the_ann_s_own():
    assert lost("regress", TRUTH + 1.5) == ("% of RMSE", pytest.approx(50), 0)
    assert lost("control", TRUTH - 3) == ("% of mean difference of actions", pytest.approx(200), 0)
    _, loss, error = lost("regress", TRUTH + np.arange(1, 9)[:, None])
    assert loss == pytest.approx(100 * (np.sqrt((np.arange(1, 9) ** 2).mean()) - 1))
    assert error == pytest.approx(100 * np.arange(1, 9).std(ddof=1) / np.sqrt(8))


def test_actions_without_labels_are_counted_in_their_unit():
    assert lost("control", ANN + 0.25, None) == ("of mean difference of actions", 0.25, 0)


def test_noise_is_counted_in_decibels():
    measure, loss, _ = lost("restore", TRUTH + 10, data_range=1.0)
    assert (measure, loss) == ("dB of PSNR", pytest.approx(20))


def test_shares_are_counted_in_points():
    labels = np.tile([[0, 1]], (8, 1))
    right, wrong = labels * 2.0 - 1, 1 - labels * 2.0
    assert lost("multilabel", wrong, labels, right) == ("points of F1, micro", 100, 0)
    assert lost("multilabel", right, labels, right)[1] == 0
    assert lost("multilabel", wrong, None, right)[1] == 100
    assert lost("multilabel", right, None, right)[1] == 0


def test_boxes_are_read_batch_by_batch():
    outputs = {"y": np.array([[[0, 0, 9, 9, 0.9, 1]]] * 3, np.float64)}
    expected = read_boxes(outputs)
    meter = TaskLoss(judge("detect"), expected)
    parts = [meter.read(outputs, 2), meter.read(outputs, 1)]
    assert len(join(parts)) == 3
    assert meter.loss(join(parts)) == (pytest.approx(0), pytest.approx(0))
    outputs["y"][:, :, 0] = 8
    assert meter.loss(meter.read(outputs, 3))[0] == 100
    assert meter.changed(expected) is None


def test_what_says_little_by_itself_bounds_nothing():
    assert not can_bound(None)
    assert not can_bound(judge("classify", np.zeros(3, int)))
    assert not can_bound(judge("regress"))
    assert can_bound(judge("regress", TRUTH))
    assert can_bound(judge("control"))
    assert can_bound(judge("segment"))


def test_a_search_is_bound_by_the_task_s_measure():
    one = example("restore")
    data = {"x": one.samples[:40], "labels": one.labels[:40]}
    found = onnx2snn.compile(one.model, data, max_loss=1, timesteps=3, code="graded", schedule="layer")
    search = found.report.search
    assert search.measure == "dB of PSNR"
    assert search.chosen.loss <= 1
    assert all(trial.changed is None for trial in search.trials)
