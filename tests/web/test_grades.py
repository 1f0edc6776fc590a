"""Graded spikes as the page gets them, by hand: of every size and either sign, and of a dead channel."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest

import onnx2snn
from onnx2snn.artifact.artifact import Artifact, take_apart
from onnx2snn.web.grades import add_grades
from tests.artifact.flat import flat
from tests.helpers import parse

ZONE = float(np.nextafter(np.float32(0.75 / 8), np.float32(0)))  # of four sizes
REACH = np.float32([1, 2, 0])
TARGETS = np.float32([[1, 3, 0.5], [-0.5, 0.25, -1], [0.09, -2.1, 0]])


def grades(artifact: Artifact, values: dict[str, np.ndarray]) -> np.ndarray:
    (cell,) = artifact.neurons
    add_grades(artifact.step, artifact, cell, "sent")
    artifact.step.graph.output.append(onnx.helper.make_empty_tensor_value_info("sent"))
    session = onnxruntime.InferenceSession(
        artifact.step.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    names = [item.name for item in session.get_inputs()]
    return session.run(["sent"], {name: values[name] for name in names})[0]


def test_a_run_is_unrolled():
    neuron = f"y = onnx2snn.GradedFire2<exponents=4, dead_zone={ZONE}>(x, r)"
    artifact = flat(f"(float[N,3] x) => (float[N,3] y) {{ {neuron} }}", timesteps=2, r=REACH)
    found = grades(artifact, {"x": TARGETS})
    assert found.dtype == np.int32
    assert np.moveaxis(found, 1, 0).tolist() == [
        [[4, 4, 0], [-3, 1, 0], [0, -4, 0]],
        [[0, 3, 0], [0, 0, 0], [0, 0, 0]],
    ]


def test_a_timestep_is_what_has_changed():
    model = parse("(float[N,3] x) => (float[N,3] y) { r = Relu(x) y = MatMul(r, w) }", w=np.eye(3, dtype="f"))
    options = {"code": "graded", "exponents": 4, "threshold": "max", "granularity": "layer"}
    compiled = onnx2snn.compile(model, np.float32([[1, 1, 1]] * 4), correct_bias=False, **options)
    artifact = take_apart(compiled.model)
    (cell,) = artifact.neurons
    assert float(artifact.threshold(cell).ravel()[0]) == pytest.approx(1, rel=0.1)
    reach = float(artifact.threshold(cell).ravel()[0])
    state = {value.before: value.initial for value in artifact.carried}
    state[cell.input[1]] = np.float32([[0, 1, 0.5]]) * reach
    state[cell.input[2]] = np.float32([[9]])  # long past its coarse beginning
    values = {**state, cell.input[0]: np.float32([[0.26, 0, 0.5]]) * reach, "x": np.zeros((1, 3), np.float32)}
    assert grades(artifact, values).tolist() == [[2, -4, 0]]
