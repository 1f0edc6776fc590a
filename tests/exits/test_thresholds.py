"""The thresholds that save most timesteps while few answers differ."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from onnx2snn.exits.thresholds import choose_thresholds


@given(
    hnp.arrays(np.float32, (4, 30), elements=st.integers(0, 20).map(lambda n: n / 20)),
    hnp.arrays(np.bool_, (3, 30)),
    st.integers(0, 30),
)
def test_no_more_answers_differ_than_may(confidence, differs, allowed):
    differs = np.concatenate([differs, np.zeros((1, 30), bool)])
    thresholds = choose_thresholds(confidence, differs, allowed / 30)
    left, wrong = np.ones(30, bool), 0
    for sure, different, threshold in zip(confidence, differs, thresholds, strict=True):
        leaving = left & (sure >= np.float32(threshold))
        wrong += different[leaving].sum()
        left &= ~leaving
    assert wrong <= allowed


def test_thresholds_save_timesteps(rng):
    """Confident answers are right from the second timestep on: that is when they leave."""
    confidence = np.tile(rng.uniform(size=200).astype(np.float32), (4, 1))
    differs = np.zeros((4, 200), bool)
    differs[0] = True
    differs[1] = confidence[1] < 0.5
    thresholds = choose_thresholds(confidence, differs, 0.0)
    assert thresholds[0] > 1
    assert thresholds[1] == confidence[1][confidence[1] >= 0.5].min()
    assert thresholds[2] == confidence[1][confidence[1] < 0.5].min()


def chosen(confidence, differs, share):
    return choose_thresholds(np.float32(confidence), np.asarray(differs, bool), share)


def test_nobody_leaves_where_all_that_are_sure_differ():
    assert chosen([[0.5, 0.25], [0.5, 0.25]], [[1, 0], [0, 0]], 0.0) == (2.0, 0.25)


def test_after_the_last_has_left_there_is_no_threshold():
    assert chosen([[0.5, 0.25], [0.5, 0.25]], [[0, 0], [1, 1]], 0.0) == (0.25, 2.0)


def test_who_is_equally_sure_leaves_as_well_or_nobody_does():
    sure = [[0.75, 0.5, 0.5, 0.25]]
    assert chosen(sure, [[0, 0, 1, 0]], 0.0) == (0.75,)
    assert chosen(sure, [[0, 1, 0, 0]], 0.0) == (0.75,)
    assert chosen(sure, [[0, 0, 0, 1]], 0.0) == (0.5,)


def test_a_share_of_all_samples_may_differ():
    """One of the four is a quarter: with less than that it stays."""
    sure, differs = [[0.75, 0.5, 0.25, 0.125], [0.5] * 4], [[0, 0, 0, 1], [0] * 4]
    assert chosen(sure, differs, 0.25) == (0.125, 2.0)
    assert chosen(sure, differs, 0.24) == (0.25, 0.5)


def test_the_one_that_leaves_wrong_no_longer_counts_later():
    sure, differs = [[0.75, 0.5], [0.5, 0.75]], [[1, 0], [1, 0]]
    assert chosen(sure, differs, 0.5) == (0.5, 2.0)
    assert chosen(sure, differs, 0.0) == (2.0, 0.75)


def test_the_largest_risk_that_keeps_the_bound():
    """Without risk the first four leave; with so much that the last one may, two answers differ."""
    sure = np.arange(8, 0, -1) / 8
    assert chosen([sure], [[0, 0, 0, 0, 1, 0, 0, 1]], 0.0) == (0.625,)
    assert chosen([sure], [[0, 0, 0, 0, 1, 0, 0, 1]], 1 / 8) == (0.25,)
    assert chosen([sure], [[0, 0, 0, 0, 1, 0, 0, 1]], 2 / 8) == (0.125,)
