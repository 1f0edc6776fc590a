"""Operators that ONNX added after our opset, written in older ones by their own function body."""

from __future__ import annotations

import logging

import onnx
import onnx.defs
import onnx.inliner
import onnx.shape_inference

from onnx2snn.errors import first_line
from onnx2snn.model.domains import first_opset
from onnx2snn.model.parking import park, unpark
from onnx2snn.ops import OPSET_VERSION

logger = logging.getLogger(__name__)

#: Domain that marks an operator which ONNX added later, and which has no body in older operators.
NEWER = "ai.onnx.newer"


def inline_newer(model: onnx.ModelProto) -> None:
    """Write operators that ONNX added after our opset in older ones, by their own function body.

    What has none gets the domain `NEWER`, by which it is refused.
    """
    newer = sorted({node.op_type for node in model.graph.node if first_opset(node) > OPSET_VERSION})
    if not newer:
        return
    weights = park(model)
    _write_out_defaults(model)
    model.graph.value_info.extend(  # bodies depend on types, which initializers alone do not give
        onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, list(tensor.dims))
        for tensor in model.graph.initializer
    )
    try:
        model.CopyFrom(onnx.shape_inference.infer_shapes(model, data_prop=True))
    except onnx.shape_inference.InferenceError as error:
        logger.info("types are not known before newer operators are inlined: %s", first_line(error))
    for op in newer:
        try:
            inlined = onnx.inliner.inline_selected_functions(model, [("", op)], inline_schema_functions=True)
        except (RuntimeError, ValueError) as error:
            logger.info("%s cannot be written in older operators: %s", op, first_line(error))
            inlined = model
        for node in inlined.graph.node:
            if node.op_type == op:
                node.domain = NEWER
        model.CopyFrom(inlined)
    if any(node.domain == NEWER for node in model.graph.node):
        model.opset_import.append(onnx.helper.make_opsetid(NEWER, 1))
    unpark(model, weights)


def _write_out_defaults(model: onnx.ModelProto) -> None:
    """Give newer operators the attributes that they leave out: inlined bodies refer to each of them."""
    for node in model.graph.node:
        if first_opset(node) <= OPSET_VERSION:
            continue
        given = {attribute.name for attribute in node.attribute}
        for name, attribute in onnx.defs.get_schema(node.op_type).attributes.items():
            if name not in given and attribute.default_value.name:
                node.attribute.append(attribute.default_value)
