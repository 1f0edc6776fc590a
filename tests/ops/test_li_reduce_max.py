"""Lateral inhibition over whole axes: ReduceMax of the sums."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from onnx2snn.ops.li_reduce_max import CELL, initial_state, step
from tests.ops.cells import BACKENDS, WINNER, check_case, numpy_step, simulate

CASES = {
    "the winner changes": ({"axes": [1], "keepdims": 0}, (), [[[1, 0]], [[0, 1]], [[0, 2]]], [[1], [0], [2]]),
    "takes back with its winner": ({"axes": [-1], "keepdims": 1}, (), [[[3, 1]], [[-4, 0]]], [[[3]], [[-2]]]),
    "below zero": ({"axes": [1], "keepdims": 0}, (), [[[-3, -1]], [[2, 0]]], [[-1], [0]]),
    "over two axes": (
        {"axes": [2, 3], "keepdims": 1},
        (),
        WINNER,
        [[[[[1]]]], [[[[0]]]], [[[[1]]]], [[[[1]]]]],
    ),
}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("case", CASES)
def test_literal_case(backend, case):
    check_case(backend, "LIReduceMax", *CASES[case])


@given(
    axes=st.sets(st.integers(-3, 3), min_size=1, max_size=3),
    keepdims=st.integers(0, 1),
    seed=st.integers(0, 2**32 - 1),
)
def test_reduced_spikes_add_up_to_the_maximum_of_the_sums(axes, keepdims, seed):
    assume(len({axis % 4 for axis in axes}) == len(axes))
    spikes = np.random.default_rng(seed).integers(-2, 4, (6, 2, 3, 4, 2)).astype(np.float32)
    attributes = {"axes": sorted(axes), "keepdims": keepdims}
    outputs = simulate(numpy_step, "LIReduceMax", spikes, attributes=attributes)
    np.testing.assert_array_equal(
        np.sum(outputs, axis=0), spikes.sum(axis=0).max(axis=tuple(axes), keepdims=bool(keepdims))
    )


@pytest.mark.parametrize(
    ("axes", "keepdims", "expected"),
    [([0], 0, [4, 2, 6]), ([1], 0, [3, 6]), ([1], 1, [[3], [6]]), ([0, 1], 0, 6), ([-2], 1, [[4, 2, 6]])],
)
def test_axes_and_whether_they_stay(axes, keepdims, expected):
    x = np.float64([[1, 2, 3], [4, 0, 6]])
    attributes = {"axes": axes, "keepdims": keepdims}
    output, (total, pooled) = step(x, initial_state(()), (), attributes)
    assert (output.tolist(), pooled.tolist(), output.dtype) == (expected, expected, np.float64)
    assert total.tolist() == x.tolist()


def test_what_it_acts_as():
    assert (CELL.kind, CELL.acts_as, CELL.states) == ("pool", "ReduceMax", ("total", "pooled"))
    assert (CELL.neuron, CELL.keeps_rank, CELL.keeps_samples) == (None, False, False)
