"""Where a correction goes: into a bias where one can take it, else beside it."""

from __future__ import annotations

import numpy as np
import pytest

from onnx2snn.data.dataset import InputSpec
from onnx2snn.data.readers import dataset_from_arrays
from onnx2snn.graph.graph import is_cell
from onnx2snn.options import CompileOptions
from onnx2snn.passes.base import Context
from onnx2snn.passes.calibrate import Calibrate
from onnx2snn.passes.correct_bias import CorrectBias
from onnx2snn.passes.replace_relu import ReplaceRelu
from tests.helpers import graph_of, normal, parse

WEIGHTS = {"w": (3, 3), "b": (3,)}


def corrected(body, rng, *, data=True, **options):
    weights = {name: value for name, value in normal(rng, **WEIGHTS).items() if f" {name}" in body}
    graph = graph_of(parse(f"(float[N,3] x) => (float[N,3] y) {{ {body} }}", **weights))
    x = normal(rng, x=(32, 3))["x"]
    dataset = dataset_from_arrays(x, [InputSpec("x", np.dtype(np.float32), (None, 3))])
    context = Context(CompileOptions(timesteps=2, max_spikes=1, **options), dataset=dataset)
    for step in (Calibrate(), ReplaceRelu()):
        step.run(graph, context)
    if not data:
        context.dataset = None
    return CorrectBias().run(graph, context), graph, context


def ops(graph):
    return [node.op for node in graph.nodes if not is_cell(node)]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("a = Gemm(x, w, b) r = Relu(a) y = Gemm(r, w, b)", ["Gemm", "Gemm"]),
        ("a = Gemm(x, w) r = Relu(a) y = Gemm(r, w, b)", ["Gemm", "Gemm"]),
        ("a = Gemm(x, w, b) c = Add(a, x) r = Relu(c) y = Gemm(r, w, b)", ["Gemm", "Add", "Gemm"]),
        ("r = Relu(x) y = Gemm(r, w, b)", ["Add", "Gemm"]),
    ],
)
def test_a_bias_takes_it_where_there_is_one(body, expected, rng):
    changed, graph, _ = corrected(body, rng)
    assert changed
    assert ops(graph) == expected


def test_what_neurons_before_it_lack_is_added_to_the_bias(rng):
    body = "q = Relu(x) a = Gemm(q, w, b) r = Relu(a) y = Gemm(r, w)"
    _, graph, context = corrected(body, rng)
    shift = next(value for value in context.corrections.values() if np.any(value))
    b = normal(np.random.default_rng(0), **WEIGHTS)["b"]
    layer = next(node for node in graph.nodes if node.op == "Gemm")
    np.testing.assert_allclose(layer.inputs[2].values, b + shift, rtol=1e-5)
    record = next(record for record in context.neurons.values() if record.correction != [0.0])
    np.testing.assert_allclose(record.correction, shift, rtol=1e-6)


def test_a_current_that_others_read_is_corrected_before_the_neuron_only(rng):
    body = "a = Gemm(x, w, b) r = Relu(a) s = Add(a, r) y = Gemm(s, w, b)"
    _, graph, _ = corrected(body, rng)
    neuron = next(node for node in graph.nodes if is_cell(node))
    assert neuron.inputs[0].inputs[0].op == "Add"
    readers = [node.op for node in graph.tensors()["a"].outputs]
    assert sorted(readers) == ["Add", "Add"]


@pytest.mark.parametrize("options", [{"correct_bias": False}, {"data": False}])
def test_nothing_is_corrected_without_data_or_wish(options, rng):
    body = "a = Gemm(x, w, b) r = Relu(a) y = Gemm(r, w, b)"
    changed, _, context = corrected(body, rng, **options)
    assert not changed
    assert context.corrections == {}
    assert all(record.correction is None for record in context.neurons.values())
