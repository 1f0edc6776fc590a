"""The range of a percentile, zeros included."""

from __future__ import annotations

import numpy as np
import pytest

from onnx2snn.thresholds.percentile import choose
from onnx2snn.thresholds.rules import choose_ranges
from onnx2snn.thresholds.transfer import Transfer
from tests.thresholds.histograms import histogram_of

INFINITE = float("inf")


def test_percentile_counts_zeros(activations):
    histogram = histogram_of(activations)
    ranges = choose_ranges(histogram, "percentile", Transfer(32, 32, percentile=99.0), INFINITE)
    expected = np.percentile(activations, 99.0, axis=1, method="inverted_cdf")
    assert (np.abs(ranges - expected) <= histogram.width * (1 + 1e-9)).all()


def test_percentile_of_a_rarely_active_channel_is_its_maximum():
    ranges = choose_ranges(
        histogram_of([[0] * 99 + [5]]), "percentile", Transfer(8, 8, percentile=90), INFINITE
    )
    assert ranges.tolist() == [5]


@pytest.mark.parametrize(
    ("percent", "expected"),
    [(100, [4, 2, 0]), (99.9, [4, 2, 0]), (75, [3, 2, 0]), (50, [2, 2, 0]), (25, [1, 2, 0])],
)
def test_literal_ranges_of_the_rule_alone(percent, expected):
    """Half of the second channel is zero: there a percentage up to 50 gives the maximum."""
    histogram = histogram_of([[1, 2, 3, 4], [0, 0, 2, 2], [0, 0, 0, 0]])
    found = choose(histogram, Transfer(4, 4, percentile=percent))
    np.testing.assert_allclose(found, expected, atol=4 / 2048)


def test_a_tiny_percentile_is_not_taken_for_zero():
    found = choose(histogram_of([[1e-3, 1e-3, 1e-3, 1.0]]), Transfer(4, 4, percentile=50))
    assert found <= 2e-3
