"""Outputs of batches put together along their samples, or not at all."""

from __future__ import annotations

import numpy as np
import pytest

from onnx2snn.artifact.layouts import TOGETHER
from onnx2snn.artifact.outputs import OutputSpec
from onnx2snn.errors import OptionError
from onnx2snn.runtime.gathering import gather


def output(shape, layout, batch=None):
    return OutputSpec("y", np.dtype(np.float32), shape, layout, batch)


def test_samples_go_behind_samples():
    a, b = np.float32([[0, 1], [2, 3]]), np.float32([[4, 5], [6, 7]])
    batches = [({"y": a}, 2, 2), ({"y": b}, 1, 2)]
    assert gather(output((None, 2), 0), batches).tolist() == [[0, 1], [2, 3], [4, 5]]
    assert gather(output((2, None), 1), batches).tolist() == [[0, 1, 4], [2, 3, 6]]
    pairs = [({"y": np.arange(4)}, 2, 2), ({"y": np.arange(4, 8)}, 1, 2)]
    assert gather(output((None,), TOGETHER), pairs).tolist() == [0, 1, 2, 3, 4, 5]


def test_what_is_no_row_of_a_sample_is_never_mixed():
    mean = output((1, 2), None)
    one = {"y": np.float32([[1, 2]])}
    assert gather(mean, [(one, 3, 3)]).tolist() == [[1, 2]]
    for batches, found in (([(one, 3, 3), (one, 3, 3)], 6), ([(one, 2, 3)], 2)):
        with pytest.raises(OptionError) as caught:
            gather(mean, batches, "x.npz")
        assert str(caught.value) == (
            "x.npz: expected 3 samples, one batch, where output 'y' of shape [1, 2] has not one row a "
            f"sample, found {found}; give 3 at a time, or export the model without it"
        )
