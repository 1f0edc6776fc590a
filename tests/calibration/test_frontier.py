"""The frontier against all combinations."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onnx2snn.calibration import frontier as module
from onnx2snn.calibration.frontier import make_frontier

NUMBERS = st.integers(0, 20).map(float)
LAYERS = st.lists(st.lists(st.tuples(NUMBERS, NUMBERS), min_size=1, max_size=4), min_size=1, max_size=5)


def sums(layers):
    """Cost and loss of every combination."""
    return [(sum(way[0] for way in ways), sum(way[1] for way in ways)) for ways in itertools.product(*layers)]


def columns(layers):
    return [[way[0] for way in ways] for ways in layers], [[way[1] for way in ways] for ways in layers]


@given(LAYERS, st.integers(0, 80))
def test_no_combination_is_better(layers, bound):
    found, every = make_frontier(*columns(layers)), sums(layers)
    point = found.best(bound)
    within = [loss for cost, loss in every if cost <= bound]
    assert (point is None) == (not within)
    if point is not None:
        assert found.loss[point] == min(within)
        assert found.cost[point] <= bound
    point = found.cheapest(bound)
    within = [cost for cost, loss in every if loss <= bound]
    assert (point is None) == (not within)
    if point is not None:
        assert found.cost[point] == min(within)


@given(LAYERS)
def test_choices_have_the_cost_and_loss_of_their_point(layers):
    found = make_frontier(*columns(layers))
    for cost, loss, taken in zip(found.cost, found.loss, found.choices, strict=True):
        ways = [layer[way] for layer, way in zip(layers, taken, strict=True)]
        assert (sum(way[0] for way in ways), sum(way[1] for way in ways)) == (cost, loss)
    assert np.all(np.diff(found.cost) > 0)
    assert np.all(np.diff(found.loss) < 0)


@pytest.mark.parametrize("most", [16, 64])
def test_a_thinned_front_keeps_its_ends_and_comes_near(most, rng, monkeypatch):
    costs = np.sort(rng.uniform(size=(8, 6)))[:, ::-1]
    losses = np.sort(rng.uniform(size=(8, 6)))
    whole = make_frontier(costs.tolist(), losses.tolist())
    monkeypatch.setattr(module, "_MOST", most)
    thin = make_frontier(costs.tolist(), losses.tolist())
    assert len(thin.cost) < len(whole.cost)
    assert thin.cost[0] == whole.cost[0]
    assert thin.loss[-1] == whole.loss[-1]
    span = whole.cost[-1] - whole.cost[0]
    for bound in np.linspace(whole.loss[-1], whole.loss[0], 20):
        assert thin.cost[thin.cheapest(bound)] <= whole.cost[whole.cheapest(bound)] + 8 * span / most
