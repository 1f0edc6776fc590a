"""Numbers that are near others."""

from __future__ import annotations

import numpy as np
import pytest

from onnx2snn.tasks.regress import REGRESS, NumberMeter
from onnx2snn.tasks.task import Output, Setting
from tests.tasks.fitted import check


def test_the_fitted_net_has_the_figures_of_other_libraries():
    check(
        "regress",
        network={"rmse": 0.6240736190016586, "r2": 0.5752717249421412, "largest_error": 3.4475479125976562},
        ann={"rmse": 0.5942427169276856, "r2": 0.6344432881049861, "largest_error": 3.3757476806640625},
    )


def test_figures_by_hand():
    meter = NumberMeter(Setting())
    meter.add(np.float32([[1, 0]]), np.float32([[0, 0]]))
    meter.add(np.float32([[2, 0], [3, 2]]), np.float32([[2, 0], [4, 0]]))
    assert meter.figures() == pytest.approx({"rmse": 1.0, "r2": 0.75, "largest_error": 2})
    assert meter.by_output() == {
        "rmse_by_output": pytest.approx([np.sqrt(2 / 3), np.sqrt(4 / 3)]),
        "r2_by_output": [pytest.approx(0.75), None],
        "largest_error_by_output": [1, 2],
    }


def test_far_from_zero_nothing_is_lost():
    x = 1e6 + np.arange(100.0)
    meter = NumberMeter(Setting())
    for part in np.split(x, 10):
        meter.add(part + 1, part)
    assert meter.figures()["r2"] == pytest.approx(1 - 100 / ((x - x.mean()) ** 2).sum())


def test_channels_are_outputs_and_many_are_not_listed():
    meter = NumberMeter(Setting())
    meter.add(np.ones((2, 3, 4, 5)), np.zeros((2, 3, 4, 5)))
    assert meter.by_output()["rmse_by_output"] == [1, 1, 1]
    meter = NumberMeter(Setting())
    meter.add(np.ones((2, 101)), np.zeros((2, 101)))
    assert meter.by_output() == {}


def test_one_output_may_have_no_axis():
    output = Output("y", (4, 1), np.dtype(np.float32))
    assert REGRESS.fits(np.zeros(9), output)
    assert not REGRESS.fits(np.zeros((9, 2)), output)
    meter = NumberMeter(Setting())
    meter.add(np.float32([[1], [2]]), np.array([1, 3]))
    assert meter.figures()["largest_error"] == 1
