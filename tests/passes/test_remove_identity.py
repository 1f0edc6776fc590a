from __future__ import annotations

import numpy as np
import pytest

from onnx2snn.passes.remove_identity import RemoveIdentity
from tests.helpers import feeds, parse, rewrite

FALSE, TRUE = np.asarray(False), np.asarray(True)
HALF = np.asarray(0.5, dtype=np.float32)


def remove(rng, text, **constants):
    model = parse(text, **constants)
    return rewrite(RemoveIdentity(), model, feeds(rng, model))


@pytest.mark.parametrize(
    "body",
    [
        "a = Neg(x) b = Identity(a) y = Relu(b)",
        "a = Neg(x) b = Identity(a) c = Identity(b) y = Relu(c)",
        "a = Neg(x) b = Cast<to=1>(a) y = Relu(b)",
        "a = Neg(x) b = Cast<to=11>(a) c = Cast<to=1>(b) y = Relu(c)",
        "a = Neg(x) b = Dropout(a) y = Relu(b)",
        "a = Neg(x) b, mask = Dropout(a, half, no) y = Relu(b)",
        "a = Neg(x) b = Relu(a) y = Identity(b)",
        "b = Identity(x) a = Neg(b) c = Identity(a) d = Relu(c) y = Identity(d)",
    ],
)
def test_removes(rng, body):
    result = remove(rng, f"(float[N,3] x) => (float[] y) {{ {body} }}", half=HALF, no=FALSE)
    assert result.changed
    assert result.ops == ["Neg", "Relu"]
    assert result.error == 0
    assert {note.outcome for note in result.notes} == {"folded"}


def test_other_readers_of_a_removed_output_read_its_source(rng):
    text = "(float[N,3] x) => (float[] y, float[] z) { a = Neg(x) y = Identity(a) z = Relu(y) }"
    result = remove(rng, text)
    assert result.ops == ["Neg", "Relu"]
    assert result.error == 0


@pytest.mark.parametrize(
    ("outputs", "body", "ops"),
    [
        ("y", "y = Identity(x)", ["Identity"]),
        ("y, z", "y = Neg(x) z = Identity(y)", ["Neg", "Identity"]),
        ("y", "a, mask = Dropout(x, half, yes) b = Mul(a, zero) y = Add(b, x)", ["Dropout", "Mul", "Add"]),
        ("y", "a = Cast<to=11>(x) b = Neg(a) y = Cast<to=1>(b)", ["Cast", "Neg", "Cast"]),
        ("y", "n = Neg(x) a = Cast<to=10>(n) b = Cast<to=1>(a) y = Relu(b)", ["Neg", "Cast", "Cast", "Relu"]),
        ("y", "n = Neg(x) a = Cast<to=7>(n) b = Cast<to=1>(a) y = Relu(b)", ["Neg", "Cast", "Cast", "Relu"]),
    ],
)
def test_keeps(rng, outputs, body, ops):
    declared = ", ".join(f"float[] {name}" for name in outputs.split(", "))
    constants = {"half": HALF, "yes": TRUE, "zero": np.float32([0])}
    result = remove(rng, f"(float[N,3] x) => ({declared}) {{ {body} }}", **constants)
    assert not result.changed
    assert result.ops == ops
    assert not result.notes


@pytest.mark.parametrize("use", ["m = Identity(mask)", "f = Cast<to=1>(mask) m = Greater(f, half)"])
def test_keeps_a_dropout_whose_mask_is_read(rng, use):
    text = f"(float[N,3] x) => (float[] y, bool[] m) {{ a, mask = Dropout(x) y = Neg(a) {use} }}"
    result = remove(rng, text, half=HALF)
    assert "Dropout" in result.ops
    assert result.error == 0


def test_keeps_a_dropout_whose_mask_is_an_output(rng):
    result = remove(rng, "(float[N,3] x) => (float[] y, bool[] mask) { a, mask = Dropout(x) y = Neg(a) }")
    assert not result.changed
    assert result.error == 0


@pytest.mark.parametrize(
    "body",
    ["a = Neg(x) y = Identity(a) z = Identity(a)", "y = Neg(x) a = Identity(y) z = Identity(a)"],
)
def test_keeps_one_identity_for_a_second_output_of_the_same_value(rng, body):
    result = remove(rng, f"(float[N,3] x) => (float[] y, float[] z) {{ {body} }}")
    assert result.changed
    assert result.ops == ["Neg", "Identity"]
    assert result.error == 0


def test_casts_of_integers_to_floats_and_back_stay():
    """float32 does not hold every int32."""
    text = "(int32[N,3] x) => (int32[] y) { n = Neg(x) a = Cast<to=1>(n) b = Cast<to=6>(a) y = Abs(b) }"
    result = rewrite(RemoveIdentity(), parse(text), {"x": np.full((1, 3), 2**24 + 1, np.int32)})
    assert not result.changed
