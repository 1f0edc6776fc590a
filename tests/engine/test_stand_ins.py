"""When a file's functions run as they are, whatever native kernels there are."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import helper

from onnx2snn.engine.engines import EngineOptions, OnnxruntimeEngine
from onnx2snn.engine.stand_ins import why_not
from onnx2snn.ops import CELLS
from tests.ops.cells import cell_model

POOL = {
    "kernel_shape": [2, 2],
    "strides": [2, 2],
    "dilations": [1, 1],
    "pads": [0, 0, 0, 0],
    "ceil_mode": 0,
    "auto_pad": "NOTSET",
}
X = np.arange(32, dtype=np.float32).reshape(1, 2, 4, 4)


def test_what_the_compiler_writes_may_be_replaced():
    assert why_not(cell_model("BurstIF", 1, {"max_spikes": 3})) == ""
    assert why_not(cell_model("LIPool", 0, POOL)) == ""
    assert why_not(cell_model("LIReduceMax", 0, {"keepdims": 1, "block": 3})) == ""  # has no kernel


@pytest.mark.parametrize("block", [0, -1, 2, 3, 1 << 62])
def test_a_file_with_blocks_of_its_own_runs_by_its_bodies(block):
    """Zero was a division by zero that ended the process; two gave other maxima."""
    model = cell_model("LIPool", 0, POOL | {"block": block})
    assert why_not(model) == "node '' has more than LIPool takes"
    engine = OnnxruntimeEngine(model, EngineOptions(native=True))
    found = engine.run({"x": X, "total": np.zeros((), "f"), "pooled": np.zeros((), "f")})
    np.testing.assert_array_equal(found["y"].ravel(), [5, 7, 13, 15, 21, 23, 29, 31])


@pytest.mark.parametrize("name", ["rectified", "repeats"])
def test_nor_may_it_use_what_else_only_kernels_know(name):
    graded = {"exponents": 7, "dead_zone": 0.01, "coarse": [1.0]}
    assert why_not(cell_model("GradedIF", 1, graded | {name: 1})) == "node '' has more than GradedIF takes"


def test_more_inputs_than_the_function_has_are_for_kernels_alone():
    model = cell_model("AccumulateFire", 1, {"levels": 4, "code": "burst", "potential": 0.5})
    model.graph.node[0].input.extend(["x", "parameter0"])
    assert why_not(model) == "node '' has more than AccumulateFire takes"


def test_a_body_of_ones_own_is_what_runs():
    """A file may say what its functions do: here the neuron gives its current."""
    model = cell_model("AccumulateFire", 1, {"levels": 4, "code": "burst", "potential": 0.5})
    function = model.functions[0]
    del function.node[:]
    function.node.append(helper.make_node("Identity", ["current"], ["output"]))
    assert why_not(model) == "its AccumulateFire has a body of its own"
    engine = OnnxruntimeEngine(model, EngineOptions(native=True))
    assert engine.run({"x": X[0, 0, 0], "parameter0": np.ones(1, "f")})["y"].tolist() == [0, 1, 2, 3]


def test_inside_a_loop_as_well():
    inner = cell_model("LIPool", 0, POOL | {"block": 0}).graph
    loop = helper.make_node("Loop", ["n", "c"], ["y"], body=inner)
    model = helper.make_model(onnx.GraphProto(node=[loop]), functions=[CELLS["LIPool"].function])
    assert why_not(model) == "node '' has more than LIPool takes"
