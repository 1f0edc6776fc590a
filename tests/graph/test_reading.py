"""The way in."""

from __future__ import annotations

import numpy as np

from onnx2snn.graph.reading import read_graph
from onnx2snn.model.file import flatten_model
from tests.helpers import parse


def test_what_control_flow_is_chosen_by_may_be_computed_from_shapes():
    """As torch writes squeeze(1) of an axis whose size it does not know: its branches are of other ranks."""
    text = """(float[N,1,4] x) => (float[N,4] y) {
        d = Shape<start = 1, end = 2>(x) e = Squeeze(d) c = Equal(e, one)
        b = If(c) <then_branch = p () => (float[N,4] s) { s = Squeeze(x, axis) },
            else_branch = q () => (float[N,1,4] t) { t = Identity(x) }>
        f = Shape(b) r = Relu(b) y = Reshape(r, f) }"""
    model = parse(text, one=np.int64(1), axis=np.int64([1]))
    graph = read_graph(flatten_model(model))
    assert [node.op for node in graph.nodes] == ["Squeeze", "Relu", "Reshape"]
    assert graph.outputs[0].shape == ["N", 4]
