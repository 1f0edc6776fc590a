"""Large initializers out of a model and back in again."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from onnx2snn.errors import ModelError
from onnx2snn.model.parking import LARGE, park, size_of, unpark
from tests.helpers import parse, run

TEXT = "(float[N,2] x) => (float[N,M] y) { a = MatMul(x, large) b = MatMul(a, half) y = Add(b, small) }"
COLUMNS = LARGE // 8


@pytest.fixture
def model(rng):
    """Weights of two floats more than is small, of one more than half, and of exactly what is small."""
    return parse(
        TEXT,
        large=rng.standard_normal((2, COLUMNS + 1)).astype(np.float32),
        small=np.ones(LARGE // 4, np.float32),
        half=np.ones((COLUMNS + 1, 1), np.float32),
    )


def inputs(model):
    return [item.name for item in model.graph.input]


def test_inputs_of_the_same_type_stand_for_what_is_large(model):
    parked = park(model)
    assert [item.name for item in model.graph.initializer] == ["small", "half"]
    assert [item.name for item in parked.tensors] == ["large"]
    assert inputs(model) == ["x", "large"]
    assert parked.inputs == {"large"}
    assert model.graph.input[1] == helper.make_tensor_value_info("large", TensorProto.FLOAT, [2, COLUMNS + 1])


def test_back_again_it_computes_the_same(model, rng):
    x = {"x": rng.standard_normal((3, 2)).astype(np.float32)}
    expected = run(model, x)
    parked = park(model)
    onnx.checker.check_model(model)
    unpark(model, parked)
    assert inputs(model) == ["x"]
    assert sorted(item.name for item in model.graph.initializer) == ["half", "large", "small"]
    np.testing.assert_array_equal(run(model, x), expected)


def test_an_input_that_was_there_stays(model):
    """Of a file from before IR version 4, where every initializer is an input."""
    model.graph.input.append(helper.make_tensor_value_info("large", TensorProto.FLOAT, [2, COLUMNS + 1]))
    parked = park(model)
    assert (inputs(model), parked.inputs) == (["x", "large"], set())
    unpark(model, parked)
    assert inputs(model) == ["x", "large"]


def test_what_is_large():
    assert LARGE == 65_536


@pytest.mark.parametrize(
    ("kind", "dims", "expected"),
    [
        (TensorProto.FLOAT, [2, 3], 24),
        (TensorProto.DOUBLE, [2, 3], 48),
        (TensorProto.FLOAT16, [7], 14),
        (TensorProto.INT8, [], 1),
        (TensorProto.BOOL, [0, 5], 0),
    ],
)
def test_bytes(kind, dims, expected):
    assert size_of(TensorProto(data_type=kind, dims=dims)) == expected


def test_a_type_that_is_none():
    with pytest.raises(
        ModelError, match=r"^constant 'w': expected an element type of ONNX, found number 99; export"
    ):
        size_of(TensorProto(name="w", data_type=99, dims=[1]))
