"""Data of another range than that of the calibration."""

from __future__ import annotations

import numpy as np
import pytest

from onnx2snn.artifact.records import CalibrationRecord
from onnx2snn.checks.evidence import Evidence
from onnx2snn.checks.ranges import check
from tests.checks.pictures import dataset, pictures

IMAGES, _ = pictures(2, 160)
OTHERS, _ = pictures(3, 160)


def against(found: np.ndarray, count: int = 160) -> str | None:
    first = Evidence(dataset(IMAGES[:count]), None)
    calibrated = CalibrationRecord(count, "train.npz", {"x": first.describe("x")})
    return check(Evidence(dataset(found[:count]), None, calibrated))


@pytest.mark.parametrize("count", [1, 4, 8, 16, 64, 160])
def test_pictures_of_one_kind(count):
    assert against(OTHERS, count) is None


@pytest.mark.parametrize("factor", [0.5, 2.0, 1 / 255])
def test_another_range(factor):
    floats = OTHERS.astype(np.float32) / 255 * np.float32(factor)
    assert "expected values of input 'x' as in the calibration" in against(floats)


def test_an_older_file_has_recorded_nothing():
    assert check(Evidence(dataset(OTHERS), None, CalibrationRecord(4, "x.npz"))) is None
    assert check(Evidence(dataset(OTHERS), None)) is None


def test_what_was_constant_says_nothing():
    constant = dataset(np.zeros_like(IMAGES))
    calibrated = CalibrationRecord(160, "x.npz", {"x": Evidence(constant, None).describe("x")})
    assert check(Evidence(dataset(OTHERS), None, calibrated)) is None
