"""Per-channel arithmetic that the BatchNorm and bias passes share: y = scale·x + shift along one axis."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from onnx2snn.errors import ModelError
from onnx2snn.graph.channels import channel_axis, channel_count
from onnx2snn.graph.graph import (
    Array,
    Constant,
    Graph,
    Node,
    Tensor,
    constant,
    insert_after,
    rank,
    replace_input,
    unique_name,
)
from onnx2snn.model.spill import product, stored_like

Vector = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Affine:
    """scale·x + shift per channel, both float64 [C]."""

    scale: Vector
    shift: Vector


def read_batchnorm(node: Node) -> Affine | str:
    """The scale and shift of a BatchNormalization at inference, or why they cannot be known.

    scale = γ/√(σ² + ε), shift = β - μ·scale (ONNX operator BatchNormalization).
    """
    if node.attrs.get("training_mode", 0):
        return "it is in training mode"
    values = [constant(tensor) for tensor in node.inputs[1:5]]
    if any(value is None for value in values):
        names = [t.name for t, value in zip(node.inputs[1:5], values, strict=True) if value is None]
        return f"its parameter '{names[0]}' is a graph input or computed, not a constant"
    sizes = [value.shape for value in values if value is not None]
    if len(set(sizes)) > 1:
        return "its parameters differ in shape"
    gamma, beta, mean, variance = (np.asarray(value, dtype=np.float64) for value in values)
    spread = variance + float(node.attrs.get("epsilon", 1e-5))
    if not (spread > 0).all():
        raise ModelError(
            f"node '{node.name}' (BatchNormalization): expected variances above -epsilon, "
            f"found {variance.min():g}; repair the model"
        )
    scale = gamma / np.sqrt(spread)
    return Affine(scale, beta - mean * scale)


def read_arithmetic(node: Node) -> tuple[Affine, Tensor] | None:
    """Scale, shift and operand of an Add, Sub, Mul or Div with a constant per channel or a scalar."""
    if node.op not in ("Add", "Sub", "Mul", "Div") or node.domain:
        return None
    values = [constant(tensor) for tensor in node.inputs]
    index = 0 if values[0] is not None else 1
    value, source = values[index], node.inputs[1 - index]
    channels, dims = channel_count(source), rank(source)
    if value is None or channels is None or dims is None or channel_axis(source) != 1 or value.ndim > dims:
        return None
    aligned = (1,) * (dims - value.ndim) + value.shape
    if value.size != 1 and (aligned[1] != channels or value.size != channels):
        return None
    vector = np.broadcast_to(value.reshape(-1).astype(np.float64), (channels,))
    one, zero = np.ones(channels), np.zeros(channels)
    if node.op == "Add":
        return Affine(one, vector), source
    if node.op == "Mul":
        return Affine(vector, zero), source
    if node.op == "Sub":
        return (Affine(one, -vector) if index else Affine(-one, vector)), source
    return (Affine(1 / vector, zero), source) if index and (vector != 0).all() else None


def set_constant(graph: Graph, node: Node, index: int, value: Vector, like: Array) -> None:
    """Give the node a constant of its own at an input: the old one may be shared with other nodes."""
    old = node.inputs[index].name if len(node.inputs) > index and node.inputs[index].name else ""
    name = unique_name(graph, old or f"{node.name}/bias")
    replace_input(
        node, index, Constant(name, stored_like(np.ascontiguousarray(value, dtype=like.dtype), like))
    )


def along(vector: Vector, axis: int, rank: int) -> Vector:
    """A vector [C] shaped so that it broadcasts along `axis` of a tensor of the given rank."""
    shape = [1] * rank
    shape[axis] = -1
    return vector.reshape(shape)


def scale_outputs(graph: Graph, node: Node, affine: Affine) -> str | None:
    """Let a Conv, ConvTranspose, Gemm, MatMul or BatchNormalization give scale·y + shift instead of y.

    Returns:
        None when it was done, else the reason why it cannot be.
    """
    weight = constant(node.inputs[1])
    if node.op == "BatchNormalization":
        return _scale_batchnorm(graph, node, affine)
    if weight is None:
        return f"the weights '{node.inputs[1].name}' of '{node.name}' are a graph input or computed"
    if node.op == "MatMul":
        return _scale_matmul(graph, node, weight, affine)
    bias = read_bias(node, len(affine.scale))
    if bias is None:
        return f"the bias '{node.inputs[2].name}' of '{node.name}' is a graph input or not one per channel"
    if node.op == "Conv":
        scaled = product(weight, along(affine.scale, 0, weight.ndim))
    elif node.op == "ConvTranspose":
        group = int(node.attrs.get("group", 1))
        # Weights are [C_in, C_out/group, …]: each group of input channels has its own output channels.
        split = weight.reshape(group, weight.shape[0] // group, *weight.shape[1:])
        per_group = affine.scale.reshape(group, 1, -1, *[1] * (weight.ndim - 2))
        scaled = product(split, per_group).reshape(weight.shape)
    else:
        scaled = product(weight, along(affine.scale, 0 if node.attrs.get("transB", 0) else 1, 2))
        node.attrs.pop("beta", None)  # `read_bias` has multiplied it in
    set_constant(graph, node, 1, scaled, weight)
    set_constant(graph, node, 2, bias * affine.scale + affine.shift, weight)
    return None


def _scale_batchnorm(graph: Graph, node: Node, affine: Affine) -> str | None:
    own = read_batchnorm(node)
    if isinstance(own, str):
        return own
    gamma, beta = (np.asarray(constant(tensor)) for tensor in node.inputs[1:3])
    set_constant(graph, node, 1, gamma * affine.scale, gamma)
    set_constant(graph, node, 2, beta * affine.scale + affine.shift, beta)
    return None


def _scale_matmul(graph: Graph, node: Node, weight: Array, affine: Affine) -> str | None:
    if weight.ndim != 2 or weight.shape[1] != len(affine.scale):
        return f"the weights of '{node.name}' are no matrix with one column per channel"
    if np.any(affine.shift):
        return f"'{node.name}' has no bias to take the shift"
    set_constant(graph, node, 1, product(weight, affine.scale), weight)
    return None


def read_bias(node: Node, channels: int) -> Vector | None:
    """The bias of a Conv, ConvTranspose or Gemm as one float64 per channel; None if it is not that."""
    if len(node.inputs) < 3 or node.inputs[2].is_empty():
        return np.zeros(channels)
    value = constant(node.inputs[2])
    if value is None or value.size not in (1, channels) or (value.ndim > 1 and value.shape[-1] != value.size):
        return None
    beta = float(node.attrs.get("beta", 1.0)) if node.op == "Gemm" else 1.0
    return np.broadcast_to(value.astype(np.float64).reshape(-1) * beta, (channels,))


def add_bias(graph: Graph, node: Node, shift: Vector) -> None:
    """Let a Conv, ConvTranspose, Gemm or MatMul with constant weights give y + shift instead of y."""
    if not shift.any():
        return
    weight = constant(node.inputs[1])
    assert weight is not None
    if node.op == "MatMul":
        result = node.outputs[0]
        value = Constant(unique_name(graph, f"{node.name}/shift"), shift.astype(weight.dtype))
        insert_after(graph, result, Node("Add", f"{node.name}/add_shift", inputs=[result, value]))
        return
    old = constant(node.inputs[2]) if len(node.inputs) > 2 and not node.inputs[2].is_empty() else None
    beta = float(node.attrs.pop("beta", 1.0)) if node.op == "Gemm" else 1.0
    bias = shift if old is None else old.astype(np.float64) * beta + shift
    set_constant(graph, node, 2, bias, weight)
