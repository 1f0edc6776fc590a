"""Boxes of objects, and how outputs are read as such."""

from __future__ import annotations

import numpy as np
import pytest

from onnx2snn.data.targets import Objects
from onnx2snn.errors import OptionError
from onnx2snn.tasks.detect import DETECT, decoded_boxes, read_boxes
from onnx2snn.tasks.task import Setting
from tests.tasks.fitted import check


def test_the_fitted_net_has_the_figures_of_other_libraries():
    check(
        "detect",
        network={"map": 0.15495311860620423, "map50": 0.5442858736712768},
        ann={"map": 0.17268254668880698, "map50": 0.5133384847460012},
    )


BOX = [0.0, 0, 10, 10]


def test_an_output_has_all():
    (found,) = read_boxes({"y": np.array([[[*BOX, 0.9, 1.0], [5, 0, 4, 9, 0.9, 0]]])})
    assert found.boxes.tolist() == [BOX]  # the other one's right is left of its left
    assert (found.scores.tolist(), found.classes.tolist()) == ([0.9], [1])


def test_outputs_have_a_part_each():
    outputs = {
        "labels": np.array([[1, 2]]),
        "boxes": np.array([[BOX, BOX]]),
        "scores": np.array([[0.5, 0.25]]),
    }
    (found,) = read_boxes(outputs)
    assert (found.scores.tolist(), found.classes.tolist()) == ([0.5, 0.25], [1, 2])


def test_other_outputs_need_a_function():
    with pytest.raises(OptionError) as caught:
        read_boxes({"raw": np.zeros((2, 255, 13, 13)), "more": np.zeros((2, 4))})
    assert str(caught.value) == (
        "--task detect: expected boxes in an output [N, M, 6] (x1, y1, x2, y2, score, class), or in outputs "
        "named boxes, scores and classes, found 'raw' [N, 255, 13, 13], 'more' [N, 4]; give --decode "
        "module:function that makes them"
    )


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([(np.zeros((1, 4)), np.zeros(1))], "expected boxes .K, 4., scores .K. and classes .K.* found list"),
        ([(np.zeros((2, 4)), np.zeros(1), np.zeros(1))], "expected boxes .K, 4., scores"),
        (7, ".* found int; return a list of these three"),
        ([], "expected the boxes of 1 samples, found 0"),
    ],
)
def test_what_a_function_gives_is_checked(given, message):
    with pytest.raises(OptionError, match=f"--decode: {message}"):
        decoded_boxes(given, 1)


def test_boxes_of_no_area_are_no_truth():
    found = read_boxes({"y": np.array([[[*BOX, 0.9, 1], [3, 3, 3, 3, 0.8, 0]]])})
    (truth,) = DETECT.answers(found, Setting())
    assert truth.boxes.tolist() == [BOX]
    meter = DETECT.meter(Setting())
    meter.add(found, (truth,))
    assert meter.figures() == {"map": pytest.approx(1), "map50": pytest.approx(1)}
    assert meter.by_output() == {"ap_by_class": [None, pytest.approx(1)]}


def test_without_objects_there_is_no_figure():
    meter = DETECT.meter(Setting())
    nothing = Objects(np.zeros((0, 4)), np.zeros(0, np.int64), np.zeros(0, bool))
    meter.add(read_boxes({"y": np.array([[[*BOX, 0.9, 1]]])}), (nothing,))
    assert meter.figures() == {"map": None, "map50": None}
