"""Connections of weighted layers: counts through them with every weight set to one, summed by rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import onnx
from onnx import helper, numpy_helper

from onnx2snn.artifact.layouts import Layout
from onnx2snn.ops.standard import OPERATORS, WEIGHTED, standard

#: Layers, those of integers among them.
LAYERS = WEIGHTED | {op for op, record in OPERATORS.items() if record.in_floats}
_CONVOLUTIONS = ("Conv", "ConvTranspose")

Weights = Mapping[str, onnx.TensorProto]


def fan_out(
    node: onnx.NodeProto, counts: Mapping[str, str], weights: Weights, result: str, layout: Layout = None
) -> list[onnx.NodeProto]:
    """Counts through a weighted layer with all weights one and no bias, summed by rows (see `total`).

    Where the weights are at hand, all outputs of a connection's other end are alike: the inputs' channels are
    added up first, one output is computed and multiplied by how many there are.

    Args:
        node: the layer.
        counts: tensor → the tensor with its counts; an operand that is not in it counts one everywhere.
        weights: initializers.
        result: name of the sums, float64 [rows].
        layout: where the samples are in what the layer gives.
    """
    op, (data, weight) = in_floats(node)
    kept = [a for a in node.attribute if a.name not in ("alpha", "beta", "group")]
    if weight in weights and weight not in counts:
        kernel, times = _single_output(op, node, weights[weight].dims)
        if kernel:
            nodes, source = _counts_of(data, counts, f"{result}/data")
            if op in _CONVOLUTIONS:
                nodes += _sum_over(source, [1], f"{result}/channels", keepdims=1)
                source = f"{result}/channels"
            nodes += _filled(kernel, f"{result}/ones")
            layer = helper.make_node(op, [source, f"{result}/ones"], [f"{result}/map"])
            layer.attribute.extend(kept)
            return [*nodes, layer, *total(f"{result}/map", result, layout, times)]
    nodes, inputs = [], []
    for index, name in enumerate((data, weight)):
        more, source = _counts_of(name, counts, f"{result}/ones_{index}")
        nodes += more
        inputs.append(source)
    layer = helper.make_node(op, inputs, [f"{result}/map"])
    layer.attribute.extend(kept)
    layer.attribute.extend(a for a in node.attribute if a.name == "group")
    return [*nodes, layer, *total(f"{result}/map", result, layout)]


def count_dense(model: onnx.ModelProto) -> tuple[onnx.ModelProto, dict[str, str]]:
    """The model with the multiply-accumulates of every weighted layer, by rows, as further outputs.

    Every input of a layer counts as active; zero padding does not. What depends on no input of the model is
    not computed for a sample and does not count. Returns the model, and new output → layer.
    """
    counted = onnx.ModelProto()
    counted.CopyFrom(model)
    weights = {item.name: item for item in model.graph.initializer}
    graph, names = counted.graph, {}
    computed = {item.name for item in model.graph.input}  # from the inputs, not from constants alone
    for node in model.graph.node:
        if computed.isdisjoint(node.input):
            continue
        computed.update(node.output)
        if node.op_type not in LAYERS:
            continue
        name = f"{node.name}/macs"
        graph.node.extend(fan_out(node, {}, weights, name))
        graph.output.append(helper.make_tensor_value_info(name, onnx.TensorProto.DOUBLE, None))
        names[name] = node.name
    return counted, names


def in_floats(node: onnx.NodeProto) -> tuple[str, tuple[str, str]]:
    """The operator of floats that a weighted layer is, and the names of its data and its weights."""
    op, (data, weight) = standard(node.op_type).in_floats or (node.op_type, (0, 1))
    return op, (node.input[data], node.input[weight])


def filled_like(name: str, result: str, value: float) -> list[onnx.NodeProto]:
    """A float32 tensor of the same shape, filled with one value."""
    filling = numpy_helper.from_array(np.full(1, value, np.float32))
    return [
        helper.make_node("Shape", [name], [f"{result}/shape"]),
        helper.make_node("ConstantOfShape", [f"{result}/shape"], [result], value=filling),
    ]


def total(name: str, result: str, layout: Layout, times: int = 1) -> list[onnx.NodeProto]:
    """`times` the sums of rows, in double precision: float32 counts exactly only up to 2^24.

    Axes up to that of the samples make rows; the first does where the samples are not told apart.
    """
    flat, wide, single = f"{result}/flat", f"{result}/wide", f"{result}/single"
    factor = numpy_helper.from_array(np.asarray(times, np.float64))
    return [
        helper.make_node("Flatten", [name], [flat], axis=max(layout or 0, 0) + 1),
        helper.make_node("Cast", [flat], [wide], to=onnx.TensorProto.DOUBLE),
        *_sum_over(wide, [1], single, keepdims=0),
        helper.make_node("Constant", [], [f"{result}/times"], value=factor),
        helper.make_node("Mul", [single, f"{result}/times"], [result]),
    ]


def _single_output(op: str, node: onnx.NodeProto, dims: Sequence[int]) -> tuple[list[int], int]:
    """Shape of the weights of one output from one input channel, and how many outputs are like it.

    In every group of a convolution a place of the input reaches the same places of as many channels. No shape
    where the outputs differ.
    """
    attributes = {item.name: helper.get_attribute_value(item) for item in node.attribute}
    if op in _CONVOLUTIONS:
        outputs = dims[0] // attributes.get("group", 1) if op == "Conv" else dims[1]
        return [1, 1, *dims[2:]], outputs
    if len(dims) < 2:
        return [], 1
    if attributes.get("transB", 0):
        return [1, dims[1]], dims[0]
    return [*dims[:-1], 1], dims[-1]


def _counts_of(name: str, counts: Mapping[str, str], ones: str) -> tuple[list[onnx.NodeProto], str]:
    """The counts of an operand, and the nodes that they need."""
    if name in counts:
        return [], counts[name]
    return filled_like(name, ones, 1.0), ones


def _sum_over(name: str, axes: list[int], result: str, *, keepdims: int) -> list[onnx.NodeProto]:
    return [
        helper.make_node("Constant", [], [f"{result}/axes"], value_ints=axes),
        helper.make_node("ReduceSum", [name, f"{result}/axes"], [result], keepdims=keepdims),
    ]


def _filled(shape: Sequence[int], result: str) -> list[onnx.NodeProto]:
    """Float32 ones of a known shape."""
    ones = numpy_helper.from_array(np.ones(1, np.float32))
    return [
        helper.make_node("Constant", [], [f"{result}/shape"], value_ints=list(shape)),
        helper.make_node("ConstantOfShape", [f"{result}/shape"], [result], value=ones),
    ]
