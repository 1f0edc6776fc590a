"""Activations other than ReLU, end to end: they converge, and every way to run them gives the same."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

import onnx2snn
from tests.helpers import normal, parse, run

NET = """(float[N,2,6,6] x) => (float[N,5] y) {{
    a = Conv<pads=[1,1,1,1]>(x, w1, b1) {first} p = AveragePool<kernel_shape=[2,2], strides=[2,2]>(r)
    b = Conv(p, w2) {second} f = Flatten(q) y = Gemm(f, w3, b3) }}"""
SHAPES = {"w1": (3, 2, 3, 3), "b1": (3,), "w2": (4, 3, 2, 2), "w3": (16, 5), "b3": (5,)}

#: From {source} to {result}; the constants are below.
ACTIVATIONS = {
    "LeakyRelu": "{result} = LeakyRelu<alpha=0.25>({source})",
    "PRelu of one slope": "{result} = PRelu({source}, slope)",
    "PRelu per channel": "{result} = PRelu({source}, slopes_{result})",
    "HardTanh": "{result} = Clip({source}, minus, one)",
    "Clip above zero": "{result} = Clip({source}, one, three)",
    "Clip below zero": "{result} = Clip({source}, below, minus)",
    "Max": "{result} = Max({source}, one)",
    "Min": "{result} = Min({source}, two)",
}
CONSTANTS = {
    "slope": np.asarray([0.25], np.float32),
    "slopes_r": np.asarray([0.25, -0.5, 1.5], np.float32).reshape(3, 1, 1),
    "slopes_q": np.asarray([0.25, 0, 0.75, -0.25], np.float32).reshape(4, 1, 1),
    "minus": np.asarray(-1, np.float32),
    "below": np.asarray(-3, np.float32),
    "one": np.asarray(1, np.float32),
    "two": np.asarray(2, np.float32),
    "three": np.asarray(3, np.float32),
}


def net(name: str, rng: np.random.Generator) -> onnx.ModelProto:
    activation = ACTIVATIONS[name]
    text = NET.format(
        first=activation.format(result="r", source="a"), second=activation.format(result="q", source="b")
    )
    weights = normal(rng, **SHAPES)
    for weight in ("w1", "w2", "w3"):
        weights[weight] *= 3 / np.sqrt(np.prod(weights[weight].shape[1:]), dtype=np.float32)
    return parse(text, **weights, **CONSTANTS)


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_error_falls_with_the_timesteps(name, signed, rng):
    model = net(name, rng)
    x = rng.standard_normal((32, 2, 6, 6)).astype(np.float32)
    expected = run(model, {"x": x})[0]
    # What differs from sample to sample: a clip far from zero would hide any error behind its bound.
    spread = np.linalg.norm(expected - expected.mean(axis=0))
    errors = []
    for timesteps in (4, 16, 128):
        compiled = onnx2snn.compile(model, x, timesteps=timesteps, signed=signed, code="burst")
        found = run(compiled.model, {"x": x})[0]
        errors.append(float(np.linalg.norm(found - expected) / spread))
    assert errors[0] > 1.5 * errors[1] > 3 * errors[2]
    assert errors[-1] < 0.02
    assert compiled.report.to_dict()["roles"]["analog"] == 0
    assert {node["role"] for node in compiled.report.to_dict()["nodes"] if node["node"] in "rq"} == {
        "spiking"
    }


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_recorded_spikes_are_those_that_are_counted(name, signed, rng):
    model = net(name, rng)
    x = rng.standard_normal((8, 2, 6, 6)).astype(np.float32)
    session = onnx2snn.SpikingSession(
        onnx2snn.compile(model, x, timesteps=8, signed=signed, code="burst").model
    )
    recorded, (counted,) = session.run(x, record=True), session.run_counted(x, [8])
    assert set(recorded.spikes) == set(session.neurons)
    assert {"r", "q"} <= set(session.neurons)
    for neuron in session.neurons:
        sent = np.abs(recorded.spikes[neuron].astype(int)).sum(axis=0).reshape(8, -1).sum(axis=1)
        np.testing.assert_array_equal(counted.spikes[neuron], sent)
    assert sum(spikes.sum() for spikes in counted.spikes.values()) > 0
    np.testing.assert_array_equal(counted.outputs["y"], recorded.outputs["y"])
    np.testing.assert_allclose(recorded.outputs["y"], session.run(x).outputs["y"], rtol=0, atol=1e-5)


def dyadic(model: onnx.ModelProto) -> onnx.ModelProto:
    """The net with weights that are multiples of 1/4, so that sums are exact in float32."""
    for item in model.graph.initializer:
        array = np.round(onnx.numpy_helper.to_array(item) * 4) / 4
        item.CopyFrom(onnx.numpy_helper.from_array(array.astype(np.float32), item.name))
    return model


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_numpy_equals_onnxruntime(name, signed, rng):
    """With dyadic weights and thresholds no sum rounds: the same spikes, not even ties differ."""
    model = dyadic(net(name, rng))
    x = rng.integers(-8, 9, (16, 2, 6, 6)).astype(np.float32) / 4
    artifact = onnx2snn.compile(model, x, timesteps=8, signed=signed, correct_bias=False, code="burst").model
    body = next(n for n in artifact.graph.node if n.op_type == "Loop").attribute[0].g
    for holder in (body, artifact.graph):
        for item in holder.initializer:
            if item.name.endswith(("/threshold", "/potential")):
                array = onnx.numpy_helper.to_array(item)
                value = 0.25 if item.name.endswith("/potential") else 0.5
                item.CopyFrom(onnx.numpy_helper.from_array(np.full_like(array, value), item.name))
    mine = onnx2snn.SpikingSession(artifact, backend="numpy").run(x, record=True)
    other = onnx2snn.SpikingSession(artifact).run(x, record=True)
    for neuron, spikes in other.spikes.items():
        np.testing.assert_array_equal(mine.spikes[neuron], spikes)
    assert any(spikes.any() for spikes in other.spikes.values())
    np.testing.assert_allclose(mine.outputs["y"], other.outputs["y"], rtol=0, atol=1e-5)


def test_a_neuron_may_have_the_name_of_another_tensor(rng):
    """Names of nodes and of tensors are apart in ONNX, and a split Clip's neuron keeps the Clip's name."""
    model = parse(
        "(float[N,2] x) => (float[N,2] y) { a = Relu(x) b = Add(a, a) y = MatMul(b, w) }",
        **normal(rng, w=(2, 2)),
    )
    model.graph.node[0].name, model.graph.node[1].name = "b", "a"
    x = rng.standard_normal((16, 2)).astype(np.float32)
    session = onnx2snn.SpikingSession(onnx2snn.compile(model, x, code="burst").model)
    (counted,) = session.run_counted(x, [8])
    np.testing.assert_array_equal(
        counted.spikes["b"], session.run(x, record=True).spikes["b"].sum(axis=(0, 2))
    )


QUANTIZERS = {
    "Floor": """{result}1 = Div({source}, q) {result}2 = Add({result}1, half) {result}3 = Floor({result}2)
        {result}4 = Clip({result}3, none, seven) {result} = Mul({result}4, q)""",
    "Round": """{result}1 = Relu({source}) {result}2 = Div({result}1, q) {result}3 = Round({result}2)
        {result}4 = Clip({result}3, none, seven) {result} = Mul({result}4, q)""",
    "QuantizeLinear": """{result}1 = Relu({source}) {result}2 = QuantizeLinear({result}1, q, origin)
        {result} = DequantizeLinear({result}2, q, origin)""",
}


@pytest.mark.parametrize("timesteps", [1, 3, 8, 16])
@pytest.mark.parametrize("name", QUANTIZERS)
def test_a_quantised_net_is_exact_after_any_number_of_timesteps(name, timesteps, rng):
    activation = QUANTIZERS[name]
    text = NET.format(
        first=activation.format(result="r", source="a"), second=activation.format(result="q2", source="b")
    ).replace("Flatten(q)", "Flatten(q2)")
    constants = {"q": 0.4, "half": 0.5, "none": 0, "seven": 7}
    model = parse(
        text,
        **normal(rng, **SHAPES),
        **{key: np.asarray(value, np.float32) for key, value in constants.items()},
        origin=np.asarray(0, np.uint8),
    )
    x = rng.standard_normal((16, 2, 6, 6)).astype(np.float32)
    expected = run(model, {"x": x})[0]
    compiled = onnx2snn.compile(model, x, timesteps=timesteps, code="burst")
    assert {neuron["op"] for neuron in compiled.report.to_dict()["neurons"].values()} == {"QuantizedIF"}
    assert compiled.report.to_dict()["roles"]["analog"] == 0
    # Random weights meet no ties; float32 sums of some hundred terms differ by 1e-6 of the largest.
    np.testing.assert_allclose(
        run(compiled.model, {"x": x})[0], expected, rtol=0, atol=1e-5 * np.abs(expected).max()
    )
    session = onnx2snn.SpikingSession(compiled.model)
    recorded, (counted,) = session.run(x, record=True), session.run_counted(x, [timesteps])
    for neuron in session.neurons:
        sent = np.abs(recorded.spikes[neuron].astype(int)).sum(axis=0).reshape(16, -1).sum(axis=1)
        np.testing.assert_array_equal(counted.spikes[neuron], sent)
