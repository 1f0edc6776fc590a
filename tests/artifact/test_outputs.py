"""What outputs hold: rows of samples, scores, whole numbers; and which one is the answer."""

from __future__ import annotations

import numpy as np
import pytest

import onnx2snn
from onnx2snn.artifact.artifact import take_apart
from onnx2snn.artifact.layouts import TOGETHER
from onnx2snn.artifact.outputs import OutputSpec, choose_answer, find_answer, output_specs
from onnx2snn.errors import OptionError
from tests import outputs_zoo as zoo


def spec(shape=(None, 4), layout=0, batch=None, dtype=np.float32):
    return OutputSpec("y", np.dtype(dtype), shape, layout, batch)


@pytest.mark.parametrize(
    ("given", "shape", "samples", "rows"),
    [
        (spec(), (3, 4), 3, True),
        (spec(), (6, 4), 3, False),
        (spec(layout=TOGETHER), (3, 4), 3, True),
        (spec(layout=TOGETHER), (6, 4), 3, False),
        (spec((2, None, 4), 1), (2, 2, 4), 2, False),  # time-major, as many samples as times
        (spec((1, 4), None), (1, 4), 1, False),  # a mean over a batch of one
        (spec((4, 4), None, 4), (4, 4), 4, True),
        (spec((2, 4), None, 4), (2, 4), 4, False),
        (spec(None, None), (3, 4), 3, True),  # nothing is known
        (spec((), None), (), 3, False),
    ],
)
def test_rows_of_samples(given, shape, samples, rows):
    assert given.has_rows(shape, samples) is rows


def test_answers_are_the_winner_or_a_whole_number():
    scores = np.float32([[1, 2, 0], [3, 3, 0]])
    assert spec((None, 3)).answers(scores, 2).tolist() == [1, 0]
    assert spec((None,), dtype=np.int64).answers(np.int64([5, 7]), 2).tolist() == [5, 7]
    assert spec((None, 1), dtype=np.int32).answers(np.int32([[5], [7]]), 2).tolist() == [5, 7]
    for other, values in (
        (spec((None, 1)), scores[:, :1]),
        (spec((None, 3), dtype=np.int64), scores.astype(np.int64)),
        (spec((None,)), scores[:, 0]),
        (spec((None, 3), layout=1), scores),
    ):
        assert other.answers(values, 2) is None


def test_the_first_samples_of_a_batch():
    values = np.arange(12)
    assert spec().first(values.reshape(4, 3), 2, 4).tolist() == [[0, 1, 2], [3, 4, 5]]
    assert spec(layout=TOGETHER).first(values, 1, 4).tolist() == [0, 1, 2]
    assert spec((2, None, 3), 1).first(values.reshape(2, 2, 3), 1, 2).tolist() == [[[0, 1, 2]], [[6, 7, 8]]]
    assert spec((1, 12), None).first(values.reshape(1, 12), 1, 4).shape == (1, 12)
    assert spec((), None).first(np.float32(3), 1, 4) == 3


def test_the_only_answer_among_outputs():
    specs = {"y": spec(), "k": spec((None,), dtype=np.int64), "m": spec((None, 2, 2))}
    y, k, m = np.ones((2, 4)), np.int64([0, 1]), np.ones((2, 2, 2))
    assert find_answer(specs, {"y": y, "k": k, "m": m}, 2) == "y"
    without = {"k": specs["k"], "m": specs["m"]}
    assert find_answer(without, {"k": k, "m": m}, 2) == "k"
    assert find_answer({"y": spec(), "z": spec()}, {"y": y, "z": y}, 2) is None


ANSWERS = {
    "scores and a map": ("y", {"y": 0, "map": 0}),
    "two scores": ("y", {"y": 0, "z": 0}),
    "hidden layers": ("r", {"r": 0, "s": 0, "y": 0}),
    "scores and their class": ("y", {"k": 0, "y": 0}),
    "class alone": ("k", {"k": 0}),
    "time-major": ("t", {"t": 1}),
    "detections": ("d", {"d": TOGETHER}),
    "stacked heads": ("d", {"d": None}),
    "mean of the batch": ("mean", {"mean": None}),
    "scores and a loss": ("y", {"y": 0, "l": None}),
}


@pytest.mark.parametrize("name", ANSWERS)
@pytest.mark.parametrize("schedule", ["stream", "layer"])
def test_outputs_of_a_compiled_network(name, schedule):
    compiled = onnx2snn.compile(zoo.model(name), zoo.samples()["images"], timesteps=2, schedule=schedule)
    artifact = choose_answer(take_apart(compiled.model))
    answer, layouts = ANSWERS[name]
    assert artifact.outputs[0] == answer
    assert {name: found.layout for name, found in output_specs(artifact).items()} == layouts


def test_an_answer_that_somebody_names():
    x = zoo.samples()["images"]
    model = onnx2snn.compile(zoo.model("two scores"), x, timesteps=2, answer="z").model
    assert onnx2snn.SpikingSession(model).artifact.outputs == ("z", "y")
    session = onnx2snn.SpikingSession(model, answer="y")
    assert session.artifact.outputs == tuple(session.run(x).outputs) == ("y", "z")
    message = "--answer: expected one of the outputs y, z, found 'q'; give one of these"
    with pytest.raises(OptionError, match=message):
        onnx2snn.SpikingSession(model, answer="q")
    with pytest.raises(OptionError, match=message):
        onnx2snn.compile(zoo.model("two scores"), x, answer="q")
