"""Steps with neurons that are listened to, told or exact: what they read, carry and give."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from onnx2snn.artifact.probe_graphs import (
    SHIFT,
    ExactNeuron,
    after,
    before,
    dtype_of,
    find_tail,
    holds_half,
    recording,
    showing,
    taught,
)
from onnx2snn.engine.engines import OnnxruntimeEngine
from onnx2snn.graph.rectifiers import Rectifier
from tests.artifact.flat import flat
from tests.runtime.tiny import tiny

TWO = """(float[N,2] x) => (float[N,2] y) {
    r = onnx2snn.AccumulateFire<levels=4, potential=0.5>(x, theta) v = Sub(r, x)
    q = onnx2snn.AccumulateFire<levels=4, potential=0.5>(v, theta) y = Neg(q) }"""
PROBE = "onnx2snn/probe/r/"


@pytest.fixture(scope="module")
def two():
    return flat(TWO, theta=np.float32(1))


def names(items):
    return {item.name for item in items}


def test_names_of_probes_are_apart_from_a_user_s(two):
    (r, _) = two.neurons
    assert before(r, "current") == "onnx2snn/probe/r/current/in"
    assert after(r, "current") == "onnx2snn/probe/r/current/out"
    assert dtype_of(two, r) == np.float32


def test_a_recording_adds_up_what_enters_and_leaves():
    artifact = tiny()
    model, carried = recording(artifact)
    assert len(carried) == len(artifact.carried) + 3
    state = {value.before: value.initial for value in carried}
    state[PROBE + "current/in"] = np.float32([[10, 10]])
    found = OnnxruntimeEngine(model).run({"c": np.float32([[0.25, 1]]), **state})
    assert found[PROBE + "current/out"].tolist() == [[10.25, 11]]
    assert found[PROBE + "sent/out"].tolist() == [[0, 1]]
    assert found[PROBE + "activity/out"].tolist() == [[0, 1]]
    assert "onnx2snn/probe/r/sent/in" not in names(artifact.step.graph.input)


def test_told_neurons_are_inputs_and_others_are_exact(two):
    stand_in = ExactNeuron("q", Rectifier(2.0), np.float32(4))
    model, carried = taught(two, ["r"], [stand_in])
    assert carried == ()
    assert names(model.graph.input) == {"x", "r"}
    found = OnnxruntimeEngine(model).run({"x": np.float32([[0, 1]]), "r": np.float32([[0.3, 9]])})
    assert found[PROBE + "current/out"].tolist() == [[0, 1]]
    np.testing.assert_allclose(found["onnx2snn/probe/q/current/out"], [[0.3, 8]])
    np.testing.assert_allclose(found["q"], [[0.3, 0.5]])


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (Rectifier(), [0, 0.5, 3]),
        (Rectifier(slope=np.float32(0.25)), [-0.5, 0.5, 3]),
        (Rectifier(2.0), [0, 0.5, 1]),
        (Rectifier(step=np.float32(0.5), levels=3), [0, 0.5, 0.75]),
    ],
)
def test_an_exact_neuron_is_its_activation_in_units_of_the_ann(two, kind, expected):
    model, _ = taught(two, ["r"], [ExactNeuron("q", kind, np.float32(2))])
    x = np.float32([[2, -0.5], [-3, 0]])
    found = OnnxruntimeEngine(model).run({"x": x, "r": np.zeros((2, 2), np.float32)})["q"]
    np.testing.assert_allclose(found, [[expected[0], expected[1]], [expected[2], 0]])


def test_a_tail_is_what_a_neuron_changes(two):
    first, last = (find_tail(two, ExactNeuron(name, Rectifier(), np.float32(1))) for name in ("r", "q"))
    assert [node.output[0] for node in first.nodes if not node.output[0].startswith("onnx2snn/")] == [
        *("r", "v", "q")
    ]
    assert [node.output[0] for node in last.nodes if not node.output[0].startswith("onnx2snn/")] == ["q"]
    assert last.reads == {"v"}
    assert [value.after for value in last.carried] == ["q"]


def test_a_tail_takes_a_shift_before_the_activation(two):
    tail = find_tail(two, ExactNeuron("q", Rectifier(), np.float32(1)))
    v, shift = np.float32([[1, -3]]), np.float32([[0.5, 1]])
    model, _ = tail.model({"v": v, SHIFT: shift})
    assert OnnxruntimeEngine(model).run({"v": v, SHIFT: shift})["q"].tolist() == [[1.5, 0]]


def test_a_step_shows_what_it_is_asked_for(two):
    model, carried = showing(two, {"v", "r"})
    assert [item.name for item in model.graph.output] == ["q", "r", "v"]
    assert carried is two.carried
    assert [item.name for item in two.step.graph.output] == ["q"]


@pytest.mark.parametrize(("potential", "half"), [(0.0, True), (0.5, False)])
def test_what_rounds_may_be_in_the_current(potential, half):
    node = onnx.helper.make_node("AccumulateFire", ["x", "t"], ["y"], domain="onnx2snn", potential=potential)
    assert holds_half(node) is half
    artifact = flat(TWO.replace("potential=0.5", f"potential={potential}"), theta=np.float32(1))
    model, _ = taught(artifact, ["r"], [ExactNeuron("q", Rectifier(), np.float32(1))])
    found = OnnxruntimeEngine(model).run({"x": np.zeros((1, 2), "f"), "r": np.float32([[2, 0.25]])})["q"]
    assert found.tolist() == ([[1.5, 0]] if half else [[2, 0.25]])
