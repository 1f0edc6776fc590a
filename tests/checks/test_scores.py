"""Literal values, worked out by hand or by SciPy 1.16 (the command stands beside them)."""

from __future__ import annotations

import numpy as np
import pytest

from onnx2snn.checks.scores import (
    apart,
    chance_odds,
    entropies,
    information,
    outlier,
    roughness,
    sign_test,
    standard_errors,
    surprise,
)


def test_no_surprise_where_nothing_differs():
    one = np.ones(3)
    assert surprise(one, one, one, one) == 0


def test_surprise_is_the_divergence_of_the_median_channel():
    """KL(N(1, 4) ‖ N(0, 1)) = (4 + 1 - 1 - ln 4)/2."""
    mean, variance = np.array([1.0, 0, 99]), np.array([4.0, 1, 99])
    assert surprise(mean, variance, np.zeros(3), np.ones(3)) == pytest.approx(2 - np.log(2))


def test_a_silent_channel_gives_a_finite_surprise():
    assert np.isfinite(surprise(np.zeros(1), np.zeros(1), np.zeros(1), np.ones(1)))


def test_answers_that_tell_everything_and_nothing():
    sure = np.log(np.eye(4) * (1 - 4e-9) + 1e-9)
    assert information(sure) == pytest.approx(np.log(4), abs=1e-6)
    same = np.log(np.full((4, 4), 0.25))
    assert information(same) == pytest.approx(0, abs=1e-12)
    assert entropies(same) == pytest.approx([np.log(4)] * 4)


def test_standard_errors():
    assert standard_errors(np.array([1.0, 3.0])) == pytest.approx(2.0)
    assert standard_errors(np.array([1.0])) == 0
    assert standard_errors(np.zeros(5)) == 0


def test_means_that_are_apart():
    """Welch's t: (3 - 1)/√(4/16 + 1/4)."""
    assert apart([1, 2], [3, 1], (16, 4)) == pytest.approx(2 / 0.5**0.5)


def test_sign_test():
    """`scipy.stats.binomtest(9, 10, alternative="greater").pvalue`"""
    assert sign_test(9, 1) == pytest.approx(11 / 1024)
    assert sign_test(0, 0) == 1


@pytest.mark.parametrize(
    ("right", "samples", "guessing"), [(6, 64, True), (51, 512, True), (16, 64, False), (100, 512, False)]
)
def test_what_guessing_explains(right, samples, guessing):
    assert (chance_odds(right, samples, 10) > 3) == guessing


def test_chance_odds_are_a_bayes_factor():
    """`binom.pmf(3, 16, .5) / quad(lambda p: 2 * binom.pmf(3, 16, p), .5, 1)[0]`"""
    assert chance_odds(3, 16, 2) == pytest.approx(11.3, rel=0.02)


def test_roughness_of_a_slope_and_of_noise(rng):
    slope = np.broadcast_to(np.arange(32.0), (1, 2, 32, 32))
    noise = rng.standard_normal((1, 2, 64, 64))
    assert roughness(slope)[0] < 0.01
    assert roughness(noise)[0] == pytest.approx(1, abs=0.1)


def test_an_outlier_is_named(rng):
    peaks = rng.uniform(0.8, 1.0, 64)
    peaks[17] = 20
    number, times, probability = outlier(peaks)
    assert number == 17
    assert times == pytest.approx(20, rel=0.01)
    assert probability < 1e-8


def test_a_heavy_tail_has_no_outlier():
    """Of Pareto values the gap is uniform in probability: the least of 200 is about 1/200."""
    found = [outlier(np.random.default_rng(seed).pareto(1.0, 64) + 1)[2] for seed in range(200)]
    assert min(found) > 1e-4
    assert np.mean(found) == pytest.approx(0.5, abs=0.1)


def test_few_samples_have_no_outlier():
    assert outlier(np.array([1.0, 1, 1, 90]))[2] == 1
