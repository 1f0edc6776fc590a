"""Lateral inhibition pooling: MaxPool of the sums, in any geometry."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from onnx2snn.ops import OPSET_VERSION
from onnx2snn.ops.li_pool import CELL, max_pool
from tests.helpers import run
from tests.ops.cells import BACKENDS, WINNER, check_case, numpy_step, onnxruntime_body, simulate

SQUARE = {
    "auto_pad": "NOTSET",
    "ceil_mode": 0,
    "dilations": [1, 1],
    "kernel_shape": [2, 2],
    "pads": [0, 0, 0, 0],
    "strides": [2, 2],
}
CASES = {
    # The winner so far inhibits its neighbours: the second pixel shows only once it has overtaken the first.
    "the winner changes": (SQUARE, (), WINNER, [[[[[1]]]], [[[[0]]]], [[[[1]]]], [[[[1]]]]]),
    "takes back with its winner": (
        SQUARE,
        (),
        [[[[[3, 0], [1, 0]]]], [[[[-4, 0], [0, 0]]]]],
        [[[[[3]]]], [[[[-2]]]]],
    ),
}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("case", CASES)
def test_literal_case(backend, case):
    check_case(backend, "LIPool", *CASES[case])


def geometry(kernel, strides=None, pads=None, dilations=None, ceil_mode=0, auto_pad="NOTSET"):
    dims = len(kernel)
    return {
        "auto_pad": auto_pad,
        "ceil_mode": ceil_mode,
        "dilations": dilations or [1] * dims,
        "kernel_shape": kernel,
        "pads": pads or [0] * 2 * dims,
        "strides": strides or [1] * dims,
    }


@cache
def _pooling(items):
    node = helper.make_node("MaxPool", ["x"], ["y"], **dict(items))
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in "xy")
    graph = helper.make_graph([node], "pool", [x], [y])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET_VERSION)], ir_version=10)


def onnxruntime_max_pool(x, attributes):
    model = _pooling(tuple((k, tuple(v) if isinstance(v, list) else v) for k, v in attributes.items()))
    return run(model, {"x": x})[0]


GEOMETRIES = [
    ([9], geometry([3], strides=[2])),
    ([9], geometry([2], strides=[2], ceil_mode=1)),
    ([8], geometry([3], pads=[1, 2], dilations=[2])),
    ([2], geometry([2], pads=[1, 1], dilations=[3])),  # a window of nothing but padding
    ([7], geometry([3], strides=[3], auto_pad="SAME_UPPER")),
    ([6, 6], geometry([2, 2], strides=[2, 2])),
    ([7, 5], geometry([3, 3], strides=[2, 2], pads=[1, 1, 1, 1])),
    ([7, 6], geometry([3, 2], strides=[1, 2], pads=[0, 1, 2, 0])),
    ([7, 7], geometry([2, 2], strides=[2, 2], ceil_mode=1)),
    ([8, 7], geometry([3, 3], strides=[3, 2], pads=[1, 0, 1, 2], ceil_mode=1)),
    ([8, 8], geometry([2, 3], dilations=[3, 2], pads=[1, 1, 1, 1])),
    ([7, 5], geometry([2, 4], strides=[2, 1], auto_pad="SAME_UPPER")),
    ([7, 5], geometry([2, 4], strides=[2, 1], auto_pad="SAME_LOWER")),
    ([7, 5], geometry([3, 2], strides=[2, 2], auto_pad="VALID")),
    ([5, 4, 6], geometry([2, 2, 2], strides=[2, 2, 2])),
    ([5, 4, 6], geometry([3, 2, 3], strides=[2, 1, 2], pads=[1, 0, 1, 0, 1, 1], ceil_mode=1)),
]


@pytest.mark.parametrize(("size", "attributes"), GEOMETRIES)
@pytest.mark.parametrize("backend", [numpy_step, onnxruntime_body])
def test_pooled_spikes_add_up_to_the_pooled_sum(backend, size, attributes, rng):
    # Whole numbers: float32 adds them without rounding, so equality is exact.
    spikes = rng.integers(-2, 4, (6, 2, 3, *size)).astype(np.float32)
    outputs = simulate(backend, "LIPool", spikes, attributes=attributes)
    np.testing.assert_array_equal(
        np.sum(outputs, axis=0), onnxruntime_max_pool(spikes.sum(axis=0), attributes)
    )


@st.composite
def geometries(draw):
    dims = draw(st.integers(1, 3))

    def each(low, high, count=dims):
        return draw(st.lists(st.integers(low, high), min_size=count, max_size=count))

    kernel, padding = each(1, 4), draw(st.sampled_from(["NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"]))
    pads = each(0, 3, 2 * dims) if padding == "NOTSET" else None
    dilations = each(1, 3) if padding in ("NOTSET", "VALID") else None
    return each(1, 9), geometry(kernel, each(1, 3), pads, dilations, draw(st.integers(0, 1)), padding)


def windows_fit(size, attributes):
    """Whether a window fits into the padded input; ONNX does not say what else should happen."""
    dims = len(size)
    kernel, pads = attributes["kernel_shape"], attributes["pads"]
    return all(
        (kernel[i] - 1) * attributes["dilations"][i] < size[i] + pads[i] + pads[i + dims] for i in range(dims)
    )


@settings(deadline=None, max_examples=150)
@given(case=geometries(), seed=st.integers(0, 2**32 - 1))
def test_any_geometry_is_that_of_onnxruntime(case, seed):
    size, attributes = case
    assume(attributes["auto_pad"].startswith("SAME") or windows_fit(size, attributes))
    spikes = np.random.default_rng(seed).integers(-16, 17, (3, 1, 2, *size)).astype(np.float32) / 4
    try:
        expected = onnxruntime_max_pool(spikes.sum(axis=0), attributes)
    except Exception:  # noqa: BLE001 onnxruntime has no common base for what it rejects
        assume(False)
    np.testing.assert_array_equal(max_pool(spikes.sum(axis=0), attributes), expected)
    outputs = simulate(numpy_step, "LIPool", spikes, attributes=attributes)
    np.testing.assert_array_equal(np.sum(outputs, axis=0), expected)


def line(kernel, **more):
    return geometry([kernel], **more)


#: Of 3 1 4 1 5 9 2 6 5: window, what is left.
WINDOWS = {
    "dilated": (line(2, dilations=[3]), [3, 5, 9, 2, 6, 9]),
    "dilated, in strides": (line(3, dilations=[2], strides=[3]), [5, 9]),
    "padded in front": (line(2, strides=[2], pads=[1, 0]), [3, 4, 5, 9, 6]),
    "padded at the end": (line(2, strides=[2], pads=[0, 1]), [3, 4, 9, 6, 5]),
    "dilated, padded at the end": (line(2, dilations=[5], pads=[0, 3]), [9, 2, 6, 5, 5, 9, 2]),
    "no whole window at the end": (line(3, strides=[4]), [4, 9]),
    "ceil_mode keeps it": (line(3, strides=[4], ceil_mode=1), [4, 9, 5]),
    "ceil_mode keeps a dilated one": (line(2, strides=[4], dilations=[2], ceil_mode=1), [4, 5, 5]),
    "ceil_mode adds none where all are whole": (line(3, strides=[3], ceil_mode=1), [4, 9, 6]),
    "ceil_mode drops one behind the input": (line(2, strides=[3], ceil_mode=1), [3, 5, 6]),
    "ceil_mode drops one in the padding": (line(2, strides=[3], pads=[0, 2], ceil_mode=1), [3, 5, 6]),
    "ceil_mode counts the padding in front": (line(2, strides=[3], pads=[1, 0], ceil_mode=1), [3, 4, 9, 5]),
    # onnxruntime pads for the kernel as if it had no dilation.
    "SAME_UPPER, dilated": (line(2, dilations=[3], auto_pad="SAME_UPPER"), [3, 5, 9, 2, 6, 9, 2]),
    "SAME_LOWER, dilated": (line(2, dilations=[3], auto_pad="SAME_LOWER"), [4, 3, 5, 9, 2, 6, 9]),
    "SAME_UPPER, dilated, in strides": (
        line(2, dilations=[3], strides=[2], auto_pad="SAME_UPPER"),
        [3, 9, 6, 2],
    ),
    "SAME_LOWER, dilated, in strides": (
        line(2, dilations=[3], strides=[2], auto_pad="SAME_LOWER"),
        [4, 5, 2, 9],
    ),
    "VALID": (line(2, strides=[2], auto_pad="VALID"), [3, 4, 9, 6]),
}


@pytest.mark.parametrize("name", WINDOWS)
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_literal_window(name, dtype):
    """Far below zero as well, where padding with zeros would win."""
    attributes, expected = WINDOWS[name]
    x = np.asarray([[[3, 1, 4, 1, 5, 9, 2, 6, 5]]], dtype)
    for below in (0, 100):
        found = max_pool(x - dtype(below), attributes)
        assert found[0, 0].tolist() == [value - below for value in expected]
        assert found.dtype == dtype


def test_every_axis_has_pads_of_its_own():
    x = np.float32([[[[1, 2, 3], [4, 5, 6]]]])
    found = max_pool(x, geometry([2, 2], pads=[1, 0, 0, 1]))
    assert found.tolist() == [[[[2, 3, 3], [5, 6, 6]]]]


@pytest.mark.parametrize("padding", ["NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"])
def test_an_attribute_may_be_bytes(padding):
    x = np.float32([[[3, 1, 4, 1, 5]]])
    plain = max_pool(x, line(2, auto_pad=padding))
    np.testing.assert_array_equal(max_pool(x, line(2, auto_pad=padding.encode())), plain)


def test_a_window_of_nothing_but_padding_stands_still():
    attributes = line(2, strides=[2], pads=[2, 0])
    first, second = simulate(numpy_step, "LIPool", np.float32([[[[1, 2]]], [[[3, 0]]]]), (), attributes)
    assert first[0, 0].tolist() == [np.finfo(np.float32).min, 2]
    assert second[0, 0].tolist() == [0, 2]


def test_what_it_acts_as():
    assert (CELL.kind, CELL.acts_as, CELL.states) == ("pool", "MaxPool", ("total", "pooled"))
    assert (CELL.neuron, CELL.keeps_samples, CELL.sends_units) == (None, True, False)
