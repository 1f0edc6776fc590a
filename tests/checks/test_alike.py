from __future__ import annotations

import numpy as np

from onnx2snn.checks.alike import check
from tests.checks.pictures import dataset, evidence, pictures

IMAGES, _ = pictures(2, 40)


def test_samples_that_differ():
    assert check(evidence(dataset(IMAGES), None)) is None


def test_one_sample_many_times():
    assert "found the same one 32 times" in check(evidence(dataset(np.repeat(IMAGES[:1], 40, axis=0)), None))


def test_nothing_at_all():
    assert check(evidence(dataset(np.zeros_like(IMAGES)), None)) is not None


def test_a_few_are_no_news():
    for count in (1, 2, 7):
        assert check(evidence(dataset(np.zeros_like(IMAGES[:count])), None)) is None
