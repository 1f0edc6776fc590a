"""The ANN as it was prepared: which activations stand behind neurons, what enters and leaves them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx
import pytest

import onnx2snn
from onnx2snn.analysis.diagnosis.reference import PreparedReference
from onnx2snn.artifact.records import Metadata
from onnx2snn.errors import ModelError
from tests.helpers import parse, run

TEXT = """(float[N,2] x) => (float[N,2] y) {
    [r] r = Relu(x) a = MatMul(r, w) [c] c = Clip(a, zero, one) [l] l = LeakyRelu<alpha=0.25>(a)
    s = Add(c, l) y = MatMul(s, w) }"""
WEIGHTS = {"w": np.float32([[1, -1], [0, 2]]), "zero": np.float32(0), "one": np.float32(1)}
X = np.float32([[0.5, 0.25], [1, 2], [-1, 1]])


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    """The net's file, the network, and the prepared ANN."""
    path = tmp_path_factory.mktemp("reference") / "ann.onnx"
    onnx.save(parse(TEXT, **WEIGHTS), path)
    session = onnx2snn.SpikingSession(onnx2snn.compile(path, X, code="burst").model)
    return path, session, PreparedReference(path, session)


def test_activations_are_those_of_the_neurons(opened):
    _, session, reference = opened
    assert set(session.neurons) == set(reference.kinds) == {"r", "c", "l"}
    assert reference.kinds["r"].ceiling == np.inf
    assert reference.kinds["r"].slope is None
    assert reference.kinds["c"].ceiling == 1
    assert reference.kinds["l"].slope == np.float32(0.25)
    assert set(reference.axes.values()) == {1}


def test_what_enters_and_leaves_an_activation(opened):
    *_, reference = opened
    seen = reference.run({"x": X})
    rectified = np.maximum(X, 0)
    current = rectified @ WEIGHTS["w"]
    np.testing.assert_array_equal(seen.before["r"], X)
    np.testing.assert_array_equal(seen.after["r"], rectified)
    for name, after in {
        "c": np.clip(current, 0, 1),
        "l": np.where(current < 0, current / 4, current),
    }.items():
        np.testing.assert_array_equal(seen.before[name], current)
        np.testing.assert_array_equal(seen.after[name], after)
    np.testing.assert_array_equal(seen.outputs["y"], run(parse(TEXT, **WEIGHTS), {"x": X})[0])
    assert list(seen.outputs) == ["y"]


def test_the_outputs_where_one_activation_is_another(opened):
    *_, reference = opened
    other = np.arange(6, dtype=np.float64).reshape(3, 2)
    current = np.maximum(X, 0) @ WEIGHTS["w"]
    expected = (other + np.where(current < 0, current / 4, current)) @ WEIGHTS["w"]
    for _ in range(2):  # the second time what is behind it is there already
        np.testing.assert_array_equal(reference.outputs_with("c", other, {"x": X})["y"], expected)
    changed = reference.outputs_with("r", np.zeros((3, 2)), {"x": X})["y"]
    np.testing.assert_array_equal(changed, np.zeros((3, 2)))


def test_a_large_net_keeps_no_parts(opened, monkeypatch):
    path, session, _ = opened
    monkeypatch.setattr("onnx2snn.analysis.diagnosis.reference._MEMORY", 3 * path.stat().st_size - 1)
    reference = PreparedReference(path, session, threads=1)
    for value in (0, 1):
        after = np.full((3, 2), value)
        np.testing.assert_array_equal(
            reference.outputs_with("r", after, {"x": X})["y"], run(_behind(), {"r": np.float32(after)})[0]
        )


def _behind() -> onnx.ModelProto:
    text = TEXT.replace("[r] r = Relu(x)", "").replace("x)", "r)", 1)
    return parse(text, **WEIGHTS)


def test_what_the_compiler_put_in_is_left_out(tmp_path):
    text = (
        "(float[N,2] x) => (float[N,2] y) { [r] r = Relu(x) a = MatMul(r, w) g = Gelu(a) y = MatMul(g, w) }"
    )
    model = parse(text, w=WEIGHTS["w"])
    onnx.save(model, tmp_path / "ann.onnx")
    session = onnx2snn.SpikingSession(onnx2snn.compile(model, X, approximate="relu-sum").model)
    reference = PreparedReference(tmp_path / "ann.onnx", session)
    assert len(session.neurons) > 1
    assert list(reference.kinds) == ["r"]


def test_another_ann_is_refused(opened, tmp_path):
    _, session, _ = opened
    onnx.save(parse(TEXT, **WEIGHTS | {"one": np.float32(2)}), tmp_path / "other.onnx")
    with pytest.raises(ModelError, match=r"other\.onnx: expected the ANN that the network was compiled from"):
        PreparedReference(tmp_path / "other.onnx", session)


def test_an_ann_of_other_names_is_refused(tmp_path):
    other = parse(TEXT, **WEIGHTS)
    for node in other.graph.node:
        node.name = f"other_{node.output[0]}"
    onnx.save(other, tmp_path / "other.onnx")
    unsigned = onnx2snn.SpikingSession(onnx2snn.compile(parse(TEXT, **WEIGHTS), X, code="burst").model)
    unsigned.artifact = replace(unsigned.artifact, record=Metadata())
    with pytest.raises(ModelError) as caught:
        PreparedReference(tmp_path / "other.onnx", unsigned)
    assert str(caught.value) == (
        f"{tmp_path}/other.onnx: expected the activations that became r, c, l …, found none of these names; "
        "compile the network again with this version"
    )


def test_graded_neurons_stand_behind_activations(tmp_path):
    text = """(float[N,2] x) => (float[N,2] y) {
        [r] r = Relu(x) a = MatMul(r, w) s = Sigmoid(a) [t] t = Mul(a, s)
        l = MatMul(t, w) y = MatMul(l, w) }"""
    onnx.save(parse(text, w=WEIGHTS["w"]), tmp_path / "ann.onnx")
    session = onnx2snn.SpikingSession(onnx2snn.compile(tmp_path / "ann.onnx", X, code="graded").model)
    reference = PreparedReference(tmp_path / "ann.onnx", session)
    assert list(reference.kinds) == list(session.neurons) == ["r/neuron", "t/neuron", "l/neuron"]
    seen = reference.run({"x": X})
    a = np.maximum(X, 0) @ WEIGHTS["w"]
    t = a / (1 + np.exp(-a))
    for name, value in {"r": np.maximum(X, 0), "t": t, "l": t @ WEIGHTS["w"]}.items():
        np.testing.assert_allclose(seen.before[f"{name}/neuron"], value, rtol=1e-5, atol=1e-6)
        np.testing.assert_array_equal(seen.after[f"{name}/neuron"], seen.before[f"{name}/neuron"])
        np.testing.assert_array_equal(reference.kinds[f"{name}/neuron"](value), value)
    other = np.ones((3, 2), np.float32)
    outputs = reference.outputs_with("t/neuron", other, {"x": X})["y"]
    np.testing.assert_allclose(outputs, other @ WEIGHTS["w"] @ WEIGHTS["w"])
