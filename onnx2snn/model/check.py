"""What a model must be before anything is done with it; anything else is refused in one line."""

from __future__ import annotations

import re

import onnx
import onnx.checker

from onnx2snn.errors import ModelError, first_line
from onnx2snn.model.attributes import check_attributes
from onnx2snn.model.constants import check_constants
from onnx2snn.model.domains import needs_domains, with_domains
from onnx2snn.model.functions import check_functions
from onnx2snn.model.parking import park, size_of
from onnx2snn.model.weights import (
    MOST_BYTES,
    references,
    take_references,
    weight_bytes,
)


def check_model(model: onnx.ModelProto, source: str) -> None:
    """Check a model as ONNX does, and that its constants are numbers, and its weights finite.

    Raises:
        ModelError: the model is not valid ONNX or holds NaN, or infinite weights.
    """
    check_structure(model, source)
    check_constants(model, source)


def check_structure(model: onnx.ModelProto, source: str) -> None:
    """Check a model as ONNX does, and what ONNX does not; not the values of its weights.

    Raises:
        ModelError: the model is not valid ONNX.
    """
    if not model.graph.node:
        raise ModelError(f"{source}: expected an ONNX model, found no graph with nodes; export it again")
    _check_what_onnx_does_not(model, source)
    try:
        inside = weight_bytes(model) - sum(map(size_of, references(model)))
        if inside > MOST_BYTES:
            raise ModelError(
                f"{source}: expected at most {MOST_BYTES / 1e9:.1f} GB of weights in one message, found "
                f"{inside / 1e9:.1f} GB; save it with external data and give its path"
            )
        if needs_domains(model):
            model = with_domains(model)
        onnx.checker.check_model(_without_references(model) if references(model) else model)
    except (onnx.checker.ValidationError, ValueError) as error:
        dangling = re.search(r"input '(.*)' of node:\s*name: (\S*) OpType: (\S+)", str(error))
        if dangling:
            raise ModelError(
                f"{source}: node '{dangling[2]}' ({dangling[3]}): expected '{dangling[1]}' to be an input, "
                "an initializer or made by a node before it, found none; export again, or mend that place"
            ) from error
        node = re.search(r"Name: (\S+) OpType: (\S+)", str(error))
        where = f"node '{node[1]}' ({node[2]}): " if node else ""
        raise ModelError(
            f"{source}: {where}not valid ONNX ({first_line(error)}); export it again, or mend that place"
        ) from error


def _without_references(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy in which inputs stand for weights in files, which ONNX would look for."""
    light = onnx.ModelProto()
    light.CopyFrom(model)
    park(light)
    light.graph.input.extend(
        onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, list(tensor.dims))
        for tensor in take_references(light.graph)
    )
    return light


def _check_what_onnx_does_not(model: onnx.ModelProto, source: str) -> None:
    """What ONNX's checker lets through, and its own or onnxruntime's code then trips over."""
    if model.graph.sparse_initializer:
        raise ModelError(
            f"{source}: expected dense weights, found sparse initializers; export the model without them"
        )
    zipped = {name for node in model.graph.node if node.op_type == "ZipMap" for name in node.output}
    for value in (*model.graph.input, *model.graph.output):
        if not value.type.HasField("tensor_type") and value.name not in zipped:  # these are written out
            kind = (value.type.WhichOneof("value") or "nothing").removesuffix("_type")
            raise ModelError(
                f"{source}: '{value.name}': expected inputs and outputs that are tensors, found a {kind}; "
                "export the model for tensors"
            )
    known = onnx.TensorProto.DataType.values()
    types = [(item.name, item.data_type) for item in model.graph.initializer]
    for value in (*model.graph.input, *model.graph.output, *model.graph.value_info):
        if value.type.HasField("tensor_type"):
            types.append((value.name, value.type.tensor_type.elem_type))
    for name, number in types:
        if number not in known:
            raise ModelError(
                f"{source}: tensor '{name}': expected an element type of ONNX, found number {number}; "
                "export the model again"
            )
    check_attributes(model, source)
    check_functions(model, source)
