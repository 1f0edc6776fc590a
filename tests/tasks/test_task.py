"""What a task takes, in one line each; and which task `auto` means."""

from __future__ import annotations

import numpy as np
import pytest

from onnx2snn.data.targets import Objects
from onnx2snn.errors import DataError, OptionError
from onnx2snn.tasks import TASKS
from onnx2snn.tasks.control import CONTROL
from onnx2snn.tasks.segment import SEGMENT
from onnx2snn.tasks.task import Measure, Output, choose, same_numbers

NOTHING = (Objects(np.zeros((0, 4)), np.zeros(0, np.int64), np.zeros(0, bool)),)
SCORES, IMAGE = np.zeros((2, 3)), np.zeros((2, 3, 4, 4))


def output(shape, dtype="f4", **more):
    return Output("y", tuple(shape), np.dtype(dtype), **more)


@pytest.mark.parametrize(
    ("shape", "more", "truth", "task"),
    [
        ((2, 3), {}, None, "classify"),
        ((2, 3), {}, np.array([0, 1]), "classify"),
        ((2,), {"dtype": "i8"}, None, "classify"),
        ((2, 3), {}, np.eye(3, dtype=int)[:2], "multilabel"),
        ((2, 1), {}, np.array([0, 1]), "multilabel"),
        ((2, 1), {}, np.array([0, 7]), "regress"),
        ((2, 1), {}, None, "regress"),
        ((2,), {}, None, "regress"),
        ((2, 3), {}, SCORES, "regress"),
        ((2, 9, 4, 4), {"image": True}, None, "segment"),
        ((2, 3, 4, 4), {}, np.zeros((2, 4, 4), int), "segment"),
        ((2, 3, 4, 4), {"image": True}, None, "restore"),
        ((2, 3, 4, 4), {}, IMAGE, "restore"),
        ((2, 9, 4, 4), {}, None, "regress"),
        ((2, 9, 6), {}, NOTHING, "detect"),
        ((2, 9, 6), {}, None, "regress"),
    ],
)
def test_auto(shape, more, truth, task):
    found = choose(TASKS, "d.npz", truth, output(shape, **more))
    assert found is not None
    assert found.name == task


def test_auto_may_mean_nothing():
    assert choose(TASKS, "d.npz", None, output((2, 3), "i8")) is None


def test_labels_of_another_task():
    with pytest.raises(DataError) as caught:
        choose(TASKS, "d.npz", np.zeros((2, 7)), output((2, 3)))
    assert str(caught.value) == (
        "d.npz: labels: expected those of a task of output 'y' of shape [N, 3], found float64 of shape "
        "[2, 7], which are of another; give labels of its task, or name the task with --task"
    )
    with pytest.raises(DataError) as caught:
        SEGMENT.check_labels("d.npz", NOTHING, output(IMAGE.shape))
    assert str(caught.value) == (
        "d.npz: labels: expected class numbers [N, H, W] (or 255) for the task segment and output 'y' of "
        "shape [N, 3, 4, 4], found boxes of 1 images; give labels of that task, or name another with --task"
    )


def test_an_output_of_another_task():
    with pytest.raises(OptionError) as caught:
        SEGMENT.check_output(output((2, 3)))
    assert str(caught.value) == (
        "--task segment: expected class scores [N, classes, H, W], or whole numbers [N, H, W], in output "
        "'y', found float32 of shape [N, 3]; name another task, or decode the output with --decode"
    )


def test_measures_as_text():
    assert Measure("a", "A").show(0.12345) == "12.3 %"
    assert Measure("a", "A", "dB").show(31.456) == "31.46 dB"
    assert Measure("a", "A", "value").show(0.000123456) == "0.0001235"
    assert Measure("a", "A").show(None) == "–"
    assert CONTROL.named("worst_difference").name == "worst"


def test_one_column_is_as_good_as_none():
    assert same_numbers(np.zeros(3), output((2, 1)))
    assert same_numbers(np.zeros((3, 1)), output((2,)))
    assert not same_numbers(np.zeros((3, 2)), output((2,)))
