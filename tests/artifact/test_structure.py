"""The Loop over timesteps of a file that was changed, and the T of one whose metadata is gone."""

from __future__ import annotations

import logging

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

import onnx2snn
from onnx2snn.artifact.artifact import take_apart
from onnx2snn.artifact.structure import find_time_loop, is_time_loop
from onnx2snn.errors import ModelError
from onnx2snn.ops import DOMAIN
from tests.helpers import normal, parse

TEXT = "(float[N,4] x) => (float[N,2] y) { a = Gemm(x, w1) r = Relu(a) y = Gemm(r, w2) }"


@pytest.fixture(scope="module")
def compiled():
    rng = np.random.default_rng(0)
    x = normal(rng, x=(16, 4))["x"]
    net = parse(TEXT, **normal(rng, w1=(4, 6), w2=(6, 2)))
    return {
        name: onnx2snn.compile(net, x, **options).model
        for name, options in {
            "stream": {"timesteps": 5},
            "layer": {"schedule": "layer", "timesteps": 3},
            "radix": {"schedule": "layer", "code": "radix", "timesteps": 4},
            "burst": {"schedule": "layer", "code": "burst", "timesteps": 4},
        }.items()
    }, x


@pytest.fixture
def stream(compiled):
    copy = onnx.ModelProto()
    copy.CopyFrom(compiled[0]["stream"])
    return copy


def loop_of(model):
    (loop,) = (node for node in model.graph.node if is_time_loop(node))
    return loop


def test_the_loop_is_found_with_its_timesteps(stream):
    found = find_time_loop(stream.graph, "net")
    assert found.timesteps == 5
    assert found.node == loop_of(stream) == stream.graph.node[found.position]
    assert found.trips == "timesteps"


def trips(value):
    def change(model):
        (tensor,) = (item for item in model.graph.initializer if item.name == "timesteps")
        tensor.CopyFrom(numpy_helper.from_array(np.asarray(value), "timesteps"))

    return change


def twice(model):
    model.graph.node.append(loop_of(model))


def less_out(model):
    del loop_of(model).output[-1]


def without_inputs(model):
    del loop_of(model).input[:]


def without_body(model):
    del loop_of(model).attribute[:]


def of_nothing(model):
    loop_of(model).input[2] = "gone"


def with_gap(model):
    loop_of(model).input[2] = ""


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (trips(1 << 40), "expected a trip count from 1 to 65536, found 1099511627776"),
        (trips(0), "expected a trip count from 1 to 65536, found 0"),
        (trips([1, 2]), "expected one whole number as its trip count, found int64 [2]"),
        (trips(2.5), "expected one whole number as its trip count, found float64 []"),
        (twice, "expected to be the only one of its name, found 2"),
        (less_out, "expected 3 values carried in its body and out of it, found 2 and 3"),
        (with_gap, "expected 3 values carried in its body and out of it, found 3"),
        (without_inputs, "expected a trip count and a condition, found none"),
        (without_body, "expected a graph as its body, found none"),
        (of_nothing, "expected 'gone' to be an initializer, found none of that name"),
    ],
)
def test_a_loop_that_does_not_fit_is_refused(stream, change, said):
    change(stream)
    with pytest.raises(ModelError) as caught:
        take_apart(stream, "net.snn.onnx")
    assert str(caught.value) == f"net.snn.onnx: the Loop over timesteps: {said}; compile again"


@pytest.mark.parametrize(("name", "timesteps"), [("layer", 3), ("radix", 4), ("burst", 1)])
def test_without_metadata_a_flat_file_runs_all_the_same(compiled, caplog, name, timesteps):
    """T is what the neurons say; bursts of a run do not."""
    models, x = compiled
    bare = onnx.ModelProto()
    bare.CopyFrom(models[name])
    del bare.metadata_props[:]
    expected = onnx2snn.SpikingSession(models[name]).run(x).outputs["y"]
    with caplog.at_level(logging.WARNING):
        session = onnx2snn.SpikingSession(bare)
    assert session.timesteps == timesteps
    np.testing.assert_array_equal(session.run(x, record=True).outputs["y"], expected)
    assert [record.message for record in caplog.records] == [
        "model: its metadata does not say how it was compiled, another tool may have dropped it: outputs are "
        f"as they were, T is taken to be {timesteps}; compile again for the rest"
    ]


def test_without_metadata_a_loop_knows_its_timesteps(compiled, stream):
    del stream.metadata_props[:]
    session = onnx2snn.SpikingSession(stream)
    assert session.timesteps == 5
    expected = onnx2snn.SpikingSession(compiled[0]["stream"]).run(compiled[1]).outputs["y"]
    np.testing.assert_array_equal(session.run(compiled[1]).outputs["y"], expected)


def test_a_body_carries_what_its_loop_does(stream):
    body = helper.get_node_attr_value(loop_of(stream), "body")
    del body.output[1:]
    (attribute,) = (item for item in loop_of(stream).attribute if item.name == "body")
    attribute.g.CopyFrom(body)
    with pytest.raises(
        ModelError, match="expected 3 values carried in its body and out of it, found 0 and 3"
    ):
        take_apart(stream, "net")


def another(attribute, value):
    def change(node):
        kept = [item for item in node.attribute if item.name != attribute]
        copies = [onnx.AttributeProto.FromString(item.SerializeToString()) for item in kept]
        del node.attribute[:]
        node.attribute.extend(copies + ([] if value is None else [helper.make_attribute(attribute, value)]))

    return change


def one_more(node):
    node.input.append(node.input[0])


def unknown(node):
    node.op_type = "MorseIF"


def computed(node):
    node.input[1] = node.input[0]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (one_more, "(AccumulateFire): expected 2 inputs, found 3"),
        (unknown, "(MorseIF): expected an operator of this version, found an unknown one"),
        (
            computed,
            "(AccumulateFire): expected its parameter 'a' to be an initializer, found none of that name",
        ),
        (another("levels", 2.5), "(AccumulateFire): expected int as attribute 'levels', found float"),
        (another("code", [1]), "(AccumulateFire): expected string as attribute 'code', found ints"),
        (another("levels", None), "expected a number from 1 to 16777216 as attribute 'levels', found none"),
        (another("levels", 1 << 40), "as attribute 'levels', found 1099511627776"),
        (another("levels", 0), "as attribute 'levels', found 0"),
    ],
)
def test_a_neuron_that_does_not_fit_is_refused(compiled, change, said):
    model = onnx.ModelProto()
    model.CopyFrom(compiled[0]["burst"])
    (neuron,) = (node for node in model.graph.node if node.domain)
    change(neuron)
    model.graph.node.append(helper.make_node("AccumulateFire", ["a", "t"], ["z"], "z", "", DOMAIN, levels=1))
    model.graph.initializer.append(numpy_helper.from_array(np.ones((), "f"), "t"))  # it stays an artifact
    with pytest.raises(ModelError) as caught:
        take_apart(model, "net")
    assert said in str(caught.value)
    assert str(caught.value).startswith(f"net: node '{neuron.name}' ")
