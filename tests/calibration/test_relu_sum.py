from __future__ import annotations

import math

import numpy as np
import pytest

from onnx2snn.calibration.relu_sum import KNOTS, fit_relu_sum


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def gelu(x):
    return 0.5 * x * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))


FUNCTIONS = {
    "gelu": gelu,
    "silu": lambda x: x * sigmoid(x),
    "tanh": np.tanh,
    "sigmoid": sigmoid,
    "hardswish": lambda x: x * np.clip(x / 6 + 0.5, 0, 1),
}


def fit(name, low, high, counts=None):
    seen = np.linspace(low, high, 2000)
    return fit_relu_sum(FUNCTIONS[name], seen, np.ones(2000) if counts is None else counts)


@pytest.mark.parametrize(
    ("low", "high", "bound"),
    [(-4, 4, 0.007), (-1, 3, 0.003), (-8, 8, 0.009), (0.5, 2, 0.001), (-20, 3, 0.006)],
)
@pytest.mark.parametrize("name", ["gelu", "silu", "tanh", "sigmoid"])
def test_the_error_is_small_over_the_whole_range(name, low, high, bound):
    approximation = fit(name, low, high)
    points = np.linspace(low, high, 9999)
    assert np.abs(approximation(points) - FUNCTIONS[name](points)).max() < bound


@pytest.mark.parametrize(
    ("low", "high", "bound"), [(-1, 3, 0.003), (-2.9, 2.9, 0.005), (-4, 4, 0.1), (-8, 8, 0.1), (-20, 3, 0.1)]
)
def test_corners_that_fall_between_knots_cost_more(low, high, bound):
    """HardSwish has one at -3 and one at 3."""
    points = np.linspace(low, high, 9999)
    error = np.abs(fit("hardswish", low, high)(points) - FUNCTIONS["hardswish"](points)).max()
    assert error < bound


@pytest.mark.parametrize("name", FUNCTIONS)
def test_where_the_data_lies_the_error_is_smaller_than_even_knots_give(name):
    """A linear interpolation at as many even knots of the range is what anybody would try first."""
    seen = np.linspace(-8, 8, 2000)
    counts = np.exp(-np.square(seen - 0.5) / 2)
    approximation = fit(name, -8, 8, counts)
    knots = np.linspace(-8, 8, KNOTS + 1)
    expected = FUNCTIONS[name](seen)

    def error(found):
        return float(np.average(np.square(found - expected), weights=counts))

    assert error(approximation(seen)) < error(np.interp(seen, knots, FUNCTIONS[name](knots))) / 2


@pytest.mark.parametrize("name", FUNCTIONS)
def test_level_below_the_range_and_straight_above(name):
    approximation = fit(name, -3, 3)
    assert approximation.knots[0] == pytest.approx(-3)
    np.testing.assert_array_equal(approximation(np.asarray([-3.0, -5.0, -1e6])), approximation.offset)
    above = approximation(np.asarray([3.0, 4.0, 6.0, 1003.0]))
    slope = approximation.gains.sum()
    np.testing.assert_allclose(above - above[0], slope * np.asarray([0, 1, 3, 1000]), rtol=1e-9, atol=1e-9)


def test_knots_ascend_and_are_few():
    approximation = fit("gelu", -5, 5)
    assert approximation.knots.shape == approximation.gains.shape == (KNOTS,)
    assert (np.diff(approximation.knots) > 0).all()
    assert approximation.knots[-1] < 5


def test_a_second_fit_is_the_same():
    first, second = fit("silu", -4, 6), fit("silu", -4, 6)
    np.testing.assert_array_equal(first.knots, second.knots)
    np.testing.assert_array_equal(first.gains, second.gains)
    assert first.offset == second.offset


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("value", [-2.0, 0.0, 3.0])
def test_an_argument_that_never_changes(name, value):
    approximation = fit_relu_sum(FUNCTIONS[name], np.asarray([value, value]), np.asarray([5.0, 0.0]))
    point = np.asarray([value])
    assert approximation(point) == pytest.approx(FUNCTIONS[name](point), abs=1e-3)


def test_a_straight_line_is_one():
    approximation = fit_relu_sum(lambda x: 2 * x - 1, np.asarray([-1.0, 2.0]), np.ones(2))
    points = np.linspace(-1, 5, 50)
    np.testing.assert_allclose(approximation(points), 2 * points - 1, atol=1e-6)
