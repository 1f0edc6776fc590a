"""Bias b of every layer → b + c, so that its mean current is the ANN's (channel-wise)."""

from __future__ import annotations

import numpy as np

from onnx2snn.calibration.bias import measure_corrections
from onnx2snn.calibration.histogram import Vector
from onnx2snn.channels import broadcastable
from onnx2snn.graph import (
    Constant,
    Graph,
    Node,
    Tensor,
    constant,
    insert_after,
    producer,
    sole_consumer,
    tidy,
    unique_name,
)
from onnx2snn.passes.affine import add_bias
from onnx2snn.passes.base import Context


class CorrectBias:
    """Add to each neuron's input current, per channel, what the converted prefix lacks on average.

    c = E[ANN's pre-activation] - E[mean current of the SNN], measured in one sweep through the net in which
    every layer sees the already corrected ones before it.

    Cases:
        1. The current comes from a Conv, ConvTranspose or Gemm that nothing else reads → its bias takes c.
        2. From an Add with such an operand → that operand's bias takes it.
        3. From anything else → an Add of a constant is inserted.
    Requires every rectifier and MaxPool replaced. Needs calibration data; runs once.
    """

    name = "CorrectBias"
    removes: frozenset[str] = frozenset()

    def run(self, graph: Graph, context: Context) -> bool:
        """See `Pass.run`."""
        if not context.options.correct_bias or context.dataset is None or context.corrections:
            return False
        assert context.statistics is not None, "Calibrate runs first"
        context.corrections = measure_corrections(
            graph,
            context.dataset,
            context.statistics,
            context.options.batch_size,
            context.options.timesteps,
            context.advance,
        )
        tensors = graph.tensors()
        for name, correction in context.corrections.items():
            _add_to_bias(graph, tensors[name], correction)
        tidy(graph)
        return bool(context.corrections)


def _add_to_bias(graph: Graph, tensor: Tensor, correction: Vector) -> None:
    node = _taker(graph, tensor)
    if node is None:
        value = broadcastable(correction, tensor, tensor.dtype or np.float32)
        shift = Constant(unique_name(graph, f"{tensor.name}/correction"), value)
        insert_after(graph, tensor, Node("Add", f"{tensor.name}/add_correction", inputs=[tensor, shift]))
        return
    add_bias(graph, node, correction)


def _taker(graph: Graph, tensor: Tensor) -> Node | None:
    """The node before the tensor whose bias can take the correction."""
    node = producer(tensor)
    if node is None or node.op not in ("Conv", "ConvTranspose", "Gemm", "Add"):
        return None
    if node.op == "Add":
        sources = [source for source in node.inputs if sole_consumer(graph, source) is node]
        return next((taker for taker in (_taker(graph, source) for source in sources) if taker), None)
    readable = len(node.inputs) < 3 or node.inputs[2].is_empty() or constant(node.inputs[2]) is not None
    return node if readable and constant(node.inputs[1]) is not None else None
