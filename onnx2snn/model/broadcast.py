"""Opset 6 → 7, in which operators began to broadcast as NumPy does.

ONNX's converter takes the step only where every dimension is a number, the batch as well.
"""

from __future__ import annotations

import onnx
import onnx.helper
import onnx.shape_inference
from onnx.version_converter import ConvertError

#: The opset from which on operators broadcast as NumPy does.
BROADCASTING = 7
_ELEMENTWISE = ("Add", "And", "Div", "Equal", "Greater", "Less", "Mul", "Or", "Pow", "Sub", "Xor")
#: Attributes that opset 7 has no more, of operators that say the same without.
_GONE = {
    **dict.fromkeys(_ELEMENTWISE, ("broadcast", "axis")),
    "Gemm": ("broadcast",),
    "BatchNormalization": ("is_test", "consumed_inputs"),
    "Dropout": ("is_test",),
    **dict.fromkeys(("GRU", "LSTM", "RNN"), ("output_sequence",)),
}


def broadcast_as_numpy(model: onnx.ModelProto) -> None:
    """Bring a model of opset 6 to opset 7.

    Cases:
        1. Add(a, b; broadcast, axis) → Add(a, Unsqueeze(b)) with as many axes behind b as a has there; all
           arithmetic and comparisons alike.
        2. Gemm, BatchNormalization, Dropout and recurrent layers → without the attributes that are gone.
        3. PRelu's slopes [C] → along the channels, not on the last axis.

    Args:
        model: flattened; changed.

    Raises:
        ConvertError: an `axis` where the ranks are not known.
        InferenceError: shapes contradict each other.
    """
    ranks = _ranks(model)
    _align_slopes(model, ranks)
    nodes = list(model.graph.node)
    del model.graph.node[:]
    for node in nodes:
        if node.op_type in _ELEMENTWISE and not node.domain:
            model.graph.node.extend(_unsqueezed(node, ranks))
        gone = _GONE.get(node.op_type, ())
        kept = [attribute for attribute in node.attribute if node.domain or attribute.name not in gone]
        del node.attribute[:]
        node.attribute.extend(kept)
        model.graph.node.append(node)
    for entry in model.opset_import:
        entry.version = entry.version if entry.domain else BROADCASTING


def _unsqueezed(node: onnx.NodeProto, ranks: dict[str, int]) -> list[onnx.NodeProto]:
    """What gives an operand that broadcasts along some `axis` the axes that lie behind it."""
    given = {attribute.name: attribute.i for attribute in node.attribute}
    if not given.get("broadcast") or "axis" not in given:
        return []
    left, right = node.input
    if left not in ranks or right not in ranks:
        raise ConvertError(
            f"'{node.name}' ({node.op_type}) broadcasts along an axis of a tensor of unknown rank"
        )
    axis = given["axis"] % max(1, ranks[left])
    behind = ranks[left] - axis - ranks[right]
    if behind <= 0:
        return []
    node.input[1] = f"{node.name}/{right}"
    axes = list(range(ranks[right], ranks[right] + behind))
    return [onnx.helper.make_node("Unsqueeze", [right], [node.input[1]], node.input[1], axes=axes)]


def _ranks(model: onnx.ModelProto) -> dict[str, int]:
    inferred = onnx.shape_inference.infer_shapes(model).graph
    values = (*inferred.input, *inferred.value_info, *inferred.output)
    known = (value for value in values if value.type.tensor_type.HasField("shape"))
    ranks = {value.name: len(value.type.tensor_type.shape.dim) for value in known}
    return ranks | {tensor.name: len(tensor.dims) for tensor in model.graph.initializer}


def _align_slopes(model: onnx.ModelProto, ranks: dict[str, int]) -> None:
    slopes = {
        node.input[1]: ranks.get(node.input[0], 0) for node in model.graph.node if node.op_type == "PRelu"
    }
    for tensor in model.graph.initializer:
        if len(tensor.dims) == 1 and tensor.dims[0] > 1 and slopes.get(tensor.name, 0) > 2:
            tensor.dims.extend([1] * (slopes[tensor.name] - 2))
