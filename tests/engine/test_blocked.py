"""Step graphs in the layout of the convolutions: the same results, and reorderings saved."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

import onnx2snn
from onnx2snn.engine import engines
from onnx2snn.engine.native import find_kernels
from tests.helpers import normal, parse

RESIDUAL = """(float[N,3,8,8] x) => (float[N,5] y) {
    c = Conv<pads=[1,1,1,1]>(x, w1) r = Relu(c)
    d = Conv<pads=[1,1,1,1]>(r, w2) s = Relu(d) e = Conv<pads=[1,1,1,1]>(s, w3) a = Add(e, r) t = Relu(a)
    g = Conv<pads=[1,1,1,1], strides=[2,2]>(t, w4) u = Relu(g)
    h = Conv<pads=[1,1,1,1]>(u, w5)
    i = Slice(t, start, end, space, by) j = Pad(i, more) b = Add(h, j) v = Relu(b)
    p = GlobalAveragePool(v) f = Flatten(p) y = Gemm(f, w6) }"""
RESIDUAL_WEIGHTS = {
    "w1": (16, 3, 3, 3),
    "w2": (16, 16, 3, 3),
    "w3": (16, 16, 3, 3),
    "w4": (32, 16, 3, 3),
    "w5": (32, 32, 3, 3),
    "w6": (32, 5),
}
INDICES = {
    "start": np.int64([0, 0]),
    "end": np.int64([8, 8]),
    "space": np.int64([2, 3]),
    "by": np.int64([2, 2]),
    "more": np.int64([0, 8, 0, 0, 0, 8, 0, 0]),
}
POOLED = """(float[N,3,8,8] x) => (float[N,5] y) {
    c = Conv<pads=[1,1,1,1]>(x, w1) r = Relu(c) p = MaxPool<kernel_shape=[2,2], strides=[2,2]>(r)
    d = Conv<pads=[1,1,1,1]>(p, w2) s = Relu(d) q = MaxPool<kernel_shape=[3,3], pads=[1,1,1,1]>(s)
    e = Conv<pads=[1,1,1,1]>(q, w3) t = Relu(e) g = GlobalAveragePool(t) f = Flatten(g) y = Gemm(f, w4) }"""
POOLED_WEIGHTS = {"w1": (16, 3, 3, 3), "w2": (16, 16, 3, 3), "w3": (16, 16, 3, 3), "w4": (16, 5)}
ODD = POOLED
ODD_WEIGHTS = {"w1": (12, 3, 3, 3), "w2": (20, 12, 3, 3), "w3": (7, 20, 3, 3), "w4": (7, 5)}
# A θ for each channel stays at a neuron that is an output.
OWN = """(float[N,3,8,8] x) => (float[N,5] y, float[N,16,8,8] s) {
    c = Conv<pads=[1,1,1,1]>(x, w1) r = Relu(c) d = Conv<pads=[1,1,1,1]>(r, w2) s = Relu(d)
    e = Conv<pads=[1,1,1,1]>(s, w3) t = Relu(e) g = GlobalAveragePool(t) f = Flatten(g) y = Gemm(f, w4) }"""
BEGIN = """(float[N,3,8,8] x) => (float[N,5] y) {
    c = Conv<pads=[1,1,1,1]>(x, w1) r = Relu(c) d = Conv<pads=[1,1,1,1]>(r, w2) q = Relu(d)"""
END = """e = Conv<pads=[1,1,1,1]>(s, w3) t = Relu(e) h = Conv<pads=[1,1,1,1]>(t, w3) u = Relu(h)
    g = GlobalAveragePool(u) f = Flatten(g) y = Gemm(f, w4) }"""
WHOLE = {"wide": (16, 16, 8, 8)}
# What stands beside each other in blocks has one size, whatever ONNX would broadcast.
SIZES = {
    "a number a map": ("g0 = Conv(q, wide) a = Add(q, g0)", WHOLE, {}),
    "a number a map first": ("g0 = Conv(q, wide) a = Add(g0, q)", WHOLE, {}),
    "a global average": ("k = Conv<pads=[1,1,1,1]>(q, w2) g0 = GlobalAveragePool(k) a = Add(q, g0)", {}, {}),
    "a constant current": ("m = Mul(q, k) a = Add(m, o)", {}, {"k": np.float32(0.7), "o": np.float32(0.2)}),
    "a map from a number": ("g0 = Conv(q, wide) a = Add(g0, k)", WHOLE, {"k": np.ones((1, 16, 8, 8), "f")}),
    "more samples": (
        "p = Reshape(q, more) v = Conv<pads=[1,1,1,1]>(p, w5) l = Relu(v) o = Conv<pads=[1,1,1,1]>(l, w6) "
        "n = Relu(o) a = Reshape(n, fewer)",
        {"w5": (16, 4, 3, 3), "w6": (4, 16, 3, 3)},
        {"more": np.int64([-1, 4, 8, 8]), "fewer": np.int64([-1, 16, 8, 8])},
    ),
}
NETS = {
    **{
        name: (f"{BEGIN} {middle} s = Relu(a) {END}", POOLED_WEIGHTS | more, constants)
        for name, (middle, more, constants) in SIZES.items()
    },
    "own thresholds": (OWN, POOLED_WEIGHTS, {}),
    "residual": (RESIDUAL, RESIDUAL_WEIGHTS, INDICES),
    "zeros behind": (RESIDUAL, RESIDUAL_WEIGHTS, INDICES | {"more": np.int64([0, 0, 0, 0, 0, 16, 0, 0])}),
    "second pixels": (RESIDUAL, RESIDUAL_WEIGHTS, INDICES | {"start": np.int64([1, 0])}),
    "first pixels": (RESIDUAL, RESIDUAL_WEIGHTS, INDICES | {"end": np.int64([7, 8]), "by": np.int64([2, 2])}),
    "a corner": (
        RESIDUAL,
        RESIDUAL_WEIGHTS,
        INDICES | {"end": np.int64([4, 4]), "by": np.int64([1, 1])},
    ),
    "pooled": (POOLED, POOLED_WEIGHTS, {}),
    "odd channels": (ODD, ODD_WEIGHTS, {}),
}


def scaled(rng, shapes):
    """Weights that keep activations at one scale."""
    return {
        name: array * np.float32(np.sqrt(2 / np.prod(array.shape[1:]))) if array.ndim == 4 else array
        for name, array in normal(rng, **shapes).items()
    }


def sessions(name, rng, monkeypatch, **options):
    """The network with blocks from neuron to neuron and without, what became of its nodes, and samples."""
    text, shapes, constants = NETS[name]
    x = normal(rng, x=(6, 3, 8, 8))["x"]
    native = options.pop("native")
    model = onnx2snn.compile(
        parse(text, **scaled(rng, shapes), **constants), x, **{"code": "burst", **options}
    ).model
    seen = []
    keep = engines.keep_blocked

    def watched(optimised, *others):
        changed = keep(optimised, *others)
        seen.append((optimised, changed))
        return changed

    monkeypatch.setattr(engines, "keep_blocked", watched)
    blocked = onnx2snn.SpikingSession(model, native=native)
    monkeypatch.setattr(engines, "keep_blocked", lambda *_: None)
    plain = onnx2snn.SpikingSession(model, native=native)
    monkeypatch.setattr(engines, "keep_blocked", keep)
    ((before, after),) = seen
    return blocked, plain, before, after, x


def reorderings(model):
    counts = Counter(node.op_type for node in model.graph.node)
    return counts["ReorderInput"] + counts["ReorderOutput"]


@pytest.mark.parametrize("native", [False, True])
@pytest.mark.parametrize("options", [{}, {"signed": True}, {"code": "graded"}], ids=str)
@pytest.mark.parametrize("name", NETS)
def test_results_stay_the_same(name, options, native, rng, monkeypatch):
    blocked, plain, _, _, x = sessions(name, rng, monkeypatch, **options, native=native)
    for batch in (x, x[:1], x, -x):
        found, expected = blocked.run(batch).outputs["y"], plain.run(batch).outputs["y"]
        assert expected.any()
        np.testing.assert_array_equal(found, expected)
    for found, expected in zip(blocked.stream([x, -x, x]), plain.stream([x, -x, x]), strict=True):
        np.testing.assert_array_equal(found.outputs["y"], expected.outputs["y"])


@pytest.mark.parametrize("native", [False, True])
def test_inputs_of_different_numbers_of_samples(native, rng):
    text = """(float[N,3,8,8] x, float[M,3,8,8] z) => (float[N,5] y) {
        c = Conv<pads=[1,1,1,1]>(x, w1) r = Relu(c) b = Conv<pads=[1,1,1,1]>(z, w1) l = Relu(b)
        d = Conv<pads=[1,1,1,1]>(l, w2) a = Add(d, r) s = Relu(a) """
    x = normal(rng, x=(20, 3, 8, 8), z=(20, 3, 8, 8))
    model = onnx2snn.compile(parse(text + END, **scaled(rng, POOLED_WEIGHTS)), x, code="burst").model
    session = onnx2snn.SpikingSession(model, native=native)
    few = {"x": x["x"], "z": x["z"][:1]}
    many = {"x": x["x"], "z": np.repeat(x["z"][:1], 20, axis=0)}
    for _ in range(3):
        np.testing.assert_array_equal(session.run(few).outputs["y"], session.run(many).outputs["y"])


@pytest.mark.parametrize("name", ["residual", "pooled"])
def test_reorderings_between_neurons_go(name, rng, monkeypatch):
    _, _, before, after, _ = sessions(name, rng, monkeypatch, native=False)
    assert after is not None
    # What is left: the first current in, a shortcut out that is cut, and back in, what the head reads.
    assert reorderings(after) <= reorderings(before) // 2
    assert [item.name for item in after.graph.output] == [item.name for item in before.graph.output]
    made = {name for node in after.graph.node for name in node.output}
    known = made | {item.name for item in (*after.graph.input, *after.graph.initializer)}
    assert {name for node in after.graph.node for name in node.input if name} <= known


def test_channels_that_fill_no_block_stay_as_they_are(rng, monkeypatch):
    _, _, before, after, _ = sessions("odd channels", rng, monkeypatch, native=False)
    assert reorderings(before) > 0
    assert after is None


def test_a_residual_sum_becomes_part_of_a_native_neuron(rng, monkeypatch):
    if find_kernels().path is None:
        pytest.skip("the native kernels are not built")
    _, _, before, after, _ = sessions("residual", rng, monkeypatch, native=True)
    neurons = [node for node in after.graph.node if node.op_type == "BurstIF"]
    assert sorted(len(node.input) for node in neurons) == [3, 3, 3, 5, 5]
    assert sum(node.op_type == "Mul" for node in before.graph.node) == 2
    assert not any(node.op_type in ("Add", "Mul") and node.name != "" for node in after.graph.node[:-1])


@pytest.mark.parametrize("schedule", ["stream", "layer"])
def test_a_graded_neuron_takes_in_its_target(schedule, rng, monkeypatch):
    """Sum and Relu of a residual block; and in a step its word is read where its state is."""
    if find_kernels().path is None:
        pytest.skip("the native kernels are not built")
    blocked, plain, _, after, x = sessions(
        "residual", rng, monkeypatch, code="graded", schedule=schedule, timesteps=3, native=True
    )
    neurons = [node for node in after.graph.node if node.op_type.startswith("Graded")]
    own = 4 if schedule == "stream" else 2
    assert sorted(len(node.input) for node in neurons) == [own, own, own, own + 2, own + 2]
    marks = [item.name for node in neurons for item in node.attribute]
    assert (marks.count("rectified"), marks.count("repeats")) == (2, 5)
    assert not any(node.op_type in ("Relu", "Mul") for node in after.graph.node)
    assert all((node.output[0] == "") == (schedule == "stream") for node in neurons)
    np.testing.assert_array_equal(blocked.run(x).outputs["y"], plain.run(x).outputs["y"])


@pytest.mark.parametrize(
    ("name", "convolved"),
    [("residual", True), ("zeros behind", True), ("second pixels", False), ("a corner", False)],
)
def test_a_shortcut_that_drops_pixels_becomes_a_convolution(name, convolved, rng, monkeypatch):
    if find_kernels().path is None:
        pytest.skip("the native kernels are not built")
    _, _, _, after, _ = sessions(name, rng, monkeypatch, native=True)
    assert any(node.op_type in ("Slice", "Pad") for node in after.graph.node) != convolved


def test_the_block_size_is_one_that_onnxruntime_has():
    assert engines._block_size() in (4, 8, 16)
