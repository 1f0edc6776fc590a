"""Bias b of every layer → b + c, so that its mean activation is the ANN's; and weights, where asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from onnx2snn.calibration.bias import measure_corrections
from onnx2snn.calibration.statistics import fixed_batch
from onnx2snn.graph.affine import add_bias
from onnx2snn.graph.channels import broadcastable, channel_axis, channel_count, written
from onnx2snn.graph.graph import (
    Constant,
    Graph,
    Node,
    Tensor,
    Variable,
    constant,
    insert_after,
    is_cell,
    is_output,
    producer,
    rank,
    sole_consumer,
    tidy,
    unique_name,
)
from onnx2snn.graph.targets import find_targets
from onnx2snn.ops import CELLS
from onnx2snn.ops.standard import standard
from onnx2snn.passes.base import Context, Pass
from onnx2snn.thresholds.histogram import Vector

#: What a layer holds of its sample beside spikes, in activations: both nets' currents, and steps between.
_COPIES = 8


class CorrectBias(Pass):
    """Add to each neuron's input current, per channel, what the converted prefix lacks on average.

    See `onnx2snn.calibration.bias`: c is measured in one sweep through the net in which every layer sees the
    already corrected ones before it.

    Cases:
        1. The current comes from a Conv, ConvTranspose or Gemm that nothing else reads → its bias takes c.
        2. From an Add with such an operand of the same shape → that operand's bias takes it.
        3. From anything else, or read by others too → an Add of a constant before this neuron only.
        4. In the schedule `layer`, with `refit`, weights are refitted first (`onnx2snn.calibration.refit`).
        5. The same for the mean of the layer that the outputs are made of.
    Needs calibration data.
    """

    requires = frozenset({"firing_chosen"})
    ensures = frozenset({"biases_corrected"})

    def run(self, graph: Graph, context: Context) -> bool:
        """See `Pass.run`."""
        if not context.options.correct_bias or context.dataset is None:
            return False
        layered = context.options.schedule == "layer"
        timesteps = 1 if layered else context.options.timesteps
        corrections = measure_corrections(
            graph,
            context.dataset,
            context.rectifiers,
            _batch_size(graph, context, timesteps),
            timesteps,
            context.advance,
            memory=context.options.memory_bound.size // 4,
            sample_bytes=0 if context.statistics is None else context.statistics.total,
            refit=layered and context.options.refit,
        )
        context.corrections = corrections.shifts
        tensors, nodes = graph.tensors(), {node.name: node for node in graph.nodes}
        for name, weight in corrections.weights.items():
            tensors[name].values = weight
        targets = {target.tensor.name: target for target in find_targets(graph)}
        for key, correction in context.corrections.items():
            if key in nodes and is_cell(nodes[key]):
                cell = nodes[key]
                target = targets.get(cell.inputs[0].name) if CELLS[cell.op].sums else None
                if target is None:
                    _correct_input(graph, cell.inputs[0], [cell], correction)
                else:
                    _correct_input(graph, target.source, target.nodes, correction)
                context.neurons[key] = replace(context.neurons[key], correction=written(correction))
            else:
                _correct_tensor(graph, tensors[key], correction)
        tidy(graph)
        return bool(context.corrections)


def _batch_size(graph: Graph, context: Context, timesteps: int) -> int:
    """Samples that go through a layer together: with spikes of all timesteps, in and out."""
    largest = 0 if context.statistics is None else context.statistics.largest
    sample = largest * (_COPIES + 2 * timesteps)
    return context.options.memory_bound.batch(sample, context.options.batch_size, fixed_batch(graph))


def _correct_input(graph: Graph, current: Tensor, readers: Sequence[Node], correction: Vector) -> None:
    """Correct what a neuron reads, or the activation before it, and nothing else."""
    if not is_output(graph, current) and all(any(node is r for r in readers) for node in current.outputs):
        _correct_tensor(graph, current, correction)
        return
    name = unique_name(graph, f"{readers[-1].name}/current")
    corrected = Variable(name, current.dtype, current.shape)
    graph.nodes.append(_shift(graph, current, correction, corrected))
    for node in readers:
        node.inputs = [corrected if tensor is current else tensor for tensor in node.inputs]


def _correct_tensor(graph: Graph, tensor: Tensor, correction: Vector) -> None:
    node = _taker(graph, tensor)
    if node is not None:
        add_bias(graph, node, correction)
        return
    insert_after(graph, tensor, _shift(graph, tensor, correction))


def _shift(graph: Graph, tensor: Tensor, correction: Vector, *results: Tensor) -> Node:
    value = broadcastable(correction, tensor, tensor.dtype or np.float32)
    shift = Constant(unique_name(graph, f"{tensor.name}/correction"), value)
    name = unique_name(graph, f"{tensor.name}/add_correction")
    return Node("Add", name, inputs=[tensor, shift], outputs=list(results))


def _taker(graph: Graph, tensor: Tensor) -> Node | None:
    """The node before the tensor whose bias can take the correction, the first of those that are added."""
    pending = [tensor]
    while pending:
        taken = pending.pop()
        node = producer(taken)
        if node is None:
            continue
        if node.op == "Add":
            sources = [
                source
                for source in node.inputs
                if sole_consumer(graph, source) is node and rank(source) == rank(taken) is not None
                if channel_axis(source) == channel_axis(taken)
                if channel_count(source) == channel_count(taken) is not None
            ]
            pending += reversed(sources)
        elif standard(node.op).bias and constant(node.inputs[1]) is not None and _is_readable(node):
            return node
    return None


def _is_readable(node: Node) -> bool:
    """Whether a node has no bias yet, or one that can be added to."""
    return len(node.inputs) < 3 or node.inputs[2].is_empty() or constant(node.inputs[2]) is not None
