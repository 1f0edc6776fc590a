"""An artifact taken apart: what runs before its neurons, at each timestep, and after them."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from onnx2snn.artifact.artifact import (
    Carried,
    final_name,
    input_specs,
    is_artifact,
    take_apart,
    zero_state,
)
from onnx2snn.emit.metadata import add_metadata
from onnx2snn.errors import ModelError
from tests.artifact.flat import flat
from tests.helpers import parse
from tests.runtime.tiny import tiny


def ops(model):
    return [node.op_type for node in model.graph.node]


@pytest.fixture(scope="module")
def stream():
    return tiny()


def test_the_parts_of_a_loop(stream):
    assert (stream.schedule, stream.timesteps) == ("stream", 4)
    assert ops(stream.prefix) == ["MatMul"]
    assert ops(stream.step) == ["BurstIF", "Add"]
    assert ops(stream.head)[-1] == "MatMul"
    assert [value.before for value in stream.carried] == ["onnx2snn/r/potential/in", "onnx2snn/r/sum/in"]
    assert [value.initial.item() for value in stream.carried] == [0.5, 0.0]
    assert [cell.name for cell in stream.neurons] == ["r"]
    for part in (stream.prefix, stream.step, stream.head):
        onnx.checker.check_model(part)


def test_the_parts_of_a_flat_graph():
    artifact = flat(
        """(float[N,2] x) => (float[N,2] y, float[N,2] r) {
        p = Neg(x) r = onnx2snn.AccumulateFire<levels=4>(p, theta) q = Neg(r) y = Add(q, p) }""",
        theta=np.float32([3, 5]),
        timesteps=7,
    )
    assert (artifact.schedule, artifact.timesteps) == ("layer", 7)
    assert ops(artifact.prefix) == ["Neg"]
    assert ops(artifact.step) == ["AccumulateFire"]
    assert ops(artifact.head) == ["Neg", "Add", "Identity"]
    assert [(value.before, value.after) for value in artifact.carried] == [("onnx2snn/r/in", "r")]
    assert artifact.threshold(artifact.neurons[0]).tolist() == [3, 5]
    assert artifact.outputs == ("y", "r")


def test_a_pool_of_spikes_is_a_cell_but_no_neuron():
    artifact = flat(
        """(float[N,1,2,2] x) => (float[N,1,1,1] y, float[N,1,1,1] z) {
        r = onnx2snn.AccumulateFire<levels=4>(x, theta) y = MaxPool<kernel_shape=[2,2]>(r)
        z = MaxPool<kernel_shape=[2,2]>(x) }""",
        theta=np.float32(1),
    )
    assert [cell.name for cell in artifact.cells] == ["r", "y"]
    assert [cell.name for cell in artifact.spiking] == ["r", "y"]
    assert [cell.name for cell in artifact.neurons] == ["r"]


def test_whose_spikes_a_pool_passes_on():
    artifact = flat(
        """(float[N,1,2,2] x) => (float[N,1,1,1] y) {
        r = onnx2snn.AccumulateFire<levels=4>(x, theta) s = onnx2snn.AccumulateFire<levels=4>(r, theta)
        a = Mul(s, theta) y = MaxPool<kernel_shape=[2,2]>(a) }""",
        theta=np.float32(1),
    )
    assert [artifact.sources(cell) for cell in artifact.spiking] == [["r"], ["s"], ["s"]]


def test_parameters_are_those_of_a_neuron_with_its_threshold_last():
    artifact = flat(
        "(float[N,2] x) => (float[N,2] y) { y = onnx2snn.LeakyAccumulateFire<levels=4>(x, slope, theta) }",
        slope=np.float32([0.25, 0.5]),
        theta=np.float32(2),
    )
    (neuron,) = artifact.neurons
    assert [value.tolist() for value in artifact.parameters(neuron)] == [[0.25, 0.5], 2.0]


@pytest.mark.parametrize(("last", "yes"), [("Softmax", True), ("Sigmoid", False)])
def test_probabilities_come_from_a_softmax(last, yes):
    text = f"(float[N,2] x) => (float[N,2] y) {{ r = onnx2snn.AccumulateFire<levels=4>(x, t) y = {last}(r) }}"
    assert flat(text, t=np.float32(1)).gives_probabilities is yes


def test_a_model_without_neurons_is_refused():
    plain = parse("(float[N] x) => (float[N] y) { y = Relu(x) }")
    assert not is_artifact(plain)
    with pytest.raises(ModelError) as caught:
        take_apart(plain, "net.onnx")
    assert str(caught.value) == (
        "net.onnx: expected an .snn.onnx file written by `onnx2snn compile`, "
        "found a model without its neurons; compile the model first"
    )


def test_a_neuron_with_a_state_is_none_outside_a_loop(stream):
    assert is_artifact(stream.model)
    assert not is_artifact(parse("(float[N] x) => (float[N] y) { y = onnx2snn.BurstIF(x, x, x) }"))


def test_damaged_metadata_is_named():
    model = parse(
        "(float[N] x) => (float[N] y) { y = onnx2snn.AccumulateFire<levels=4>(x, t) }", t=np.float32(1)
    )
    add_metadata(model, {"options": {"timesteps": 4}})
    model.metadata_props[0].value = "{" * 60
    with pytest.raises(ModelError) as caught:
        take_apart(model)
    assert str(caught.value) == (
        f"metadata 'onnx2snn.options': expected JSON, found '{'{' * 40}'; compile again"
    )


def test_inputs_have_names_types_and_known_dimensions():
    model = parse("(float[N,3] x, int64 n, float[2] w) => (float[N,3] y) { y = Relu(x) }", w=np.ones(2, "f"))
    assert [(spec.name, spec.dtype, spec.shape) for spec in input_specs(model)] == [
        ("x", np.float32, (None, 3)),
        ("n", np.int64, ()),
    ]
    model.graph.input[0].type.tensor_type.ClearField("shape")
    with pytest.raises(ModelError) as caught:
        input_specs(model)
    assert str(caught.value) == (
        "input 'x': expected a tensor of known rank, found none; export it with a shape"
    )


def test_carried_values_are_read_at_first_and_in_the_end():
    values = [Carried("r/sum/in", "r/sum/out", np.float32(3))]
    assert zero_state(values) == {"r/sum/in": np.float32(3)}
    assert final_name(values[0]) == "r/sum/final"
