from __future__ import annotations

import numpy as np
import pytest

from onnx2snn.ops.burst_if import CELL as BURST_IF
from onnx2snn.thresholds.histogram import ChannelHistogram
from onnx2snn.thresholds.rules import RULES, choose_ranges
from onnx2snn.thresholds.transfer import Transfer

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
    """Up to what one more activation beyond the maximum would cost, where nothing seen is worth clipping."""
    transfer = Transfer(steps, most_steps)
    ranges = choose_ranges(histogram_of(activations), "mse", transfer, INFINITE)
    for values, top in zip(activations.astype(np.float64), ranges, strict=True):
        error = np.square(transferred(values, top, transfer) - values).sum()
        candidates = values.max() * np.geomspace(0.04, 1.0, 64)
        others = [np.square(transferred(values, other, transfer) - values).sum() for other in candidates]
        tail = np.sort(values[values > 0])[-int(np.sqrt((values > 0).sum())) :]
        unseen = 2 * np.square((tail - tail[0]).mean())
        assert error <= 1.01 * min(others) + (unseen if top >= values.max() else 0)


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


@pytest.mark.parametrize("kind", ["light", "heavy", "even"])
def test_few_samples_and_many_levels_leave_room_for_what_was_not_seen(kind, rng):
    draw = {
        "light": lambda: np.abs(rng.normal(0, 1, 50)),
        "heavy": lambda: rng.exponential(1, 50),
        "even": lambda: rng.uniform(0, 1, 50),
    }[kind]
    values = np.asarray([draw() for _ in range(20)])
    ranges = choose_ranges(histogram_of(values), "mse", Transfer(255, 255), INFINITE)
    assert (ranges > values.max(axis=1)).all()
    assert (ranges <= 2 * values.max(axis=1) * (1 + 1e-6)).all()


@pytest.mark.parametrize("steps", [2, 4, 8])
def test_many_samples_and_few_levels_decide_alone(steps, rng):
    values = np.asarray([rng.exponential(1, 1_000_000), np.abs(rng.normal(0, 1, 1_000_000))], np.float32)
    transfer = Transfer(steps, steps)
    ranges = choose_ranges(histogram_of(values), "mse", transfer, INFINITE)
    shares = np.geomspace(1.0, 0.04, 64)
    for sample, top in zip(values.astype(np.float64), ranges, strict=True):
        candidates = sample.max() * shares
        errors = [np.square(transferred(sample, other, transfer) - sample).mean() for other in candidates]
        best = candidates[np.argmin(errors)]
        assert top < sample.max()
        assert abs(np.log(top / best)) <= 1.01 * np.log(shares[0] / shares[1])


def test_the_room_shrinks_as_samples_come_in(rng):
    """An excess like those of the largest activations seen: of more samples, these lie closer together."""
    values = rng.uniform(0, 1, (1, 100_000))
    beyond = [
        choose_ranges(histogram_of(values[:, :count]), "mse", Transfer(255, 255), INFINITE)[0]
        / values[:, :count].max()
        - 1
        for count in (30, 100_000)
    ]
    assert 0 <= beyond[1] < beyond[0] / 2


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("ceiling", [0.5, 1.0, 1.5])
def test_no_room_is_made_beyond_the_ceiling(rule, ceiling, rng):
    values = np.minimum(rng.uniform(0, 1, (8, 40)), ceiling)
    ranges = choose_ranges(histogram_of(values), rule, Transfer(255, 255), ceiling)
    assert (ranges <= ceiling).all()
    assert (ranges > 0).all()


def test_room_keeps_what_is_seen_exact_enough(rng):
    """Making room costs resolution: less than clipping the one activation more would."""
    values = rng.uniform(0, 1, (16, 100))
    transfer = Transfer(64, 64)
    ranges = choose_ranges(histogram_of(values), "mse", transfer, INFINITE)
    for sample, top in zip(values, ranges, strict=True):
        error = np.square(transferred(sample, top, transfer) - sample).mean()
        assert error < 2 * np.square(transferred(sample, sample.max(), transfer) - sample).mean()
