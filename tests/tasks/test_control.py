"""Actions of a policy."""

from __future__ import annotations

import numpy as np
import pytest

from onnx2snn.errors import DataError
from onnx2snn.tasks.control import CONTROL, ActionMeter
from onnx2snn.tasks.task import Output, Setting
from tests.tasks.fitted import check


def test_the_fitted_net_has_the_figures_of_other_libraries():
    check(
        "control",
        network={"mean_difference": 0.29592530250549315, "worst_difference": 1.8379135131835938},
        ann={"mean_difference": 0.2624735641479492, "worst_difference": 1.7344627380371094},
    )


def test_figures_by_hand():
    meter = ActionMeter(Setting())
    meter.add(np.float32([[1, 0]]), np.float32([[0, 0]]))
    meter.add(np.float32([[2, 0]]), np.float32([[2, -3]]))
    assert meter.figures() == {"mean_difference": 1.0, "worst_difference": 3.0}
    assert meter.by_output() == {
        "mean_difference_by_action": [0.5, 1.5],
        "worst_difference_by_action": [1, 3],
    }


def test_nobody_guesses_it():
    output = Output("y", (4, 2), np.dtype(np.float32))
    assert CONTROL.takes(output)
    assert CONTROL.fits(np.zeros((4, 2)), output)
    assert not CONTROL.likely(output, np.zeros((4, 2)))
    assert CONTROL.measure.more is False
    with pytest.raises(DataError, match="expected actions in the shape of the output for the task control"):
        CONTROL.check_labels("d.npz", np.zeros(4), output)
