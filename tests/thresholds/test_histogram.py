from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from onnx2snn.thresholds.histogram import BINS, ChannelHistogram


def fill(*batches):
    histogram = ChannelHistogram(len(batches[0]))
    for batch in batches:
        histogram.add(np.asarray(batch, dtype=np.float32))
    return histogram


@pytest.fixture
def batches(rng):
    """Rectified activations of three channels, whose range grows from batch to batch."""
    scale = np.float32([1, 5, 0.01])[:, None]
    return [np.maximum(rng.normal(0, 3**i, (3, 4000)), 0).astype(np.float32) * scale for i in range(5)]


def test_counts_everything(batches):
    histogram, raw = fill(*batches), np.concatenate(batches, axis=1)
    np.testing.assert_array_equal(histogram.zeros, (raw == 0).sum(axis=1))
    np.testing.assert_array_equal(histogram.counts.sum(axis=1), (raw > 0).sum(axis=1))
    np.testing.assert_array_equal(histogram.maximum, raw.max(axis=1))
    assert (histogram.width * BINS < 2 * histogram.maximum).all()


@pytest.mark.parametrize("percent", [1, 50, 75, 90, 99, 99.9, 100])
def test_percentile_is_right_to_one_bin(batches, percent):
    histogram, raw = fill(*batches), np.concatenate(batches, axis=1)
    expected = np.percentile(raw, percent, axis=1, method="inverted_cdf")
    # Merging bins in pairs keeps every value in its bin, so one bin is the whole error.
    assert (np.abs(histogram.percentile(percent) - expected) <= histogram.width * (1 + 1e-9)).all()


def test_memory_does_not_grow(batches):
    histogram = ChannelHistogram(3)
    before = [array.nbytes for array in vars(histogram).values()]
    for batch in batches:
        histogram.add(batch)
    assert [array.nbytes for array in vars(histogram).values()] == before


def test_neither_order_nor_size_of_batches_makes_a_difference(batches):
    whole = fill(np.concatenate(batches, axis=1))
    for histogram in (fill(*batches), fill(*batches[::-1])):
        for name, value in vars(whole).items():
            np.testing.assert_array_equal(getattr(histogram, name), value)


@pytest.mark.parametrize("axis", [0, 1, 2, -1, None])
def test_channels_lie_along_any_axis(axis, rng):
    values = np.maximum(rng.normal(0, 1, (3, 5, 700)), 0).astype(np.float32)
    first = (
        values.reshape(1, -1)
        if axis is None
        else np.moveaxis(values, axis, 0).reshape(values.shape[axis], -1)
    )
    expected, found = fill(first), ChannelHistogram(len(first))
    assert found.add(values, axis=axis if axis is None else axis % 3)
    for name, value in vars(expected).items():
        np.testing.assert_array_equal(getattr(found, name), value)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_is_said_and_not_counted(bad):
    histogram = fill([[1, 0]])
    assert not histogram.add(np.float32([[bad, 3]]))
    assert (histogram.maximum.tolist(), histogram.counts.sum()) == ([1], 1)


def test_merged_is_the_histogram_of_the_whole_layer(batches):
    raw = np.concatenate(batches, axis=1)
    whole, histogram = fill(*batches).merged(), fill(*batches)
    assert whole.channels == 1
    assert whole.counts.sum() == (raw > 0).sum()
    assert whole.zeros.sum() == (raw == 0).sum()
    assert whole.maximum.tolist() == [raw.max()]
    # A channel's bin lands by its centre: its own half bin comes on top.
    slack = whole.width[0] + histogram.width.max() / 2
    for percent in (50, 90, 99.9):
        expected = np.percentile(raw, percent, method="inverted_cdf")
        assert abs(whole.percentile(percent)[0] - expected) <= slack * (1 + 1e-9)


def test_silent_channels():
    histogram = fill([[0, 0], [0, 4]], [[0, 0], [1, 0]])
    np.testing.assert_array_equal(histogram.percentile(100), [0, 4])
    np.testing.assert_array_equal(histogram.width, [0, 4 / BINS])
    np.testing.assert_array_equal(fill([[0, 0]]).merged().percentile(50), [0])


def test_half_of_the_activations_are_zero():
    assert fill([[0, 0, 1, 2]]).percentile(50).tolist() == [0]
    assert fill([[0, 0, 1, 2]]).percentile(100).tolist() == [2]


@given(
    values=hnp.arrays(np.float32, (2, 30), elements=st.floats(0, 2.0**100, width=32)),
    percent=st.floats(0.1, 100),
    cuts=st.integers(1, 29),
)
def test_percentile_of_any_values(values, percent, cuts):
    histogram = fill(values[:, :cuts], values[:, cuts:])
    # NumPy and the histogram may round the rank of a sample differently: both neighbours are right.
    low, high = (
        np.percentile(values, np.clip(percent + slack, 0, 100), axis=1, method="inverted_cdf").astype(
            np.float64
        )
        for slack in (-1e-9, 1e-9)
    )
    found, room = histogram.percentile(percent), histogram.width * (1 + 1e-9)
    assert (found >= low - room).all()
    assert (found <= high + room).all()


def test_bins_merge_in_pairs_until_the_largest_fits():
    """From 1 to exactly twice as much, which is no reason to double once more, and then to 8."""
    histogram = fill([[1, 0.75, 0.5, 2**-11]], [[2]])
    assert histogram.width.tolist() == [2 / BINS]
    expected = np.zeros(BINS)
    expected[[0, 511, 767, 1023, 2047]] = [1, 1, 1, 1, 1]
    assert histogram.counts[0].tolist() == expected.tolist()
    histogram.add(np.float32([[5, 0]]))
    assert histogram.width.tolist() == [8 / BINS]
    assert np.flatnonzero(histogram.counts[0]).tolist() == [0, 127, 191, 255, 511, 1279]
    assert (histogram.zeros.tolist(), histogram.maximum.tolist()) == ([1], [5])


def test_centers_are_in_the_middle_of_the_bins():
    centers = fill([[BINS], [BINS / 2]]).centers()
    assert centers[:, [0, 1, -1]].tolist() == [[0.5, 1.5, BINS - 0.5], [0.25, 0.75, BINS / 2 - 0.25]]


def test_a_batch_of_nothing_counts_nothing():
    histogram = fill([[1, 0], [0, 0]], [[], []])
    assert histogram.counts.sum(axis=1).tolist() == [1, 0]
    assert histogram.zeros.tolist() == [1, 2]


def test_each_activation_counts_with_its_weight_and_a_zero_as_one():
    histogram = ChannelHistogram(2)
    histogram.add(np.float32([[BINS, 0.25, 0], [0, 0, BINS]]), np.float32([[2, 0.5, 64], [8, 16, 0.25]]))
    assert histogram.counts[:, [0, -1]].tolist() == [[0.5, 2], [0, 0.25]]
    assert histogram.counts.sum() == 2.75
    assert histogram.zeros.tolist() == [1, 2]


def test_merged_bins_lie_where_their_middles_do():
    whole = fill([[0.5, 0.25], [0.125, 0.0625]]).merged()
    assert (whole.maximum.tolist(), whole.width.tolist()) == ([0.5], [0.5 / BINS])
    assert np.flatnonzero(whole.counts[0]).tolist() == [255, 511, 1023, 2047]


def test_what_is_not_among_the_values_widens_the_bins_and_is_looked_at():
    histogram = ChannelHistogram(2)
    none = np.zeros((0, 2), np.float32)
    assert histogram.add(none, axis=1, highest=np.float64([4, 0]))
    assert (histogram.maximum.tolist(), histogram.counts.sum()) == ([4, 0], 0)
    assert histogram.width[0] * BINS >= 4
    assert not histogram.add(none, axis=1, highest=np.float64([np.nan, 0]))
    assert histogram.add(none, axis=1)
