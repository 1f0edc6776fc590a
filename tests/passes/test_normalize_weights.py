from __future__ import annotations

import numpy as np
import onnx
import pytest

import onnx2snn
from onnx2snn.artifact.artifact import take_apart, zero_state
from onnx2snn.emit.layer import emit_layer
from onnx2snn.emit.stream import emit_stream
from onnx2snn.engine.engines import OnnxruntimeEngine
from onnx2snn.graph.graph import clone, is_cell, producer
from onnx2snn.ops import CELLS
from onnx2snn.passes.normalize_weights import NormalizeWeights
from tests.helpers import normal, parse

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
    "cut and padded shortcut": (
        """(float[N,3,8,8] x) => (float[N,3] y) {
        c = Conv<pads=[1,1,1,1]>(x, w1, b1) r = Relu(c)
        i = Slice(r, start, end, space, by) o = Pad(i, more)
        d = Conv<pads=[1,1,1,1], strides=[2,2]>(r, w2, b2) a = Add(d, o) t = Relu(a)
        f = Flatten(t) y = Gemm(f, w3) }""",
        {"w1": (4, 3, 3, 3), "b1": (4,), "w2": (4, 4, 3, 3), "b2": (4,), "w3": (64, 3)},
        {"Mul": 1, "own θ": 0},
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

INDICES = {
    "start": np.int64([0, 0]),
    "end": np.int64([8, 8]),
    "space": np.int64([2, 3]),
    "by": np.int64([2, 2]),
    "more": np.zeros(8, np.int64),
}


def compiled(name, rng, monkeypatch, **options):
    """The graph before the pass, what the pass makes of it, and inputs."""
    text, shapes, _ = NETS[name]
    model = parse(text, **normal(rng, **shapes), **INDICES)
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
    artifact = onnx2snn.compile(
        model, x, **{"code": "burst", "schedule": "layer", "timesteps": 4, **options}
    ).model
    return *graphs, artifact, x


SCHEDULES = [{"schedule": "layer"}, {"schedule": "stream"}, {"schedule": "stream", "signed": True}]


@pytest.mark.parametrize("options", SCHEDULES, ids=lambda options: "-".join(options))
@pytest.mark.parametrize("name", NETS)
def test_thresholds_go_into_the_weights(name, options, rng, monkeypatch):
    before, after, artifact, x = compiled(name, rng, monkeypatch, **options)
    neurons = [node for node in after.nodes if is_cell(node) and CELLS[node.op].kind == "neuron"]
    own = [node for node in neurons if node.inputs[1].values.size > 1]
    assert {
        "Mul": sum(node.op == "Mul" for node in after.nodes),
        "own θ": len(own),
    } == NETS[name][2]
    assert all(np.all(node.inputs[1].values == 1) for node in neurons if node not in own)
    assert not any(node.op == "BatchNormalization" for node in after.nodes)
    assert [node.op for node in after.nodes if is_cell(node)] == [n.op for n in before.nodes if is_cell(n)]
    for cell in (node for node in neurons if node not in own):
        sent = first_spikes(artifact, cell.name, x)
        np.testing.assert_array_equal(sent, np.round(sent))
        assert sent.any()


def first_spikes(artifact, cell, x):
    """What a cell sends in the first step, of which the schedule `layer` has but one."""
    parts = take_apart(artifact)
    name = next(node.output[0] for node in parts.cells if node.name == cell)
    values = {"x": x} | zero_state(parts.carried)
    if parts.prefix is not None:
        values |= OnnxruntimeEngine(parts.prefix).run(values)
    del parts.step.graph.output[:]
    parts.step.graph.output.append(onnx.helper.make_empty_tensor_value_info(name))
    return OnnxruntimeEngine(parts.step).run(values)[name]


@pytest.mark.parametrize("options", SCHEDULES, ids=lambda options: "-".join(options))
@pytest.mark.parametrize("name", NETS)
def test_the_net_stays_the_same(name, options, rng, monkeypatch):
    """But for rounding, which may move a sum over the edge of a level: hardly any, and then by one."""
    before, after, _, x = compiled(name, rng, monkeypatch, **options)
    old, new = (OnnxruntimeEngine(emitted(graph, options)).run({"x": x}) for graph in (before, after))
    for output, values in old.items():
        differing = ~np.isclose(new[output], values, rtol=1e-4, atol=1e-4 * np.abs(values).max())
        assert differing.mean() < 1e-3


def emitted(graph, options):
    return emit_layer(graph) if options["schedule"] == "layer" else emit_stream(graph, 4)


def test_one_product_is_left_on_a_shortcut_that_is_cut_and_padded(rng, monkeypatch):
    """θ of the neuron before it and 1/θ of the one behind it meet at its end, on the fewest values."""
    _, after, _, _ = compiled("cut and padded shortcut", rng, monkeypatch, schedule="stream")
    (product,) = [node for node in after.nodes if node.op == "Mul"]
    assert producer(product.inputs[0]).op == "Pad"


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


def test_a_threshold_too_small_to_divide_by_stays(rng, monkeypatch):
    """What a layer of hardly any activation fires at: 1/θ would not fit float32."""
    text, shapes, _ = NETS["chain"]
    small = normal(rng, **shapes)
    small |= {name: (small[name] * 1e-35).astype(np.float32) for name in ("w1", "b1")}
    kept = []
    run = NormalizeWeights.run

    def keep(self, graph, context):
        changed = run(self, graph, context)
        kept.extend(node for node in graph.nodes if is_cell(node) and CELLS[node.op].kind == "neuron")
        return changed

    monkeypatch.setattr(NormalizeWeights, "run", keep)
    x = rng.normal(size=(8, 3, 8, 8)).astype(np.float32)
    onnx2snn.compile(parse(text, **small), x, schedule="layer", timesteps=4, code="burst")
    assert 0 < kept[0].inputs[1].values.max() < 1e-30
