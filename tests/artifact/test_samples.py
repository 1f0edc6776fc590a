"""Which graphs keep samples apart: what the code says of an operator is what happens when a batch is cut."""

from __future__ import annotations

import numpy as np
import pytest

import onnx2snn
from onnx2snn.artifact.samples import keep_samples_apart
from onnx2snn.runtime.batching import BatchSplit
from tests.helpers import normal, parse, run

CONSTANTS = {
    "w": (4, 4, 1, 1),
    "m": (8, 5),
    "c": (4, 1, 1),
    "own": (2, 4, 1, 1),
    "bias": (1, 4, 1, 1),
    "plane": (8, 8),
}
INDICES = {
    "channels": np.int64([1]),
    "batch": np.int64([0]),
    "space": np.int64([2, -1]),
    "start": np.int64([0]),
    "end": np.int64([1]),
    "border": np.int64([0, 0, 1, 0, 0, 0, 0, 1]),
    "more": np.int64([1, 0, 0, 0, 0, 0, 0, 0]),
    "rest": np.int64([0, -1]),
    "first": np.int64([-1, 4, 8]),
    "mixed": np.int64([4, -1, 8]),
    "pairs": np.int64([-1, 512]),
    "c4": np.ones(4, np.float32),
}

APART = [
    "y = Add(x, c)",
    "y = Add(bias, x)",
    "y = Mul(x, x)",
    "y = Conv(x, w)",
    "y = AveragePool<kernel_shape=[2,2]>(x)",
    "y = GlobalAveragePool(x)",
    "y = Concat<axis=1>(x, x)",
    "y = Concat<axis=-1>(x, x)",
    "y = Softmax(x)",
    "y = Softmax<axis=1>(x)",
    "y = ReduceMean(x, space)",
    "y = Slice(x, start, end, channels)",
    "y = Pad(x, border)",
    "y = Reshape(x, rest)",
    "y = Reshape(x, first)",
    "y = Flatten(x)",
    "y = Transpose<perm=[0,2,3,1]>(x)",
    "y = MatMul(x, m)",
    "y = LayerNormalization(x, ones)",
    "f = Relu(x) g = Sigmoid(f) y = Sub(g, f)",
]
ACROSS = [
    "y = Add(x, own)",
    "y = Concat<axis=0>(x, x)",
    "y = Softmax<axis=0>(x)",
    "y = Softmax<axis=-4>(x)",
    "y = ReduceMean(x, batch)",
    "y = ReduceMean(x)",
    "y = Slice(x, start, end, batch)",
    "y = Slice(x, start, end)",
    "y = Pad(x, more)",
    "y = Reshape(x, mixed)",
    "y = Reshape(x, pairs)",
    "y = BatchNormalization<training_mode=1>(x, c4, c4, c4, c4)",
    "y = Flatten<axis=0>(x)",
    "y = Flatten<axis=2>(x)",
    "y = Transpose<perm=[1,0,2,3]>(x)",
    "y = Transpose(x)",
    "t = Transpose<perm=[0,1,3,2]>(x) y = MatMul(x, t)",
    "y = CumSum(x, zero)",
]


def model_of(body, rng):
    arrays = normal(rng, **CONSTANTS) | INDICES
    arrays |= {"ones": np.ones(8, np.float32), "zero": np.int64(0)}
    read = {name: array for name, array in arrays.items() if name in body.replace("(", " ").replace(")", " ")}
    return parse(f"(float[N,4,8,8] x) => (float[] y) {{ {body} }}", **read)


@pytest.mark.parametrize("body", APART)
def test_what_keeps_them_apart(body, rng):
    model = model_of(body, rng)
    assert keep_samples_apart([model])
    x = normal(rng, x=(4, 4, 8, 8))["x"]
    (whole,) = run(model, {"x": x})
    parts = [run(model, {"x": part})[0] for part in (x[:1], x[1:])]
    np.testing.assert_allclose(np.concatenate(parts), whole, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("body", ACROSS)
def test_what_does_not_or_may_not(body, rng):
    assert not keep_samples_apart([model_of(body, rng)])


def test_later_parts_know_what_is_the_same_for_all():
    """A shift map that the prefix computes of constants, say."""
    prefix = parse(
        "(float[N,4] x) => (float[N,4] h, float[1,4] s) { h = Relu(x) s = Neg(k) }", k=np.ones((1, 4))
    )
    step = parse("(float[N,4] h, float[1,4] s) => (float[N,4] y) { y = Add(h, s) }")
    assert keep_samples_apart([prefix, step])
    across = parse("(float[N,4] h, float[N,4] s) => (float[N,4] y) { y = Concat<axis=0>(h, s) }")
    assert not keep_samples_apart([prefix, across])


TEXT = """(float[N,3,8,8] x) => (float[N,5] y, float[N,4,4,4] z) {
    c = Conv<pads=[1,1,1,1]>(x, w1, b1) r = Relu(c) p = MaxPool<kernel_shape=[2,2], strides=[2,2]>(r)
    d = Conv<pads=[1,1,1,1]>(p, w2) s = Relu(d) z = Add(p, s) t = Relu(z) f = Flatten(t) y = Gemm(f, w3) }"""
WEIGHTS = {"w1": (4, 3, 3, 3), "b1": (4,), "w2": (4, 4, 3, 3), "w3": (64, 5)}


@pytest.mark.parametrize("options", [{}, {"signed": True}])
def test_groups_give_what_the_batch_gives(options, rng):
    x = normal(rng, x=(53, 3, 8, 8))["x"]
    session = onnx2snn.SpikingSession(
        onnx2snn.compile(parse(TEXT, **normal(rng, **WEIGHTS)), x, **{"code": "burst", **options}).model
    )
    assert session._apart
    sizes = []
    for _ in range(8):
        sizes.append(session._split.size(len(x)))
        found = session.run(x).outputs
        for name, array in session.run(x, record=True).outputs.items():
            assert found[name].shape == array.shape
            np.testing.assert_allclose(found[name], array, rtol=1e-5, atol=1e-6)
    assert sizes[:6] == [32, 32, 16, 16, 8, 8]


def test_a_net_that_looks_across_samples_stays_whole(rng):
    text = """(float[N,4] x) => (float[N,3] y) {
        h = MatMul(x, w) r = Relu(h) m = ReduceMean(r, batch) y = Sub(r, m) }"""
    x = normal(rng, x=(64, 4))["x"]
    model = parse(text, batch=np.int64([0]), **normal(rng, w=(4, 3)))
    session = onnx2snn.SpikingSession(onnx2snn.compile(model, x, code="burst").model)
    assert not session._apart
    (first, *later) = [session.run(x).outputs["y"] for _ in range(6)]
    assert all(np.array_equal(array, first) for array in later)


def test_an_output_without_samples_is_given_once(rng):
    text = "(float[N,4] x) => (float[N,3] y, float[1,5] z) { h = MatMul(x, w) y = Relu(h) z = Mul(k, k) }"
    model = parse(text, k=np.ones((1, 5), np.float32), **normal(rng, w=(4, 3)))
    x = normal(rng, x=(40, 4))["x"]
    session = onnx2snn.SpikingSession(onnx2snn.compile(model, x, code="burst").model)
    assert session.run(x).outputs["z"].shape == (1, 5)


def used(split, seconds):
    """Let a split make its experiences; `seconds` a sample for each size."""
    for _ in range(20):
        size = split.size(64)
        split._seconds.setdefault(size, []).append(seconds[size])
    return split.size(64)


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        ({32: 1.0, 16: 1.0, 8: 1.0}, 32),
        ({32: 0.98, 16: 0.97, 8: 0.96}, 32),
        ({32: 0.9, 16: 0.5, 8: 2.0}, 16),
        ({32: 2.0, 16: 1.5, 8: 1.0}, 8),
    ],
)
def test_the_fastest_size_wins_by_a_margin(seconds, expected):
    assert used(BatchSplit(), seconds) == expected


@pytest.mark.parametrize("samples", [1, 8, 15])
def test_small_batches_are_never_cut(samples):
    split = BatchSplit()
    assert {split.size(samples) for _ in range(3)} == {samples}
