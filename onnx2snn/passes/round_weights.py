"""Weights W of the layers behind a neuron → s·W_q, multiples of one step per output channel: int8."""

from __future__ import annotations

import numpy as np

from onnx2snn.calibration.moments import Moments, measure_moments
from onnx2snn.errors import OptionError
from onnx2snn.graph.affine import Vector, add_bias, read_bias, set_constant
from onnx2snn.graph.channels import channel_axis
from onnx2snn.graph.graph import Array, Graph, Node, constant, tidy
from onnx2snn.graph.sections import divide
from onnx2snn.model.spill import product
from onnx2snn.ops.standard import WEIGHTED
from onnx2snn.passes.base import Context, Pass
from onnx2snn.passes.normalize_weights import is_normalized

#: Largest and least of what int8 is used for; symmetric.
_INT8 = 127
#: Products of a spike count and a weight that some processors add up in pairs, in int16.
_PAIRS, _INT16 = 2, 32767
#: No step is finer than this share of the bias, which must fit int32 with the sum.
_BIAS_STEPS = 1 << 30
#: How often a sample's activations are held while moments are measured.
_COPIES = 4
#: Weights that are rounded together: as many as stay in cache.
_TOGETHER = 1 << 16
#: Candidates for what the largest weight becomes, as shares of it; larger weights are clipped.
_SHARES = np.linspace(1.0, 0.3, 15)


class RoundWeights(Pass):
    """Round weights to int8, with the step that costs the current least.

        s = argmin Σ_i E[x_i²]·(W_i - s·W_q,i)²          W_q = clip(round(W/s), -127, 127)

    with x what the layer reads of the converted net on calibration data; then b takes back what is left on
    average, Σ_i E[x_i]·(W_i - s·W_q,i).

    Cases:
        1. Conv, ConvTranspose, Gemm, MatMul by a constant matrix, behind a neuron → rounded.
        2. Before the first neuron weights meet the analog input, and stay as they are.
        3. With more than 129 levels W_q is smaller, so that no two products overflow int16, which is what
           processors without VNNI add them up in.
    With `weights` int8 only. Needs calibration data.
    """

    requires = frozenset({"weights_normalized"})
    ensures = frozenset({"weights_rounded"})

    def run(self, graph: Graph, context: Context) -> bool:
        """See `Pass.run`."""
        if context.options.weights == "float" or context.dataset is None:
            return False
        temporal = divide(graph).temporal
        layers = [
            node
            for node in graph.nodes
            if node.op in WEIGHTED and node.inputs[0].name in temporal and _matrix(node) is not None
        ]
        _check_types(layers)
        read = {layer.name: (layer.inputs[0].name, _input_axis(layer)) for layer in layers}
        wanted = list(dict.fromkeys(read.values()))
        moments = measure_moments(graph, wanted, context.dataset, context.batch(_COPIES)) if read else {}
        most = min(_INT8, _INT16 // (_PAIRS * context.options.total_levels))
        for layer in layers:
            context.steps[layer.name] = _round(graph, layer, moments[read[layer.name]], most)
        tidy(graph)
        return bool(layers)


def _check_types(layers: list[Node]) -> None:
    for layer in layers:
        dtype = np.asarray(constant(layer.inputs[1])).dtype
        if dtype != np.float32:
            raise OptionError(
                f"--weights: expected float for a net of {dtype}, found int8 ('{layer.name}'); "
                "leave it out, or export the model in float32"
            )


def _input_axis(layer: Node) -> int | None:
    """The axis of what a layer reads along which its weights differ."""
    if layer.op != "MatMul":
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
    bias = _fold_factors(graph, layer)
    rows = np.asarray(_matrix(layer))
    square, mean = (_seen(vector, rows) for vector in (moments.square, moments.mean))
    # The neuron behind takes up to 1 out of the bias, which is in units of θ then.
    reach = _feeds_neuron(layer) + np.abs(0.0 if bias is None else bias)
    least = reach / _BIAS_STEPS + float(np.finfo(np.float32).tiny)
    least = np.broadcast_to(least, len(rows))
    # Inputs that calibration never saw count a little, and as much each.
    floor = 1e-5 * square.mean() + np.finfo(np.float64).tiny
    steps, lost, rounded = np.empty(len(rows)), np.empty(len(rows)), np.empty_like(rows, np.float32)
    together = max(1, _TOGETHER // max(1, rows[0].size))
    for first in range(0, len(rows), together):
        part = slice(first, first + together)
        own = rows[part].astype(np.float64)
        steps[part] = _best_steps(own, square[part] + floor, least[part], most)
        multiples = _multiples(own, steps[part], most)
        lost[part] = ((own - multiples).sum(axis=2) * mean[part]).sum(axis=1)
        rounded[part] = multiples
    weight = np.asarray(constant(layer.inputs[1]))
    set_constant(graph, layer, 1, _like_weights(layer, rounded), weight)
    if bias is not None:
        add_bias(graph, layer, lost)
    return steps


def _best_steps(rows: Array, weighting: Array, least: Vector, most: int) -> Vector:
    """The step of each of some output channels that costs the current least."""
    largest = np.abs(rows).max(axis=(1, 2))
    best = np.full(len(rows), np.inf)
    steps = np.ones(len(rows))
    for share in _SHARES:
        step = np.maximum(share * largest / most, least).astype(np.float32).astype(np.float64)
        lost = rows - _multiples(rows, step, most)
        error = (np.square(lost, out=lost).sum(axis=2) * weighting).sum(axis=1)
        steps = np.where(error < best, step, steps)
        best = np.minimum(error, best)
    return steps


def _multiples(rows: Array, step: Vector, most: int) -> Array:
    whole = np.rint(rows / step[:, None, None])
    return np.asarray(np.clip(whole, -most, most) * step[:, None, None])


def _seen(vector: Vector, rows: Array) -> Array:
    """A moment of the input channels, as each output channel meets them: [outputs, inputs of one]."""
    outputs, inputs = rows.shape[:2]
    if vector.size in (1, inputs):
        return np.broadcast_to(vector, (outputs, inputs))
    by_group = vector.reshape(-1, inputs)
    return np.repeat(by_group, outputs // len(by_group), axis=0)


def _fold_factors(graph: Graph, layer: Node) -> Vector | None:
    """The bias per output channel, None if it is not that; α and β of a Gemm go into its constants."""
    channels = len(np.asarray(_matrix(layer)))
    if layer.op == "MatMul":
        return np.zeros(channels) if channel_axis(layer.outputs[0]) is not None else None
    bias = read_bias(layer, channels)
    if layer.op == "Gemm":
        weight = np.asarray(constant(layer.inputs[1]))
        set_constant(graph, layer, 1, product(weight, np.float64(layer.attrs.pop("alpha", 1.0))), weight)
        if bias is not None and layer.attrs.pop("beta", 1.0) != 1:
            set_constant(graph, layer, 2, bias, weight)
    return bias


def _feeds_neuron(layer: Node) -> bool:
    """Whether what a layer gives is part of a current in units of θ, or may be, over an Add."""
    readers = layer.outputs[0].outputs
    return any(is_normalized(node) or node.op == "Add" for node in readers)
