"""A Loop in NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from onnx2snn.engine.engines import NumpyEngine
from tests.helpers import normal, parse, run

TEXT = """(float[2,3] x) => (float[2,3] last, float[K,2,3] rows) {{ last, rows = Loop({}) <body = rounds
    (int64 i, bool on, float[2,3] s) => (bool keep, float[2,3] t, float[2,3] o)
    {{ c = Cast<to = 1>(i) t = Add(s, c) o = Mul(t, w)
    n = ReduceMax<keepdims = 0>(t) keep = Less(n, five) }}> }}"""


@pytest.mark.parametrize("given", ["three, yes, x", 'three, "", x', '"", yes, x', "three, no, x"])
def test_rounds_are_stacked(given, rng):
    constants = {"three": np.int64(3), "yes": np.bool_(True), "no": np.bool_(False)}
    weights = normal(rng, w=(2, 3)) | {"five": np.float32(5)}
    model = parse(
        TEXT.format(given), **weights, **{name: value for name, value in constants.items() if name in given}
    )
    values = normal(rng, x=(2, 3))
    found = NumpyEngine(model).run(values)
    last, rows = run(model, values)
    np.testing.assert_allclose(found["last"], last, rtol=1e-6)
    assert len(found["rows"]) == len(rows)
    if len(rows):
        np.testing.assert_allclose(found["rows"], rows, rtol=1e-6)
