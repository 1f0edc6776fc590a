"""A model of another opset brought to ours: ONNX's version converter, and what it leaves out."""

from __future__ import annotations

import numpy as np
import onnx
import onnx.version_converter
from onnx import numpy_helper
from onnx.version_converter import ConvertError

from onnx2snn.model.broadcast import BROADCASTING, broadcast_as_numpy
from onnx2snn.ops import OPSET_VERSION

#: The opset in which Resize got its coordinate_transformation_mode.
_RESIZE_WITH_COORDINATES = 11
#: The opset from which on Hardmax works along one axis.
_HARDMAX_ON_ONE_AXIS = 13


def convert(model: onnx.ModelProto, opset: int) -> onnx.ModelProto:
    """The model at our opset, with what ONNX's converter leaves out.

    It lacks the way back for GlobalMaxPool, which has never changed; it lets Upsample and the first Resize
    forget where they took pixels from, and Hardmax that it took several axes as one. Out of opset 6 leads
    `broadcast_as_numpy`.

    Args:
        model: changed.
        opset: its own.

    Raises:
        RuntimeError, ValueError, ConvertError, ValidationError, InferenceError: the converter's own.
    """
    if opset < BROADCASTING:
        broadcast_as_numpy(model)
    if opset < _HARDMAX_ON_ONE_AXIS:
        _flatten_hardmax(model)
    pools = {node.name for node in model.graph.node if node.op_type == "GlobalMaxPool"}
    for node in model.graph.node:
        node.op_type = "GlobalAveragePool" if node.name in pools else node.op_type
    converted = onnx.version_converter.convert_version(model, OPSET_VERSION)
    for node in converted.graph.node:
        node.op_type = "GlobalMaxPool" if node.name in pools else node.op_type
        if node.op_type == "Resize" and opset < _RESIZE_WITH_COORDINATES:
            _resize_as_before(converted, node)
    return converted


def _resize_as_before(model: onnx.ModelProto, node: onnx.NodeProto) -> None:
    """Pixels start at their corner, and the nearest is the last before, or the next where an axis shrinks."""
    scales = next((item for item in model.graph.initializer if item.name == node.input[2]), None)
    factors = np.ones(1) if scales is None else numpy_helper.to_array(scales)
    shrinks = bool((factors < 1).any())
    if shrinks and (factors > 1).any() and not any(item.s == b"linear" for item in node.attribute):
        raise ConvertError(f"'{node.name}' ({node.op_type}) shrinks one axis and stretches another")
    for name, value in (
        ("coordinate_transformation_mode", "asymmetric"),
        ("nearest_mode", "ceil" if shrinks else "floor"),
    ):
        node.attribute.append(onnx.helper.make_attribute(name, value))


def _flatten_hardmax(model: onnx.ModelProto) -> None:
    """Hardmax(axis) → Flatten(axis), Hardmax, Reshape, which is what it did."""
    nodes = list(model.graph.node)
    del model.graph.node[:]
    for node in nodes:
        if node.op_type != "Hardmax" or node.domain not in ("", "ai.onnx"):
            model.graph.node.append(node)
            continue
        axis = next((item.i for item in node.attribute if item.name == "axis"), 1)
        (source,), (result,) = node.input, node.output
        flat, largest, shape = (f"{node.name}/{part}" for part in ("flat", "largest", "shape"))
        make = onnx.helper.make_node
        model.graph.node.extend(
            (
                make("Shape", [source], [shape], shape),
                make("Flatten", [source], [flat], flat, axis=axis),
                make("Hardmax", [flat], [largest], node.name, axis=1),
                make("Reshape", [largest, shape], [result], f"{node.name}/reshape"),
            )
        )


def write_out_constants(model: onnx.ModelProto) -> None:
    """Constants given as plain numbers become tensors of the type that ONNX says they have."""
    types = {
        "value_float": np.float32,
        "value_floats": np.float32,
        "value_int": np.int64,
        "value_ints": np.int64,
    }
    for node in model.graph.node:
        for attribute in list(node.attribute) if node.op_type == "Constant" else ():
            if attribute.name in types:
                value = np.asarray(onnx.helper.get_attribute_value(attribute), types[attribute.name])
                node.attribute.remove(attribute)
                node.attribute.append(onnx.helper.make_attribute("value", numpy_helper.from_array(value)))
