"""What attributes must be before ONNX's own code reads them: some values let it abort the whole process."""

from __future__ import annotations

import math
from collections.abc import Iterable

import onnx
from onnx.external_data_helper import uses_external_data

from onnx2snn.errors import ModelError
from onnx2snn.model.nodes import label, nested, tensors

#: Attributes that number axes, and more axes than any tensor has.
_AXES = ("axis", "axes", "perm", "batch_axis", "time_axis", "batch_dim", "time_dim")
_MOST_AXES = 64
#: Sizes, strides, counts are numbers of 32 bits; what ends a slice may be any, and a constant as well.
_FARTHEST = 1 << 31
_FAR = ("Constant", "Shape", "Slice")


def check_attributes(model: onnx.ModelProto, source: str) -> None:
    """Check the attributes of all nodes, those of subgraphs and functions as well.

    Raises:
        ModelError: one that is not finite, refers to nothing, or that ONNX's code would trip over.
    """
    _check(model.graph.node, source, frozenset())
    for function in model.functions:
        declared = {*function.attribute, *(item.name for item in function.attribute_proto)}
        _check(function.node, source, declared)


def _check(nodes: Iterable[onnx.NodeProto], source: str, declared: Iterable[str]) -> None:
    for node in nested(nodes):
        for attribute in node.attribute:
            if attribute.ref_attr_name:
                _check_reference(node, attribute, source, declared)
            else:
                _check_value(node, attribute, source)
        if any(map(uses_external_data, tensors(node))):
            raise ModelError(
                f"{source}: {label(node)}: expected its values in the model, found a reference to a file; "
                "give the path of the model's file"
            )


def _check_reference(
    node: onnx.NodeProto, attribute: onnx.AttributeProto, source: str, declared: Iterable[str]
) -> None:
    if attribute.ref_attr_name not in declared:
        raise ModelError(
            f"{source}: {label(node)}: attribute '{attribute.name}': expected a value, or a reference to an "
            f"attribute of the function that it is in, found one to '{attribute.ref_attr_name}'; "
            "export the model again"
        )


def _check_value(node: onnx.NodeProto, attribute: onnx.AttributeProto, source: str) -> None:
    where = f"{source}: {label(node)}: attribute '{attribute.name}'"
    if not all(map(math.isfinite, (attribute.f, *attribute.floats))):
        raise ModelError(f"{where}: expected finite numbers, found NaN or Inf; repair the model")
    parts = attribute.i if node.op_type == "Split" and attribute.name == "num_outputs" else None
    if parts is not None and parts != len(node.output):
        raise ModelError(
            f"{where}: expected {len(node.output)}, as many as there are outputs, found {parts}; export the "
            "model again"
        )
    for number in (attribute.i, *attribute.ints):
        if attribute.name in _AXES and not -_MOST_AXES <= number < _MOST_AXES:
            raise ModelError(
                f"{where}: expected the number of an axis, found {number}; export the model again"
            )
        if node.op_type == "GatherND" and not 0 <= number < _MOST_AXES:
            raise ModelError(f"{where}: expected a number of axes, found {number}; export the model again")
        if not node.domain and node.op_type not in _FAR and not -_FARTHEST <= number < _FARTHEST:
            raise ModelError(f"{where}: expected a number of 32 bits, found {number}; export the model again")
