"""Which activations are measured, and of which tensor."""

from __future__ import annotations

import numpy as np

from onnx2snn.data.dataset import InputSpec
from onnx2snn.data.readers import dataset_from_arrays
from onnx2snn.options import CompileOptions
from onnx2snn.passes.base import Context
from onnx2snn.passes.calibrate import Calibrate
from tests.helpers import graph_of, parse

NET = """(float[N,2] x) => (float[N,2] y) {
    a = Relu(x) b = Neg(a) c = LeakyRelu<alpha=0.5>(b) d = onnx2snn.QuantizedRelu<levels=4>(c, step)
    y = Sigmoid(d) }"""
X = np.float32([[1, -2], [3, 4]])


def test_outputs_are_measured_and_inputs_where_there_is_a_slope():
    dataset = dataset_from_arrays(X, [InputSpec("x", np.dtype(np.float32), (None, 2))])
    done = []
    context = Context(CompileOptions(batch_size=1, code="burst"), dataset=dataset, advance=done.append)
    graph = graph_of(parse(NET, step=np.float32(1)))
    assert not Calibrate().run(graph, context)
    assert set(context.statistics.histograms) == {"a", "c"}
    assert context.statistics.samples == 2
    assert context.statistics.histograms["a"].maximum.tolist() == [3, 4]
    assert context.statistics.histograms["c"].maximum.tolist() == [3, 4]
    assert context.statistics.histograms["c"].counts.sum(axis=1).tolist() == [0.5, 0.25]
    assert done == [0.5, 1.0]


def test_without_data_nothing_is_measured():
    context = Context(CompileOptions(code="burst"))
    assert not Calibrate().run(graph_of(parse(NET, step=np.float32(1))), context)
    assert context.statistics is None
