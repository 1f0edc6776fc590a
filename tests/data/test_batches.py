"""Batches of the size that a model takes: the last one filled up, or left out."""

from __future__ import annotations

import numpy as np
import pytest

from onnx2snn.data.batches import model_batches
from onnx2snn.data.readers import dataset_from_arrays
from onnx2snn.errors import DataError
from tests.data.reader_cases import PAIR


def batches(samples, batch_size, fixed, *, fill):
    """The first input's values of each batch, and how many samples of the data it has."""
    a = np.arange(samples, dtype=np.float32)[:, None]
    dataset = dataset_from_arrays({"a": np.repeat(a, 2, axis=1), "b": -a}, PAIR)
    given = []
    for batch, count in model_batches(dataset, batch_size, fixed, fill=fill):
        np.testing.assert_array_equal(batch["b"][:, 0], -batch["a"][:, 1])
        given.append((batch["a"][:, 0].tolist(), count))
    return given


@pytest.mark.parametrize("fill", [True, False])
def test_any_number_of_samples(fill):
    assert batches(5, 2, None, fill=fill) == [([0, 1], 2), ([2, 3], 2), ([4], 1)]
    assert batches(1, 64, None, fill=fill) == [([0], 1)]


def test_the_last_sample_fills_the_batch_up():
    assert batches(5, 64, 3, fill=True) == [([0, 1, 2], 3), ([3, 4, 4], 2)]
    assert batches(1, 64, 3, fill=True) == [([0, 0, 0], 1)]
    assert batches(6, 64, 3, fill=True) == [([0, 1, 2], 3), ([3, 4, 5], 3)]


def test_what_fills_no_batch_is_left_out():
    assert batches(5, 64, 3, fill=False) == [([0, 1, 2], 3)]
    assert batches(6, 1, 3, fill=False) == [([0, 1, 2], 3), ([3, 4, 5], 3)]
    assert batches(3, 64, 3, fill=False) == [([0, 1, 2], 3)]


def test_not_even_one_whole_batch():
    with pytest.raises(DataError) as caught:
        batches(2, 64, 3, fill=False)
    assert str(caught.value) == (
        "arrays: expected at least 3 samples, one batch of the model, found 2; give more, or export the "
        "model with a dynamic batch"
    )
