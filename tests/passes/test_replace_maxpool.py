from __future__ import annotations

import pytest

from onnx2snn.graph.graph import write_model
from onnx2snn.ops import DOMAIN
from onnx2snn.options import CompileOptions
from onnx2snn.passes.base import Context
from onnx2snn.passes.replace_maxpool import ReplaceMaxPool
from tests.helpers import graph_of, parse


def replace(text):
    graph, context = graph_of(parse(text)), Context(CompileOptions(code="burst"))
    changed = ReplaceMaxPool().run(graph, context)
    written = write_model(graph).SerializeToString()
    assert not ReplaceMaxPool().run(graph, context)
    assert write_model(graph).SerializeToString() == written
    return changed, graph, context


@pytest.mark.parametrize(
    ("size", "given", "written"),
    [
        ("[N,C,H,W]", "kernel_shape=[2,2]", {"kernel_shape": [2, 2]}),
        ("[N,C,L]", "kernel_shape=[3], strides=[2], ceil_mode=1", {"strides": [2], "ceil_mode": 1}),
        ("[N,C,H,W]", "kernel_shape=[2,3], pads=[0,1,1,0], dilations=[2,1]", {"pads": [0, 1, 1, 0]}),
        ("[N,C,H,W]", 'kernel_shape=[2,2], auto_pad="VALID"', {"auto_pad": "VALID", "pads": [0, 0, 0, 0]}),
        ("[N,C,H,W]", 'kernel_shape=[2,2], auto_pad="SAME_UPPER"', {"auto_pad": "SAME_UPPER"}),
        ("[N,C,7,6]", 'kernel_shape=[2,3], auto_pad="SAME_UPPER"', {"pads": [0, 1, 1, 1]}),
        ("[N,C,7,6]", 'kernel_shape=[2,3], auto_pad="SAME_LOWER"', {"pads": [1, 1, 0, 1]}),
    ],
)
def test_max_pooling_behind_a_neuron_gets_every_attribute(size, given, written):
    text = f"(float{size} x) => (float[] y) {{ r = Relu(x) y = MaxPool<{given}>(r) }}"
    changed, graph, context = replace(text)
    (pool,) = [node for node in graph.nodes if node.op == "LIPool"]
    assert changed
    assert pool.domain == DOMAIN
    dims = size.count(",") - 1
    defaults = {
        "auto_pad": "NOTSET",
        "ceil_mode": 0,
        "dilations": [1] * dims,
        "kernel_shape": None,
        "pads": [0] * 2 * dims,
        "strides": [1] * dims,
    }
    assert list(pool.attrs) == list(defaults)
    assert {name: pool.attrs[name] for name in written} == written
    untouched = [name for name in defaults if name not in given and name not in written]
    assert {name: pool.attrs[name] for name in untouched} == {name: defaults[name] for name in untouched}
    assert [(note.node, note.outcome) for note in context.notes] == [("y", "spiking")]


def test_keeps_max_pooling_before_the_first_neuron():
    changed, graph, context = replace(
        "(float[N,C,H,W] x) => (float[] y) { p = MaxPool<kernel_shape=[2,2]>(x) y = Relu(p) }"
    )
    assert not changed
    assert [node.op for node in graph.nodes] == ["MaxPool", "Relu"]
    assert not context.notes


def test_replaces_only_the_pool_whose_input_moves():
    _, graph, _ = replace(
        """(float[N,2,8,8] x) => (float[] y) {
            a = MaxPool<kernel_shape=[2,2]>(x) r = Relu(a) b = MaxPool<kernel_shape=[2,2]>(r)
            c = Add(b, b) y = MaxPool<kernel_shape=[2,2]>(c)
        }"""
    )
    assert [node.op for node in graph.nodes] == ["MaxPool", "Relu", "LIPool", "Add", "LIPool"]


@pytest.mark.parametrize(
    ("node", "op", "attributes"),
    [
        ("GlobalMaxPool(r)", "LIPool", {"kernel_shape": [5, 7], "strides": [1, 1], "pads": [0, 0, 0, 0]}),
        ("ReduceMax<keepdims=0>(r)", "LIReduceMax", {"axes": [0, 1, 2, 3], "keepdims": 0}),
        ("ReduceMax(r)", "LIReduceMax", {"axes": [0, 1, 2, 3], "keepdims": 1}),
    ],
)
def test_what_pools_the_whole_image(node, op, attributes):
    _, graph, _ = replace(f"(float[N,C,5,7] x) => (float[] y) {{ r = Relu(x) y = {node} }}")
    pool = graph.nodes[1]
    assert (pool.op, [tensor.name for tensor in pool.inputs]) == (op, ["r"])
    assert {name: pool.attrs[name] for name in attributes} == attributes
