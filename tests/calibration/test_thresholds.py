from __future__ import annotations

import numpy as np
import pytest

from onnx2snn.calibration.histogram import ChannelHistogram
from onnx2snn.calibration.thresholds import RULES, Transfer, choose_ranges
from onnx2snn.ops import BURST_IF

INFINITE = float("inf")


def histogram_of(values):
    histogram = ChannelHistogram(len(values))
    histogram.add(np.asarray(values, dtype=np.float32))
    return histogram


def transferred(values, top, transfer):
    """What a neuron of range `top` gives on average for constant currents, by the formula."""
    quantum = top / transfer.steps
    return quantum * np.clip(np.floor(values / quantum + 0.5), 0, transfer.most_steps)


@pytest.fixture
def activations(rng):
    """Light, heavy and nearly uniform tails, and one with zeros."""
    light = np.abs(rng.normal(0, 1, 20_000))
    heavy = rng.lognormal(0, 1, 20_000)
    even = rng.uniform(0, 7, 20_000)
    sparse = np.where(rng.random(20_000) < 0.9, 0, rng.exponential(3, 20_000))
    return np.asarray([light, heavy, even, sparse], dtype=np.float32)


def test_max_is_the_largest_activation(activations):
    ranges = choose_ranges(histogram_of(activations), "max", Transfer(32, 32), INFINITE)
    np.testing.assert_array_equal(ranges, activations.max(axis=1))


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


@pytest.mark.parametrize(("steps", "most_steps"), [(4, 4), (32, 32), (8, 16), (255, 255)])
def test_mse_has_the_least_error_of_all_candidates_on_the_raw_samples(activations, steps, most_steps):
    transfer = Transfer(steps, most_steps)
    ranges = choose_ranges(histogram_of(activations), "mse", transfer, INFINITE)
    for values, top in zip(activations.astype(np.float64), ranges, strict=True):
        error = np.square(transferred(values, top, transfer) - values).sum()
        candidates = values.max() * np.geomspace(0.04, 1.0, 64)
        others = [np.square(transferred(values, other, transfer) - values).sum() for other in candidates]
        assert error <= 1.01 * min(others)


@pytest.mark.parametrize(("levels", "max_spikes", "timesteps"), [(1, 1, 8), (4, 4, 8), (2, 4, 3)])
def test_the_rule_knows_the_transfer_function_of_the_neuron(levels, max_spikes, timesteps, rng):
    """Away from ties, where float32 decides, a simulated neuron gives what the formula says."""
    transfer = Transfer(levels * timesteps, max_spikes * timesteps)
    threshold = np.asarray(1.0 / levels, np.float32)
    currents = (
        (rng.integers(0, 3 * transfer.most_steps, 200) + rng.uniform(0.1, 0.9, 200)) / transfer.steps / 2
    )
    state, total = BURST_IF.initial_state([threshold]), np.zeros(200)
    for _ in range(timesteps):
        spikes, state = BURST_IF.step(
            currents.astype(np.float32), state, [threshold], {"max_spikes": max_spikes}
        )
        total += spikes
    np.testing.assert_allclose(total / timesteps, transferred(currents, 1.0, transfer), rtol=1e-6, atol=1e-6)


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
