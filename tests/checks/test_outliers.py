"""One sample that stretches a range alone."""

from __future__ import annotations

import numpy as np
import pytest

import onnx2snn
from onnx2snn.calibration.statistics import Statistics
from onnx2snn.checks.outliers import stretched
from tests.checks.pictures import dataset, fitted, pictures

IMAGES, _ = pictures(2, 64)


def seen(peaks: dict[str, np.ndarray]) -> Statistics:
    return Statistics(peaks={name: [values[:40], values[40:]] for name, values in peaks.items()})


def test_the_sample_and_the_layer_are_named(rng):
    tame = rng.uniform(0.5, 1.0, 64)
    wild = tame.copy()
    wild[45] = 30
    warning = stretched(seen({"x": tame, "relu": wild, "later": wild}), dataset(IMAGES))
    assert "sample 45 of those calibrated on" in warning
    assert "found up to 30 in layer 'relu'" in warning


@pytest.mark.parametrize("peaks", [np.ones(64), np.zeros(64), np.r_[np.ones(63), np.inf], np.ones(2)])
def test_nothing_is_said(peaks):
    assert stretched(seen({"x": peaks}), dataset(IMAGES)) is None


def test_compile_says_it():
    floats = IMAGES.astype(np.float32) / 255
    floats[20] *= 50
    model = fitted().model
    compiled = onnx2snn.compile(model, floats, timesteps=2)
    assert any("sample 20" in line for line in compiled.report.warnings)
    floats[20] /= 50
    assert onnx2snn.compile(model, floats, timesteps=2).report.warnings == []
