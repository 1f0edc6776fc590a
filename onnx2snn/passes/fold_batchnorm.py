"""Conv → BatchNormalization, or Mul and Add per channel ⇒ Conv with scaled weights and shifted bias."""

from __future__ import annotations

import numpy as np

from onnx2snn.graph.affine import Affine, read_arithmetic, read_batchnorm, scale_outputs, set_constant
from onnx2snn.graph.graph import Graph, Node, bypass, constant, producer, rank, reroute, sole_consumer, tidy
from onnx2snn.ops.standard import WEIGHTED, standard
from onnx2snn.passes.base import Context, Pass, fold_each


class FoldBatchNorm(Pass):
    """Fold a BatchNormalization, or arithmetic with a constant per channel, into the linear node before it.

    W' = W·scale along the output channels, b' = b·scale + shift.

    Cases:
        1. Conv, ConvTranspose or Gemm → BN: weights and bias take it. Weights shared with another node are
           copied, so the other keeps its own.
        2. MatMul → Add(constant) → BN on [N, F]: the matrix takes the scale, the Add the shift.
        3. MatMul → BN on [N, F]: the matrix takes the scale, the BN becomes an Add of the shift.
        4. Conv, ConvTranspose, Gemm or BN → Mul, Div, Add or Sub of a constant per channel (of a scalar) →
           the node before takes it.
        5. Keeps the BN when the tensor between is read elsewhere or is an output, when weights, bias or BN
           parameters are graph inputs, and when what precedes it is not linear (`PushBatchNorm` may help).
    """

    requires = frozenset({"identities_removed"})
    ensures = frozenset({"batchnorms_folded"})

    def run(self, graph: Graph, context: Context) -> bool:
        """See `Pass.run`."""
        changed = fold_each(graph, context, "BatchNormalization", _fold, "into the weights before it")
        for node in [node for node in graph.nodes if node.op in ("Add", "Sub", "Mul", "Div")]:
            if _fold_arithmetic(graph, node):
                context.note(node.name, node.op, "folded", "into the weights before it")
                changed = True
        if changed:
            tidy(graph)
        return changed


def _fold(graph: Graph, node: Node) -> str | None:
    """Fold one BN; return the reason when it stays."""
    affine = read_batchnorm(node)
    if isinstance(affine, str):
        return affine
    source = producer(node.inputs[0])
    if source is None:
        return "it follows a graph input"
    if sole_consumer(graph, node.inputs[0]) is None:
        return f"the output of '{source.name}' is read by other nodes too, or is an output of the graph"
    if source.op == "Add":
        return _fold_through_bias(graph, node, source, affine)
    if source.op not in WEIGHTED:
        return f"it follows a {source.op} ('{source.name}'), which has no weights"
    if source.op == "MatMul" and rank(node.inputs[0]) != 2:
        return f"channels are not the last axis of '{source.name}'"
    if source.op == "MatMul" and np.any(affine.shift):
        reason = scale_outputs(graph, source, Affine(affine.scale, np.zeros_like(affine.shift)))
        if reason is None:
            weight = constant(source.inputs[1])
            assert weight is not None
            node.op, node.inputs = "Add", [node.inputs[0], node.inputs[2]]
            node.attrs.clear()
            set_constant(graph, node, 1, affine.shift, weight)
        return reason
    reason = scale_outputs(graph, source, affine)
    if reason is None:
        bypass(graph, node)
    return reason


def _fold_arithmetic(graph: Graph, node: Node) -> bool:
    arithmetic = read_arithmetic(node)
    if arithmetic is None:
        return False
    affine, operand = arithmetic
    source = producer(operand)
    if source is None or not (source.op == "BatchNormalization" or standard(source.op).bias):
        return False
    if sole_consumer(graph, operand) is None:
        return False
    if scale_outputs(graph, source, affine) is not None:
        return False
    reroute(graph, node.outputs[0], operand)
    node.inputs.clear()
    node.outputs.clear()
    return True


def _fold_through_bias(graph: Graph, node: Node, add: Node, affine: Affine) -> str | None:
    values = [constant(tensor) for tensor in add.inputs]
    index = next((i for i, value in enumerate(values) if value is not None), None)
    matmul = None if index is None else producer(add.inputs[1 - index])
    if index is None or matmul is None or matmul.op != "MatMul":
        return f"it follows an Add ('{add.name}') that is not the bias of a MatMul"
    bias = values[index]
    assert bias is not None
    if sole_consumer(graph, add.inputs[1 - index]) is None:
        return f"the output of '{matmul.name}' is read by other nodes too, or is an output of the graph"
    per_channel = bias.size == 1 or (bias.size == len(affine.scale) and bias.shape[-1] == bias.size)
    if rank(node.inputs[0]) != 2 or not per_channel:
        return f"channels are not the last axis of '{matmul.name}'"
    reason = scale_outputs(graph, matmul, Affine(affine.scale, np.zeros_like(affine.shift)))
    if reason is None:
        set_constant(graph, add, index, bias.reshape(-1) * affine.scale + affine.shift, bias)
        bypass(graph, node)
    return reason
