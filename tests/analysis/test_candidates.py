"""Conversions that are compared; their names and lines are tested with the sweep."""

from __future__ import annotations

import numpy as np

from onnx2snn.analysis.candidates import KINDS, Candidates, command, describe
from onnx2snn.data.readers import InputSpec, dataset_from_arrays
from tests.helpers import normal, parse


def test_a_network_of_each_choice_on_the_same_samples(rng):
    weights = normal(rng, w1=(4, 6), w2=(6, 3))
    model = parse(
        "(float[N,4] x) => (float[N,3] y) { h = Gemm(x, w1) r = Relu(h) y = Gemm(r, w2) }", **weights
    )
    data = dataset_from_arrays(
        rng.standard_normal((12, 4)).astype(np.float32), [InputSpec("x", np.dtype(np.float32), (None, 4))]
    )
    candidates = Candidates(model, data)
    for kind in ("graded", "radix"):
        options = KINDS[kind] | {"timesteps": 2}
        session = candidates.session(options)
        assert session.timesteps == 2
        assert session.artifact.record.calibration.samples == 12
        assert describe(options) == f"{kind}, T = 2"
    assert command(options) == "--schedule layer --code radix --timesteps 2"
