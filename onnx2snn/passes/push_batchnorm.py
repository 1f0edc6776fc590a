"""BatchNormalization → MaxPool → Conv ⇒ MaxPool → Conv with the BN in its weights."""

from __future__ import annotations

import numpy as np

from onnx2snn.graph.affine import Affine, Vector, add_bias, along, read_batchnorm, set_constant
from onnx2snn.graph.channels import static_dims
from onnx2snn.graph.graph import (
    Array,
    Constant,
    Graph,
    Node,
    Variable,
    bypass,
    constant,
    insert_after,
    is_output,
    rank,
    sole_consumer,
    standard_op,
    unique_name,
)
from onnx2snn.graph.linear import pads_with_zeros
from onnx2snn.model.spill import product
from onnx2snn.model.weights import is_mapped, pieces
from onnx2snn.ops.standard import standard
from onnx2snn.passes.base import Context, Pass, fold_each

_POOLS = ("MaxPool", "GlobalMaxPool", "AveragePool", "GlobalAveragePool")


class PushBatchNorm(Pass):
    """Fold a BatchNormalization that follows an activation into the linear nodes after it.

    W' = W·scale along the input channels; the shift becomes bias. Where zero padding lets the kernel see
    0 instead of the shift, the bias is a map: the same kernel run over a plane of ones with the same padding.

    Cases:
        1. BN → Conv, Gemm or MatMul, one or several → all of them take it. A Conv with padding needs known
           spatial dimensions for the bias map.
        2. BN → MaxPool with no negative scale, BN → average pooling without counted padding, BN without a
           shift → Pad with zeros, BN → Slice of space: they commute, so the BN moves behind and is tried
           there.
        3. BN → Flatten → Gemm: scale and shift are repeated for every pixel of the channel.
        4. BN without a shift → Mul by a constant: takes the scale.
        5. Keeps the BN, which is linear, when any consumer is none of these or the BN gives an output.
    """

    requires = frozenset({"batchnorms_folded", "rectifiers_normal"})
    ensures = frozenset({"batchnorms_pushed"})

    def run(self, graph: Graph, context: Context) -> bool:
        """See `Pass.run`."""
        return fold_each(graph, context, "BatchNormalization", push, "into the weights after it")


def push(graph: Graph, node: Node) -> str | None:
    """Fold one BN forward; return the reason when it stays."""
    affine = read_batchnorm(node)
    if isinstance(affine, str):
        return affine
    result = node.outputs[0]
    if is_output(graph, result):
        return "it gives an output of the graph"
    while len(result.outputs) == 1 and standard_op(result.outputs[0]) in (*_POOLS, "Pad", "Slice"):
        pool = result.outputs[0]
        reason = _commutes(graph, pool, affine)
        if reason is not None:
            return reason
        affine = _behind(pool, affine)
        result = pool.outputs[0]
    flatten = sole_consumer(graph, result)
    if flatten is not None and flatten.op == "Flatten" and flatten.attrs.get("axis", 1) == 1:
        dims = static_dims(result)
        if dims is None:
            return f"the size of '{result.name}' before '{flatten.name}' is not known"
        pixels = int(np.prod(dims[1:], dtype=np.int64))
        affine = Affine(np.repeat(affine.scale, pixels), np.repeat(affine.shift, pixels))
        result = flatten.outputs[0]
        if is_output(graph, result):
            return f"the output of '{flatten.name}' is an output of the graph"
    consumers = list(result.outputs)
    reasons = [_obstacle(consumer, result, affine) for consumer in consumers] or ["nothing reads it"]
    for reason in reasons:
        if reason is not None:
            return reason
    bypass(graph, node)
    for consumer in consumers:
        _absorb(graph, consumer, affine)
    return None


def _commutes(graph: Graph, pool: Node, affine: Affine) -> str | None:
    if is_output(graph, pool.outputs[0]) or len(pool.outputs) > 1:
        return f"the output of '{pool.name}' is an output of the graph, or has indices"
    if standard(standard_op(pool)).picks:
        negative = int((affine.scale < 0).sum())
        return f"{negative} negative scales before the {pool.op} '{pool.name}'" if negative else None
    if pool.op == "Pad":
        moves = pads_with_zeros(pool) and not affine.shift.any() and _pads_by_constants(pool)
        return None if moves else f"the Pad '{pool.name}' adds what has not gone through it"
    if pool.op == "Slice":
        return f"the Slice '{pool.name}' may cut channels" if _slices_channels(pool) else None
    padded = any(pool.attrs.get("pads", ())) or pool.attrs.get("auto_pad", "NOTSET") not in (
        "NOTSET",
        "VALID",
    )
    if pool.op == "AveragePool" and pool.attrs.get("count_include_pad", 0) and padded:
        return f"the AveragePool '{pool.name}' counts its padding"
    return None


def _behind(pool: Node, affine: Affine) -> Affine:
    """The same on what comes out: of the channels that a Pad adds any scale is right, they are zero."""
    pads = constant(pool.inputs[1]) if pool.op == "Pad" else None
    if pads is None:
        return affine
    added = (int(pads[1]), int(pads[len(pads) // 2 + 1]))
    return Affine(np.pad(affine.scale, added, constant_values=1), np.pad(affine.shift, added))


def _pads_by_constants(pad: Node) -> bool:
    """Whether a Pad of all axes says how far, and cuts no channels."""
    pads = constant(pad.inputs[1])
    return pads is not None and len(pad.inputs) <= 3 and pads[1] >= 0 and pads[len(pads) // 2 + 1] >= 0


def _slices_channels(node: Node) -> bool:
    """Whether a Slice cuts channels, or may."""
    axes = constant(node.inputs[3]) if len(node.inputs) > 3 else None
    return axes is None or any(axis < 2 for axis in axes.reshape(-1))


def _obstacle(consumer: Node, tensor: Variable, affine: Affine) -> str | None:
    """Why a consumer of the BN cannot take it, None if it can."""
    where = f"'{consumer.name}' ({consumer.op}), which reads it,"
    if consumer.op == "Mul" and _factor(consumer, tensor) is not None and not affine.shift.any():
        return None
    if consumer.op not in ("Conv", "Gemm", "MatMul"):
        return f"{where} has no weights"
    if consumer.inputs[0] is not tensor or sum(t is tensor for t in consumer.inputs) > 1:
        return f"{where} takes it as weights"
    weight = constant(consumer.inputs[1])
    if weight is None or any(constant(t) is None and not t.is_empty() for t in consumer.inputs[2:]):
        return f"{where} has weights that are graph inputs or computed"
    if consumer.op == "MatMul" and (weight.ndim != 2 or len(tensor.shape or ()) != 2):
        return f"{where} does not multiply [N, features] by a matrix"
    if consumer.op == "Gemm" and consumer.attrs.get("transA", 0):
        return f"{where} transposes it"
    shifted = consumer.op == "Conv" and _is_padded(consumer) and affine.shift.any()
    if shifted and static_dims(tensor, 2) is None:
        return f"{where} pads it with zeros, and its spatial size is not known"
    return None


def _factor(product: Node, tensor: Variable) -> int | None:
    """Which input of a Mul is a constant that leaves the shape of the other input, the tensor."""
    for index, other in enumerate(reversed(product.inputs)):
        value = constant(product.inputs[index])
        if other is tensor and value is not None and value.ndim <= (rank(tensor) or 0):
            return index
    return None


def _absorb(graph: Graph, consumer: Node, affine: Affine) -> None:
    if consumer.op == "Mul":
        _absorb_product(graph, consumer, affine)
        return
    weight = constant(consumer.inputs[1])
    assert weight is not None
    if consumer.op == "Conv":
        _absorb_conv(graph, consumer, weight, affine)
        return
    axis = 1 if consumer.op == "Gemm" and consumer.attrs.get("transB", 0) else 0
    shift = _through(affine.shift, weight, axis)
    set_constant(graph, consumer, 1, product(weight, along(affine.scale, axis, 2)), weight)
    if consumer.op == "Gemm":
        shift = shift * float(consumer.attrs.get("alpha", 1.0))
    add_bias(graph, consumer, shift)


def _through(shift: Vector, weight: Array, axis: int) -> Vector:
    """What weights make of a shift of what they read, whose channels lie along one of their two axes."""
    if not is_mapped(weight) or not shift.any():
        rows = weight.T if axis == 1 else weight
        return np.zeros(rows.shape[1]) if is_mapped(weight) else np.asarray(shift @ rows.astype(np.float64))
    parts = ((place, part.astype(np.float64)) for place, part in pieces(weight))
    if axis == 1:
        return np.concatenate([part @ shift for _, part in parts])
    return np.asarray(np.sum([shift[place] @ part for place, part in parts], axis=0))


def _absorb_product(graph: Graph, node: Node, affine: Affine) -> None:
    index = next(i for i, tensor in enumerate(node.inputs) if constant(tensor) is not None)
    value = constant(node.inputs[index])
    dims = rank(node.outputs[0])
    assert value is not None
    assert dims is not None
    set_constant(graph, node, index, value * along(affine.scale, 1, dims), value)


def _absorb_conv(graph: Graph, conv: Node, weight: Array, affine: Affine) -> None:
    group = int(conv.attrs.get("group", 1))
    outputs, inputs = weight.shape[0], weight.shape[1]
    # Input channel of weight[m, i]: group m // (M/group), channel i in it.
    channel = np.arange(outputs)[:, None] // (outputs // group) * inputs + np.arange(inputs)
    spread = (slice(None), slice(None), *[None] * (weight.ndim - 2))
    parts = pieces(weight) if is_mapped(weight) else [(slice(None), weight)]
    kernel = np.concatenate(
        [
            (part * affine.shift[channel[place]][spread]).sum(axis=1, keepdims=True, dtype=np.float64)
            for place, part in parts
        ]
    )
    source, result = conv.inputs[0], conv.outputs[0]
    set_constant(graph, conv, 1, product(weight, affine.scale[channel][spread]), weight)
    if not _is_padded(conv) or not kernel.any():
        add_bias(graph, conv, kernel.reshape(outputs, -1).sum(axis=1))
        return
    dims = static_dims(source, 2)
    assert dims is not None
    ones = Constant(unique_name(graph, f"{conv.name}/ones"), np.ones((1, 1, *dims), weight.dtype))
    plane = None if result.shape is None else [1, *result.shape[1:]]
    border = Variable(unique_name(graph, f"{conv.name}/shift_map"), result.dtype, plane)
    taps = Constant(unique_name(graph, f"{conv.name}/shift_kernel"), kernel.astype(weight.dtype))
    attrs = {**conv.attrs, "group": 1}
    graph.nodes.append(Node("Conv", f"{conv.name}/shift", attrs, [ones, taps], [border]))
    insert_after(graph, result, Node("Add", f"{conv.name}/add_shift", inputs=[result, border]))


def _is_padded(conv: Node) -> bool:
    mode = conv.attrs.get("auto_pad", "NOTSET")
    return mode.startswith("SAME") or (mode == "NOTSET" and any(conv.attrs.get("pads", ())))
