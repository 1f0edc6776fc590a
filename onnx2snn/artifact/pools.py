"""Which neuron a maximum pool reads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import onnx
from onnx import helper

from onnx2snn.model.weights import values_of
from onnx2snn.ops import CELLS, DOMAIN


def neuron_before(
    cell: onnx.NodeProto,
    producers: Mapping[str, onnx.NodeProto],
    weights: Mapping[str, onnx.TensorProto],
) -> tuple[onnx.NodeProto, list[str]] | None:
    """The neuron whose spikes a cell sends, itself or one before pools, and what scales them on the way.

    Args:
        cell: a neuron, or a pool of places.
        producers: tensor → the node that makes it.
        weights: initializers.

    Returns:
        The neuron and the initializers that its spikes are multiplied by, all above zero and the same all
        over a window; None where there is no such neuron.
    """
    factors: list[str] = []
    node: onnx.NodeProto | None = cell
    places = 0
    while node is not None:
        if node.domain == DOMAIN and CELLS[node.op_type].kind == "neuron":
            return node, factors
        source = node.input[0]
        if standard_op(node) == "MaxPool":
            places = len(helper.get_node_attr_value(node, "kernel_shape"))
        elif node.op_type == "Mul" and places:
            source, factor = node.input if node.input[1] in weights else reversed(node.input)
            value = values_of(weights[factor]) if factor in weights else np.zeros(())
            if not (value > 0).all() or any(size != 1 for size in value.shape[-places:]):
                return None
            factors.append(factor)
        elif node.op_type != "Cast":
            return None
        node = producers.get(source)
    return None


def standard_op(node: onnx.NodeProto) -> str:
    """The standard operator that a node is, on sums over time."""
    ours = CELLS.get(node.op_type) if node.domain == DOMAIN else None
    return (ours.acts_as if ours else "") or node.op_type


def most_bits(nodes: Iterable[onnx.NodeProto]) -> int:
    """The timesteps that the longest code of a flat graph takes, as far as its neurons say; else 0."""
    most = 0
    for node in nodes:
        attributes = {item.name: helper.get_attribute_value(item) for item in node.attribute}
        if attributes.get("code") == b"radix":
            most = max(most, int(attributes["levels"]).bit_length())
        neuron = CELLS[node.op_type].neuron if node.domain == DOMAIN and node.op_type in CELLS else None
        most = max(most, neuron.digits if neuron is not None else 0)
    return most
