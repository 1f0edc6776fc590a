"""Tensors that a model gives out as well."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from onnx2snn.model.tap import tap
from tests.helpers import parse, run

TEXT = "(float[N,2] x) => (float[N,2] y, float[N,2] z) { a = Neg(x) b = Abs(a) y = Add(a, b) z = Sub(a, b) }"
X = {"x": np.float32([[1, -2]])}
VALUES = {"a": [[-1, 2]], "b": [[1, 2]], "y": [[0, 4]], "z": [[-2, 0]], "x": [[1, -2]]}


@pytest.mark.parametrize(
    ("names", "only", "expected"),
    [
        ([], False, ["y", "z"]),
        (["b", "a"], False, ["y", "z", "b", "a"]),
        (["b", "y", "b", "a"], False, ["y", "z", "b", "a"]),
        (["b", "y", "b"], True, ["b", "y"]),
        (["z", "x"], True, ["z", "x"]),
    ],
)
def test_outputs_in_the_order_given(names, only, expected):
    model = parse(TEXT)
    assert tap(model, iter(names), only=only) is model
    assert [item.name for item in model.graph.output] == expected
    assert [found.tolist() for found in run(model, X)] == [VALUES[name] for name in expected]


def test_outputs_that_were_there_keep_their_types():
    before = parse(TEXT)
    model = tap(parse(TEXT), ["a"])
    assert list(model.graph.output[:2]) == list(before.graph.output)
    assert model.graph.output[2] == onnx.ValueInfoProto(name="a")


def test_only_nothing_is_nothing():
    assert list(tap(parse(TEXT), [], only=True).graph.output) == []
