"""Raw values for a net that wants about 1, and the other way round; by each kind of evidence."""

from __future__ import annotations

import numpy as np
import pytest

from onnx2snn.checks.scale import check
from onnx2snn.data.preprocessing import Preprocessing
from tests.checks.pictures import SCALED, dataset, evidence, fitted, pictures
from tests.helpers import parse

ONE, RAW = fitted(), fitted(1.0)
IMAGES, LABELS = pictures(2, 160)
NORMALIZED = Preprocessing(scale=1.0, mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))


def ways(net):
    return {"statistics": (net.model, False), "labels": (net.folded, True), "answers": (net.folded, False)}


@pytest.mark.parametrize("by", ways(ONE))
def test_raw_values(by):
    model, labelled = ways(ONE)[by]
    assert check(evidence(dataset(IMAGES, LABELS), model, labelled=labelled)) is None
    warning = check(evidence(dataset(IMAGES, LABELS, Preprocessing()), model, labelled=labelled))
    if by == "answers" and warning is None:
        pytest.fail("the answers of raw pictures tell less")
    assert "255 times smaller" in warning
    assert warning.endswith("; give --scale 1/255")


@pytest.mark.parametrize("by", ways(RAW))
def test_scaled_values(by):
    model, labelled = ways(RAW)[by]
    assert check(evidence(dataset(IMAGES, LABELS, Preprocessing()), model, labelled=labelled)) is None
    warning = check(evidence(dataset(IMAGES, LABELS, SCALED), model, labelled=labelled))
    assert "255 times larger" in warning
    assert warning.endswith("; leave out --scale")


def test_floats_are_mended_in_the_array():
    warning = check(evidence(dataset(IMAGES.astype(np.float32), LABELS), ONE.model))
    assert "divide the array by 255" in warning


def test_a_mean_stays_what_it_is():
    """(x·scale - mean)/std: the remedy is another scale, not other values divided by 255."""
    warning = check(evidence(dataset(IMAGES, LABELS, NORMALIZED), ONE.model))
    assert warning.endswith("; give --scale 1/255")


def test_a_net_without_biases_cannot_be_wrong(rng):
    w = rng.standard_normal((3 * 16 * 16, 4)).astype(np.float32)
    model = parse("(float[N,3,16,16] x) => (float[N,4] y) { f = Flatten (x) y = MatMul (f, w) }", w=w)
    for preprocessing in (SCALED, Preprocessing()):
        assert check(evidence(dataset(IMAGES, LABELS, preprocessing), model)) is None


@pytest.mark.parametrize("seed", range(5))
def test_a_net_that_was_never_trained_says_nothing(seed):
    rng = np.random.default_rng(seed)
    w, b = rng.standard_normal((768, 4)).astype(np.float32), rng.standard_normal(4).astype(np.float32)
    model = parse("(float[N,3,16,16] x) => (float[N,4] y) { f = Flatten (x) y = Gemm (f, w, b) }", w=w, b=b)
    for preprocessing in (SCALED, Preprocessing()):
        for labelled in (True, False):
            data = dataset(IMAGES, rng.permutation(LABELS), preprocessing)
            assert check(evidence(data, model, labelled=labelled)) is None


def test_no_net_no_warning():
    assert check(evidence(dataset(IMAGES, LABELS, Preprocessing()), None)) is None
