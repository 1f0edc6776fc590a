"""Red and blue exchanged."""

from __future__ import annotations

import numpy as np

from onnx2snn.checks.channels import check
from tests.checks.pictures import dataset, evidence, fitted, pictures

NET = fitted()
IMAGES, LABELS = pictures(2, 160)
SWAPPED = np.ascontiguousarray(IMAGES[:, ::-1])


def test_sound_channels():
    for labelled in (True, False):
        assert check(evidence(dataset(IMAGES, LABELS), NET.model, labelled=labelled)) is None


def test_swapped_by_the_labels():
    warning = check(evidence(dataset(SWAPPED, LABELS), NET.model))
    assert "found the first and the third swapped" in warning
    assert "samples right, with them swapped" in warning


def test_grey_pictures_are_the_same_both_ways():
    grey = np.repeat(IMAGES[:, :1], 3, axis=1)
    assert check(evidence(dataset(grey, LABELS), NET.model)) is None


def test_other_numbers_of_channels():
    assert check(evidence(dataset(IMAGES[:, :2], LABELS), None)) is None
