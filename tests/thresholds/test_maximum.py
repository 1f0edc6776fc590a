"""The range that clips nothing."""

from __future__ import annotations

import numpy as np

from onnx2snn.thresholds.maximum import choose
from onnx2snn.thresholds.rules import choose_ranges
from onnx2snn.thresholds.transfer import Transfer
from tests.thresholds.histograms import histogram_of

INFINITE = float("inf")


def test_max_is_the_largest_activation(activations):
    ranges = choose_ranges(histogram_of(activations), "max", Transfer(32, 32), INFINITE)
    np.testing.assert_array_equal(ranges, activations.max(axis=1))


def test_literal_ranges_of_the_rule_alone():
    histogram = histogram_of([[0, 3, 1], [0, 0, 0], [0.5, 0.25, 0]])
    ranges = choose(histogram, Transfer(4, 4))
    assert ranges.tolist() == [3, 0, 0.5]
    ranges[:] = 9  # the caller's own
    assert histogram.maximum.tolist() == [3, 0, 0.5]
