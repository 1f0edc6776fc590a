"""The normal form of a trained quantiser: rounded to multiples of its step, ties up, from 0 to N of them."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import helper
from onnx.reference import ReferenceEvaluator

from onnx2snn.ops import DOMAIN, DOMAIN_VERSION, OPSET_VERSION, body_of
from onnx2snn.ops.quantized_relu import QUANTIZED_RELU
from tests.helpers import run


def model_of(levels, dtype):
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    infos = [
        [helper.make_tensor_value_info(name, kind, None) for name in names] for names in (["x", "q"], ["y"])
    ]
    node = helper.make_node("QuantizedRelu", ["x", "q"], ["y"], domain=DOMAIN, levels=levels)
    opsets = [helper.make_opsetid("", OPSET_VERSION), helper.make_opsetid(DOMAIN, DOMAIN_VERSION)]
    graph = helper.make_graph([node], "relu", *infos)
    return helper.make_model(graph, functions=[QUANTIZED_RELU], opset_imports=opsets, ir_version=10)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("levels", "step", "x", "expected"),
    [
        (3, 1, [0.5, 1.5, 2.5, 0.4375, 1.4375], [1, 2, 3, 0, 1]),
        (3, 1, [-0.5, -0.5625, -9, 3.4375, 3.5, 99], [0, 0, 0, 3, 3, 3]),
        (1, 0.25, [0.125, 0.0625, 7], [0.25, 0, 0.25]),
        (15, [0.5, 2, 1], [1.25, 5, -1], [1.5, 6, 0]),
    ],
)
def test_literal_case(levels, step, x, expected, dtype):
    model, values = model_of(levels, dtype), {"x": np.asarray(x, dtype), "q": np.asarray(step, dtype)}
    for (found,) in (run(model, values), ReferenceEvaluator(model).run(None, values)):
        assert (found.tolist(), found.dtype) == (expected, dtype)


def test_it_is_found_by_its_name():
    assert body_of("QuantizedRelu") is QUANTIZED_RELU
    assert (QUANTIZED_RELU.domain, list(QUANTIZED_RELU.attribute)) == ("onnx2snn", ["levels"])
