"""Places are spread over all samples, rows and columns, and do not depend on how samples come in batches."""

from __future__ import annotations

import numpy as np
import pytest

from onnx2snn.calibration.places import Places, at_places

SAMPLES, CHANNELS, HEIGHT, WIDTH = 24, 3, 8, 6


def values(axis):
    """Values that tell sample, row and column; the channel in the last digit."""
    numbers = 10.0 * np.arange(SAMPLES * HEIGHT * WIDTH).reshape(SAMPLES, HEIGHT, WIDTH, 1)
    return np.moveaxis(numbers + np.arange(CHANNELS), -1, axis)


def chosen(axis, most, sizes):
    places, found = Places(SAMPLES, most), []
    for part in np.split(values(axis), np.cumsum(sizes)[:-1]):
        picked = at_places(part, axis, places.choose(part.shape, axis))
        shape = [1] * 4
        shape[0], shape[axis] = len(picked), CHANNELS
        assert picked.shape == tuple(shape)
        found.append(picked.reshape(len(picked), CHANNELS))
    return np.concatenate(found)


@pytest.mark.parametrize("axis", [1, 2, 3])
@pytest.mark.parametrize("most", [40, 100, 400])
def test_they_are_the_same_in_batches_of_any_size(axis, most):
    whole = chosen(axis, most, [SAMPLES])
    assert 0.5 * most < len(whole) <= most + SAMPLES
    assert (np.diff(whole, axis=1) == 1).all()  # each with its own channels
    for sizes in ([1] * SAMPLES, [5, 18, 1]):
        np.testing.assert_array_equal(chosen(axis, most, sizes), whole)


def test_samples_show_different_rows_and_columns():
    numbers = (chosen(1, 120, [SAMPLES])[:, 0] / 10).astype(int)
    samples, places = np.divmod(numbers, HEIGHT * WIDTH)
    assert np.unique(samples).size == SAMPLES
    assert np.unique(places // WIDTH).size == HEIGHT
    assert np.unique(places % WIDTH).size == WIDTH


def test_all_places_where_there_are_no_more():
    assert len(chosen(1, SAMPLES * HEIGHT * WIDTH, [SAMPLES])) == SAMPLES * HEIGHT * WIDTH
    one_each = Places(7, 3)  # a matrix: its samples are its places
    assert one_each.choose((7, 5), 1).tolist() == [0, 2, 4, 6]
