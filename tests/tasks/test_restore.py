"""Images: noise, and structure."""

from __future__ import annotations

import numpy as np
import pytest

from onnx2snn.tasks.restore import RESTORE, ImageMeter
from onnx2snn.tasks.task import Output, Setting
from tests.tasks.fitted import check


def test_the_fitted_net_has_the_figures_of_other_libraries():
    check(
        "restore",
        network={"psnr": 17.93316778427655, "ssim": 0.5652920092325308},
        ann={"psnr": 18.743532919960085, "ssim": 0.6318494607621531},
    )


def figures(found, truth, **setting):
    meter = ImageMeter(Setting(**setting))
    for one, other in zip(np.array_split(found, 2), np.array_split(truth, 2), strict=True):
        meter.add(one, other)
    return meter.figures()


def test_psnr_by_hand():
    truth = np.zeros((2, 1, 4, 4))
    assert figures(truth + 0.1, truth, data_range=1.0) == {"psnr": pytest.approx(20), "ssim": None}
    assert figures(truth + 0.1, truth, data_range=10.0)["psnr"] == pytest.approx(40)


def test_equal_images_have_no_noise(rng):
    image = rng.random((2, 3, 12, 12))
    found = figures(image, image, data_range=1.0)
    assert found == {"psnr": None, "ssim": pytest.approx(1)}
    assert RESTORE.measure.show(found["psnr"]) == "–"


def test_layouts_are_alike(rng):
    truth, found = rng.random((2, 2, 3, 12, 13))
    first = figures(found, truth, data_range=1.0)
    last = figures(*(x.transpose(0, 2, 3, 1) for x in (found, truth)), data_range=1.0, layout="NHWC")
    assert first == pytest.approx(last)


def test_auto_takes_images_only():
    assert RESTORE.likely(Output("y", (1, 1, 8, 8), np.dtype(np.float32), image=True), None)
    assert not RESTORE.likely(Output("y", (1, 1, 8, 8), np.dtype(np.float32)), None)
    assert not RESTORE.likely(Output("y", (1, 8), np.dtype(np.float32), like_input=True), np.zeros((1, 8)))
