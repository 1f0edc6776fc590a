"""Measure the ANN's activations on the calibration data."""

from __future__ import annotations

from onnx2snn.calibration.statistics import collect_statistics
from onnx2snn.graph import Graph
from onnx2snn.passes.base import Context
from onnx2snn.sections import is_neuron


class Calibrate:
    """Fill `context.statistics`: histograms of every rectifier's output.

    Requires rectifiers written as Relu or Clip(0, c). Changes nothing in the graph.
    """

    name = "Calibrate"
    removes: frozenset[str] = frozenset()

    def run(self, graph: Graph, context: Context) -> bool:
        """See `Pass.run`."""
        if context.statistics is None and context.dataset is not None:
            context.statistics = collect_statistics(
                graph,
                context.dataset,
                context.options.batch_size,
                activations=[node.outputs[0].name for node in graph.nodes if is_neuron(node)],
                advance=context.advance,
            )
        return False
