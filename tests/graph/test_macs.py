from __future__ import annotations

import numpy as np
import pytest

import onnx2snn
from onnx2snn.graph.macs import Macs, count_macs
from tests.helpers import graph_of, normal, parse

UNKNOWN = {"per_sample": None, "fed_by_spikes": None, "share": None}


def count(body, inputs="float[N,4] x", outputs="float[] y", **shapes):
    text = f"({inputs}) => ({outputs}) {{ {body} }}"
    constants = {"zero": np.float32(0), "one": np.float32(1)}
    read = {name for node in parse(text).graph.node for name in node.input}
    weights = {name: np.ones(shape, np.float32) for name, shape in shapes.items()}
    return count_macs(
        graph_of(parse(text, **weights, **{name: constants[name] for name in read & {*constants}}))
    ).to_dict()


@pytest.mark.parametrize(
    ("body", "inputs", "shapes", "macs"),
    [
        ("y = MatMul(x, w)", "float[N,4] x", {"w": (4, 6)}, 24),
        ("y = MatMul(x, w)", "float[N,5,4] x", {"w": (4, 6)}, 5 * 24),
        ("y = MatMul(x, w)", "float[N,3,5,4] x", {"w": (4, 6)}, 15 * 24),
        ("y = Gemm(x, w)", "float[N,4] x", {"w": (4, 6)}, 24),
        ("y = Gemm<transB = 1>(x, w)", "float[N,4] x", {"w": (6, 4)}, 24),
        ("y = Gemm<transA = 1>(x, w)", "float[4,N] x", {"w": (4, 6)}, 24),
        ("y = Gemm(x, w, b)", "float[N,4] x", {"w": (4, 6), "b": (6,)}, 24),
        ("y = Conv(x, w)", "float[N,3,8,8] x", {"w": (5, 3, 3, 3)}, 6 * 6 * 5 * 27),
        ("y = Conv<pads = [1,1,1,1]>(x, w)", "float[N,3,8,8] x", {"w": (5, 3, 3, 3)}, 64 * 5 * 27),
        (
            "y = Conv<strides = [2,2]>(x, w, b)",
            "float[N,3,8,8] x",
            {"w": (5, 3, 2, 2), "b": (5,)},
            16 * 5 * 12,
        ),
        ("y = Conv<group = 2>(x, w)", "float[N,4,8,8] x", {"w": (6, 2, 3, 3)}, 36 * 6 * 18),
        ("y = Conv<group = 4>(x, w)", "float[N,4,8,8] x", {"w": (4, 1, 3, 3)}, 36 * 4 * 9),
        ("y = Conv(x, w)", "float[N,3,10] x", {"w": (5, 3, 3)}, 8 * 5 * 9),
        ("y = Conv(x, w)", "float[2,3,8,8] x", {"w": (5, 3, 3, 3)}, 6 * 6 * 5 * 27),
        ("y = ConvTranspose(x, w)", "float[N,3,8,8] x", {"w": (3, 5, 2, 2)}, 64 * 3 * 20),
        ("y = ConvTranspose<strides = [2,2]>(x, w)", "float[N,3,8,8] x", {"w": (3, 5, 2, 2)}, 64 * 3 * 20),
        ("y = ConvTranspose<group = 3>(x, w)", "float[N,3,8,8] x", {"w": (3, 2, 2, 2)}, 64 * 3 * 8),
        ("y = RNN(x, w, r)", "float[5,N,4] x", {"w": (1, 3, 4), "r": (1, 3, 3)}, 5 * 3 * (4 + 3)),
        (
            'y = GRU<direction = "bidirectional">(x, w, r)',
            "float[5,N,4] x",
            {"w": (2, 9, 4), "r": (2, 9, 3)},
            5 * 2 * 9 * (4 + 3),
        ),
        ("y = LSTM(x, w, r)", "float[5,N,4] x", {"w": (1, 12, 4), "r": (1, 12, 3)}, 5 * 12 * 7),
        ("y = Relu(x)", "float[N,4] x", {}, 0),
        ("a = MatMul(x, w) y = MatMul(a, w)", "float[N,4] x", {"w": (4, 4)}, 32),
    ],
)
def test_counts_a_sample(body, inputs, shapes, macs):
    found = count(body, inputs, **shapes)
    assert found == {"per_sample": macs, "fed_by_spikes": 0, "share": 0 if macs else None}


@pytest.mark.parametrize(
    ("body", "inputs", "macs"),
    [
        ("f = Reshape(x, rows) y = MatMul(f, w)", "float[N,5,4] x", 5 * 24),
        ("f = Reshape(x, rows) y = MatMul(f, w)", "float[2,5,4] x", 5 * 24),
        ("f = Flatten<axis = 2>(x) r = Relu(f) y = Gemm(r, w)", "float[N,5,4] x", 5 * 24),
        ("f = Reshape(x, rows) b = Reshape(f, back) y = MatMul(b, w)", "float[N,5,4] x", 5 * 24),
        ("t = Transpose<perm = [1,0,2]>(x) y = MatMul(t, w)", "float[N,5,4] x", 5 * 24),
        ("t = Transpose<perm = [1,0,2]>(x) y = MatMul(t, w)", "float[2,5,4] x", 5 * 24),
        ("t = Transpose<perm = [1,0,2]>(x) f = Reshape(t, rows) y = MatMul(f, w)", "float[N,5,4] x", 5 * 24),
        ("c = Concat<axis = 0>(x, x) y = MatMul(c, w)", "float[N,5,4] x", 2 * 5 * 24),
        ("c = Concat<axis = 0>(x, more) y = MatMul(c, w)", "float[N,5,4] x", None),
    ],
)
def test_the_open_axis_may_hold_more_than_samples(body, inputs, macs):
    shapes = {
        "rows": np.int64([-1, 4]),
        "back": np.int64([-1, 5, 4]),
        "more": np.ones((3, 5, 4), np.float32),
    }
    used = {name: shape for name, shape in shapes.items() if name in body}
    model = parse(f"({inputs}) => (float[] y) {{ {body} }}", w=np.ones((4, 6), np.float32), **used)
    assert count_macs(graph_of(model)).per_sample == macs


def test_a_product_of_activations_counts():
    found = count("t = Transpose<perm = [0,2,1]>(x) y = MatMul(x, t)", "float[N,5,4] x")
    assert found == {"per_sample": 100, "fed_by_spikes": 0, "share": 0}


@pytest.mark.parametrize("inputs", ["float[N,3,H,8] x", "float[N,3,H,W] x"])
def test_none_where_a_size_is_left_open(inputs):
    assert count("y = Conv(x, w) z = Relu(y)", inputs, "float[] z", w=(5, 3, 3, 3)) == UNKNOWN


def test_the_channels_that_a_conv_reads_follow_from_its_weights():
    assert count("y = Conv(x, w)", "float[N,C,8,8] x", w=(5, 3, 3, 3))["per_sample"] == 36 * 5 * 27


def test_an_unknown_size_anywhere_leaves_all_unknown():
    body = "r = Relu(x) a = MatMul(r, w) y = Gemm(z, w)"
    assert count(body, "float[N,L,4] x, float[N,4] z", "float[] a, float[] y", w=(4, 4)) == UNKNOWN


@pytest.mark.parametrize(
    ("body", "share"),
    [
        ("a = MatMul(x, w) r = Relu(a) y = MatMul(r, w)", 1 / 2),
        ("a = MatMul(x, w) r = Relu(a) b = MatMul(r, w) q = Relu(b) y = MatMul(q, w)", 2 / 3),
        ("r = Relu(x) y = MatMul(r, w)", 1),
        ("r = Clip(x, zero, one) y = MatMul(r, w)", 1),
        ("r = LeakyRelu(x) y = MatMul(r, w)", 1),
        ("r = Relu(x) q = Relu(x) s = Add(r, q) y = MatMul(s, w)", 1),
        ("r = Relu(x) s = Mul(r, one) f = Flatten(s) y = MatMul(f, w)", 1),
        ("r = Relu(x) a = MatMul(r, w) y = MatMul(a, w)", 1 / 2),
        ("r = Relu(x) s = Sigmoid(r) a = MatMul(s, w) q = Relu(a) y = MatMul(q, w)", 1 / 2),
        ("r = Relu(x) s = Softmax(r) a = MatMul(s, w) q = Relu(a) y = MatMul(q, w)", 1 / 2),
        ("r = Relu(x) s = Sigmoid(r) t = Add(r, s) a = MatMul(t, w) q = Relu(a) y = MatMul(q, w)", 1 / 2),
        ("r = Relu(x) a = MatMul(r, w) s = Sigmoid(a) y = MatMul(s, w)", 1 / 2),
    ],
)
def test_fed_by_spikes_is_what_reads_neurons_and_nothing_else(body, share):
    found = count(body, w=(4, 4))
    assert found["share"] == pytest.approx(share)
    assert found["fed_by_spikes"] == share * found["per_sample"]


def test_pools_of_spikes_give_spikes():
    body = """c = Conv(x, w) r = Relu(c) p = MaxPool<kernel_shape = [2,2], strides = [2,2]>(r)
        d = Conv(p, v) q = Relu(d) g = GlobalAveragePool(q) f = Flatten(g) y = Gemm(f, u)"""
    found = count(body, "float[N,3,8,8] x", w=(5, 3, 3, 3), v=(6, 5, 2, 2), u=(6, 2))
    first, others = 36 * 5 * 27, 4 * 6 * 20 + 12
    assert found == {
        "per_sample": first + others,
        "fed_by_spikes": others,
        "share": pytest.approx(others / (first + others)),
    }


def test_attention_between_activations_is_not_fed_by_spikes():
    """Both of its products multiply what changes over time, even where that is spikes."""
    body = "r = Relu(x) t = Transpose<perm = [0,2,1]>(r) a = MatMul(r, t) q = Relu(a) y = MatMul(q, r)"
    found = count(body, "float[N,4,4] x")
    assert found == {"per_sample": 128, "fed_by_spikes": 0, "share": 0}


def test_sums_of_graded_spikes_feed_products_too(rng):
    """All but the two layers that read the input, and the one that reads it beside spikes."""
    text = """(float[N,4,4] x) => (float[N,4,4] y) { c = MatMul(x, w) q = Relu(c) k = MatMul(x, w)
        e = Softmax(k) a = MatMul(q, e) j = Add(a, a) z = Concat<axis = 1>(j, x)
        t = Transpose<perm = [0,2,1]>(z)
        y = MatMul(t, v) }"""
    model = parse(text, **normal(rng, w=(4, 4), v=(8, 4)))
    x = rng.standard_normal((8, 4, 4)).astype(np.float32)
    macs = onnx2snn.compile(model, x, code="graded").report.macs
    assert macs == Macs(64 + 64 + 64 + 128, 64, 0.2, 128)
    assert macs.not_fed == 128
    assert onnx2snn.inspect(model).macs == macs
    assert onnx2snn.inspect(model, code="burst").macs.not_fed is None


@pytest.mark.parametrize("signed", [False, True])
def test_the_report_counts_what_inspect_counts(signed, rng):
    model = parse(
        """(float[N,4] x) => (float[N,4] y) { a = MatMul(x, w) r = Relu(a) s = Sigmoid(r) b = MatMul(s, w)
            q = Clip(b, zero, one) y = MatMul(q, w) }""",
        w=rng.standard_normal((4, 4)).astype(np.float32),
        zero=np.float32(0),
        one=np.float32(1),
    )
    compiled = onnx2snn.compile(
        model, rng.standard_normal((8, 4)).astype(np.float32), signed=signed, code="burst"
    )
    assert compiled.report.macs == onnx2snn.inspect(model, code="burst").macs
    assert compiled.report.macs.to_dict() == {
        "per_sample": 48,
        "fed_by_spikes": 16,
        "share": pytest.approx(1 / 3),
    }
