"""Which operators act on spikes as they are: linear (or affine) in what changes over time.

Which rule is an operator's stands in its record (`onnx2snn.ops.standard`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection

import numpy as np

from onnx2snn.graph.graph import Graph, Node, has_layers, is_float, scalar
from onnx2snn.ops.standard import WEIGHTED, standard

#: A rule gets the node and the names of the tensors that change over time; it returns why the node is not
#: linear in these, or None when it is.
Rule = Callable[[Node, Collection[str]], str | None]

#: Why a node whose shape depends on activations is refused, not merely analog.
REARRANGES = "how it rearranges its input depends on an activation"


def before_weights(graph: Graph) -> set[str]:
    """Names of the tensors on which some weighted node's result depends. The graph must be sorted."""
    names: set[str] = set()
    for node in reversed(graph.nodes):
        if node.op in WEIGHTED or has_layers(node) or any(tensor.name in names for tensor in node.outputs):
            names.update(tensor.name for tensor in node.inputs)
    return names


def pads_with_zeros(node: Node) -> bool:
    """Whether a Pad adds nothing but zeros."""
    given = len(node.inputs) > 2 and not node.inputs[2].is_empty()
    return node.attrs.get("mode", "constant") == "constant" and (not given or scalar(node.inputs[2]) == 0)


def changing(node: Node, temporal: Collection[str]) -> list[int]:
    """Which of the node's inputs change over time."""
    return [index for index, tensor in enumerate(node.inputs) if tensor.name in temporal]


def _always(node: Node, temporal: Collection[str]) -> str | None:
    """Linear in all inputs together: sums and concatenations."""
    del node, temporal
    return None


def _in_data(node: Node, temporal: Collection[str]) -> str | None:
    """Linear in the first input; the others say how, and must not change over time."""
    return None if changing(node, temporal) in ([], [0]) else REARRANGES


def _in_one_factor(node: Node, temporal: Collection[str]) -> str | None:
    """Products: linear in one factor as long as the other does not change over time."""
    if {0, 1} <= set(changing(node, temporal)):
        return "it multiplies two activations"
    return None


def _in_dividend(node: Node, temporal: Collection[str]) -> str | None:
    return "it divides by an activation" if 1 in changing(node, temporal) else None


def _in_one_operand(node: Node, temporal: Collection[str]) -> str | None:
    return "it multiplies activations" if len(changing(node, temporal)) > 1 else None


def _at_inference(node: Node, temporal: Collection[str]) -> str | None:
    if node.attrs.get("training_mode", 0):
        return "it is in training mode"
    return None if changing(node, temporal) in ([], [0]) else "its parameters depend on an activation"


def _between_floats(node: Node, temporal: Collection[str]) -> str | None:
    del temporal
    source, result = node.inputs[0], node.outputs[0]
    floats = is_float(source) and is_float(result)
    exact = floats and np.dtype(result.dtype).itemsize >= np.dtype(source.dtype).itemsize
    return None if exact else "it rounds activations to another type"


def _in_padding(node: Node, temporal: Collection[str]) -> str | None:
    """Linear in the data and in the value that is padded; the pads and axes must not change."""
    return None if set(changing(node, temporal)) <= {0, 2} else REARRANGES


def _under_condition(node: Node, temporal: Collection[str]) -> str | None:
    return "it chooses by an activation" if 0 in changing(node, temporal) else None


def _at_indices(node: Node, temporal: Collection[str]) -> str | None:
    """Linear in data and updates, unless updates are reduced by more than a sum."""
    if 1 in changing(node, temporal):
        return "where it writes depends on an activation"
    reduction = node.attrs.get("reduction", "none")
    return None if reduction in ("none", "add") else f"it combines values by '{reduction}'"


#: By the `linear` of an operator's record.
_RULES: dict[str, Rule] = {
    "condition": _under_condition,
    "data": _in_data,
    "dividend": _in_dividend,
    "factor": _in_one_factor,
    "floats": _between_floats,
    "indices": _at_indices,
    "inference": _at_inference,
    "operand": _in_one_operand,
    "padding": _in_padding,
    "sum": _always,
}


def why_not_linear(node: Node, temporal: Collection[str]) -> str | None:
    """Why the node is not linear in what changes over time, None if it is.

    Arithmetic on integers, between the comparisons of an island, say, is none: spikes are floats.
    """
    rule = _RULES.get(standard(node.op).linear)
    if node.domain or rule is None:
        return "it is not linear"
    reason = rule(node, temporal)
    integral = any(
        is_float(tensor) is False
        for tensor in (*(node.inputs[index] for index in changing(node, temporal)), *node.outputs)
    )
    return "it computes on other numbers than floats" if reason is None and integral else reason
