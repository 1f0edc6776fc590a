"""How frames are followed, and frames of several groups of streams in one."""

from __future__ import annotations

import numpy as np
import pytest

import onnx2snn
from onnx2snn.runtime.frames import Frame, Pace, assembled


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"steps_per_frame": 0}, "expected a whole number of at least 1, or rest, found 0"),
        ({"steps_per_frame": "soon"}, "or rest, found 'soon'"),
        ({"tolerance": 3}, "expected a power of two.*found 3"),
        ({"tolerance": 0}, "expected a power of two.*found 0"),
    ],
)
def test_paces_that_there_are_not(values, words):
    with pytest.raises(onnx2snn.OptionError, match=words):
        Pace(**values)


def test_rows_come_in_the_order_of_the_streams():
    def frame(*values: int) -> Frame:
        rows = np.array(values)
        return Frame(
            {"y": rows[:, np.newaxis] * 2.0}, rows + 1, 0.25, {"r": rows + 2}, rows + 3, rows + 4, rows + 5
        )

    whole = assembled([(np.array([3, 0]), frame(30, 0)), (np.array([1, 2]), frame(10, 20))])
    expected = frame(0, 10, 20, 30)
    for name in ("timesteps", "events", "operations", "prefix_macs"):
        np.testing.assert_array_equal(getattr(whole, name), getattr(expected, name))
    np.testing.assert_array_equal(whole.outputs["y"], expected.outputs["y"])
    np.testing.assert_array_equal(whole.spikes["r"], expected.spikes["r"])
    assert whole.seconds == 0.5
    alone = frame(1, 2)
    assert assembled([(np.array([0, 1]), alone)]) is alone
