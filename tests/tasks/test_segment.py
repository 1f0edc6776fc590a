"""A class for each pixel."""

from __future__ import annotations

import numpy as np
import pytest

from onnx2snn.errors import DataError
from onnx2snn.tasks.segment import SEGMENT, PixelMeter
from onnx2snn.tasks.task import Output, Setting
from tests.tasks.fitted import check


def test_the_fitted_net_has_the_figures_of_other_libraries():
    check(
        "segment",
        network={"miou": 0.5837497539565729, "pixel_accuracy": 0.9158333333333334},
        ann={"miou": 0.574166373377451, "pixel_accuracy": 0.9183333333333333},
    )


def test_figures_by_hand():
    meter = PixelMeter(Setting())
    scores = np.moveaxis(np.eye(4)[[[0, 0, 1, 2]]], -1, 1)
    meter.add(scores, np.uint8([[0, 1, 1, 255]]))
    assert meter.figures() == {"miou": 0.5, "pixel_accuracy": pytest.approx(2 / 3)}
    assert meter.by_output() == {"iou_by_class": [0.5, 0.5, None, None]}


def test_classes_instead_of_scores():
    meter = PixelMeter(Setting())
    meter.add(np.array([[0, 0]]), np.array([[0, 1]]))
    meter.add(np.array([[2, 2]]), np.array([[2, 2]]))
    assert meter.figures() == {"miou": pytest.approx((0.5 + 0 + 1) / 3), "pixel_accuracy": 0.75}


def test_nothing_but_ignored_pixels():
    meter = PixelMeter(Setting())
    meter.add(np.zeros((1, 2, 1)), np.full((1, 1), 255))
    assert meter.figures() == {"miou": None, "pixel_accuracy": None}


@pytest.mark.parametrize(("labels", "found"), [([[0, 3]], 3), ([[-1, 0]], -1), ([[254, 255]], 254)])
def test_pixels_of_no_class(labels, found):
    output = Output("y", (1, 3, 2), np.dtype(np.float32))
    with pytest.raises(DataError, match=f"expected classes 0 to 2, those of output 'y', .* found {found};"):
        SEGMENT.check_labels("d.npz", np.array(labels), output)
    SEGMENT.check_labels("d.npz", np.array([[2, 255]]), output)


def test_which_images_are_classes():
    def likely(*shape, **more):
        return SEGMENT.likely(Output("y", shape, np.dtype(np.float32), **more), None)

    assert likely(1, 21, 8, 8, image=True)
    assert not likely(1, 21, 8, 8)
    assert not likely(1, 3, 8, 8, image=True)
