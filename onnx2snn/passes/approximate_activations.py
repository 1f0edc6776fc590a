"""Smooth activation f(x) → c + Σ_k a_k·Relu(x - b_k)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx

from onnx2snn.calibration.relu_sum import ReluSum, fit_relu_sum
from onnx2snn.calibration.statistics import collect_ranges, evaluate_elementwise
from onnx2snn.graph.graph import (
    Constant,
    Graph,
    Node,
    Tensor,
    Variable,
    extract,
    producer,
    rank,
    tidy,
    unique_name,
)
from onnx2snn.graph.linear import before_weights
from onnx2snn.graph.sections import is_neuron
from onnx2snn.graph.tail import find_tail
from onnx2snn.graph.univariate import Univariate, find_activations
from onnx2snn.options import CompileOptions
from onnx2snn.passes.base import Context, Pass
from onnx2snn.passes.properties import PREPARED
from onnx2snn.thresholds.histogram import ChannelHistogram, Vector


class ApproximateActivations(Pass):
    """With `approximate="relu-sum"`: write smooth activations as sums of ReLUs, which become neurons.

    By default where nothing else would be one.

    They are fitted on the range that calibration shows, all channels of a layer together.

    Cases:
        1. Sigmoid, Tanh, Gelu, SiLU as x·Sigmoid(x), GELU as nine nodes …, of a tensor of known rank, where
           weights follow → one axis more, with a ReLU for each knot, summed up again.
        2. Keeps what no weights follow, which is exact after the last neuron, and what acts on a graph input.
    """

    requires = PREPARED
    ensures = frozenset({"activations_approximated"})
    invalidates = frozenset({"supported"})

    def run(self, graph: Graph, context: Context) -> bool:
        """See `Pass.run`."""
        activations = [] if context.dataset is None else to_approximate(graph, context.options)
        if context.dataset is None or not activations:
            return False
        ranges = collect_ranges(
            graph,
            context.dataset,
            context.options.batch_size,
            {activation.source.name for activation in activations},
            context.advance,
            memory=context.options.memory_bound,
        )
        for activation in activations:
            histogram = ranges[activation.source.name]
            approximation = fit_relu_sum(_function(graph, activation), *_seen(histogram))
            for node in activation.nodes:
                reason = f"a sum of {len(approximation.knots)} ReLUs in its place"
                context.note(node.name, node.op, "spiking", reason)
            _write(graph, activation, approximation)
        tidy(graph)
        return True


def to_approximate(graph: Graph, options: CompileOptions) -> list[Univariate]:
    """The activations that will be written as sums of ReLUs; with `auto`, where nothing else would spike."""
    if options.approximate == "none" or options.code == "graded":
        return []
    tail = find_tail(graph)
    spiking = (node for node in graph.nodes if is_neuron(node) and node.name not in tail)
    if options.approximate == "auto" and any(True for _ in spiking):
        return []
    weighty = before_weights(graph)
    return [
        activation
        for activation in find_activations(graph)
        if activation.nodes[0].name not in tail
        and activation.result.name in weighty
        and producer(activation.source) is not None
        and rank(activation.source) is not None
    ]


def _function(graph: Graph, activation: Univariate) -> Callable[[Vector], Vector]:
    """The activation, evaluated by onnxruntime on a vector."""
    part: onnx.ModelProto = extract(graph, [activation.source.name], [activation.result.name])
    return lambda points: evaluate_elementwise(part, points)


def _seen(histogram: ChannelHistogram) -> tuple[Vector, Vector]:
    """Values and counts, ascending, from histograms of the positive and the negative part."""
    centers = histogram.centers()
    values = np.concatenate(
        [-histogram.maximum[1:], -centers[1][::-1], [0.0], centers[0], histogram.maximum[:1]]
    )
    zeros = max(0.0, histogram.zeros.sum() - histogram.counts.sum())
    counts = np.concatenate([[0.0], histogram.counts[1][::-1], [zeros], histogram.counts[0], [0.0]])
    inside = (values >= -histogram.maximum[1]) & (values <= histogram.maximum[0])
    return values[inside], counts[inside]


def _write(graph: Graph, activation: Univariate, fit: ReluSum) -> None:
    source, result = activation.source, activation.result
    dtype: Any = source.dtype or np.float32
    dims = rank(source) or 0
    stem = activation.nodes[0].name
    sizes = list(source.shape)
    wide = [*sizes[:1], len(fit.knots), *sizes[1:]]

    def per_knot(values: Vector, name: str) -> Constant:
        shaped = values.reshape(-1, *[1] * (dims - 1)).astype(dtype)
        return Constant(unique_name(graph, f"{stem}/{name}"), shaped)

    def apply(op: str, inputs: list[Tensor], shape: list[Any], name: str, **attrs: Any) -> Variable:
        made = Variable(unique_name(graph, f"{stem}/{name}"), dtype, shape)
        graph.nodes.append(Node(op, made.name, attrs, inputs, [made]))
        return made

    axis = Constant(unique_name(graph, f"{stem}/knot_axis"), np.asarray([1], np.int64))
    apart = apply("Unsqueeze", [source, axis], [*sizes[:1], 1, *sizes[1:]], "apart")
    shifted = apply("Sub", [apart, per_knot(fit.knots, "knots")], wide, "shifted")
    rectified = apply("Relu", [shifted], wide, "relu_sum")
    scaled = apply("Mul", [rectified, per_knot(fit.gains, "gains")], wide, "scaled")
    summed = apply("ReduceSum", [scaled, axis], sizes, "summed", keepdims=0)
    offset = Constant(unique_name(graph, f"{stem}/offset"), np.asarray(fit.offset, dtype))
    result.inputs.clear()
    graph.nodes.append(Node("Add", unique_name(graph, f"{stem}/raised"), {}, [summed, offset], [result]))
