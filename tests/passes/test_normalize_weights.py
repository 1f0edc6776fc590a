from __future__ import annotations

import numpy as np
import pytest
from helpers import normal, parse

import onnx2snn
from onnx2snn.emit.layer import emit_layer
from onnx2snn.graph import clone
from onnx2snn.ops import ACCUMULATE_FIRE
from onnx2snn.passes.base import Context
from onnx2snn.passes.normalize_weights import NormalizeWeights
from onnx2snn.runtime.engines import OnnxruntimeEngine

NETS = {
    # What reads the neurons, and what they read; operators that are left, and neurons with a θ of their own.
    "chain": (
        """(float[N,3,8,8] x) => (float[N,5] y) {
        c = Conv<pads=[1,1,1,1]>(x, w1, b1) r = Relu(c) d = Conv<pads=[1,1,1,1]>(r, w2) s = Relu(d)
        m = MaxPool<kernel_shape=[2,2], strides=[2,2]>(s) f = Flatten(m) y = Gemm(f, w4, b4) }""",
        {"w1": (4, 3, 3, 3), "b1": (4,), "w2": (4, 4, 3, 3), "w4": (64, 5), "b4": (5,)},
        {"Mul": 0, "own θ": 0},
    ),
    "residual": (
        """(float[N,3,8,8] x) => (float[N,4] y) {
        c = Conv<pads=[1,1,1,1]>(x, w1, b1) r = Relu(c)
        d = Conv<pads=[1,1,1,1]>(r, w2, b2) s = Relu(d)
        e = Conv<pads=[1,1,1,1]>(s, w3) a = Add(r, e) t = Relu(a)
        g = GlobalAveragePool(t) y = Flatten(g) }""",
        {"w1": (4, 3, 3, 3), "b1": (4,), "w2": (4, 4, 3, 3), "b2": (4,), "w3": (4, 4, 3, 3)},
        {"Mul": 2, "own θ": 0},  # θ_r/θ_t on the shortcut, in one; θ_t before the mean
    ),
    "two convs into one neuron, depthwise": (
        """(float[N,4,8,8] x) => (float[N,4,8,8] y) {
        r = Relu(x) c = Conv<pads=[1,1,1,1], group=4>(r, w1, b) d = Conv(r, w2) a = Add(c, d) s = Relu(a)
        y = Conv(s, w3) }""",
        {"w1": (4, 1, 3, 3), "b": (4,), "w2": (4, 4, 1, 1), "w3": (4, 4, 1, 1)},
        {"Mul": 0, "own θ": 1},  # the first neuron reads the input itself
    ),
    "an output, a pool in front of an Add, a product with the current": (
        """(float[N,3,8,8] x) => (float[N,4,8,8] r, float[N,4,4,4] y, float[N,4,8,8] z) {
        c = Conv<pads=[1,1,1,1]>(x, w1, b1) r = Relu(c) d = Conv<pads=[1,1,1,1]>(r, w2) s = Relu(d)
        p = MaxPool<kernel_shape=[2,2], strides=[2,2]>(s) y = Add(p, one) e = Conv(r, w3) t = Relu(e)
        z = Add(t, e) }""",
        {"w1": (4, 3, 3, 3), "b1": (4,), "w2": (4, 4, 3, 3), "w3": (4, 4, 1, 1), "one": (1,)},
        {"Mul": 0, "own θ": 3},
    ),
}


def compiled(name, rng, monkeypatch, **options):
    """The graph before the pass, what the pass makes of it, and inputs."""
    text, shapes, _ = NETS[name]
    model = parse(text, **normal(rng, **shapes))
    graphs = []
    run = NormalizeWeights.run

    def keep(self, graph, context):
        graphs.append(clone(graph))
        changed = run(self, graph, context)
        graphs.append(clone(graph))
        assert not run(self, graph, context)  # a second run changes nothing
        return changed

    monkeypatch.setattr(NormalizeWeights, "run", keep)
    dims = tuple(dim.dim_value for dim in model.graph.input[0].type.tensor_type.shape.dim)[1:]
    x = rng.normal(size=(16, *dims)).astype(np.float32)
    artifact = onnx2snn.compile(model, x, **{"schedule": "layer", "timesteps": 4, **options}).model
    return *graphs, artifact, x


@pytest.mark.parametrize("name", NETS)
def test_thresholds_go_into_the_weights(name, rng, monkeypatch):
    _, after, artifact, _ = compiled(name, rng, monkeypatch)
    expected = NETS[name][2]
    neurons = [node for node in after.nodes if node.op == ACCUMULATE_FIRE.op]
    kept = [node for node in neurons if node.attrs["potential"] == 0.5]
    assert {
        "Mul": sum(node.op == "Mul" for node in after.nodes),
        "own θ": len(kept),
    } == expected
    assert all(node.inputs[1].values.size == 1 for node in neurons if node not in kept)
    assert not any(node.op == "BatchNormalization" for node in after.nodes)
    onnx2snn.SpikingSession(artifact)


@pytest.mark.parametrize("name", NETS)
def test_the_net_stays_the_same(name, rng, monkeypatch):
    """But for rounding, which may move a sum over the edge of a level: hardly any, and then by one."""
    before, after, _, x = compiled(name, rng, monkeypatch)
    old, new = (OnnxruntimeEngine(emit_layer(graph)).run({"x": x}) for graph in (before, after))
    for output, values in old.items():
        differing = ~np.isclose(new[output], values, rtol=1e-4, atol=1e-4 * np.abs(values).max())
        assert differing.mean() < 1e-3


def test_a_trained_quantiser_keeps_its_step(rng):
    text = """(float[N,3,8,8] x) => (float[N,4,8,8] y) {
        c = Conv(x, w1) d = Div(c, q) h = Add(d, half) f = Floor(h) k = Clip(f, zero, seven) r = Mul(k, q)
        y = Conv(r, w2) }"""
    weights = normal(rng, w1=(4, 3, 1, 1), w2=(4, 4, 1, 1))
    constants = {"q": 0.25, "half": 0.5, "zero": 0, "seven": 7}
    weights |= {name: np.float32(value) for name, value in constants.items()}
    x = rng.normal(size=(16, 3, 8, 8)).astype(np.float32)
    model = parse(text, **weights)
    artifact = onnx2snn.compile(
        model, x, schedule="layer", code="radix", timesteps=3, correct_bias=False
    ).model
    found, exact = (OnnxruntimeEngine(m).run({"x": x})["y"] for m in (artifact, model))
    np.testing.assert_array_equal(found, exact)


def test_the_stream_schedule_has_no_such_neurons(rng, monkeypatch):
    before, after, _, _ = compiled("chain", rng, monkeypatch, schedule="stream")
    assert [node.op for node in after.nodes] == [node.op for node in before.nodes]
    assert not NormalizeWeights().run(after, Context(onnx2snn.CompileOptions()))
