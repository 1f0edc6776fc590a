"""What a model must be before anything is done with it; anything else is refused in one line."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
import onnx
import onnx.checker

from onnx2snn.errors import ModelError, first_line
from onnx2snn.model.attributes import check_attributes
from onnx2snn.model.domains import needs_domains, with_domains
from onnx2snn.model.functions import check_functions
from onnx2snn.model.parking import park, size_of
from onnx2snn.model.weights import (
    MOST_BYTES,
    is_mapped,
    is_present,
    let_go,
    pieces,
    references,
    take_references,
    values_of,
    weight_bytes,
)

#: Operators whose further inputs may be infinite: bounds, padding, masks.
_BOUNDED = ("Clip", "Max", "Min", "Pad", "Where")
#: Integers that NumPy lacks, and the operators that may read them: what these make of them is written out.
_FOUR_BITS = (onnx.TensorProto.INT4, onnx.TensorProto.UINT4)
_QUANTIZERS = ("QuantizeLinear", "DequantizeLinear")


def check_model(model: onnx.ModelProto, source: str) -> None:
    """Check a model as ONNX does, and that its weights are finite.

    Raises:
        ModelError: the model is not valid ONNX or holds NaN or infinite weights.
    """
    check_structure(model, source)
    _check_values(model, source)


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


def _check_values(model: onnx.ModelProto, source: str) -> None:
    bounds = {name for node in model.graph.node if node.op_type in _BOUNDED for name in node.input[1:]}
    others = {name for node in model.graph.node if node.op_type not in _QUANTIZERS for name in node.input}
    for name, tensor in _constants(model):
        if not is_present(tensor) or (tensor.data_type in _FOUR_BITS and name not in others):
            continue
        try:
            values = values_of(tensor)
        except (ValueError, TypeError, KeyError) as error:
            raise ModelError(
                f"{source}: constant '{name}': expected as many values as its shape {list(tensor.dims)} and "
                f"type say, found others ({first_line(error)}); export the model again"
            ) from error
        if values.dtype.kind not in "fiub":
            raise ModelError(
                f"{source}: constant '{name}': expected numbers of a type that NumPy has, found "
                f"{_type_name(tensor.data_type)}; export the model in float32"
            )
        parts = (part for _, part in pieces(values)) if is_mapped(values) else (values,)
        finite = values.dtype.kind != "f" or all(np.isfinite(part).all() for part in parts)
        let_go()
        if finite:
            continue
        if np.isnan(values).any() or name not in bounds:
            raise ModelError(
                f"{source}: constant '{name}': expected finite weights, found NaN or Inf; "
                "retrain or repair the model"
            )


def _check_what_onnx_does_not(model: onnx.ModelProto, source: str) -> None:
    """What ONNX's checker lets through, and its own or onnxruntime's code then trips over."""
    if model.graph.sparse_initializer:
        raise ModelError(
            f"{source}: expected dense weights, found sparse initializers; export the model without them"
        )
    for value in (*model.graph.input, *model.graph.output):
        if not value.type.HasField("tensor_type"):
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


def _type_name(number: int) -> str:
    return str(onnx.TensorProto.DataType.Name(number)).lower()


def _constants(model: onnx.ModelProto) -> Iterator[tuple[str, onnx.TensorProto]]:
    """Initializers, and what Constant nodes hold, by name."""
    for initializer in model.graph.initializer:
        yield initializer.name, initializer
    for node in model.graph.node:
        for attribute in node.attribute if node.op_type == "Constant" else ():
            if attribute.name == "value":
                yield node.output[0], attribute.t
