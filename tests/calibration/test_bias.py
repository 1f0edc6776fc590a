from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from onnx2snn.calibration import bias
from onnx2snn.calibration.shelf import Shelf
from onnx2snn.data.dataset import InputSpec
from onnx2snn.data.readers import dataset_from_arrays
from onnx2snn.engine.engines import OnnxruntimeEngine
from onnx2snn.graph.graph import clone, constant, extract, is_cell, operands, tidy
from onnx2snn.graph.sections import is_neuron
from onnx2snn.ops import CELLS
from onnx2snn.options import CompileOptions
from onnx2snn.passes.base import Context
from onnx2snn.passes.calibrate import Calibrate
from onnx2snn.passes.correct_bias import CorrectBias
from onnx2snn.passes.pipeline import run_pass
from onnx2snn.passes.replace_maxpool import ReplaceMaxPool
from onnx2snn.passes.replace_relu import ReplaceRelu
from tests.helpers import graph_of, normal, parse

SAMPLES = 24


def convert(model, x, **options):
    """The ANN, the converted net before correction and the corrected one, with the context."""
    ann = graph_of(model)
    snn = clone(ann)
    shape = tuple(dim if isinstance(dim, int) else None for dim in ann.inputs[0].shape)
    dataset = dataset_from_arrays(x, [InputSpec("x", np.dtype(np.float32), shape)])
    chosen = CompileOptions(**{"code": "burst", "timesteps": 4, "max_spikes": 2, "batch_size": 8, **options})
    context = Context(chosen, dataset=dataset)
    for step in (Calibrate(), ReplaceRelu(), ReplaceMaxPool()):
        step.run(snn, context)
    before = clone(snn)
    context.established |= CorrectBias.requires
    run_pass(CorrectBias(), snn, context)
    return ann, before, snn, context


def time_means(graph, x, timesteps):
    """The mean over time of every tensor of a converted net: each node on its own, one step after another."""
    engines = {}
    states, sums = {}, {}
    for _ in range(timesteps):
        values = {"x": x}
        for node in tidy(graph).nodes:
            name = node.outputs[0].name
            if is_cell(node):
                parameters = [constant(tensor) for tensor in node.inputs[1:]]
                cell = CELLS[node.op]
                state = states.get(node.name, cell.initial_state(parameters))
                source = values[node.inputs[0].name]
                values[name], states[node.name] = cell.step(source, state, parameters, node.attrs)
            else:
                if name not in engines:
                    read = dict.fromkeys(tensor.name for tensor in operands(node))
                    engines[name] = OnnxruntimeEngine(extract(graph, list(read), [name]))
                values |= engines[name].run(values)
        sums = {name: sums.get(name, 0) + value.astype(np.float64) for name, value in values.items()}
    return {name: total / timesteps for name, total in sums.items()}


def per_channel(values):
    return values.mean(axis=tuple(axis for axis in range(values.ndim) if axis != 1), dtype=np.float64)


def largest_gap(ann, snn, x, timesteps=4):
    """The largest difference of a channel's mean, over all rectified neuron currents and outputs."""
    expected = {node.name: node.inputs[0].name for node in ann.nodes if is_neuron(node)}
    found = {node.name: node.inputs[0].name for node in snn.nodes if is_neuron(node)}
    pairs = [(expected[name], found[name], 0.0) for name in expected]
    pairs += [(a.name, s.name, -np.inf) for a, s in zip(ann.outputs, snn.outputs, strict=True)]
    exact = OnnxruntimeEngine(extract(ann, ["x"], list(dict.fromkeys(a for a, *_ in pairs)))).run({"x": x})
    means = time_means(snn, x, timesteps)
    return max(
        np.abs(per_channel(np.maximum(means[s], low)) - per_channel(np.maximum(exact[a], low))).max()
        for a, s, low in pairs
    )


CHAIN = """(float[N,2,8,8] x) => (float[] y) {
    c1 = Conv<pads=[1,1,1,1]>(x, w1, b1) r1 = Relu(c1) p1 = MaxPool<kernel_shape=[2,2], strides=[2,2]>(r1)
    c2 = Conv(p1, w2) r2 = Relu(c2) f = Flatten(r2) y = Gemm(f, w3, b3)
}"""
CHAIN_SHAPES = {"w1": (4, 2, 3, 3), "b1": (4,), "w2": (4, 4, 3, 3), "w3": (16, 5), "b3": (5,)}

RESIDUAL = """(float[N,3] x) => (float[] y) {
    g1 = Gemm(x, w1) r1 = Relu(g1) g2 = Gemm(r1, w2) r2 = Relu(g2) g3 = Gemm(r2, w3)
    s = Add(r1, g3) r3 = Relu(s) y = Gemm(r3, w1)
}"""
RESIDUAL_SHAPES = {"w1": (3, 3), "w2": (3, 3), "w3": (3, 3)}

POOLED = """(float[N,2,8,8] x) => (float[] y) {
    c1 = Conv(x, w1) r1 = Relu(c1) c2 = Conv(r1, w1) r2 = Relu(c2) a = AveragePool<kernel_shape=[2,2]>(r2)
    r3 = Relu(a) b = Concat<axis=1>(r3, r3) r4 = Relu(b) y = Conv(r4, w2)
}"""
POOLED_SHAPES = {"w1": (2, 2, 3, 3), "w2": (3, 4, 1, 1)}

PREACTIVATION = """(float[N,3] x) => (float[] y) {
    g1 = Gemm(x, w1) r1 = Relu(g1) t = Gemm(r1, w2) r2 = Relu(t) g3 = Gemm(r2, w3)
    s = Sub(g3, t) r3 = Relu(s) y = Gemm(r3, w1)
}"""

NETS = {
    "conv chain with pooling": (CHAIN, CHAIN_SHAPES),
    "residual Add": (RESIDUAL, RESIDUAL_SHAPES),
    "pooling and Concat before neurons": (POOLED, POOLED_SHAPES),
    "current that is read twice": (PREACTIVATION, RESIDUAL_SHAPES),
}


def build(net, rng):
    text, shapes = NETS[net]
    model = parse(text, **normal(rng, **shapes))
    size = [dim.dim_value or SAMPLES for dim in model.graph.input[0].type.tensor_type.shape.dim]
    return model, rng.standard_normal(size).astype(np.float32)


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("net", list(NETS))
def test_mean_currents_become_those_of_the_ann(net, signed, rng):
    model, x = build(net, rng)
    ann, before, after, context = convert(model, x, signed=signed)
    assert largest_gap(ann, before, x) > 1e-2
    assert largest_gap(ann, after, x) < 1e-4
    assert not run_pass(CorrectBias(), after, context)


def reader_of(tensor, graph):
    """Name of the neuron that reads the tensor: what its correction is filed under."""
    return next(node.name for node in graph.nodes if node.inputs[0].name == tensor and is_cell(node))


@pytest.mark.parametrize(
    ("net", "layer", "current"),
    [("conv chain with pooling", "c2", "c2"), ("residual Add", "g3", "s")],
    ids=["of the layer itself", "of an operand of the Add"],
)
def test_a_bias_takes_the_correction(net, layer, current, rng):
    model, x = build(net, rng)
    _, before, after, context = convert(model, x)
    assert [node.op for node in after.nodes] == [node.op for node in before.nodes]
    (taker,) = [node for node in after.nodes if node.name == layer]
    expected = context.corrections[reader_of(current, after)]
    np.testing.assert_allclose(constant(taker.inputs[2]), expected, rtol=1e-6)


def test_anything_else_gets_an_add(rng):
    model, x = build("pooling and Concat before neurons", rng)
    _, before, after, context = convert(model, x)
    added = [node for node in after.nodes if node.op == "Add"]
    assert len(after.nodes) == len(before.nodes) + len(added)
    assert {node.inputs[0].name for node in added} == {"a", "b"}
    assert {reader_of(name, before) for name in ("a", "b")} <= set(context.corrections)


def test_no_correction_was_asked_for(rng):
    model, x = build("residual Add", rng)
    _, _, _, context = convert(model, x, correct_bias=False)
    assert not context.corrections


def chain(depth):
    layers = " ".join(f"g{i} = Gemm(r{i - 1}, w) r{i} = Relu(g{i})" for i in range(1, depth + 1))
    return f"(float[N,3] x) => (float[] y) {{ r0 = Relu(x) {layers} y = Gemm(r{depth}, w) }}"


def test_cost_is_linear_in_depth(rng, monkeypatch):
    run, calls = OnnxruntimeEngine.run, []

    def counted(self, feeds):
        calls.append(self)
        return run(self, feeds)

    weights, x = normal(rng, w=(3, 3)), rng.standard_normal((SAMPLES, 3)).astype(np.float32)
    runs = []
    for depth in (1, 2, 3, 5, 8):
        graph = graph_of(parse(chain(depth), **weights))
        dataset = dataset_from_arrays(x, [InputSpec("x", np.dtype(np.float32), (None, 3))])
        context = Context(CompileOptions(timesteps=4, batch_size=8, code="burst"), dataset=dataset)
        Calibrate().run(graph, context)
        ReplaceRelu().run(graph, context)
        monkeypatch.setattr(OnnxruntimeEngine, "run", counted)
        CorrectBias().run(graph, context)
        monkeypatch.undo()
        runs.append(len(calls))
        calls.clear()
    batches, timesteps = 3, 4
    # Every layer and batch: T steps, the mean and the ANN.
    per_layer = (timesteps + 2) * batches
    assert np.subtract(runs, runs[0]).tolist() == [per_layer * more for more in (0, 1, 2, 4, 7)]


@pytest.mark.parametrize("schedule", ["stream", "layer"])
@pytest.mark.parametrize("net", NETS)
def test_what_waits_on_disk_is_the_same(net, schedule, rng, monkeypatch):
    model, x = build(net, rng)
    *_, held = convert(model, x, schedule=schedule)
    spilled = []

    def shelf(memory):
        assert memory == held.options.memory_bound.size // 4
        spilled.append(Shelf(0))
        return spilled[0]

    monkeypatch.setattr(bias, "Shelf", shelf)
    *_, found = convert(model, x, schedule=schedule)
    assert spilled[0].spilled > 0
    assert {name: shift.tolist() for name, shift in found.corrections.items()} == {
        name: shift.tolist() for name, shift in held.corrections.items()
    }


@pytest.mark.parametrize("net", NETS)
def test_little_memory_makes_small_batches_of_the_same_samples(net, rng, monkeypatch):
    model, x = build(net, rng)
    *_, whole = convert(model, x)
    sizes, run = set(), OnnxruntimeEngine.run

    def counted(self, feeds):
        sizes.update(len(value) for name, value in feeds.items() if name == "x")
        return run(self, feeds)

    monkeypatch.setattr(OnnxruntimeEngine, "run", counted)
    *_, split = convert(model, x, memory=whole.statistics.largest * (8 + 2 * 4) * 2 * 8)
    assert 2 in sizes  # of the sweep
    for name, histogram in whole.statistics.histograms.items():
        assert split.statistics.histograms[name].counts.tolist() == histogram.counts.tolist()
    for name, correction in whole.corrections.items():
        np.testing.assert_allclose(split.corrections[name], correction, atol=1e-6)


@pytest.mark.parametrize("max_spikes", [127, 128, 129])
def test_as_many_spikes_as_fit_a_byte(max_spikes, rng):
    model, x = build("residual Add", rng)
    ann, _, after, _ = convert(model, x, max_spikes=max_spikes, threshold="max", timesteps=2)
    assert largest_gap(ann, after, x, timesteps=2) < 1e-4


@pytest.mark.parametrize(
    ("batch", "samples", "timesteps", "used"),
    [
        ("N", 24, 4, 24),
        ("N", 24, 512, 16),
        ("N", 64, 512, 16),
        ("N", 600, 8, 80),
        ("N", 1200, 8, 80),
        (8, 64, 512, 16),
    ],
)
def test_long_runs_are_corrected_on_a_share_of_the_samples(batch, samples, timesteps, used, monkeypatch):
    seen = []

    def count(_graph, dataset, _batch_size):
        seen.append(len(dataset))
        return []

    monkeypatch.setattr(bias, "calibration_batches", count)
    monkeypatch.setattr(bias, "make_stages", lambda *_: [])
    text = f"float[{batch}, 2] x) => (float[{batch}, 2] y) {{ a = Relu(x) y = Neg(a) }}"
    x = np.zeros((samples, 2), np.float32)
    graph = graph_of(parse(f"agraph ({text}"))
    dataset = dataset_from_arrays(x, [InputSpec("x", np.dtype(np.float32), (None, 2))])
    bias.measure_corrections(graph, dataset, {}, 8, timesteps, memory=1)
    assert seen == [used]


def test_the_documentation_names_the_bound_on_what_large_nets_are_corrected_on():
    text = " ".join(Path("docs/conversion.md").read_text(encoding="utf-8").split())
    assert f"their activations below {bias.LOAD >> 30} GiB in all" in text
    assert f"for at least {bias.FEWEST} samples" in text
