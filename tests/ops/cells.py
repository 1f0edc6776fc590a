"""One spiking operator at a time, run by its NumPy step, its body and its kernel."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

from onnx2snn.engine.engines import EngineOptions, OnnxruntimeEngine
from onnx2snn.engine.native import find_kernels
from onnx2snn.graph.rectifiers import Rectifier
from onnx2snn.ops import CELLS, DOMAIN, DOMAIN_VERSION, OPSET_VERSION
from onnx2snn.options import CompileOptions


def cell_model(op, parameters, attributes):
    """One node of the operator and its body: `(x, *state, *parameters) -> (y, *next_state)`."""
    cell = CELLS[op]
    inputs = ["x", *cell.states, *(f"parameter{i}" for i in range(parameters))]
    outputs = ["y", *(f"next_{name}" for name in cell.states)]
    infos = [
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in part]
        for part in (inputs, outputs)
    ]
    node = helper.make_node(op, inputs, outputs, domain=DOMAIN, **attributes)
    opsets = [helper.make_opsetid("", OPSET_VERSION), helper.make_opsetid(DOMAIN, DOMAIN_VERSION)]
    graph = helper.make_graph([node], "cell", *infos)
    return helper.make_model(graph, functions=[cell.function], opset_imports=opsets, ir_version=10)


def numpy_step(op, parameters, attributes):
    del parameters
    cell = CELLS[op]

    def step(x, state, others):
        output, after = cell.step(x, state, others, attributes)
        return [output, *after]

    return step


def reference_body(op, parameters, attributes):
    evaluator = ReferenceEvaluator(cell_model(op, parameters, attributes))
    return lambda x, state, others: evaluator.run(
        None, dict(zip(evaluator.input_names, (x, *state, *others), strict=True))
    )


def onnxruntime_body(op, parameters, attributes):
    model = cell_model(op, parameters, attributes)
    engine = OnnxruntimeEngine(model)
    names = [item.name for item in model.graph.input]
    return lambda x, state, others: list(
        engine.run(dict(zip(names, (x, *state, *others), strict=True))).values()
    )


def native_kernel(op, parameters, attributes):
    """The kernel where there is one, and it is a kernel that runs; the body elsewhere."""
    model = cell_model(op, parameters, attributes)
    engine = OnnxruntimeEngine(model, EngineOptions(native=True))
    names = [item.name for item in model.graph.input]
    return lambda x, state, others: list(
        engine.run(dict(zip(names, (x, *state, *others), strict=True))).values()
    )


BACKENDS = [numpy_step, reference_body, onnxruntime_body]
if find_kernels().path is not None:
    BACKENDS.append(native_kernel)


def simulate(backend, op, inputs, parameters=(), attributes=None):
    """The outputs of all timesteps from the initial state."""
    step = backend(op, len(parameters), attributes or {})
    state, outputs = CELLS[op].initial_state(parameters), []
    for x in inputs:
        output, *state = step(np.asarray(x, np.float32), state, parameters)
        outputs.append(output)
    return outputs


def check_case(backend, op, attributes, parameters, currents, expected):
    """All outputs are those expected, exactly, in float32."""
    outputs = simulate(backend, op, currents, parameters, attributes)
    np.testing.assert_array_equal(outputs, np.asarray(expected, np.float32))
    assert {output.dtype for output in outputs} == {np.dtype(np.float32)}


def one(*values):
    """Values over time of a single neuron, [T] arrays of shape [1, 1]."""
    return [[[value]] for value in values]


def suited(op):
    """The activations and options that a neuron of the operator stands for."""
    kinds = {
        "Relu": Rectifier(),
        "Clip": Rectifier(6.0),
        "PRelu": Rectifier(slope=HALF),
        "quantised": Rectifier(step=HALF, levels=4),
    }
    options = {
        "stream": CompileOptions(code="burst"),
        "signed": CompileOptions(signed=True),
        "layer": CompileOptions(schedule="layer", code="burst"),
    }
    suits = CELLS[op].neuron.suits
    return {f"{kind} {name}" for kind in kinds for name in options if suits(kinds[kind], options[name])}


ONE = np.asarray(1, np.float32)
HALF = np.asarray(0.5, np.float32)
PER_CHANNEL = np.float32([1, 2]).reshape(1, 2, 1)
WINNER = [
    [[[[1, 0], [0, 0]]]],
    [[[[0, 0], [1, 0]]]],
    [[[[0, 0], [1, 0]]]],
    [[[[1, 0], [0, 3]]]],
]
