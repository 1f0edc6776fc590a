"""Graph with nodes that cannot be converted → an error that names them all."""

from __future__ import annotations

from onnx2snn.errors import ModelError, Refusal, UnsupportedGraphError
from onnx2snn.graph.graph import Graph, Node
from onnx2snn.graph.sections import is_neuron
from onnx2snn.graph.tail import find_tail, first_of_tail
from onnx2snn.graph.targets import find_targets
from onnx2snn.passes.approximate_activations import to_approximate
from onnx2snn.passes.base import Context, Pass
from onnx2snn.passes.coverage import judge, refusals
from onnx2snn.passes.grade_activations import preview
from onnx2snn.passes.properties import PREPARED

#: What to type where only graded neurons would stand.
_LINE = "onnx2snn compile MODEL --calib DATA --code graded"


class RefuseUnsupported(Pass):
    """Stop before any calibration work when the graph cannot become a spiking network.

    Cases:
        1. Nodes that are refused (with `strict`: analog ones too) → UnsupportedGraphError with all of them.
        2. No rectifier at all → ModelError: nothing would spike.
        3. None but in the tail, behind operators whose shape depends on activations → UnsupportedGraphError
           with these operators.
    With `code="graded"` smooth activations that weights follow count as rectifiers, and are not analog. While
    they are still to be approximated they count as such too, and `strict` waits.
    Changes nothing in the graph.
    """

    requires = PREPARED
    ensures = frozenset({"supported"})

    def run(self, graph: Graph, context: Context) -> bool:
        """See `Pass.run`."""
        done = "activations_approximated" in context.established
        waits = not done and bool(to_approximate(graph, context.options))
        strict = context.options.strict and not waits
        seen, notes = preview(graph, context)
        refused = refusals(judge(context.model, seen, notes, strict=strict))
        if refused:
            raise UnsupportedGraphError(refused)
        tail = find_tail(seen)
        if waits or any(is_neuron(node) and node.name not in tail for node in seen.nodes):
            return False
        if tail:
            raise UnsupportedGraphError([_begins(node) for node in first_of_tail(seen)])
        remedy = "train the model with ReLU activations"
        if context.options.code != "graded" and find_targets(graph):
            remedy = f"graded spikes send any activation: {_LINE}; or {remedy}"
        raise ModelError(
            "model: expected at least one ReLU, LeakyReLU or Clip to turn into neurons, found none; " + remedy
        )


def _begins(node: Node) -> Refusal:
    reason = "its output's shape depends on activations, and nothing in front of it spikes"
    return Refusal(
        node.name, node.op, reason, "export the model with fixed shapes, or end it before this node"
    )
