"""Graph with nodes that cannot be converted → an error that names them all."""

from __future__ import annotations

from onnx2snn.analysis.coverage import judge, refusals
from onnx2snn.errors import ModelError, UnsupportedGraphError
from onnx2snn.graph import Graph
from onnx2snn.passes.base import Context
from onnx2snn.sections import is_neuron


class RefuseUnsupported:
    """Stop before any calibration work when the graph cannot become a spiking network.

    Cases:
        1. Nodes that are refused (with `strict`: analog ones too) → UnsupportedGraphError with all of them.
        2. No rectifier at all → ModelError: nothing would spike.
    Changes nothing in the graph.
    """

    name = "RefuseUnsupported"
    removes: frozenset[str] = frozenset()

    def run(self, graph: Graph, context: Context) -> bool:
        """See `Pass.run`."""
        verdicts = judge(context.model, graph, context.last_notes, strict=context.options.strict)
        refused = refusals(verdicts)
        if refused:
            raise UnsupportedGraphError(refused)
        if not any(is_neuron(node) for node in graph.nodes):
            raise ModelError(
                "model: expected at least one ReLU or Clip(0, c) to turn into neurons, found none; "
                "train the model with ReLU activations"
            )
        return False
