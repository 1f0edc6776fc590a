"""What is lost of several outputs jointly, and of outputs whose rows are no samples."""

from __future__ import annotations

import pytest

import onnx2snn
from onnx2snn.aim import Aim
from onnx2snn.analysis.joint_loss import JointLoss
from onnx2snn.artifact.output_errors import OutputErrors
from onnx2snn.errors import OptionError
from tests import outputs_zoo as zoo
from tests.helpers import run

X = zoo.samples()["images"]


def opened(name, aim=None, **options):
    model = zoo.model(name)
    session = onnx2snn.SpikingSession(onnx2snn.compile(model, X, timesteps=2, **options).model)
    names = [output.name for output in model.graph.output]
    parts = [X[:12], X[12:]]
    expected = [dict(zip(names, run(model, {"x": part}), strict=True)) for part in parts]
    found = [session.run(part).outputs for part in parts]
    return JointLoss.over(session, expected[0], 12, aim or Aim(max_loss=1.0)), session, found, expected


@pytest.mark.parametrize("name", ["two scores", "hidden layers", "time-major", "mean of the batch", "mask"])
def test_the_loss_is_the_joint_error_in_percent(name):
    meter, session, found, expected = opened(name)
    errors = OutputErrors(session.outputs)
    pieces = []
    for mine, theirs, size in zip(found, expected, (12, 10), strict=True):
        errors.add(mine, theirs, size, size)
        meter.expect(meter.read(theirs, size, size))
        pieces += meter.read(mine, size, size)
    loss, spread = meter.loss(pieces)
    assert loss == pytest.approx(100 * errors.joint, rel=1e-6)
    assert 0 < spread < loss or loss == 0
    assert meter.changed(pieces) is None
    assert meter.measure == ("agreement" if name == "mask" else "error")
    assert len(pieces) == (2 if name in ("time-major", "mean of the batch") else 22)


def test_one_output_with_scores_needs_none():
    assert opened("scores and a map")[0] is None
    assert opened("two scores", answer="y")[0] is None


def test_a_measure_without_one_answer():
    with pytest.raises(OptionError, match=r"found none, or more, among y, z; name it with --answer"):
        opened("two scores", Aim(max_loss=1.0, loss_measure="agreement"))
