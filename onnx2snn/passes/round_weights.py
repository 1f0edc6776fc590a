"""Weights W of the layers behind a neuron → s·W_q, multiples of one step per output channel: int8."""

from __future__ import annotations

import math

import numpy as np

from onnx2snn.calibration.moments import Moments, measure_moments
from onnx2snn.channels import channel_axis
from onnx2snn.errors import OptionError
from onnx2snn.graph import WEIGHTED, Array, Graph, Node, constant, producer, tidy
from onnx2snn.passes.affine import Vector, add_bias, set_constant
from onnx2snn.passes.base import Context
from onnx2snn.sections import divide

#: Largest and least of what int8 is used for; symmetric.
_INT8 = 127
#: Products of a spike count and a weight that some processors add up in pairs, in int16.
_PAIRS, _INT16 = 2, 32767
#: No step is finer than this share of the bias, which must fit int32.
_BIAS_STEPS = 1 << 22
#: Candidates for what the largest weight becomes, as shares of it; larger weights are clipped.
_SHARES = np.linspace(1.0, 0.3, 15)


class RoundWeights:
    """Round weights to int8, with the step that costs the current least.

        s = argmin Σ_i E[x_i²]·(W_i - s·W_q,i)²          W_q = clip(round(W/s), -127, 127)

    with x what the layer reads of the converted net on calibration data; then b takes back what is left on
    average, Σ_i E[x_i]·(W_i - s·W_q,i).

    Cases:
        1. Conv, ConvTranspose, Gemm, MatMul by a constant matrix, behind a neuron → rounded.
        2. Before the first neuron weights meet the analog input, and stay as they are.
        3. With more than 129 levels W_q is smaller, so that no two products overflow int16, which is what
           processors without VNNI add them up in.
    Runs last, with `weights` int8 only. Needs calibration data.
    """

    name = "RoundWeights"
    removes: frozenset[str] = frozenset()

    def run(self, graph: Graph, context: Context) -> bool:
        """See `Pass.run`."""
        if context.options.weights == "float" or context.steps or context.dataset is None:
            return False
        temporal = divide(graph).temporal
        layers = [
            node
            for node in graph.nodes
            if node.op in WEIGHTED and node.inputs[0].name in temporal and _matrix(node) is not None
        ]
        _check_types(layers)
        axes = {layer.inputs[0].name: _input_axis(layer) for layer in layers}
        moments = measure_moments(graph, axes, context.dataset, context.options.batch_size) if axes else {}
        most = min(_INT8, _INT16 // (_PAIRS * context.options.total_levels))
        for layer in layers:
            context.steps[layer.name] = _round(graph, layer, moments[layer.inputs[0].name], most)
        tidy(graph)
        return bool(layers)


def _check_types(layers: list[Node]) -> None:
    for layer in layers:
        found = np.asarray(constant(layer.inputs[1])).dtype
        if found != np.float32:
            raise OptionError(
                f"--weights: expected float for a net of {found}, found int8 ('{layer.name}'); "
                "leave it out, or export the model in float32"
            )


def _input_axis(layer: Node) -> int | None:
    """The axis of what a layer reads along which its weights differ."""
    if layer.op in ("Conv", "ConvTranspose"):
        return 1
    source = layer.inputs[0]
    dims = len(source.shape) if source.shape is not None else None
    return None if dims is None else dims - 1


def _matrix(layer: Node) -> Array | None:
    """Weights as [outputs, inputs of one output, taps]; None where they are no constant of such a form."""
    weight = constant(layer.inputs[1])
    if weight is None or layer.attrs.get("transA", 0):
        return None
    if layer.op == "Conv":
        return weight.reshape(*weight.shape[:2], -1)
    if layer.op == "ConvTranspose":
        groups = int(layer.attrs.get("group", 1))
        inputs, outputs = weight.shape[0] // groups, weight.shape[1]
        split = weight.reshape(groups, inputs, outputs, -1).swapaxes(1, 2)
        return split.reshape(groups * outputs, inputs, -1)
    if weight.ndim != 2:
        return None
    return (weight if layer.attrs.get("transB", 0) else weight.T)[:, :, None]


def _like_weights(layer: Node, rows: Array) -> Array:
    """The inverse of `_matrix`."""
    shape = np.asarray(constant(layer.inputs[1])).shape
    if layer.op == "Conv":
        return rows.reshape(shape)
    if layer.op == "ConvTranspose":
        groups = int(layer.attrs.get("group", 1))
        split = rows.reshape(groups, shape[1], shape[0] // groups, -1).swapaxes(1, 2)
        return split.reshape(shape)
    return rows[:, :, 0] if layer.attrs.get("transB", 0) else rows[:, :, 0].T


def _round(graph: Graph, layer: Node, moments: Moments, most: int) -> Vector:
    """Round one layer's weights; returns the step of every output channel."""
    rows = np.asarray(_matrix(layer), np.float64)
    square, mean = (_seen(vector, rows) for vector in (moments.square, moments.mean))
    bias = _largest_bias(layer)
    least = (bias + 1) / _BIAS_STEPS
    largest = np.abs(rows).max(axis=(1, 2))
    best = np.full(len(rows), np.inf)
    steps = np.ones(len(rows))
    # Inputs that calibration never saw count a little, and as much each.
    weighting = (square + 1e-5 * square.mean() + np.finfo(np.float64).tiny)[:, :, None]
    for share in _SHARES:
        step = np.maximum(share * largest / most, least).astype(np.float32).astype(np.float64)
        error = (weighting * np.square(rows - _multiples(rows, step, most))).sum(axis=(1, 2))
        steps = np.where(error < best, step, steps)
        best = np.minimum(error, best)
    rounded = _multiples(rows, steps, most)
    lost = (mean[:, :, None] * (rows - rounded)).sum(axis=(1, 2))
    weight = np.asarray(constant(layer.inputs[1]))
    alpha = float(layer.attrs.get("alpha", 1.0))
    set_constant(graph, layer, 1, _like_weights(layer, rounded), weight)
    if _takes_bias(layer):
        add_bias(graph, layer, alpha * lost)
    return steps


def _multiples(rows: Array, step: Vector, most: int) -> Array:
    whole = np.rint(rows / step[:, None, None])
    return np.asarray(np.clip(whole, -most, most) * step[:, None, None])


def _seen(vector: Vector, rows: Array) -> Array:
    """A moment of the input channels, as each output channel meets them: [outputs, inputs of one]."""
    outputs, inputs = rows.shape[:2]
    if vector.size == 1:
        return np.broadcast_to(vector, (outputs, inputs))
    by_group = vector.reshape(-1, inputs)
    return np.repeat(by_group, outputs // len(by_group), axis=0)


def _largest_bias(layer: Node) -> float:
    value = constant(layer.inputs[2]) if len(layer.inputs) > 2 and not layer.inputs[2].is_empty() else None
    return 0.0 if value is None else float(np.abs(value).max(initial=0))


def _takes_bias(layer: Node) -> bool:
    """Whether a layer's bias is there, or can be."""
    if layer.op == "MatMul":
        return channel_axis(layer.outputs[0]) is not None and producer(layer.outputs[0]) is layer
    if len(layer.inputs) < 3 or layer.inputs[2].is_empty():
        return True
    value = constant(layer.inputs[2])
    return value is not None and math.prod(value.shape) == value.shape[-1]
