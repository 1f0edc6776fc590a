"""How good answers are: of the only output with some, of the one that is named, or of all jointly."""

from __future__ import annotations

import numpy as np
import pytest

import onnx2snn
from onnx2snn.compiler.quality import Quality
from onnx2snn.data.readers import dataset_from_arrays
from onnx2snn.errors import OptionError
from tests import outputs_zoo as zoo
from tests.helpers import run

DATA = zoo.samples()


def quality(name, measure="auto", *, labels=None, **options):
    model = zoo.model(name)
    compiled = onnx2snn.compile(model, DATA["images"], timesteps=2, **options)
    session = onnx2snn.SpikingSession(compiled.model)
    dataset = dataset_from_arrays(DATA["images"], session.inputs, labels=labels)
    return Quality(model, measure, dataset, session, 8), session, model


def test_all_outputs_jointly():
    found, session, model = quality("two scores")
    assert found.measure == "error"
    outputs = session.run(DATA["images"]).outputs
    expected = dict(zip(("y", "z"), run(model, {"x": DATA["images"]}), strict=True))
    errors = [np.linalg.norm(outputs[n] - expected[n]) / np.linalg.norm(expected[n]) for n in ("y", "z")]
    assert found.of(session) == pytest.approx(-100 * np.sqrt(np.mean(np.square(errors))), rel=1e-4)


@pytest.mark.parametrize(
    ("name", "answer"), [("scores and a loss", None), ("two scores", "z"), ("class alone", None)]
)
def test_the_answers_of_one_output(name, answer):
    found, session, model = quality(name, answer=answer)
    judged = session.artifact.outputs[0]
    expected = dict(zip([o.name for o in model.graph.output], run(model, {"x": DATA["images"]}), strict=True))
    mine, theirs = (
        values if values.ndim == 1 else values.argmax(axis=1)
        for values in (session.run(DATA["images"]).outputs[judged], expected[judged])
    )
    assert found.measure == "agreement"
    assert found.of(session) == pytest.approx(100 * (mine == theirs).mean())
    labelled, session, _ = quality(name, answer=answer, labels=DATA["labels"])
    assert labelled.measure == "accuracy"
    assert labelled.of(session) == pytest.approx(100 * (mine == DATA["labels"]).mean())


def test_a_measure_that_outputs_do_not_give():
    with pytest.raises(OptionError, match="found them in y, z; name one with --answer, or leave it out"):
        quality("two scores", "agreement")
    with pytest.raises(OptionError, match="found output 't' of another shape; leave it out for the relative"):
        quality("time-major", "agreement")
