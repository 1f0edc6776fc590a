from __future__ import annotations

import numpy as np
import pytest

from onnx2snn.graph.rectifiers import rectifier
from onnx2snn.passes.normalize_relu import NormalizeRelu
from tests.helpers import feeds, parse, rewrite

CONSTANTS = {
    "zero": np.float32(0),
    "zero1": np.float32([0]),
    "low": np.float32(-1),
    "half": np.float32(0.5),
    "one": np.float32(1),
    "one1": np.float32([1]),
    "inf": np.float32(np.inf),
    "big": np.finfo(np.float32).max,
    "row": np.float32([0, 0, 0]),
    "plane": np.float32([[[0]]]),
    "plane1": np.float32([[[1]]]),
}


def normalize(rng, body, extra=""):
    model = parse(f"(float[N,3] x{extra}) => (float[] y) {{ {body} }}", **CONSTANTS)
    values = feeds(rng, model, batch=40)
    return rewrite(NormalizeRelu(), model, values)


@pytest.mark.parametrize(
    "body",
    [
        "y = Max(x, zero)",
        "y = Max(zero1, x)",
        "y = Clip(x, zero)",
        "y = Clip(x, zero, inf)",
        "y = Clip(x, zero, big)",
        "y = LeakyRelu<alpha=0.0>(x)",
        "r = Relu(x) y = Relu(r)",
        "r = Max(x, zero) y = Clip(r, low, inf)",
        "r = Relu(x) y = Clip(r)",
    ],
)
def test_becomes_a_relu(rng, body):
    result = normalize(rng, body)
    assert result.changed
    assert result.ops == ["Relu"]
    assert result.error == 0


@pytest.mark.parametrize(
    ("body", "ceiling"),
    [
        ("r = Relu(x) y = Min(r, half)", 0.5),
        ("r = Relu(x) y = Min(half, r)", 0.5),
        ("r = Max(x, zero) y = Clip(r, low, one)", 1.0),
        ("r = Relu(x) y = Clip(r, , one)", 1.0),
        ("r = Relu(x) y = Clip(r, , one1)", 1.0),
        ("r = Clip(x, zero, half) y = Clip(r, zero, one)", 0.5),
        ("r = Clip(x, zero, one) y = Min(r, half)", 0.5),
        ("r = Clip(x, zero, half) y = Relu(r)", 0.5),
        ("q = Relu(x) r = Min(q, one) y = Clip(r, zero, half)", 0.5),
    ],
)
def test_becomes_a_clip_with_the_smaller_ceiling(rng, body, ceiling):
    result = normalize(rng, body)
    assert result.changed
    assert result.ops == ["Clip"]
    assert rectifier(result.graph.nodes[0]).ceiling == ceiling
    assert result.error == 0
    assert {(note.outcome, note.reason.split(" '")[0]) for note in result.notes} == {
        ("folded", "merged into the rectifier")
    }


@pytest.mark.parametrize(
    "body",
    [
        "y = Relu(x)",
        "y = Clip(x, zero, one)",
        "y = Clip(x, low, one)",
        "y = Clip(x, , one)",
        "y = Max(x, half)",
        "y = Max(x, row)",
        "y = Max(x, plane)",
        "y = Max(x, zero, low)",
        "y = Min(x, one)",
        "y = LeakyRelu(x)",
        "r = Relu(x) y = Min(r, plane1)",
        "r = Relu(x) y = Min(r, low)",
        "r = Relu(x) y = Clip(r, half, one)",
        "r = Clip(x, low, one) y = Relu(r)",
        "r = Relu(x) m = Min(r, one) y = Add(m, r)",
    ],
)
def test_keeps(rng, body):
    result = normalize(rng, body)
    assert not result.changed
    assert result.ops == [
        part.split("= ")[1] for part in body.split("(")[:-1] for part in [part.split("<")[0]]
    ]
    assert not result.notes


def test_keeps_a_bound_that_is_an_input(rng):
    result = normalize(rng, "r = Relu(x) y = Clip(r, zero, top)", extra=", float top")
    assert not result.changed
    assert result.ops == ["Relu", "Clip"]


def test_keeps_a_rectifier_that_is_an_output(rng):
    model = parse("(float[N,3] x) => (float[] y, float[] r) { r = Relu(x) y = Min(r, one) }", **CONSTANTS)
    result = rewrite(NormalizeRelu(), model, feeds(rng, model))
    assert not result.changed
