"""The range of the least squared error, with room for what calibration has not seen."""

from __future__ import annotations

import numpy as np
import pytest

from onnx2snn.thresholds.mse import _mean_excess, choose
from onnx2snn.thresholds.rules import choose_ranges
from onnx2snn.thresholds.transfer import Transfer
from tests.thresholds.histograms import histogram_of, transferred

INFINITE = float("inf")


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


def test_room_keeps_what_is_seen_exact_enough(rng):
    """Making room costs resolution: less than clipping the one activation more would."""
    values = rng.uniform(0, 1, (16, 100))
    transfer = Transfer(64, 64)
    ranges = choose_ranges(histogram_of(values), "mse", transfer, INFINITE)
    for sample, top in zip(values, ranges, strict=True):
        error = np.square(transferred(sample, top, transfer) - sample).mean()
        assert error < 2 * np.square(transferred(sample, sample.max(), transfer) - sample).mean()


def range_by_hand(seen, transfer):
    """The rule for activations up to 2048, in its own words: all candidates, the one unseen by quadrature."""

    def error(share):
        return np.square(transferred(seen, 2048 * share, transfer) - seen).sum() / 2048**2

    shares = np.geomspace(1, 0.04, 64)
    best = shares[np.argmin([error(share) for share in shares])]
    if best < 1:
        return 2048 * best
    number, largest = np.count_nonzero(seen), np.sort(seen)
    if number < 64:
        excess = 1 / (np.log(number) + np.euler_gamma)
    else:
        tail = largest[-int(np.sqrt(number)) :]
        excess = (tail.mean() - tail[0]) / 2048
    x = np.linspace(0, 40 * excess, 40_001)
    density = np.exp(-x / excess) / excess
    beyond = np.linspace(1, 2, 41)
    errors = []
    for share in beyond:
        margin = share * transfer.most_steps / transfer.steps - 1
        lost = np.where(x > margin, x - margin, 0) ** 2 * density
        errors.append(error(share) + np.sum((lost[1:] + lost[:-1]) / 2 * np.diff(x)))
    return 2048 * beyond[np.argmin(errors)]


@pytest.mark.parametrize(
    "transfer", [Transfer(255, 255), Transfer(64, 64), Transfer(16, 24), Transfer(12, 9), Transfer(3, 3)]
)
@pytest.mark.parametrize("number", [1, 2, 16, 63, 64, 400])
def test_the_range_is_that_by_hand(number, transfer, rng):
    """Of activations that lie in the middle of their bins, so that counting them rounds nothing."""
    seen = np.zeros((33, number + 3))  # more channels than are computed together
    for channel in range(33):
        seen[channel, 3:] = rng.choice(2047, number, replace=False) + 0.5
        seen[channel, 3] = 2047.5
    found = choose(histogram_of(np.where(seen == 2047.5, 2048, seen)), transfer)
    np.testing.assert_allclose(found, [range_by_hand(values, transfer) for values in seen], rtol=1e-9)


def test_a_channel_that_was_silent_has_no_range():
    assert choose(histogram_of([[0, 0], [0, 3]]), Transfer(4, 4)).tolist()[0] == 0


def test_the_mean_excess_is_a_share_of_the_maximum():
    """Of 64 activations the 8 largest exceed the least of them by 0, 1, … 7 bins; one alone tells nothing."""
    many = np.arange(2047 - 63, 2048) + 0.5
    many[-1] = 2048
    found = _mean_excess(histogram_of([many / 8192, np.where(many == 2048, many, 0)]))
    np.testing.assert_allclose(found, [3.5 / 2048, 1 / np.euler_gamma], rtol=1e-12)
    two = _mean_excess(histogram_of([[1, 2.0**-12]]))  # the least of the bins counts as well
    np.testing.assert_allclose(two, [1 / (np.log(2) + np.euler_gamma)], rtol=1e-12)
