"""The neuron of integers that fires once: what has been rounded to uint8, up to N."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

from onnx2snn.ops import DOMAIN, DOMAIN_VERSION, OPSET_VERSION
from onnx2snn.ops.integer_accumulate_fire import CELL, step
from tests.helpers import run
from tests.ops.cells import suited

CURRENTS = np.uint8([[0, 1, 2], [3, 4, 255]])


def body(levels):
    infos = [[helper.make_tensor_value_info(name, TensorProto.UINT8, None)] for name in "xy"]
    node = helper.make_node("IntegerAccumulateFire", ["x"], ["y"], domain=DOMAIN, levels=levels, code="burst")
    opsets = [helper.make_opsetid("", OPSET_VERSION), helper.make_opsetid(DOMAIN, DOMAIN_VERSION)]
    graph = helper.make_graph([node], "cell", *infos)
    return helper.make_model(graph, functions=[CELL.function], opset_imports=opsets, ir_version=10)


@pytest.mark.parametrize(
    ("levels", "expected"),
    [(3, [[0, 1, 2], [3, 3, 3]]), (4, [[0, 1, 2], [3, 4, 4]]), (255, [[0, 1, 2], [3, 4, 255]])],
)
def test_literal_case(levels, expected):
    output, state = step(CURRENTS, (), (), {"levels": levels, "code": "burst"})
    assert (output.tolist(), output.dtype, state) == (expected, np.uint8, ())
    for found in (
        run(body(levels), {"x": CURRENTS}),
        ReferenceEvaluator(body(levels)).run(None, {"x": CURRENTS}),
    ):
        assert (found[0].tolist(), found[0].dtype) == (expected, np.uint8)


def test_no_activation_becomes_one():
    assert suited("IntegerAccumulateFire") == set()


def test_what_may_be_done_with_it():
    assert (CELL.states, CELL.initial_state(())) == ((), ())
    assert (CELL.neuron.fires_once, CELL.neuron.limit) == (True, "levels")
    assert (CELL.neuron.adaptable, CELL.neuron.scales, CELL.neuron.takes_back) == (False, False, False)
