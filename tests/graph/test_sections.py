from __future__ import annotations

import numpy as np
import pytest

from onnx2snn.graph.sections import divide, is_pool, reduced_axes
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


@pytest.mark.parametrize(
    ("node", "kind", "pool"),
    [
        ("MaxPool<kernel_shape=[2,2]>(x)", "float[N,3,8,8]", True),
        ("MaxPool<kernel_shape=[2,2]>(x)", "int8[N,3,8,8]", False),
        ("GlobalMaxPool(x)", "float[N,3,8,8]", True),
        ("GlobalMaxPool(x)", "float[N,3,H,8]", False),
        ("GlobalMaxPool(x)", "double[N,H,8,8]", True),
        ("ReduceMax(x, first)", "float[N,H]", True),
        ("ReduceMax(x, first)", "int32[N,3]", False),
        ("ReduceMax(x, given)", "float[N,3]", False),
        ("AveragePool<kernel_shape=[2,2]>(x)", "float[N,3,8,8]", False),
        ("com.unknown.GlobalMaxPool(x)", "float[N,3,8,8]", False),
        ("onnx2snn.LIPool<kernel_shape=[2,2]>(x)", "float[N,3,8,8]", True),
        ("onnx2snn.AccumulateFire<levels=4>(x, six)", "float[N,3,8,8]", False),
    ],
)
def test_what_becomes_a_pool(node, kind, pool):
    model = parse(f"({kind} x, int64[1] given) => (y) {{ y = {node} }}", **CONSTANTS)
    model.opset_import.add(domain="com.unknown", version=1)
    graph = graph_of(model)
    assert is_pool(graph, graph.nodes[0]) is pool


@pytest.mark.parametrize(("outputs", "pool"), [("y", True), ("y, float[] z", False), ("y, int64[] k", False)])
def test_a_pool_whose_indices_are_read_is_none(outputs, pool):
    reads = "z = Cast<to=1>(k)" if "z" in outputs else ""
    text = f"(float[N,3,8,8] x) => (float[] {outputs}) {{ y, k = MaxPool<kernel_shape=[2,2]>(x) {reads} }}"
    graph = graph_of(parse(text))
    assert is_pool(graph, graph.nodes[0]) is pool


@pytest.mark.parametrize(
    ("node", "dims", "axes"),
    [
        ("ReduceMax(x, axes)", "N,3,4", [1, -1]),
        ("ReduceMax(x, last)", "N,3,4", [2]),
        ("ReduceMax(x, axis)", "N,3,4", [1]),
        ("ReduceMax(x)", "N,3,4", [0, 1, 2]),
        ("ReduceMax(x, none)", "N,3", [0, 1]),
        ("ReduceMax<noop_with_empty_axes=0>(x)", "N", [0]),
        ("ReduceMax<noop_with_empty_axes=1>(x)", "N,3,4", None),
        ("ReduceMax<noop_with_empty_axes=1>(x, axes)", "N,3,4", [1, -1]),
        ("ReduceMax(x, given)", "N,3,4", None),
    ],
)
def test_axes_of_a_reduction(node, dims, axes):
    constants = {"axes": [1, -1], "last": [2], "none": [], "axis": 1}
    model = parse(
        f"(float[{dims}] x, int64[1] given) => (float[] y) {{ y = {node} }}",
        **{name: np.asarray(value, np.int64) for name, value in constants.items()},
    )
    assert reduced_axes(graph_of(model).nodes[0]) == axes
