"""Where the samples are behind every operator, and sums that tell them apart."""

from __future__ import annotations

import numpy as np
import pytest

from onnx2snn.artifact.layouts import TOGETHER, by_sample, find_layouts
from tests.artifact.flat import flat

CONSTANTS = {
    "pairs": np.int64([-1, 2]),
    "kept": np.int64([0, 6]),
    "one": np.int64([1, -1]),
    "first": np.int64([0]),
    "second": np.int64([1]),
    "both": np.int64([0, 1]),
    "last": np.int64([-1]),
    "w": np.ones((1, 12, 3), np.float32),
    "u": np.ones((1, 12, 4), np.float32),
    "twice": np.int64([1, 2, 1]),
}


def layout_of(body):
    """Where the samples of y are behind a neuron r of shape [N, 2, 3]."""
    text = f"(float[N,2,3] x) => (float[] y) {{ r = onnx2snn.AccumulateFire<levels=4>(x, theta) {body} }}"
    layouts = find_layouts(flat(text, theta=np.float32(1), **CONSTANTS))
    assert layouts["x"] == layouts["r"] == 0
    return layouts["y"]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("y = Sigmoid(r)", 0),
        ("y = Transpose<perm=[1,0,2]>(r)", 1),
        ("t = Transpose<perm=[1,0,2]>(r) y = Sigmoid(t)", 1),
        ("t = Transpose<perm=[1,2,0]>(r) y = Transpose<perm=[2,0,1]>(t)", 0),
        ("y = Reshape(r, pairs)", TOGETHER),
        ("y = Reshape(r, kept)", 0),
        ("y = Reshape(r, one)", None),
        ("y = Flatten<axis=2>(r)", TOGETHER),
        ("y = Flatten<axis=0>(r)", None),
        ("y = Flatten(r)", 0),
        ("y = Unsqueeze(r, first)", 1),
        ("y = Unsqueeze(r, second)", 0),
        ("y = Unsqueeze(r, both)", 2),
        ("y = ReduceSum(r, second)", 0),
        ("y = ReduceSum(r, first)", None),
        ("t = Transpose<perm=[1,0,2]>(r) y = ReduceSum<keepdims=0>(t, first)", 0),
        ("t = Transpose<perm=[1,0,2]>(r) y = ReduceSum<keepdims=1>(t, first)", 1),
        ("y = Concat<axis=1>(r, r)", 0),
        ("y = Concat<axis=0>(r, r)", None),
        ("y = Tile(r, twice)", None),
        ("y = ArgMax(r)", None),
        ("y = ArgMax<axis=1, keepdims=0>(r)", 0),
        ("y = ArgMax<axis=-1>(r)", 0),
        ("t = Transpose<perm=[1,0,2]>(r) y = ArgMax<axis=0, keepdims=0>(t)", 0),
        ("t = Transpose<perm=[1,0,2]>(r) y = ArgMin<axis=-1>(t)", None),
        ("y = NonZero(r)", None),
        ("t = Transpose<perm=[1,0,2]>(r) y = GRU<hidden_size=4>(t, w, u)", 2),
        ("t = Transpose<perm=[1,0,2]>(r) all, y = GRU<hidden_size=4>(t, w, u)", 1),
        ("all, y = GRU<hidden_size=4>(r, w, u)", None),
    ],
)
def test_samples_are_where_an_operator_puts_them(body, expected):
    assert layout_of(body) == expected


@pytest.mark.parametrize(
    ("shape", "layout", "sums"),
    [
        ((3, 2), 0, [3, 7, 11]),
        ((6, 1), TOGETHER, [3, 7, 11]),
        ((1, 3, 2), 1, [3, 7, 11]),
        ((2, 3), 1, [5, 7, 9]),
        ((6,), 1, [5, 7, 9]),  # rows of the same
        ((2, 3), None, [7, 7, 7]),
    ],
)
def test_sums_by_sample(shape, layout, sums):
    counts = np.arange(1, 7, dtype=np.float32).reshape(shape)
    assert by_sample(counts, 3, layout).tolist() == sums


@pytest.mark.parametrize("layout", [None, 0, 1, TOGETHER])
def test_equal_shares_are_whole_and_add_up(layout):
    assert by_sample(np.full(5, 2, np.float32), 4, layout).tolist() == [2, 3, 2, 3]
