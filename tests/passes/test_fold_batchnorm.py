from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onnx2snn.passes.fold_batchnorm import FoldBatchNorm
from tests.helpers import batchnorm, feeds, normal, parse, rewrite

BN = "n = BatchNormalization(c, gamma, beta, mean, var) y = Neg(n)"


def fold(rng, text, channels, **shapes):
    model = parse(text, **normal(rng, **shapes), **batchnorm(rng, channels))
    return rewrite(FoldBatchNorm(), model, feeds(rng, model))


@pytest.mark.parametrize(
    ("size", "node", "channels", "shapes"),
    [
        ("[N,3,9]", "Conv(x, w)", 4, {"w": (4, 3, 3)}),
        ("[N,3,9]", "Conv(x, w, b)", 4, {"w": (4, 3, 3), "b": (4,)}),
        ("[N,3,6,5]", "Conv<pads=[1,1,1,1], strides=[2,1]>(x, w, b)", 4, {"w": (4, 3, 3, 3), "b": (4,)}),
        ("[N,4,6,5]", "Conv<group=2>(x, w)", 6, {"w": (6, 2, 3, 3)}),
        ("[N,4,6,5]", "Conv<group=4>(x, w, b)", 8, {"w": (8, 1, 3, 3), "b": (8,)}),
        ("[N,3,5,5]", "ConvTranspose<strides=[2,2]>(x, w)", 4, {"w": (3, 4, 2, 2)}),
        ("[N,4,5,5]", "ConvTranspose<group=2>(x, w, b)", 6, {"w": (4, 3, 2, 2), "b": (6,)}),
        ("[N,3]", "Gemm(x, w)", 4, {"w": (3, 4)}),
        ("[N,3]", "Gemm<transB=1, alpha=0.5, beta=3.0>(x, w, b)", 4, {"w": (4, 3), "b": (4,)}),
        ("[N,3]", "Gemm<beta=0.25>(x, w, b)", 4, {"w": (3, 4), "b": (1, 4)}),
        ("[N,3]", "Gemm<alpha=2.0>(x, w, b)", 4, {"w": (3, 4), "b": (1,)}),
    ],
)
def test_folds_into_the_weighted_node(rng, size, node, channels, shapes):
    result = fold(rng, f"(float{size} x) => (float[] y) {{ c = {node} {BN} }}", channels, **shapes)
    assert result.changed
    assert result.ops == [node.split("<")[0].split("(")[0], "Neg"]
    assert result.error < 1e-5


def test_matmul_add_takes_scale_and_shift(rng):
    text = f"(float[N,3] x) => (float[] y) {{ m = MatMul(x, w) c = Add(b, m) {BN} }}"
    result = fold(rng, text, 4, w=(3, 4), b=(4,))
    assert result.ops == ["MatMul", "Add", "Neg"]
    assert result.error < 1e-5


def test_matmul_alone_takes_the_scale_and_the_shift_becomes_an_add(rng):
    result = fold(rng, f"(float[N,3] x) => (float[] y) {{ c = MatMul(x, w) {BN} }}", 4, w=(3, 4))
    assert result.ops == ["MatMul", "Add", "Neg"]
    assert [(note.op, note.outcome) for note in result.notes] == [("BatchNormalization", "folded")]
    assert result.error < 1e-5


def test_matmul_without_shift_needs_no_add(rng):
    model = parse(
        f"(float[N,3] x) => (float[] y) {{ c = MatMul(x, w) {BN} }}",
        **normal(rng, w=(3, 4)),
        **batchnorm(rng, 4) | {"beta": np.zeros(4, np.float32), "mean": np.zeros(4, np.float32)},
    )
    result = rewrite(FoldBatchNorm(), model, feeds(rng, model))
    assert result.ops == ["MatMul", "Neg"]
    assert result.error < 1e-5


def test_shared_weights_stay_those_of_the_other_node(rng):
    text = f"(float[N,3,6,6] x) => (float[] y, float[] z) {{ c = Conv(x, w, b) {BN} z = Conv(x, w, b) }}"
    result = fold(rng, text, 4, w=(4, 3, 3, 3), b=(4,))
    assert sorted(result.ops) == ["Conv", "Conv", "Neg"]
    assert result.error < 1e-5


def test_folds_one_after_another(rng):
    text = f"""(float[N,3,6,6] x) => (float[] y) {{
        a = Conv(x, w) c = BatchNormalization(a, gamma, beta, mean, var) {BN}
    }}"""
    result = fold(rng, text, 4, w=(4, 3, 3, 3))
    assert result.ops == ["Conv", "Neg"]
    assert result.error < 1e-5


def test_an_output_keeps_its_name_through_an_identity(rng):
    text = """(float[N,3,6,6] x) => (float[] y) {
        c = Conv(x, w) y = BatchNormalization(c, gamma, beta, mean, var)
    }"""
    result = fold(rng, text, 4, w=(4, 3, 3, 3))
    assert result.ops == ["Conv", "Identity"]
    assert result.error < 1e-5


@pytest.mark.parametrize(
    ("text", "shapes", "reason"),
    [
        (
            f"(float[N,3,6,6] x) => (float[] y, float[] c) {{ c = Conv(x, w) {BN} }}",
            {"w": (4, 3, 3, 3)},
            "is read by other nodes too, or is an output",
        ),
        (
            f"(float[N,3,6,6] x) => (float[] y, float[] z) {{ c = Conv(x, w) {BN} z = Relu(c) }}",
            {"w": (4, 3, 3, 3)},
            "is read by other nodes too",
        ),
        (
            f"(float[N,3,6,6] x, float[4,3,3,3] w) => (float[] y) {{ c = Conv(x, w) {BN} }}",
            {},
            "the weights 'w' of 'c' are a graph input",
        ),
        (
            f"(float[N,3,6,6] x, float[4] b) => (float[] y) {{ c = Conv(x, w, b) {BN} }}",
            {"w": (4, 3, 3, 3)},
            "the bias 'b' of 'c' is a graph input",
        ),
        (
            f"(float[N,4,6,6] x) => (float[] y) {{ c = Relu(x) {BN} }}",
            {},
            "it follows a Relu ('c'), which has no weights",
        ),
        (f"(float[N,4] c) => (float[] y) {{ {BN} }}", {}, "it follows a graph input"),
        (
            f"(float[N,4,5] x) => (float[] y) {{ c = MatMul(x, w) {BN} }}",
            {"w": (5, 4)},
            "channels are not the last axis of 'c'",
        ),
        (
            f"(float[N,4,5] x) => (float[] y) {{ m = MatMul(x, w) c = Add(m, b) {BN} }}",
            {"w": (5, 4), "b": (4,)},
            "channels are not the last axis of 'm'",
        ),
        (
            f"(float[4,3] x) => (float[] y) {{ m = MatMul(x, w) c = Add(m, b) {BN} }}",
            {"w": (3, 4), "b": (4, 1)},
            "channels are not the last axis",
        ),
        (
            f"(float[N,3] x) => (float[] y, float[] m) {{ m = MatMul(x, w) c = Add(m, b) {BN} }}",
            {"w": (3, 4), "b": (4,)},
            "the output of 'm' is read by other nodes too, or is an output",
        ),
        (
            f"(float[N,4] x, float[N,4] z) => (float[] y) {{ c = Add(x, z) {BN} }}",
            {},
            "it follows an Add ('c')",
        ),
        (
            f"(float[4,3] x) => (float[] y) {{ c = Gemm(x, w, b) {BN} }}",
            {"w": (3, 4), "b": (4, 1)},
            "is a graph input or not one per channel",
        ),
    ],
)
def test_keeps(rng, text, shapes, reason):
    result = fold(rng, text, 4, **shapes)
    assert not result.changed
    assert "BatchNormalization" in result.ops
    assert reason in result.reason


def test_keeps_a_batchnorm_whose_parameters_are_inputs(rng):
    parameters = batchnorm(rng, 4)
    model = parse(
        f"(float[N,3,6,6] x, float[4] mean) => (float[] y) {{ c = Conv(x, w) {BN} }}",
        **normal(rng, w=(4, 3, 3, 3)),
        **{name: parameters[name] for name in ("gamma", "beta", "var")},
    )
    result = rewrite(FoldBatchNorm(), model, feeds(rng, model))
    assert not result.changed
    assert result.reason == "its parameter 'mean' is a graph input or computed, not a constant"


@settings(deadline=None, max_examples=30)
@given(
    seed=st.integers(0, 2**32 - 1),
    groups=st.sampled_from([(1, 3, 4), (2, 4, 6), (4, 4, 4)]),
    bias=st.booleans(),
    epsilon=st.sampled_from([1e-5, 1e-3, 1.0]),
)
def test_random_parameters_keep_the_outputs(seed, groups, bias, epsilon):
    rng = np.random.default_rng(seed)
    group, inputs, outputs = groups
    arguments = "x, w, b" if bias else "x, w"
    result = fold(
        rng,
        f"""(float[N,{inputs},5,5] x) => (float[] y) {{
            c = Conv<group={group}>({arguments})
            n = BatchNormalization<epsilon={epsilon:f}>(c, gamma, beta, mean, var)
            y = Neg(n)
        }}""",
        outputs,
        w=(outputs, inputs // group, 3, 3),
        b=(outputs,),
    )
    assert result.ops == ["Conv", "Neg"]
    assert result.error < 1e-5
