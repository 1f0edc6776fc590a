"""Measure the ANN's activations on the calibration data."""

from __future__ import annotations

import numpy as np

from onnx2snn.calibration.statistics import Activation, collect_statistics
from onnx2snn.graph.graph import Graph
from onnx2snn.graph.rectifiers import rectifier
from onnx2snn.graph.tail import find_tail
from onnx2snn.graph.targets import find_targets
from onnx2snn.passes.base import Context, Pass


class Calibrate(Pass):
    """Fill `context.statistics`: histograms of every rectifier's output; of a leaky one's input.

    A trained quantiser needs no statistics. Changes nothing in the graph.
    """

    requires = frozenset({"supported", "activations_approximated"})
    ensures = frozenset({"ranges_measured"})

    def run(self, graph: Graph, context: Context) -> bool:
        """See `Pass.run`."""
        if context.dataset is None:
            return False
        activations: dict[str, Activation] = {}
        graded = find_targets(graph) if context.options.code == "graded" else []
        for target in graded:
            name = target.tensor.name
            activations[name] = Activation(name, np.ones(()))
        tail = find_tail(graph)
        for node in [] if graded else [node for node in graph.nodes if node.name not in tail]:
            kind = rectifier(node)
            if kind is not None and kind.step is None:
                read = node.outputs[0] if kind.slope is None else node.inputs[0]
                activations[node.outputs[0].name] = Activation(read.name, kind.slope)
        context.statistics = collect_statistics(
            graph,
            context.dataset,
            context.options.batch_size,
            activations,
            context.advance,
            memory=context.options.memory_bound,
        )
        return False
