"""Headers of old and careless exporters: read as they are meant, and the net gives what it gave."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import AttributeProto, TensorProto, helper

import onnx2snn
from onnx2snn.model.check import check_structure
from onnx2snn.model.file import load_model
from onnx2snn.model.header import mended
from tests.helpers import normal, of_opset, run

TEXT = "(float[N,4] x) => (float[N,3] y) { h = MatMul(x, w1) r = Relu(h) y = MatMul(r, w2) }"
CONV = """(float[N,1,4,4] x) => (float[N,2,4,4] y) {
    c = Conv<pads = [1,1,1,1], group = 1, auto_pad = "NOTSET">(x, k) y = LeakyRelu<alpha = 0.2>(c) }"""


def net(rng, opset=13):
    return of_opset(opset, TEXT, **normal(rng, w1=(4, 6), w2=(6, 3)))


def with_samples(model, number):
    for item in (model.graph.input[0], model.graph.output[0]):
        item.type.tensor_type.shape.dim[0].dim_value = number
    return model


def first_dims(model):
    return [item.type.tensor_type.shape.dim[0] for item in (model.graph.input[0], model.graph.output[0])]


def test_a_proper_header_stays(rng):
    model = with_samples(net(rng), 8)
    assert mended(model) is model


def test_attributes_without_a_type_get_that_of_their_value(rng):
    model = of_opset(9, CONV, **normal(rng, k=(2, 1, 3, 3)))
    expected = model.SerializeToString(deterministic=True)
    for node in model.graph.node:
        for attribute in node.attribute:
            attribute.ClearField("type")
    with pytest.raises(onnx2snn.ModelError, match="Field 'type' of 'attr' is required but missing"):
        check_structure(model, "net.onnx")
    assert mended(model).SerializeToString(deterministic=True) == expected


def test_attributes_without_type_and_value_get_the_type_that_onnx_declares():
    node = onnx.NodeProto(op_type="Conv", input=["x", "k"], output=["y"])
    node.attribute.extend(AttributeProto(name=name) for name in ("pads", "auto_pad", "of my own"))
    model = onnx.ModelProto(graph=onnx.GraphProto(node=[node]))
    types = [attribute.type for attribute in mended(model).graph.node[0].attribute]
    assert types == [AttributeProto.INTS, AttributeProto.STRING, AttributeProto.INTS]


@pytest.mark.parametrize("number", [0, -1, 789444, 12296])
def test_numbers_that_mean_any_number(number, rng, tmp_path):
    model = with_samples(net(rng), number)
    (tmp_path / "net.onnx").write_bytes(model.SerializeToString())
    loaded = load_model(tmp_path / "net.onnx")
    assert not any(dim.dim_value for dim in first_dims(loaded))
    x = rng.standard_normal((16, 4)).astype(np.float32)
    session = onnx2snn.SpikingSession(onnx2snn.compile(model, x, timesteps=16).model)
    (expected,) = run(loaded, {"x": x})
    assert np.abs(session.run(x).outputs["y"] - expected).max() < 0.05 * np.abs(expected).max()


def test_names_that_are_no_text(rng):
    """Protobuf reads such a file, and fails wherever somebody asks for the name."""
    content = net(rng).SerializeToString().replace(b"MatMul", b"Mat\xfful")
    with pytest.raises(onnx2snn.ModelError, match="expected names in UTF-8, found other bytes"):
        mended(onnx.ModelProto.FromString(content))


def test_numbers_below_one_inside(rng):
    model = net(rng)
    model.graph.value_info.append(helper.make_tensor_value_info("h", TensorProto.FLOAT, [-1, 0]))
    (value,) = mended(model).graph.value_info
    assert [dim.WhichOneof("value") for dim in value.type.tensor_type.shape.dim] == [None, None]


def test_a_number_of_samples_that_the_net_counts_on_stays():
    text = "(float[12296,4] x) => (float[12296,4] y) { r = Relu(x) y = Reshape(r, shape) }"
    model = of_opset(13, text, shape=np.int64([12296, -1]))
    assert [dim.dim_value for dim in first_dims(mended(model))] == [12296, 12296]


def test_a_batch_of_one_takes_the_data_sample_by_sample(rng):
    model, x = with_samples(net(rng), 1), rng.standard_normal((9, 4)).astype(np.float32)
    compiled = onnx2snn.compile(model, x, timesteps=16)
    assert compiled.report.calibration.samples == 9
    session = onnx2snn.SpikingSession(compiled.model)
    found, expected = (
        np.concatenate([of(row) for row in x[:, np.newaxis]])
        for of in (lambda row: session.run(row).outputs["y"], lambda row: run(model, {"x": row})[0])
    )
    assert np.abs(found - expected).max() < 0.05 * np.abs(expected).max()


def test_initializers_of_ir_3_need_not_be_inputs(rng):
    model = net(rng, 8)
    model.ir_version = 3
    with pytest.raises(onnx2snn.ModelError, match="in initializer but not in graph input"):
        check_structure(model, "net.onnx")
    check_structure(mended(model), "net.onnx")
    model.graph.input.extend(
        helper.make_tensor_value_info(item.name, item.data_type, item.dims)
        for item in model.graph.initializer
    )
    assert mended(model) is model
    report = onnx2snn.inspect(model)
    assert {node.op: node.role for node in report.nodes} == {"MatMul": "linear", "Relu": "spiking"}
