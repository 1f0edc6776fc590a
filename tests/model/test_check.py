"""What a model must be before anything is done with it, else one line that says where and what to do."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from onnx2snn.errors import ModelError
from onnx2snn.model import check
from onnx2snn.model.check import check_model, check_structure
from tests.helpers import parse

TEXT = "(float[N,2] x) => (float[N,2] y) { [twice] a = MatMul(x, w) [cut] y = Clip(a, low, high) }"


def net(**constants):
    given = {"w": np.eye(2), "low": np.asarray(0), "high": np.asarray(6)} | constants
    return parse(TEXT, **{name: np.asarray(value, np.float32) for name, value in given.items()})


def message(model, check=check_model):
    with pytest.raises(ModelError) as caught:
        check(model, "net.onnx")
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("high", [6, np.inf])
def test_a_valid_model_stays_as_it_is(high):
    model = net(high=high)
    before = model.SerializeToString(deterministic=True)
    check_model(model, "net.onnx")
    assert model.SerializeToString(deterministic=True) == before


def test_no_nodes():
    assert message(onnx.ModelProto()) == (
        "net.onnx: expected an ONNX model, found no graph with nodes; export it again"
    )


def test_an_input_that_nobody_makes():
    model = net()
    model.graph.node[0].input[1] = "gone"
    assert message(model, check_structure) == (
        "net.onnx: node 'twice' (MatMul): expected 'gone' to be an input, an initializer or made by a node "
        "before it, found none; export again, or mend that place"
    )


def test_not_valid_for_onnx():
    model = net()
    model.graph.node[0].op_type = "Matmul"
    refusal = message(model, check_structure)
    assert refusal.startswith("net.onnx: node 'twice' (Matmul): not valid ONNX (No Op registered")
    assert refusal.endswith("); export it again, or mend that place")


def test_numbers_that_numpy_does_not_have():
    model = net()
    model.graph.initializer.append(helper.make_tensor("tiny", TensorProto.FLOAT8E4M3FN, [1], [1.0]))
    assert message(model) == (
        "net.onnx: constant 'tiny': expected numbers of a type that NumPy has, found float8e4m3fn; export "
        "the model in float32"
    )


def test_sparse_weights():
    model = net()
    model.graph.sparse_initializer.add()
    assert message(model, check_structure) == (
        "net.onnx: expected dense weights, found sparse initializers; export the model without them"
    )


@pytest.mark.parametrize("part", ["input", "output"])
def test_inputs_and_outputs_that_are_no_tensors(part):
    model = net()
    kind = helper.make_sequence_type_proto(helper.make_tensor_type_proto(TensorProto.FLOAT, [2]))
    getattr(model.graph, part).append(helper.make_value_info("many", kind))
    assert message(model, check_structure) == (
        "net.onnx: 'many': expected inputs and outputs that are tensors, found a sequence; export the model "
        "for tensors"
    )
    getattr(model.graph, part)[-1].ClearField("type")
    assert "found a nothing" in message(model, check_structure)


@pytest.mark.parametrize("part", ["input", "output", "value_info", "initializer"])
def test_element_types_that_are_none(part):
    model = net()
    if part == "initializer":
        model.graph.initializer[0].data_type = 77
    else:
        getattr(model.graph, part).append(helper.make_tensor_value_info("w", 77, [2, 2]))
    assert message(model, check_structure) == (
        "net.onnx: tensor 'w': expected an element type of ONNX, found number 77; export the model again"
    )


@pytest.mark.parametrize("value", [np.nan, -np.inf, [1.0, np.inf]])
@pytest.mark.parametrize("name", ["cut", ""])
def test_attributes_that_are_not_finite(value, name):
    model = net()
    model.graph.node[1].name = name
    model.graph.node[1].attribute.append(helper.make_attribute("slope", value))
    assert message(model, check_structure) == (
        f"net.onnx: node '{name or 'y'}' (Clip): attribute 'slope': expected finite numbers, found NaN or "
        "Inf; repair the model"
    )


@pytest.mark.parametrize("parts", [1, 3])
def test_a_split_of_another_number(parts):
    text = (
        "(float[N,4] x) => (float[N,2] y, float[N,2] z) { [halves] y, z = Split<axis=1, num_outputs=2>(x) }"
    )
    model = parse(text)
    check_model(model, "net.onnx")
    next(item for item in model.graph.node[0].attribute if item.name == "num_outputs").i = parts
    assert message(model, check_structure) == (
        "net.onnx: node 'halves' (Split): attribute 'num_outputs': expected 2, as many as there are outputs, "
        f"found {parts}; export the model again"
    )


def test_more_weights_than_a_message_holds(monkeypatch):
    monkeypatch.setattr(check, "MOST_BYTES", 100)
    model = net(w=np.ones((2, 20)))
    assert message(model) == (
        "net.onnx: expected at most 0.0 GB of weights in one message, found 0.0 GB; "
        "save it with external data and give its path"
    )
    monkeypatch.setattr(check, "MOST_BYTES", 320)
    check_model(model, "net.onnx")
