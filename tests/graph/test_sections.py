from __future__ import annotations

import numpy as np

from onnx2snn.graph.sections import divide
from tests.helpers import graph_of, parse

CONSTANTS = {
    "zero": np.float32(0),
    "zero1": np.float32([0]),
    "six": np.float32(6),
    "below": np.float32(-1),
    "big": np.finfo(np.float32).max,
    "w": np.ones((3, 3), np.float32),
    "flat": np.int64([-1]),
    "first": np.int64([0]),
}


def sections(text):
    graph = graph_of(parse(text, **CONSTANTS))
    return divide(graph)


def test_before_between_and_after_neurons():
    result = sections(
        """(float[N,3] x) => (float[] y) {
            a = Gemm(x, w) r = Relu(a) b = Gemm(r, w) q = Clip(b, zero, six) c = Gemm(q, w) y = Softmax(c)
        }"""
    )
    assert result.of == {
        "a": "prefix",
        "r": "body",
        "b": "body",
        "q": "body",
        "c": "head",
        "y": "head",
    }
    assert result.cells == {"r", "q"}
    assert result.temporal == {"r", "b", "q", "c", "y"}


def test_a_branch_that_no_neuron_feeds_stays_in_the_prefix():
    result = sections(
        "(float[N,3] x) => (float[] y) { r = Relu(x) s = Gemm(x, w) a = Add(r, s) q = Relu(a) y = Add(q, s) }"
    )
    assert result.of == {"r": "body", "s": "prefix", "a": "body", "q": "body", "y": "head"}


def test_only_the_max_pooling_behind_a_neuron_is_a_cell():
    result = sections(
        """(float[N,3,8,8] x) => (float[] y) {
            p = MaxPool<kernel_shape=[2,2]>(x) r = Relu(p) q = MaxPool<kernel_shape=[2,2]>(r) y = Neg(q)
        }"""
    )
    assert result.of == {"p": "prefix", "r": "body", "q": "body", "y": "head"}
    assert result.cells == {"r", "q"}


def test_shape_arithmetic_does_not_move_in_time():
    result = sections(
        """(float[N,H,W] x) => (float[] y) {
            r = Relu(x) s = Shape(r) n = Gather(s, first) shape = Concat<axis=0>(n, flat)
            f = Reshape(r, shape) q = Relu(f) y = Neg(q)
        }"""
    )
    assert result.temporal == {"r", "f", "q", "y"}
    assert {name: result.of[name] for name in ("s", "n", "shape", "f", "y")} == {
        "s": "body",
        "n": "body",
        "shape": "body",
        "f": "body",
        "y": "head",
    }


def test_pooling_after_the_last_neuron_is_a_cell_of_the_body():
    result = sections(
        "(float[N,3,8,8] x) => (float[] y) { r = Relu(x) n = Neg(r) y = MaxPool<kernel_shape=[2,2]>(n) }"
    )
    assert result.of == {"r": "body", "n": "body", "y": "body"}


def test_without_neurons_everything_is_prefix():
    result = sections("(float[N,3] x) => (float[] y) { a = Gemm(x, w) y = Softmax(a) }")
    assert set(result.of.values()) == {"prefix"}
    assert not result.temporal
    assert not result.cells
