"""The table of standard operators: every record is of an operator that there is, and says what is so."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import helper
from onnx.reference import ReferenceEvaluator

from onnx2snn.artifact import samples
from onnx2snn.graph import linear
from onnx2snn.ops import OPSET_VERSION
from onnx2snn.ops.standard import OPERATORS, SHAPE_OPS, WEIGHTED, Operator, having, standard

#: Attributes and further inputs that a call needs.
CALLS = {
    "Clip": ({}, [np.float32(-0.5), np.float32(0.5)]),
    "PRelu": ({}, [np.float32(0.25)]),
    "QuantizeLinear": ({}, [np.float32(0.1), np.uint8(3)]),
    "CastLike": ({}, [np.float64(0)]),
    "Cast": ({"to": onnx.TensorProto.DOUBLE}, []),
    "Pow": ({}, [np.float32(2)]),
}
BINARY = {"Add", "Div", "Max", "Min", "Mul", "Sub", "Sum"}


def call(op: str, x: np.ndarray) -> np.ndarray:
    """One operator on x, and on x again where it takes two."""
    attributes, more = CALLS.get(op, ({}, [np.asarray(x)] if op in BINARY else []))
    names = [f"i{number}" for number in range(1 + len(more))]
    values = dict(zip(names, [x, *map(np.asarray, more)], strict=True))
    infos = [
        helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(v.dtype), None)
        for n, v in values.items()
    ]
    node = helper.make_node(op, names, ["y"], **attributes)
    graph = helper.make_graph([node], "g", infos, [helper.make_empty_tensor_value_info("y")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET_VERSION)], ir_version=10)
    return ReferenceEvaluator(model).run(None, values)[0]


@pytest.mark.parametrize("op", OPERATORS)
def test_it_is_an_operator(op):
    schema = onnx.defs.get_schema(op, OPSET_VERSION)
    assert not schema.deprecated


def test_the_names_of_kinds_have_rules():
    assert {record.linear for record in OPERATORS.values()} - {""} == linear._RULES.keys()
    assert {record.rows for record in OPERATORS.values()} - {""} == samples._RULES.keys()


def test_what_has_no_record_does_the_worst():
    assert standard("Gru of tomorrow") == Operator()
    assert not standard("NonMaxSuppression").linear


def test_the_sets_are_those_of_the_table():
    assert {"Conv", "ConvTranspose", "Gemm", "MatMul"} == WEIGHTED
    assert {"Shape", "Size"} == SHAPE_OPS
    assert {"Conv", "ConvTranspose", "Gemm"} == having(weighted=True, bias=True)
    assert {"GlobalMaxPool", "MaxPool", "ReduceMax"} == having(picks=True)


@pytest.mark.parametrize("op", sorted(having(rows="each") | having(univariate="smooth")))
def test_elementwise_is_elementwise(op, rng):
    """Any cut through the values gives the same as the cut result."""
    x = rng.uniform(0.1, 0.9, (4, 3)).astype(np.float32)
    whole = call(op, x)
    assert whole.shape == x.shape
    np.testing.assert_array_equal(np.stack([call(op, row) for row in x]), whole)


@pytest.mark.parametrize("op", sorted(having(univariate="smooth") | having(univariate="plain")))
def test_univariate_is_elementwise(op):
    assert standard(op).rows == "each"
    assert not standard(op).weighted


@pytest.mark.parametrize("op", sorted(having(picks=True)))
def test_what_picks_gives_the_largest_of_what_it_reads(op, rng):
    x = rng.standard_normal((1, 2, 4, 4)).astype(np.float32)
    CALLS[op] = ({"kernel_shape": [2, 2]} if op == "MaxPool" else {}, [])
    y = call(op, x)
    del CALLS[op]
    assert np.isin(y, x).all()
    assert y.max() == x.max()


def test_what_is_bounded_lies_between_its_input_and_zero(rng):
    x = rng.standard_normal((1, 2, 4, 4)).astype(np.float32)
    kernel = {"kernel_shape": [2, 2], "strides": [2, 2]}
    for op, attributes in (("AveragePool", kernel), ("MaxPool", kernel), ("GlobalAveragePool", {})):
        assert standard(op).bounded
        CALLS[op] = (attributes, [])
        y = call(op, x)
        assert min(x.min(), 0) <= y.min() <= y.max() <= max(x.max(), 0)
        del CALLS[op]
