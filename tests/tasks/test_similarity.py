"""Structural similarity: what follows from its formula. Images of nets are in `test_restore.py`."""

from __future__ import annotations

import numpy as np
import pytest

from onnx2snn.tasks.similarity import WINDOW, similarity


def test_flat_images_differ_in_their_mean_alone():
    dark, light = np.full((2, WINDOW, WINDOW), 0.25), np.full((2, WINDOW, WINDOW), 0.75)
    c1 = 0.01**2
    expected = (2 * 0.25 * 0.75 + c1) / (0.25**2 + 0.75**2 + c1)
    assert similarity(dark, light, 1.0) == pytest.approx([expected] * 2)


def test_range_and_scale_go_together(rng):
    x, y = rng.random((2, 12, 15))
    assert similarity(x, y, 1.0) == pytest.approx(similarity(255 * x, 255 * y, 255.0))
    assert similarity(x, x, 1.0) == pytest.approx(1)
    assert similarity(x, y, 1.0) == pytest.approx(similarity(y, x, 1.0))
