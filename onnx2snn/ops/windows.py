"""Where the windows of a pool lie, as onnxruntime has them, whatever its attributes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from onnx2snn.ops.cell import Array

Attributes = Mapping[str, Any]


@dataclass(frozen=True)
class PoolAxis:
    """One axis of a pool.

    Attributes:
        begin, end: what is padded, and counts in an average that includes pads. Below zero where `auto_pad`
            is SAME and strides pass over the end of the input: onnxruntime then begins inside of it.
        beyond: what the last window of `ceil_mode` reaches further; it never counts.
        outputs: windows.
        stride: from one to the next.
        dilation: from one place in a window to the next.
        kernel: places in a window.
    """

    begin: int
    end: int
    beyond: int
    outputs: int
    stride: int
    dilation: int
    kernel: int


def pool_axes(attributes: Attributes, sizes: Sequence[int]) -> list[PoolAxis]:
    """The axes of a pool over spatial `sizes`, from the attributes of MaxPool and its kind (opset 21)."""
    dims = len(sizes)
    strides, dilations = (attributes.get(name) or [1] * dims for name in ("strides", "dilations"))
    pads = attributes.get("pads") or [0] * 2 * dims
    return [
        _axis(attributes, sizes[i], attributes["kernel_shape"][i], strides[i], dilations[i], pads[i::dims])
        for i in range(dims)
    ]


def windows(x: Array, attributes: Attributes, fill: float) -> Iterator[Array]:
    """For each place in the kernel what all windows [N, C, spatial…] hold there, `fill` in the padding."""
    axes = pool_axes(attributes, x.shape[2:])
    return _windows(x, axes, [(axis.begin, axis.end) for axis in axes], fill)


def average_pool(x: Array, attributes: Attributes) -> Array:
    """ONNX AveragePool (opset 21) of [N, C, spatial…]."""
    axes = pool_axes(attributes, x.shape[2:])
    pads = [(axis.begin, axis.end) for axis in axes]
    wide = x.astype(np.float32) if x.dtype == np.float16 else x
    there = np.ones((1, 1, *x.shape[2:]), wide.dtype)
    if attributes.get("count_include_pad", 0):
        margins = [(max(0, begin), max(0, end)) for begin, end in pads]
        there = np.pad(there, [(0, 0), (0, 0), *margins], constant_values=1)
        begun = [(min(0, begin), min(0, end)) for begin, end in pads]
        count = sum(_windows(there, axes, begun, 0))
    else:
        count = sum(_windows(there, axes, pads, 0))
    return np.asarray(sum(_windows(wide, axes, pads, 0)) / count, x.dtype)


def _axis(
    attributes: Attributes, size: int, kernel: int, stride: int, dilation: int, pads: Sequence[int]
) -> PoolAxis:
    mode = attributes.get("auto_pad", "NOTSET")
    mode = mode.decode() if isinstance(mode, bytes) else mode
    begin, end = pads if mode == "NOTSET" else (0, 0)
    if mode.startswith("SAME"):
        needed = (-(-size // stride) - 1) * stride + kernel - size  # onnxruntime leaves the dilation out
        begin = int((needed if mode == "SAME_UPPER" else needed + 1) / 2)
        end = needed - begin
    room = size + begin + end - (kernel - 1) * dilation - 1
    outputs = room // stride + 1
    if attributes.get("ceil_mode", 0):
        outputs = -(-room // stride) + 1
        # A window that would start behind the input, in its end padding, is dropped.
        outputs -= (outputs - 1) * stride >= size + begin
    beyond = max(0, (outputs - 1) * stride - room)
    return PoolAxis(begin, end, beyond, outputs, stride, dilation, kernel)


def _windows(
    x: Array, axes: Sequence[PoolAxis], pads: Sequence[tuple[int, int]], fill: float
) -> Iterator[Array]:
    inner = [
        slice(max(0, -begin), size - max(0, -end))
        for (begin, end), size in zip(pads, x.shape[2:], strict=True)
    ]
    margins = [
        (max(0, begin), max(0, end) + axis.beyond) for (begin, end), axis in zip(pads, axes, strict=True)
    ]
    padded = x[(slice(None), slice(None), *inner)]
    if any(map(any, margins)):
        padded = np.pad(padded, [(0, 0), (0, 0), *margins], constant_values=fill)
    for offset in product(*(range(axis.kernel) for axis in axes)):
        places = [
            slice(o * axis.dilation, o * axis.dilation + (axis.outputs - 1) * axis.stride + 1, axis.stride)
            for o, axis in zip(offset, axes, strict=True)
        ]
        yield padded[(slice(None), slice(None), *places)]
