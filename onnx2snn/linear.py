"""Which operators act on spikes as they are: linear (or affine) in what changes over time.

To add an operator, add it to `LINEAR_RULES` with the rule that says when it is linear.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

import numpy as np

from onnx2snn.graph import Node

#: A rule gets the node and the names of the tensors that change over time; it returns why the node is not
#: linear in these, or None when it is.
Rule = Callable[[Node, Collection[str]], str | None]


def _changing(node: Node, temporal: Collection[str]) -> list[int]:
    return [index for index, tensor in enumerate(node.inputs) if tensor.name in temporal]


def _always(node: Node, temporal: Collection[str]) -> str | None:
    """Linear in all inputs together: sums and concatenations."""
    del node, temporal
    return None


def _in_data(node: Node, temporal: Collection[str]) -> str | None:
    """Linear in the first input; the others say how, and must not change over time."""
    if _changing(node, temporal) not in ([], [0]):
        return "how it rearranges its input depends on an activation"
    return None


def _in_one_factor(node: Node, temporal: Collection[str]) -> str | None:
    """Products: linear in one factor as long as the other does not change over time."""
    if {0, 1} <= set(_changing(node, temporal)):
        return "it multiplies two activations"
    return None


def _in_dividend(node: Node, temporal: Collection[str]) -> str | None:
    return "it divides by an activation" if 1 in _changing(node, temporal) else None


def _at_inference(node: Node, temporal: Collection[str]) -> str | None:
    if node.attrs.get("training_mode", 0):
        return "it is in training mode"
    return _in_data(node, temporal)


def _between_floats(node: Node, temporal: Collection[str]) -> str | None:
    del temporal
    types = [np.dtype(tensor.dtype) for tensor in (*node.inputs, *node.outputs) if tensor.dtype is not None]
    widens = len(types) < 2 or types[1].itemsize >= types[0].itemsize
    exact = widens and all(dtype.kind == "f" for dtype in types)
    return None if exact else "it rounds activations to another type"


def _without_cropping(node: Node, temporal: Collection[str]) -> str | None:
    if node.attrs.get("coordinate_transformation_mode") == "tf_crop_and_resize":
        return "it crops while it resizes"
    return _in_data(node, temporal)


LINEAR_RULES: dict[str, Rule] = {
    "Add": _always,
    "AveragePool": _in_data,
    "BatchNormalization": _at_inference,
    "Cast": _between_floats,
    "Concat": _always,
    "Conv": _in_one_factor,
    "ConvTranspose": _in_one_factor,
    "DepthToSpace": _in_data,
    "Div": _in_dividend,
    "Expand": _in_data,
    "Flatten": _in_data,
    "Gather": _in_data,
    "Gemm": _in_one_factor,
    "GlobalAveragePool": _in_data,
    "Identity": _always,
    "MatMul": _in_one_factor,
    "Mean": _always,
    "Mul": _in_one_factor,
    "Neg": _always,
    "Pad": _in_data,
    "ReduceMean": _in_data,
    "ReduceSum": _in_data,
    "Reshape": _in_data,
    "Resize": _without_cropping,
    "Slice": _in_data,
    "SpaceToDepth": _in_data,
    "Split": _in_data,
    "Squeeze": _in_data,
    "Sub": _always,
    "Sum": _always,
    "Tile": _in_data,
    "Transpose": _in_data,
    "Unsqueeze": _in_data,
}


def why_not_linear(node: Node, temporal: Collection[str]) -> str | None:
    """Why the node is not linear in what changes over time, None if it is."""
    rule = LINEAR_RULES.get(node.op)
    return "it is not linear" if rule is None else rule(node, temporal)
