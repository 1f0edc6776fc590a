"""Which axis of a tensor holds the channels, and per-channel vectors along it."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from onnx2snn.graph.graph import Tensor, operands, producer, rank, standard_op
from onnx2snn.ops.standard import standard


def channel_axis(tensor: Tensor) -> int | None:
    """The axis of the channels, None for a tensor without one, or of unknown rank or number of channels.

    It is ONNX's second axis, unless a Transpose has moved it or a MatMul has put its features last. An axis
    whose size the model leaves open is none: what is stored per channel would fix it.
    """
    axis = _axis(tensor)
    return axis if axis is not None and isinstance(tensor.shape[axis], int) else None


def _axis(tensor: Tensor) -> int | None:
    """Goes back to where the channels come from, and then through each Transpose on the way."""
    orders: list[list[int]] = []
    while True:
        dims, node = rank(tensor), producer(tensor)
        if dims is None or dims < 2:
            return None
        where = "second" if node is None else standard(standard_op(node)).channels
        if node is None or where:
            axis = 1 if where == "second" else dims - 1
            break
        if node.op == "Transpose":
            orders.append(list(node.attrs.get("perm", range(dims)[::-1])))
            tensor = node.inputs[0]
            continue
        before = [source for source in operands(node) if rank(source) == dims]
        if not before:
            axis = 1
            break
        tensor = before[0]
    for order in reversed(orders):
        if axis not in order:
            return None
        axis = order.index(axis)
    return axis


def channel_count(tensor: Tensor) -> int | None:
    """C, None where there is no channel axis."""
    axis = channel_axis(tensor)
    return None if axis is None else int(tensor.shape[axis])


def static_dims(tensor: Tensor, start: int = 1) -> tuple[int, ...] | None:
    """The dimensions from `start` on, None unless all of them are known numbers."""
    if tensor.shape is None or not all(isinstance(dim, int) and dim > 0 for dim in tensor.shape[start:]):
        return None
    return tuple(tensor.shape[start:])


def along_axis(vector: npt.NDArray[Any], axis: int | None, dims: int) -> npt.NDArray[Any]:
    """A vector [C] that broadcasts along `axis` of an array of `dims` dimensions; [1] as it is."""
    if axis is None or vector.size == 1:
        return vector.reshape(())
    return vector.reshape([-1 if index == axis else 1 for index in range(dims)])


def written(vector: npt.NDArray[Any]) -> list[float]:
    """A vector [C] as metadata has it, with the digits of a float32; one number where all are the same."""
    values = [float(f"{value:.7g}") for value in vector]
    return values[:1] if len(set(values)) == 1 else values


def broadcastable(vector: npt.NDArray[Any], tensor: Tensor, dtype: Any = np.float32) -> npt.NDArray[Any]:
    """A vector [C] (or [1], for a whole layer) shaped to broadcast along the tensor's channels."""
    return along_axis(vector, channel_axis(tensor), rank(tensor) or 0).astype(dtype)


def channels_first(values: npt.NDArray[Any], axis: int | None) -> npt.NDArray[Any]:
    """[…, C, …] as [C, n]; everything as one channel [1, n] where there is no channel axis."""
    channels = 1 if axis is None else values.shape[axis]
    first = values if axis is None else np.moveaxis(values, axis, 0)
    return first.reshape(channels, values.size // channels if channels else 0)
