"""An ANN that guesses."""

from __future__ import annotations

import numpy as np

from onnx2snn.checks.chance import check
from tests.checks.pictures import dataset, evidence, fitted, pictures

NET = fitted()
IMAGES, LABELS = pictures(2, 160)


def test_labels_of_another_order():
    shuffled = np.random.default_rng(0).permutation(LABELS)
    assert "as by guessing among 4 classes" in check(evidence(dataset(IMAGES, shuffled), NET.model))


def test_labels_that_are_right():
    for count in (8, 16, 160):
        assert check(evidence(dataset(IMAGES[:count], LABELS[:count]), NET.model)) is None


def test_without_labels_nobody_knows():
    assert check(evidence(dataset(IMAGES), NET.model)) is None
