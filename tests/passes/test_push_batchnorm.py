from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onnx2snn.passes.push_batchnorm import PushBatchNorm
from tests.helpers import batchnorm, feeds, normal, parse, rewrite

HEAD = "r = Relu(x) n = BatchNormalization(r, gamma, beta, mean, var)"


def push(rng, size, body, *, positive=False, outputs="float[] y", inputs="", constants=None, **shapes):
    text = f"(float{size} x{inputs}) => ({outputs}) {{ {HEAD} {body} }}"
    model = parse(text, **normal(rng, **shapes), **batchnorm(rng, 4, positive=positive), **(constants or {}))
    return rewrite(PushBatchNorm(), model, feeds(rng, model))


IMAGE = "[N,4,6,5]"


@pytest.mark.parametrize(
    ("size", "body", "shapes"),
    [
        ("[N,4]", "y = Gemm(n, w)", {"w": (4, 3)}),
        ("[N,4]", "y = Gemm<transB=1, alpha=0.5, beta=3.0>(n, w, b)", {"w": (3, 4), "b": (3,)}),
        ("[N,4]", "y = Gemm<beta=2.0>(n, w, b)", {"w": (4, 3), "b": (1,)}),
        ("[N,4,9]", "y = Conv(n, w)", {"w": (3, 4, 2)}),
        (IMAGE, "y = Conv(n, w, b)", {"w": (3, 4, 2, 3), "b": (3,)}),
        (IMAGE, "y = Conv<group=2, strides=[2,1], dilations=[2,1]>(n, w, b)", {"w": (6, 2, 2, 3), "b": (6,)}),
        (IMAGE, 'y = Conv<auto_pad="VALID">(n, w)', {"w": (3, 4, 2, 3)}),
    ],
)
def test_folds_into_the_node_after_it(rng, size, body, shapes):
    result = push(rng, size, body, **shapes)
    assert result.changed
    assert result.ops == ["Relu", body.split("= ")[1].split("<")[0].split("(")[0]]
    assert result.error < 1e-5
    assert [(n.outcome, n.reason) for n in result.notes] == [("folded", "into the weights after it")]


@pytest.mark.parametrize(
    ("attributes", "kernel"),
    [
        ("pads=[1,1,1,1]", (3, 4, 3, 3)),
        ("pads=[0,2,1,0]", (3, 4, 3, 3)),
        ("pads=[2,1,0,1], strides=[2,3]", (3, 4, 3, 2)),
        ("pads=[2,2,2,2], dilations=[2,2]", (3, 4, 3, 3)),
        ("pads=[1,1,1,1], group=2", (6, 2, 3, 3)),
        ("pads=[1,1,1,1], group=4", (8, 1, 3, 3)),
        ('auto_pad="SAME_UPPER", strides=[2,2]', (3, 4, 2, 2)),
        ('auto_pad="SAME_LOWER"', (3, 4, 2, 4)),
    ],
)
def test_zero_padding_makes_the_shift_a_map(rng, attributes, kernel):
    result = push(rng, IMAGE, f"y = Conv<{attributes}>(n, w, b)", w=kernel, b=(kernel[0],))
    assert sorted(result.ops) == ["Add", "Conv", "Conv", "Relu"]
    assert result.error < 1e-5


def test_a_padded_conv_in_one_dimension(rng):
    result = push(rng, "[N,4,7]", "c = Conv<pads=[0,2]>(n, w) y = Neg(c)", w=(3, 4, 3))
    assert sorted(result.ops) == ["Add", "Conv", "Conv", "Neg", "Relu"]
    assert result.error < 1e-5


def test_matmul_gets_an_add_for_the_shift(rng):
    result = push(rng, "[N,4]", "y = MatMul(n, w)", w=(4, 3))
    assert result.ops == ["Relu", "MatMul", "Add"]
    assert result.error < 1e-5


@pytest.mark.parametrize(
    "pool",
    [
        "MaxPool<kernel_shape=[2,2]>",
        "MaxPool<kernel_shape=[3,3], pads=[1,1,1,1], strides=[2,2], ceil_mode=1>",
        "GlobalMaxPool",
    ],
)
def test_moves_behind_max_pooling_with_positive_scales(rng, pool):
    result = push(rng, IMAGE, f"p = {pool}(n) y = Conv(p, w)", positive=True, w=(3, 4, 1, 1))
    assert result.ops == ["Relu", pool.split("<")[0], "Conv"]
    assert result.error < 1e-5


@pytest.mark.parametrize(
    "pool",
    [
        "AveragePool<kernel_shape=[2,2]>",
        "AveragePool<kernel_shape=[3,3], pads=[1,1,1,1], strides=[2,2]>",
        "AveragePool<kernel_shape=[2,2], strides=[2,2], ceil_mode=1, count_include_pad=1>",
        "GlobalAveragePool",
    ],
)
def test_moves_behind_average_pooling(rng, pool):
    result = push(rng, IMAGE, f"p = {pool}(n) y = Conv(p, w)", w=(3, 4, 1, 1))
    assert result.ops == ["Relu", pool.split("<")[0], "Conv"]
    assert result.error < 1e-5


def test_moves_behind_a_slice_of_space(rng):
    body = "s = Slice(n, start, end, axes) y = Conv(s, w)"
    indices = {"start": np.int64([1, 0]), "end": np.int64([4, 3]), "axes": np.int64([2, 3])}
    result = push(rng, IMAGE, body, w=(3, 4, 1, 1), constants=indices)
    assert result.ops == ["Relu", "Slice", "Conv"]
    assert result.error < 1e-5


def test_a_slice_of_channels_keeps_it(rng):
    body = "s = Slice(n, start, end, axes) y = Conv(s, w)"
    indices = {"start": np.int64([1, 0]), "end": np.int64([4, 3]), "axes": np.int64([1, 3])}
    result = push(rng, IMAGE, body, w=(3, 3, 1, 1), constants=indices)
    assert "BatchNormalization" in result.ops
    assert "may cut channels" in result.reason


def test_flatten_repeats_it_for_every_pixel(rng):
    result = push(
        rng, IMAGE, "p = AveragePool<kernel_shape=[2,1]>(n) f = Flatten(p) y = Gemm(f, w)", w=(100, 3)
    )
    assert result.ops == ["Relu", "AveragePool", "Flatten", "Gemm"]
    assert result.error < 1e-5


def test_two_convs_that_share_weights_take_it_both(rng):
    body = "a = Conv(n, w, b) c = Conv<strides=[2,2]>(n, w, b)"
    result = push(rng, IMAGE, body, outputs="float[] a, float[] c", w=(3, 4, 2, 2), b=(3,))
    assert result.ops == ["Relu", "Conv", "Conv"]
    assert result.error < 1e-5


def test_weights_shared_with_a_conv_elsewhere_stay_its_own(rng):
    body = "a = Conv(n, w, b) c = Conv(x, w, b)"
    result = push(rng, IMAGE, body, outputs="float[] a, float[] c", w=(3, 4, 2, 2), b=(3,))
    assert sorted(result.ops) == ["Conv", "Conv", "Relu"]
    assert result.error < 1e-5


@pytest.mark.parametrize(
    ("size", "body", "outputs", "shapes", "reason"),
    [
        (IMAGE, "y = Conv(n, w)", "y, n", {"w": (3, 4, 1, 1)}, "it gives an output of the graph"),
        (IMAGE, "y = Neg(n)", "y", {}, "'y' (Neg), which reads it, has no weights"),
        (
            IMAGE,
            "y = Conv(n, w) z = Neg(n)",
            "y, z",
            {"w": (3, 4, 1, 1)},
            "'z' (Neg), which reads it, has no",
        ),
        (
            IMAGE,
            "c = Conv(n, w) y = Add(c, n)",
            "y",
            {"w": (4, 4, 1, 1)},
            "'y' (Add), which reads it, has no",
        ),
        (
            IMAGE,
            "p = MaxPool<kernel_shape=[2,2]>(n) y = Conv(p, w)",
            "y, p",
            {"w": (3, 4, 1, 1)},
            "the output of 'p' is an output of the graph",
        ),
        (
            IMAGE,
            "p = AveragePool<kernel_shape=[3,3], pads=[1,1,1,1], count_include_pad=1>(n) y = Conv(p, w)",
            "y",
            {"w": (3, 4, 1, 1)},
            "the AveragePool 'p' counts its padding",
        ),
        (
            IMAGE,
            "f = Flatten(n) y = Gemm(f, w)",
            "y, f",
            {"w": (120, 3)},
            "the output of 'f' is an output of the graph",
        ),
        (
            "[N,4,H,W]",
            "y = Conv<pads=[1,1,1,1]>(n, w)",
            "y",
            {"w": (3, 4, 3, 3)},
            "its spatial size is not known",
        ),
        (
            "[N,4,H]",
            "f = Flatten(n) y = Gemm(f, w)",
            "y",
            {"w": (8, 3)},
            "the size of 'n' before 'f' is not known",
        ),
        ("[4,4]", "y = Gemm<transA=1>(n, w)", "y", {"w": (4, 3)}, "transposes it"),
        ("[4,4]", "y = Gemm(w, n)", "y", {"w": (4, 4)}, "takes it as weights"),
        ("[4,4]", "y = MatMul(n, n)", "y", {}, "takes it as weights"),
        ("[4,4]", "y = Gemm(x, w, n)", "y", {"w": (4, 4)}, "takes it as weights"),
        ("[N,4,5]", "y = MatMul(n, w)", "y", {"w": (5, 3)}, "does not multiply [N, features] by a matrix"),
    ],
)
def test_keeps(rng, size, body, outputs, shapes, reason):
    declared = ", ".join(f"float[] {name}" for name in outputs.split(", "))
    result = push(rng, size, body, outputs=declared, **shapes)
    assert not result.changed
    assert "BatchNormalization" in result.ops
    assert reason in result.reason


@pytest.mark.parametrize("inputs", [", float[3,4,1,1] w", ", float[3] b"])
def test_keeps_when_weights_are_inputs(rng, inputs):
    given_shapes = {"w": (3, 4, 1, 1)} if inputs.endswith("b") else {"b": (3,)}
    result = push(rng, IMAGE, "y = Conv(n, w, b)", inputs=inputs, **given_shapes)
    assert not result.changed
    assert "has weights that are graph inputs or computed" in result.reason


def test_one_negative_scale_keeps_it_before_max_pooling(rng):
    parameters = batchnorm(rng, 4, positive=True)
    parameters["gamma"][2] = -0.5
    text = f"(float{IMAGE} x) => (float[] y) {{ {HEAD} p = MaxPool<kernel_shape=[2,2]>(n) y = Conv(p, w) }}"
    model = parse(text, **normal(rng, w=(3, 4, 1, 1)), **parameters)
    result = rewrite(PushBatchNorm(), model, feeds(rng, model))
    assert not result.changed
    assert result.reason == "1 negative scales before the MaxPool 'p'"


def test_keeps_training_mode(rng):
    text = """(float[N,4] x) => (float[] y) {
        n, m, v = BatchNormalization<training_mode=1>(x, gamma, beta, mean, var) y = Gemm(n, w)
    }"""
    model = parse(text, **normal(rng, w=(4, 3)), **batchnorm(rng, 4))
    result = rewrite(PushBatchNorm(), model, feeds(rng, model))
    assert not result.changed
    assert result.reason == "it is in training mode"


@settings(deadline=None, max_examples=30)
@given(
    seed=st.integers(0, 2**32 - 1),
    pads=st.lists(st.integers(0, 2), min_size=4, max_size=4),
    strides=st.lists(st.integers(1, 3), min_size=2, max_size=2),
    dilations=st.lists(st.integers(1, 2), min_size=2, max_size=2),
    group=st.sampled_from([1, 2, 4]),
)
def test_random_parameters_keep_the_outputs(seed, pads, strides, dilations, group):
    body = f"y = Conv<pads={pads}, strides={strides}, dilations={dilations}, group={group}>(n, w, b)"
    result = push(np.random.default_rng(seed), IMAGE, body, w=(4, 4 // group, 3, 2), b=(4,))
    assert "BatchNormalization" not in result.ops
    assert result.error < 1e-5


PADDED = "(float[N,4,6,5] x) => (float[] y) { r = Relu(x) n = BatchNormalization(r, gamma, beta, mean, var) "


def pad_then_conv(rng, pads, *, shift, value=None):
    inputs = "n, pads" if value is None else "n, pads, value"
    weights = batchnorm(rng, 4) | normal(rng, w=(3, 4 + pads[1] + pads[5], 3, 3)) | {"pads": np.int64(pads)}
    if not shift:
        weights |= {"beta": np.zeros(4, np.float32), "mean": np.zeros(4, np.float32)}
    if value is not None:
        weights["value"] = np.float32(value)
    model = parse(PADDED + f"p = Pad({inputs}) y = Conv(p, w) }}", **weights)
    return rewrite(PushBatchNorm(), model, feeds(rng, model))


@pytest.mark.parametrize(
    "pads", [[0, 0, 1, 2, 0, 0, 0, 1], [0, 1, 1, 2, 0, 2, 0, 1]], ids=["space", "channels"]
)
@pytest.mark.parametrize("value", [None, 0.0])
def test_a_scale_moves_past_a_pad_with_zeros(rng, value, pads):
    result = pad_then_conv(rng, pads, shift=False, value=value)
    assert result.ops == ["Relu", "Pad", "Conv"]
    assert result.error < 1e-5


@pytest.mark.parametrize(
    ("pads", "shift", "value"),
    [
        ([0, 0, 1, 2, 0, 0, 0, 1], True, None),
        ([0, 0, 1, 2, 0, 0, 0, 1], False, 1.0),
        ([0, -1, 1, 2, 0, 0, 0, 1], False, None),
    ],
    ids=["a shift", "another value", "fewer channels"],
)
def test_what_does_not_commute_stays_before_a_pad(rng, pads, shift, value):
    result = pad_then_conv(rng, pads, shift=shift, value=value)
    assert result.ops == ["Relu", "BatchNormalization", "Pad", "Conv"]
    assert [note.outcome for note in result.notes] == ["kept"]
