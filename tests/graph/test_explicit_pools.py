"""Pools with explicit pads: the same values in onnxruntime, and the same in ONNX's own reading of them."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
from onnx.reference import ReferenceEvaluator

import onnx2snn
from onnx2snn.graph.graph import write_model
from tests.helpers import graph_of, normal, parse, run
from tests.pools import by_onnxruntime, random_pool


def pooled(text):
    return graph_of(parse(f"(float[N,2,9,W] x) => (float[] y) {{ y = {text}(x) }}".replace("W", "9")))


@pytest.mark.parametrize(
    ("pool", "pads"),
    [
        ("MaxPool<kernel_shape=[2,2], strides=[2,2], ceil_mode=1>", [0, 0, 1, 1]),
        ("MaxPool<kernel_shape=[2,2], strides=[2,2], pads=[1,1,1,1], ceil_mode=1>", [1, 1, 1, 1]),
        ('MaxPool<kernel_shape=[3,2], strides=[2,2], auto_pad="SAME_LOWER">', [1, 1, 1, 0]),
        ('AveragePool<kernel_shape=[2,2], auto_pad="VALID">', [0, 0, 0, 0]),
    ],
)
def test_pads_say_what_the_attributes_said(pool, pads):
    (node,) = pooled(pool).nodes
    assert node.attrs["pads"] == pads
    assert not {"auto_pad", "ceil_mode"} & set(node.attrs)


def test_pads_that_count_become_zeros_where_the_last_window_reaches_further():
    pool = "AveragePool<kernel_shape=[2,2], strides=[2,2], pads=[1,0,0,0], ceil_mode=1, count_include_pad=1>"
    graph = pooled(pool)
    assert [node.op for node in graph.nodes] == ["Pad", "AveragePool"]
    x = np.ones((1, 2, 9, 9), np.float32)
    assert run(write_model(graph), {"x": x})[0][0, 0, 0].tolist() == [0.5] * 5
    assert graph.nodes[1].attrs["pads"] == [0, 0, 0, 1]


@pytest.mark.parametrize("op", ["MaxPool", "AveragePool"])
def test_any_attributes_keep_their_values_and_sizes(rng, op):
    compared = 0
    for _ in range(60):
        x = rng.normal(size=(2, 2, *rng.integers(4, 9, 2))).astype(np.float32)
        attributes = random_pool(rng, op, 2)
        expected = by_onnxruntime(op, x, attributes)
        if expected is None:
            continue
        written = ", ".join(f'{k}="{v}"' if isinstance(v, str) else f"{k}={v}" for k, v in attributes.items())
        size = ",".join(map(str, x.shape[1:]))
        graph = graph_of(parse(f"(float[N,{size}] x) => (float[] y) {{ y = {op}<{written}>(x) }}"))
        np.testing.assert_allclose(run(write_model(graph), {"x": x})[0], expected, atol=1e-6, err_msg=written)
        if not {"auto_pad", "ceil_mode"} & set(graph.nodes[-1].attrs):
            compared += 1
            assert tuple(graph.outputs[0].shape[1:]) == expected.shape[1:], written
    assert compared > 20


def test_a_pool_of_unknown_size_keeps_its_attributes_and_channels_are_known():
    text = """(float[N,2,9,W] x) => (float[] y) {
        p = MaxPool<kernel_shape=[2,2], strides=[2,2], pads=[1,1,1,1], ceil_mode=1>(x) y = Conv(p, w)
    }"""
    graph = graph_of(parse(text, w=np.ones((4, 2, 1, 1), np.float32)))
    assert graph.nodes[0].attrs["ceil_mode"] == 1
    assert list(graph.outputs[0].shape[:2]) == ["N", 4]
    assert not any(isinstance(size, int) for size in graph.outputs[0].shape[2:])


@pytest.mark.parametrize("sizes", ["9,9", "3,3,1", "9,W"])
@pytest.mark.parametrize("place", ["front", "middle"])
@pytest.mark.parametrize(
    "pool",
    ["MaxPool<POOL>", "AveragePool<POOL>", "AveragePool<POOL, count_include_pad=1>"],
)
@pytest.mark.parametrize("options", [{}, {"code": "burst", "schedule": "layer"}])
def test_nets_with_such_pools_run_everywhere_alike(rng, sizes, place, pool, options):
    dims = sizes.count(",") + 1
    ones, twos = (",".join([number] * dims) for number in "12")
    attributes = f"kernel_shape=[{twos}], strides=[{twos}], pads=[{ones},{ones}], ceil_mode=1"
    first = "c = Conv(x, w) r = Relu(c) p = POOL(r)" if place == "middle" else "p = POOL(x)"
    body = f"{first} d = Conv(p, v) s = Relu(d) g = GlobalAveragePool(s) y = Flatten(g)"
    text = f"(float[N,3,{sizes}] x) => (float[N,3] y) {{ {body} }}".replace("POOL(", f"{pool}(")
    kernel = (3, 3, *[1] * dims)
    model = parse(text.replace("POOL", attributes), **normal(rng, w=kernel, v=kernel))
    x = normal(rng, x=(6, 3, *(int(size) if size.isdigit() else 9 for size in sizes.split(","))))["x"]
    artifact = onnx2snn.compile(model, x, timesteps=2, **options).model
    (expected,) = onnxruntime.InferenceSession(artifact.SerializeToString()).run(None, {"x": x})
    found = [
        onnx2snn.SpikingSession(artifact, backend).run(x).outputs["y"] for backend in ("onnxruntime", "numpy")
    ]
    if "W" not in sizes:  # ONNX's own pools go wrong where no pads are written
        found += ReferenceEvaluator(artifact).run(None, {"x": x})
    for scores in found:
        np.testing.assert_allclose(scores, expected, rtol=1e-5, atol=1e-5)
