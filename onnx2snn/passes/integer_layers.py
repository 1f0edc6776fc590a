"""What becoming layers of integers ask of a graph whose weights are normalised and rounded."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from onnx.reference import ReferenceEvaluator

from onnx2snn.graph.affine import along, read_bias
from onnx2snn.graph.graph import Graph, Node, Tensor, constant, extract, producer, sole_consumer
from onnx2snn.model.spill import stored_like
from onnx2snn.model.weights import inline, pieces
from onnx2snn.ops.standard import standard
from onnx2snn.passes.normalize_weights import is_normalized
from onnx2snn.rules import MOST_SPIKES

Array = npt.NDArray[Any]


def fires_whole(node: Node) -> bool:
    """Whether a node is a neuron that sends whole spikes of one each, no more than uint8 holds."""
    return is_normalized(node) and int(node.attrs["levels"]) <= MOST_SPIKES


def neuron_behind(node: Node) -> Node | None:
    """The only reader of a node's result, if that is a neuron of whole spikes."""
    readers = node.outputs[0].outputs
    return readers[0] if len(readers) == 1 and fires_whole(readers[0]) else None


def biased_layer(graph: Graph, current: Tensor) -> Node | None:
    """A layer of floats whose constant bias is part of a current, and of nothing else."""
    pending = [current]
    while pending:
        tensor = pending.pop()
        node = producer(tensor)
        if node is None or sole_consumer(graph, tensor) is None:
            continue
        if node.op == "Add":
            pending += reversed(node.inputs)
        elif standard(node.op).bias and len(node.inputs) > 2 and constant(node.inputs[2]) is not None:
            return node
    return None


def retire(node: Node) -> None:
    """Take a node out of the graph; another has its name from now on."""
    node.inputs.clear()
    node.outputs.clear()
    node.name = ""


def evaluate_constant(graph: Graph, tensor: Tensor) -> Array:
    """The value of a tensor that depends on constants alone."""
    model = extract(graph, [], [tensor.name])
    inline(model)
    (value,) = ReferenceEvaluator(model).run(None, {})
    return np.asarray(value)


def _outputs_first(layer: Node) -> bool:
    return layer.op == "Conv" or bool(layer.attrs.get("transB", 0))


def whole_weights(layer: Node, step: Array) -> Array:
    """Weights as int8; of a product [inputs, outputs]."""
    weight = np.asarray(constant(layer.inputs[1]))
    rows = weight if _outputs_first(layer) else weight.T
    steps, whole = along(step, 0, rows.ndim), np.empty(rows.shape, np.int8)
    for place, part in pieces(rows):
        whole[place] = np.rint(part.astype(np.float64) / steps[place])
    return stored_like(np.ascontiguousarray(whole if layer.op == "Conv" else whole.T), weight)


def bias_of(layer: Node) -> Array | None:
    """The bias per output channel, float64 [C]; None if it is not that."""
    weight = np.asarray(constant(layer.inputs[1]))
    channels = weight.shape[0] if _outputs_first(layer) else weight.shape[-1]
    return np.zeros(channels) if layer.op == "MatMul" else read_bias(layer, channels)


def extremes(value: Array, dims: int) -> tuple[Array, Array]:
    """Least and most of a constant that meets a tensor of some rank: per channel."""
    aligned = value.reshape((1,) * (dims - value.ndim) + value.shape) if dims >= value.ndim else value
    if aligned.ndim < 2:
        return np.full(1, float(value.min())), np.full(1, float(value.max()))
    others = tuple(axis for axis in range(aligned.ndim) if axis != 1)
    return aligned.min(axis=others).astype(np.float64), aligned.max(axis=others).astype(np.float64)
