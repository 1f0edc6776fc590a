"""Sizes of tensors, as onnxruntime makes them."""

from __future__ import annotations

import numpy as np

from onnx2snn.graph.graph import constant
from tests.helpers import graph_of, parse


def ops(graph):
    return [node.op for node in graph.nodes]


def test_sizes_behind_pools_are_those_that_onnxruntime_makes():
    """ONNX's inference makes 6 of the first and 4 of the second."""
    text = """(float[N,3,9,9] x) => (float[N,75] y) {
        p = MaxPool<kernel_shape=[2,2], strides=[2,2], pads=[1,1,1,1], ceil_mode=1>(x)
        q = AveragePool<kernel_shape=[3,3], strides=[1,1], pads=[1,1,1,1], ceil_mode=1>(p)
        s = Shape<start=1>(q) c = ReduceProd<keepdims=1>(s) m = Concat<axis=0>(minus, c) y = Reshape(q, m)
    }"""
    graph = graph_of(parse(text, minus=np.int64([-1])))
    assert ops(graph) == ["MaxPool", "AveragePool", "Reshape"]
    shapes = [list(node.outputs[0].shape) for node in graph.nodes]
    assert shapes == [["N", 3, 5, 5], ["N", 3, 5, 5], ["N", 75]]
    assert constant(graph.nodes[-1].inputs[1]).tolist() == [-1, 75]


def test_weights_fit_what_onnxruntime_makes_of_a_pool():
    """ONNX's inference makes 144 of it, and contradicts the weights."""
    text = """(float[N,4,9,9] x) => (float[N,2] y) {
        p = MaxPool<kernel_shape=[2,2], strides=[2,2], pads=[1,1,1,1], ceil_mode=1>(x)
        f = Flatten(p) y = Gemm(f, w)
    }"""
    graph = graph_of(parse(text, w=np.ones((100, 2), np.float32)))
    assert [list(node.outputs[0].shape) for node in graph.nodes] == [["N", 4, 5, 5], ["N", 100], ["N", 2]]
