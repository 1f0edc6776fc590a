"""NHWC under the shape of NCHW."""

from __future__ import annotations

import numpy as np
import pytest

from onnx2snn.checks.layout import check
from tests.checks.pictures import dataset, evidence, fitted, pictures

NET = fitted()
IMAGES, LABELS = pictures(2, 160)
RESHAPED = np.ascontiguousarray(IMAGES.transpose(0, 2, 3, 1)).reshape(IMAGES.shape)


@pytest.mark.parametrize(("model", "labelled"), [(NET.model, True), (NET.model, False), (NET.folded, True)])
def test_reshaped_instead_of_transposed(model, labelled):
    assert check(evidence(dataset(IMAGES, LABELS), model, labelled=labelled)) is None
    warning = check(evidence(dataset(RESHAPED, LABELS), model, labelled=labelled))
    assert "expected NCHW for input 'x', found NHWC under its shape" in warning
    assert "(0, 3, 1, 2)" in warning


def test_noise_has_no_layout(rng):
    noise = rng.integers(0, 256, IMAGES.shape).astype(np.uint8)
    assert check(evidence(dataset(noise, LABELS), NET.model)) is None


def test_grey_pictures_have_none():
    assert check(evidence(dataset(IMAGES[:, :1], LABELS), None)) is None
