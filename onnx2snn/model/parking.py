"""Large initializers, out of the way of what would only copy them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import onnx
import onnx.helper

from onnx2snn.errors import ModelError

#: Initializers of more bytes are weights: checks, shape inference and version conversion do without them.
LARGE = 1 << 16


@dataclass(frozen=True)
class Parked:
    """Large initializers, out of their model, and which of them became inputs of it for the time being."""

    tensors: list[onnx.TensorProto]
    inputs: set[str]


def park(model: onnx.ModelProto) -> Parked:
    """Take large initializers out, so that nothing copies them; inputs of the same type stand for them."""
    tensors = [tensor for tensor in model.graph.initializer if size_of(tensor) > LARGE]
    small = [tensor for tensor in model.graph.initializer if size_of(tensor) <= LARGE]
    fresh = {tensor.name for tensor in tensors} - {item.name for item in model.graph.input}
    del model.graph.initializer[:]
    model.graph.initializer.extend(small)
    model.graph.input.extend(
        onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, list(tensor.dims))
        for tensor in tensors
        if tensor.name in fresh
    )
    return Parked(tensors, fresh)


def unpark(model: onnx.ModelProto, parked: Parked) -> None:
    """Put them back."""
    kept = [item for item in model.graph.input if item.name not in parked.inputs]
    del model.graph.input[:]
    model.graph.input.extend(kept)
    model.graph.initializer.extend(parked.tensors)


def size_of(tensor: onnx.TensorProto) -> int:
    """Bytes of a tensor's values.

    Raises:
        ModelError: an element type that ONNX does not define.
    """
    types = set(onnx.TensorProto.DataType.values()) - {onnx.TensorProto.UNDEFINED}
    if tensor.data_type not in types:
        raise ModelError(
            f"constant '{tensor.name}': expected an element type of ONNX, found number {tensor.data_type}; "
            "export the model again"
        )
    return math.prod(tensor.dims) * int(onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize)
