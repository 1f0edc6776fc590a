"""Which axis holds the channels, and vectors along it."""

from __future__ import annotations

import numpy as np
import pytest

from onnx2snn.graph.channels import (
    along_axis,
    broadcastable,
    channel_axis,
    channel_count,
    channels_first,
    written,
)
from tests.helpers import graph_of, parse

CONSTANTS = {"w": np.ones((4, 5), "f"), "k": np.ones((6, 3, 1, 1), "f")}


def tensor(body, shape="N,3,4,4"):
    """y behind some nodes that read x."""
    read = {name: value for name, value in CONSTANTS.items() if f" {name})" in body}
    return graph_of(parse(f"(float[{shape}] x) => (float[] y) {{ {body} }}", **read)).tensors()["y"]


@pytest.mark.parametrize(
    ("body", "shape", "axis", "count"),
    [
        ("y = Relu(x)", "N,3,4,4", 1, 3),
        ("y = Relu(x)", "N,3", 1, 3),
        ("y = Relu(x)", "N", None, None),
        ("y = Relu(x)", "N,C,4,4", None, None),
        ("y = Conv(x, k)", "N,3,4,4", 1, 6),
        ("y = MatMul(x, w)", "N,3,4", 2, 5),
        ("a = MatMul(x, w) y = Relu(a)", "N,3,4", 2, 5),
        ("y = Transpose<perm=[0,2,3,1]>(x)", "N,3,4,4", 3, 3),
        ("y = Transpose(x)", "N,3,4,2", 2, 3),
        ("a = Transpose<perm=[0,2,3,1]>(x) y = Sigmoid(a)", "N,3,4,4", 3, 3),
    ],
)
def test_channels_are_where_an_operator_puts_them(body, shape, axis, count):
    found = tensor(body, shape)
    assert channel_axis(found) == axis
    assert channel_count(found) == count


def test_a_vector_lies_along_its_axis():
    vector = np.arange(3)
    assert along_axis(vector, 1, 4).shape == (1, 3, 1, 1)
    assert along_axis(vector, 3, 4).shape == (1, 1, 1, 3)
    assert along_axis(np.ones(1), 1, 4).shape == ()
    assert along_axis(np.ones(1), None, 4).shape == ()


def test_a_vector_broadcasts_along_the_channels_in_the_type_that_is_asked_for():
    found = broadcastable(np.float64([1, 2, 3]), tensor("y = Relu(x)"))
    assert (found.shape, found.dtype) == ((1, 3, 1, 1), np.float32)
    assert broadcastable(np.float64([1]), tensor("y = Relu(x)"), np.float16).dtype == np.float16


def test_metadata_has_seven_digits_and_one_number_for_equal_ones():
    assert written(np.float64([1 / 3, 2])) == [0.3333333, 2.0]
    assert written(np.float64([0.1, 0.1 + 1e-12])) == [0.1]
    assert written(np.float64([1, 1, 2])) == [1.0, 1.0, 2.0]


def test_channels_come_first_with_all_that_they_have():
    values = np.arange(12).reshape(2, 3, 2)
    assert channels_first(values, 1).tolist() == [[0, 1, 6, 7], [2, 3, 8, 9], [4, 5, 10, 11]]
    assert channels_first(values, None).tolist() == [list(range(12))]
    assert channels_first(values, 2).tolist() == [[0, 2, 4, 6, 8, 10], [1, 3, 5, 7, 9, 11]]
    assert channels_first(np.zeros((2, 0, 3)), 1).shape == (0, 0)


def test_is_found_through_thousands_of_nodes():
    moved = "".join(f" m{step} = Transpose<perm = [0, 2, 1, 3]>(m{step - 1})" for step in range(1, 1500))
    assert channel_axis(tensor(f"m0 = Relu(x){moved} y = Neg(m1499)")) == 2
