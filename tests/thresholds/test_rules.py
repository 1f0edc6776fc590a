"""What holds for the range of every rule: ceilings, dead channels, whole layers, any size."""

from __future__ import annotations

import numpy as np
import pytest

from onnx2snn.thresholds.rules import RULES, choose_ranges
from onnx2snn.thresholds.transfer import Transfer
from tests.thresholds.histograms import histogram_of

INFINITE = float("inf")


@pytest.mark.parametrize("rule", RULES)
def test_range_never_exceeds_the_ceiling(rule, activations):
    ranges = choose_ranges(histogram_of(np.minimum(activations, 2)), rule, Transfer(8, 8), 2.0)
    assert (ranges <= 2).all()
    ranges = choose_ranges(histogram_of(activations), rule, Transfer(8, 8), 0.5)
    assert (ranges <= 0.5).all()


@pytest.mark.parametrize("rule", RULES)
def test_dead_channel_gets_the_median_range_of_the_others(rule, activations):
    silent = np.zeros_like(activations[:1])
    ranges = choose_ranges(
        histogram_of(np.concatenate([activations[:3], silent])), rule, Transfer(8, 8), INFINITE
    )
    assert ranges[3] == np.median(ranges[:3])


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize(("ceiling", "expected"), [(INFINITE, 1.0), (6.0, 1.0), (0.25, 0.25)])
def test_dead_layer_gets_a_range_above_zero(rule, ceiling, expected):
    ranges = choose_ranges(histogram_of(np.zeros((3, 10))), rule, Transfer(8, 8), ceiling)
    assert ranges.tolist() == [expected] * 3


@pytest.mark.parametrize("rule", RULES)
def test_whole_layer_has_one_range(rule, activations):
    ranges = choose_ranges(histogram_of(activations).merged(), rule, Transfer(8, 8), INFINITE)
    assert ranges.shape == (1,)
    assert 0 < ranges[0] <= activations.max()


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("transfer", [Transfer(1, 1), Transfer(32, 32), Transfer(64, 255)])
@pytest.mark.parametrize("values", [[[2.0]], [[2.0] * 500], [[0.0, 2.0]], [[0.0] * 99 + [2.0]]])
def test_a_channel_of_one_value_has_a_finite_range_near_it(rule, transfer, values):
    (top,) = choose_ranges(histogram_of(values), rule, transfer, INFINITE)
    assert 0.04 * 2 <= top <= 2 * 2


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("size", [1e-30, 1e-6, 1e6, 1e25])
def test_the_range_grows_with_the_activations(rule, size, activations):
    """Squares of such numbers do not fit into float32."""
    values = activations[:, :4000].astype(np.float64)
    plain = choose_ranges(histogram_of(values), rule, Transfer(8, 8), INFINITE)
    scaled = choose_ranges(histogram_of(values * size), rule, Transfer(8, 8), INFINITE)
    np.testing.assert_allclose(scaled / size, plain, rtol=0.05)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("ceiling", [0.5, 1.0, 1.5])
def test_no_room_is_made_beyond_the_ceiling(rule, ceiling, rng):
    values = np.minimum(rng.uniform(0, 1, (8, 40)), ceiling)
    ranges = choose_ranges(histogram_of(values), rule, Transfer(255, 255), ceiling)
    assert (ranges <= ceiling).all()
    assert (ranges > 0).all()
