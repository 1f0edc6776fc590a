"""What is gathered: once, of a spread sample, and nothing where a net cannot tell."""

from __future__ import annotations

import numpy as np
import pytest

import onnx2snn
from onnx2snn.checks.evidence import (
    AS_IT_IS,
    Remedy,
    information_gain,
    labels_prefer,
    trials,
)
from onnx2snn.data.dataset import InputSpec
from onnx2snn.data.preprocessing import Preprocessing
from onnx2snn.data.readers import dataset_from_arrays
from tests.checks.pictures import dataset, evidence, fitted, pictures
from tests.helpers import parse

MODEL = fitted().model
IMAGES, LABELS = pictures(2, 160)
RAW = dataset(IMAGES, LABELS, Preprocessing())
SMALLER = Remedy("smaller", lambda samples: samples / np.float32(255))


def test_a_look_is_spread_over_all():
    known = evidence(dataset(IMAGES, np.arange(160)), None)
    assert known.labels(32).tolist() == list(range(0, 160, 5))
    assert known.sample.shape == (32, 3, 16, 16)


def test_answers_are_asked_once():
    known = evidence(RAW, MODEL)
    assert known.answers(AS_IT_IS, 32) is known.answers(AS_IT_IS, 32)
    np.testing.assert_allclose(np.exp(known.answers(AS_IT_IS, 32)).sum(axis=1), 1)


def test_probabilities_are_taken_as_they_are():
    model = parse("(float[N,2] x) => (float[N,2] y) { y = Softmax (x) }")
    data = dataset_from_arrays(
        np.zeros((4, 2), np.float32), [InputSpec("x", np.dtype(np.float32), (None, 2))]
    )
    np.testing.assert_allclose(np.exp(evidence(data, model).answers(AS_IT_IS, 32)), 0.5)


@pytest.mark.parametrize("body", ["y = ReduceSum <keepdims = 1> (x)", "y = ArgMax (x)"])
def test_no_scores_no_answers(body):
    kind = "int64" if "ArgMax" in body else "float"
    model = parse(f"(float[N,2] x) => ({kind}[M,K] y) {{ {body} }}")
    data = dataset_from_arrays(np.ones((4, 2), np.float32), [InputSpec("x", np.dtype(np.float32), (None, 2))])
    assert evidence(data, model).answers(AS_IT_IS, 32) is None


def test_a_net_that_cannot_be_run_says_nothing():
    model = parse("(float[N,2] x) => (float[N,3] y) { y = Reshape (x, s) }", s=np.int64([-1, 7]))
    data = dataset_from_arrays(np.ones((4, 2), np.float32), [InputSpec("x", np.dtype(np.float32), (None, 2))])
    assert evidence(data, model).answers(AS_IT_IS, 32) is None


def test_the_batchnorm_is_less_surprised_by_the_remedy():
    known = evidence(RAW, MODEL)
    assert known.surprise(AS_IT_IS) > 1000
    assert known.surprise(SMALLER) < 0.1
    assert evidence(RAW, None).surprise(AS_IT_IS) is None


def test_trials_end_with_the_data():
    counts = [trial.samples for trial in trials(evidence(RAW, MODEL), SMALLER)]
    assert counts == [32, 128, 160]
    assert list(trials(evidence(RAW, MODEL, labelled=False), SMALLER)) == []


def test_labels_prefer_what_mends():
    folded = fitted().folded
    trial = labels_prefer(evidence(RAW, folded), SMALLER)
    assert trial.right_with > trial.right
    assert labels_prefer(evidence(dataset(IMAGES, LABELS), folded), SMALLER) is None


def test_information_is_gained():
    before, after = information_gain(evidence(RAW, fitted().folded), SMALLER)
    assert after > before
    assert information_gain(evidence(RAW, None), SMALLER) is None


def test_an_input_is_described():
    found = evidence(dataset(IMAGES), None).describe("x")
    assert (found.samples, len(found.mean), found.greatest <= 1) == (32, 3, True)
    channels_last = dataset(IMAGES.transpose(0, 2, 3, 1), None, Preprocessing(scale=1 / 255, layout="NHWC"))
    assert evidence(channels_last, None).describe("x") == found


def test_large_samples_are_few():
    shape = (8, 3, 1024, 1024)
    data = dataset(np.broadcast_to(np.uint8(0), shape))
    assert evidence(data, None).looks == (5, 20, 80)
    assert evidence(RAW, None).looks == (32, 128, 512)


def test_many_channels_are_one(rng):
    spec = InputSpec("x", np.dtype(np.float32), (None, 65, 2))
    data = dataset_from_arrays(rng.random((4, 65, 2), np.float32), [spec])
    assert len(evidence(data, None).describe("x").mean) == 1


@pytest.mark.parametrize("shape", [(0,), (0, 5), (3, 0, 4)])
def test_samples_without_any_value_are_refused_in_the_same_line_as_ever(shape) -> None:
    sizes = ",".join(map(str, ("N", *shape)))
    net = parse(f"(float[{sizes}] x) => (float[{sizes}] y) {{ r = Relu(x) y = Identity(r) }}")
    with pytest.raises(onnx2snn.ModelError, match="expected activations, found none, as its shape is"):
        onnx2snn.compile(net, np.zeros((4, *shape), np.float32))
