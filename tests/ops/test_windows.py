"""Where windows lie: as onnxruntime has them, whatever the attributes."""

from __future__ import annotations

import numpy as np
import pytest

from onnx2snn.ops.li_pool import max_pool
from onnx2snn.ops.windows import average_pool, pool_axes, windows
from tests.pools import by_onnxruntime, random_pool


def padded(size, **attributes):
    (axis,) = pool_axes(attributes, [size])
    return axis.begin, axis.end, axis.beyond, axis.outputs


@pytest.mark.parametrize(
    ("size", "attributes", "expected"),
    [
        (7, {"kernel_shape": [2]}, (0, 0, 0, 6)),
        (7, {"kernel_shape": [2], "strides": [2], "pads": [1, 0]}, (1, 0, 0, 4)),
        (7, {"kernel_shape": [2], "strides": [2], "ceil_mode": 1}, (0, 0, 1, 4)),
        # A last window that would begin in the padding is dropped.
        (9, {"kernel_shape": [2], "strides": [2], "pads": [1, 1], "ceil_mode": 1}, (1, 1, 0, 5)),
        (7, {"kernel_shape": [2], "strides": [2], "auto_pad": "SAME_LOWER"}, (1, 0, 0, 4)),
        (7, {"kernel_shape": [2], "strides": [2], "auto_pad": b"SAME_UPPER"}, (0, 1, 0, 4)),
        (7, {"kernel_shape": [2], "auto_pad": "VALID", "pads": [1, 1]}, (0, 0, 0, 6)),
        # onnxruntime leaves the dilation out, and strides past the end begin inside.
        (7, {"kernel_shape": [3], "strides": [2], "dilations": [2], "auto_pad": "SAME_UPPER"}, (1, 1, 0, 3)),
        (4, {"kernel_shape": [1], "strides": [4], "auto_pad": "SAME_LOWER"}, (-1, -2, 0, 1)),
    ],
)
def test_pads_and_windows_of_an_axis(size, attributes, expected):
    assert padded(size, **attributes) == expected


def test_a_window_place_by_place():
    x = np.float32([[[1, 2, 3, 4, 5]]])
    found = list(windows(x, {"kernel_shape": [2], "strides": [2], "pads": [1, 0]}, 0))
    assert [place.tolist() for place in found] == [[[[0, 2, 4]]], [[[1, 3, 5]]]]


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({}, [2]),
        ({"ceil_mode": 1}, [2, 4.5]),
        ({"pads": [1, 1]}, [1.5, 4]),
        ({"pads": [1, 1], "count_include_pad": 1}, [1, 4]),
        ({"pads": [2, 2], "count_include_pad": 1}, [1 / 3, 3, 5 / 3]),
        ({"pads": [2, 0], "count_include_pad": 1, "ceil_mode": 1}, [1 / 3, 3, 5]),
    ],
)
def test_an_average_counts_what_is_there(attributes, expected):
    x, pool = np.float32([[[1, 2, 3, 4, 5]]]), {"kernel_shape": [3], "strides": [3], **attributes}
    np.testing.assert_allclose(average_pool(x, pool), [[expected]], rtol=1e-6)
    np.testing.assert_allclose(by_onnxruntime("AveragePool", x, pool), [[expected]], rtol=1e-6)


@pytest.mark.parametrize(("op", "pool"), [("MaxPool", max_pool), ("AveragePool", average_pool)])
def test_any_attributes_give_what_onnxruntime_gives(rng, op, pool):
    compared = 0
    for number in range(150):
        dims = 1 + number % 3
        attributes = random_pool(rng, op, dims)
        x = rng.normal(size=(2, 2, *rng.integers(3, 9, dims))).astype(np.float32)
        expected = by_onnxruntime(op, x, attributes)
        if expected is None or any(axis.outputs < 1 for axis in pool_axes(attributes, x.shape[2:])):
            continue
        compared += 1
        np.testing.assert_allclose(
            pool(x, attributes), expected, rtol=1e-5, atol=1e-6, err_msg=str(attributes)
        )
    assert compared > 80


def test_the_maximum_of_integers():
    x = np.arange(25, dtype=np.uint8).reshape(1, 1, 5, 5)
    pool = {"kernel_shape": [2, 2], "strides": [2, 2], "pads": [1, 1, 1, 1], "ceil_mode": 1}
    assert max_pool(x, pool).tolist() == by_onnxruntime("MaxPool", x, pool).tolist()
    assert max_pool(x, pool).dtype == np.uint8
