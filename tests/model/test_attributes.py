"""Attributes over which ONNX's own code trips, some of them so that the process is gone."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from onnx2snn.errors import ModelError
from onnx2snn.model.attributes import check_attributes
from onnx2snn.model.check import check_model
from onnx2snn.model.file import flatten_model

HEAD = '<ir_version: 10, opset_import: ["" : 21, "o" : 1]> g (float[N,4] x, bool c) => (float[N,M] y) '
FUNCTION = '<domain: "o", opset_import: ["" : 21]> S <n> (x) => (y) '
IN_A_BRANCH = """y = If (c) <
    then_branch = g1 () => (float[N,4] a) {{ {} }}, else_branch = g2 () => (float[N,4] b) {{ b = Abs(x) }}>"""
SPLIT = "[cut] a, z = Split <axis = 1, num_outputs = 1> (x)"


def net(body: str, function: str = "") -> onnx.ModelProto:
    model = onnx.parser.parse_model(f"{HEAD} {{ {body} }}")
    if function:
        model.functions.append(onnx.parser.parse_function(f"{FUNCTION} {{ {function} }}"))
    return model


@pytest.mark.parametrize(
    "model",
    [
        net(f"{SPLIT} y = Relu (a)"),
        net(IN_A_BRANCH.format(SPLIT)),
        net("y = o.S (x)", f"{SPLIT} y = Relu (a)"),
    ],
    ids=["graph", "branch", "function"],
)
def test_a_split_into_another_number_than_it_has_outputs(model):
    message = r"net\.onnx: node 'cut' \(Split\): attribute 'num_outputs': expected 2, .* found 1"
    with pytest.raises(ModelError, match=message):
        check_model(model, "net.onnx")


def test_what_a_reference_stands_for_is_checked_as_well():
    function = "y, z = Split <axis = 1, num_outputs : int = @n> (x)"
    check_attributes(net("y = o.S <n = 2> (x)", function), "net.onnx")
    assert len(flatten_model(net("y = o.S <n = 2> (x)", function)).graph.node) == 1
    with pytest.raises(ModelError, match=r"node 'y' \(Split\): attribute 'num_outputs': expected 2"):
        flatten_model(net("y = o.S <n = 1> (x)", function))


def test_a_reference_outside_of_a_function_refers_to_nothing():
    with pytest.raises(ModelError, match=r"'axis': expected a value, .* found one to 'n'"):
        check_model(net("y = Softmax <axis : int = @n> (x)"), "net.onnx")
    with pytest.raises(ModelError, match=r"'axis': expected a value, .* found one to 'm'"):
        check_model(net("y = o.S <n = 1> (x)", "y = Softmax <axis : int = @m> (x)"), "net.onnx")


@pytest.mark.parametrize("axis", [2**31, -(2**63), 64, -65])
def test_a_number_that_no_axis_has(axis):
    message = rf"node 'y' \(Softmax\): attribute 'axis': expected the number of an axis, found {axis}"
    with pytest.raises(ModelError, match=message):
        check_attributes(net(f"y = Softmax <axis = {axis}> (x)"), "net.onnx")


@pytest.mark.parametrize(
    ("node", "message"),
    [
        ("GatherND <batch_dims = -1> (x, x)", "'batch_dims': expected a number of axes, found -1"),
        ("MaxPool <kernel_shape = [4294967296, 1]> (x)", "'kernel_shape': expected a number of 32 bits"),
        ("Slice <starts = [0], ends = [9223372036854775807]> (x)", ""),
    ],
)
def test_numbers_that_only_the_end_of_a_slice_may_be(node, message):
    model = net(f"y = {node}")
    if not message:
        check_attributes(model, "net.onnx")
        return
    with pytest.raises(ModelError, match=message):
        check_attributes(model, "net.onnx")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_an_attribute_that_is_not_finite(value):
    model = net("y = LeakyRelu (x)")
    model.graph.node[0].attribute.append(onnx.helper.make_attribute("alpha", float(value)))
    with pytest.raises(ModelError, match=r"\(LeakyRelu\): attribute 'alpha': expected finite numbers"):
        check_attributes(model, "net.onnx")
