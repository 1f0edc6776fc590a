"""What the page shows of samples: the busiest neurons, classes, and pictures as they were."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx
import pytest

import onnx2snn
from onnx2snn.analysis.evaluation import Reference
from onnx2snn.data.preprocessing import UNCHANGED, Preprocessing
from onnx2snn.data.readers import InputSpec, dataset_from_arrays
from onnx2snn.engine.engines import make_engine
from onnx2snn.errors import DataError, ModelError
from onnx2snn.runtime.session import SpikingSession
from onnx2snn.web import samples as module
from onnx2snn.web.samples import (
    Observed,
    batch_size,
    describe_drawing,
    describe_image,
    describe_layers,
    describe_samples,
    observe,
)
from onnx2snn.web.stepping import take_steps
from tests.helpers import normal, parse

DENSE = "(float[{batch},{n}] x) => (float[{batch},3] y) {{ r = Relu(x) y = Gemm(r, v) }}"


def session_of(rng, n=6, batch="N", **options) -> SpikingSession:
    """A network of n neurons, the later ones the busier."""
    net = parse(DENSE.format(batch=batch, n=n), **normal(rng, v=(n, 3)))
    return SpikingSession(
        onnx2snn.compile(net, inputs(rng, n, 6), granularity="layer", **{"code": "burst", **options}).model
    )


def inputs(rng, n, count):
    return rng.uniform(0.5, 1, (count, n)).astype(np.float32) * np.linspace(0, 1, n, dtype=np.float32)


def spec(shape, dtype="f4"):
    return InputSpec("x", np.dtype(dtype), (None, *shape[1:]))


def image_of(array, preprocessing=UNCHANGED):
    return describe_image(
        dataset_from_arrays(array, [spec(array.shape, array.dtype)], preprocessing), {"x": array}
    )


def test_rows_are_the_busiest_neurons(rng):
    """Of 400 neurons 32, in order of their spikes."""
    session, x = session_of(rng, 400), inputs(rng, 400, 4)
    found = observe(session, dataset_from_arrays(x, session.inputs))
    (counts,) = (sent.astype(int).sum(axis=(0, 1)) for sent in session.run(x, record=True).spikes.values())
    assert found.neurons == [400]
    (rows,) = found.rows
    assert len(rows) == 32
    assert counts[rows].tolist() == np.sort(counts)[::-1][:32].tolist()
    assert found.classes == 3
    np.testing.assert_array_equal(found.inputs["x"], x)


def test_neurons_that_are_as_busy_keep_their_order(rng):
    session = session_of(rng)
    silent = np.zeros((2, 6), np.float32)
    assert observe(session, dataset_from_arrays(silent, session.inputs)).rows == [[0, 1, 2, 3, 4, 5]]


@pytest.mark.parametrize(("most", "expected"), [(100, 32), (10, 10), (1, 4)])
def test_every_layer_has_a_few_rows(rng, monkeypatch, most, expected):
    monkeypatch.setattr(module, "_ROWS", most)
    session = session_of(rng, 40)
    (rows,) = observe(session, dataset_from_arrays(inputs(rng, 40, 1), session.inputs)).rows
    assert len(rows) == expected


def test_a_fixed_batch_counts_each_sample_once(rng):
    session = session_of(rng, batch="3")
    assert batch_size(session) == 3
    assert batch_size(session_of(rng)) == 1
    x = inputs(rng, 6, 2)
    done: list[int] = []
    found = observe(session, dataset_from_arrays(x, session.inputs), None, done.append)
    assert done == [1, 2]
    assert found.neurons == [6]
    np.testing.assert_array_equal(found.inputs["x"], x)


def test_more_samples_than_a_page_should_hold(rng, monkeypatch):
    monkeypatch.setattr(module, "_LARGEST", 3 * 6 * 4)
    session = session_of(rng)
    observe(session, dataset_from_arrays(inputs(rng, 6, 3), session.inputs))
    with pytest.raises(DataError) as refused:
        observe(session, dataset_from_arrays(inputs(rng, 6, 4), session.inputs))
    assert str(refused.value) == (
        "--samples: expected at most 3 samples of this size in a page, found 4; give a smaller number"
    )


def test_an_ann_of_another_output(rng, tmp_path):
    session = session_of(rng)
    source = tmp_path / "other.onnx"
    onnx.save(parse("(float[N,6] x) => (float[N,6] y) { y = Relu(x) }"), source)
    other = Reference(str(source), make_engine(onnx.load(source)), {"x": "x"}, "y")
    with pytest.raises(ModelError, match=r"output 'y': expected shape \[1, 3\] as in the spiking network"):
        observe(session, dataset_from_arrays(inputs(rng, 6, 1), session.inputs), other)


def test_labels_past_the_classes(rng):
    session = session_of(rng)
    dataset = dataset_from_arrays(inputs(rng, 6, 1), session.inputs, labels=np.array([3]))
    with pytest.raises(DataError, match="labels: expected classes 0 to 2, those of output 'y', found 3"):
        observe(session, dataset)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"timesteps": 2, "max_spikes": 3}, {"operator": "BurstIF", "most": 3, "code": None}),
        ({"timesteps": 2, "max_spikes": 3, "schedule": "layer"}, {"most": 3, "code": "burst", "levels": 6}),
        ({"timesteps": 4, "schedule": "layer", "code": "radix"}, {"most": 1, "code": "radix", "levels": 15}),
    ],
)
def test_layers_as_the_page_reads_them(rng, options, expected):
    session = session_of(rng, **options)
    observed = Observed({}, [6], [[5, 4]], 3)
    (layer,) = describe_layers(session.artifact, observed, take_steps(session.artifact).spikes)
    assert layer["name"] == session.neurons[0]
    assert (layer["neurons"], layer["rows"]) == (6, [5, 4])
    assert layer["spikes"] == take_steps(session.artifact).spikes[0]
    assert expected.items() <= layer.items()


@pytest.mark.parametrize(
    ("names", "classes", "expected"),
    [
        (("a", "b"), 4, ["a", "b", "2", "3"]),
        (("a", "b", "c"), 2, ["a", "b"]),
        (None, 2, ["0", "1"]),
        (None, 0, None),
        (("a",), 0, None),
    ],
)
def test_every_class_has_a_name(names, classes, expected):
    x = np.zeros((2, 5), np.float32)
    dataset = replace(dataset_from_arrays(x, [spec(x.shape)], labels=np.array([1, 0])), label_names=names)
    found = describe_samples(dataset, Observed({"x": x}, [], [], classes))
    assert found["classes"] == expected
    assert found["names"] == list(names or ())
    assert (found["labels"], found["samples"], found["image"]) == ([1, 0], 2, None)


def test_data_without_labels():
    x = np.zeros((2, 5), np.float32)
    found = describe_samples(dataset_from_arrays(x, [spec(x.shape)]), Observed({"x": x}, [], [], 2))
    assert found["labels"] is None


def test_colours_are_those_before_the_preprocessing():
    """Channels last, normalised each by its own mean and std."""
    colours = np.array([[0, 0.25, 0.5], [1, 0.75, 0]]).reshape(1, 1, 2, 3)
    preprocessing = Preprocessing(scale=1, mean=(0.5, 0.1, 0.2), std=(2, 3, 4), layout="NHWC")
    values = ((colours - preprocessing.mean) / preprocessing.std).astype(np.float32)
    image = image_of(values, preprocessing)
    assert image["layout"] == "NHWC"
    assert (image["height"], image["width"], image["channels"]) == (1, 2, 3)
    restored = values * image["std"] + image["mean"]
    np.testing.assert_allclose(restored, colours, atol=1e-6)
    assert (image["low"], image["high"]) == pytest.approx((0, 1), abs=1e-6)
    assert image["drawing"] is None


def test_a_picture_with_channels_first():
    array = np.arange(2 * 3 * 4 * 5, dtype=np.float32).reshape(2, 3, 4, 5)
    image = image_of(array)
    assert (image["layout"], image["height"], image["width"], image["channels"]) == ("NCHW", 4, 5, 3)
    assert (image["mean"], image["std"]) == ([0, 0, 0], [1, 1, 1])
    assert (image["low"], image["high"]) == (0, 119)


@pytest.mark.parametrize("shape", [(2, 2, 8, 8), (2, 8), (2, 3, 8)])
def test_what_is_no_picture(shape):
    assert image_of(np.ones(shape, np.float32)) is None


def test_two_inputs_are_no_picture():
    array = np.ones((1, 1, 4, 4), np.float32)
    dataset = dataset_from_arrays(array, [spec(array.shape)])
    assert describe_image(dataset, {"x": array, "z": array}) is None


@pytest.mark.parametrize(
    ("shape", "dtype", "drawn"),
    [
        ((2, 1, 64, 64), "f4", True),
        ((2, 1, 8, 65), "f4", False),
        ((2, 1, 65, 8), "f4", False),
        ((2, 3, 8, 8), "f4", False),
        ((2, 1, 8, 8), "i8", False),
    ],
)
def test_what_a_user_may_draw(shape, dtype, drawn):
    image = image_of(np.arange(np.prod(shape)).reshape(shape).astype(dtype))
    assert (image["drawing"] is not None) == drawn


@pytest.mark.parametrize(("paper", "ink"), [(0.9, 0.1), (0.0, 1.0)])
def test_where_ink_is(paper, ink):
    """4 pixels high and 1 wide, in the left half."""
    pictures = np.full((2, 8, 8), paper, np.float32)
    pictures[:, 2:6, 1] = ink
    found = describe_drawing(pictures)
    assert found == pytest.approx({"paper": paper, "ink": ink, "x": 1.5 / 8, "y": 0.5, "size": 0.5})


def test_faint_pixels_and_empty_pictures_are_no_ink():
    pictures = np.zeros((3, 8, 4), np.float32)
    pictures[0, 0, 0] = 1
    pictures[0, 7, 3] = 0.25
    pictures[1, 4, 1:3] = 0.26
    found = describe_drawing(pictures)
    expected = {"x": (0.5 / 4 + 2 / 4) / 2, "y": (0.5 / 8 + 4.5 / 8) / 2, "size": (1 / 8 + 2 / 8) / 2}
    assert found == pytest.approx({"paper": 0, "ink": 1, **expected})


def test_one_value_has_no_ink():
    assert describe_drawing(np.ones((2, 8, 8))) is None


@pytest.mark.parametrize("schedule", ["stream", "layer"])
def test_graded_spikes_count_once_whatever_their_size(rng, schedule):
    """Of 400 neurons the 32 with the most spikes, not with the largest ones."""
    session, x = session_of(rng, 400, code="graded", schedule=schedule, exponents=5), inputs(rng, 400, 4)
    found = observe(session, dataset_from_arrays(x, session.inputs))
    (spikes,) = session.run(x, record=True).spikes.values()
    counts = np.count_nonzero(spikes, axis=(0, 1))
    assert found.rows == [np.argsort(-counts, kind="stable")[:32].tolist()]
    (layer,) = describe_layers(session.artifact, found, take_steps(session.artifact).spikes)
    assert (layer["most"], layer["sizes"]) == (1, 5)
