"""The error of each output by its own size, and of all jointly."""

from __future__ import annotations

import numpy as np
import pytest

from onnx2snn.artifact.output_errors import OutputErrors, distance, joint_error, output_figures
from onnx2snn.artifact.outputs import OutputSpec

Y = OutputSpec("y", np.dtype(np.float32), (None, 2), 0, None)
K = OutputSpec("k", np.dtype(np.int64), (None,), 0, None)
L = OutputSpec("l", np.dtype(np.float32), (), None, None)


def test_errors_by_hand():
    errors = OutputErrors({"y": Y, "k": K})
    mine = {"y": np.float32([[3, 4], [9, 9]]), "k": np.int64([1, 9])}
    theirs = {"y": np.float32([[3, 0], [0, 0]]), "k": np.int64([1, 0])}
    errors.add(mine, theirs, 1, 2)  # the second sample only fills the batch up
    assert errors.errors == pytest.approx({"y": 4 / 3, "k": 0})
    assert errors.joint == pytest.approx(4 / 3 / np.sqrt(2))
    errors.add(
        {"y": np.float32([[4, 0]]), "k": np.int64([2])}, {"y": np.float32([[0, 0]]), "k": np.int64([3])}, 1, 1
    )
    assert errors.errors == pytest.approx({"y": np.sqrt(32) / 3, "k": 0.5})


def test_an_output_of_no_rows_counts_as_a_whole():
    errors = OutputErrors({"l": L})
    errors.add({"l": np.float32(3)}, {"l": np.float32(2)}, 1, 4)
    assert errors.joint == 0.5


def test_whole_numbers_are_equal_or_not():
    assert distance(np.int64([1, 200]), np.int64([1, 2]), equal=True) == (1, 2)
    assert distance(np.int64([1, 2, 3]), np.int64([1, 2]), equal=True) == (3, 3)
    assert joint_error([0.3, 0.4]) == pytest.approx(np.sqrt(0.125))


def test_what_there_is_to_tell():
    assert output_figures(OutputErrors({"y": Y}), {"y": Y}) is None
    figures = output_figures(OutputErrors({"k": K}), {"k": K})
    assert figures is not None
    assert figures.to_dict() == {"errors": {"k": 0.0}, "equal": ["k"], "joint": 0.0}
