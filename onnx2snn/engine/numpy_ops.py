"""Operators of ONNX's reference implementation that it gets wrong, or otherwise than onnxruntime."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
from onnx.reference.op_run import OpRun
from onnx.reference.ops import op_conv, op_conv_transpose, op_max_pool

from onnx2snn.engine.loops import Loop
from onnx2snn.engine.recurrent import GRU, LSTM, RNN
from onnx2snn.ops.li_pool import max_pool
from onnx2snn.ops.windows import average_pool

Array = npt.NDArray[Any]


class ConvTranspose(op_conv_transpose.ConvTranspose):
    """Group by group, since ONNX's own gets every group wrong that makes more than one channel."""

    op_domain = ""

    def _run(  # type: ignore[override]
        self, x: Array, w: Array, b: Array | None = None, *, group: int | None = None, **attributes: Any
    ) -> tuple[Array]:
        groups = group or 1
        biases = [None] * groups if b is None else np.split(b, groups)
        convolve = partial(super()._run, group=1, **attributes)
        parts = map(convolve, np.split(x, groups, axis=1), np.split(w, groups), biases)
        return (np.concatenate([part for (part,) in parts], axis=1),)


class GatherElements(OpRun):
    """Of any size: ONNX's own takes no more than 64 values along the axis."""

    op_domain = ""

    def _run(self, data: Array, indices: Array, *, axis: int = 0) -> tuple[Array]:
        return (np.take_along_axis(data, indices % data.shape[axis], axis),)


class QLinearConv(op_conv.Conv):
    """In any number of dimensions, and rounded as onnxruntime does; without zero points but the output's."""

    op_domain = ""

    def _run(  # type: ignore[override]
        self,
        x: Array,
        x_scale: Array,
        x_zero: Array,
        w: Array,
        w_scale: Array,
        w_zero: Array,
        y_scale: Array,
        y_zero: Array,
        b: Array,
        **attributes: Any,
    ) -> tuple[Array]:
        del x_zero, w_zero
        # Float64 holds every such sum exactly.
        (sums,) = super()._run(  # type: ignore[no-untyped-call]
            x.astype(np.float64), w.astype(np.float64), **attributes
        )
        return (requantize(sums.astype(np.int32), b, x_scale * w_scale / y_scale, y_zero),)


def requantize(sums: Array, bias: Array, scale: Array, zero: Array) -> Array:
    """What QLinearConv makes of its int32 sums: (sums + bias)·scale, rounded half to even, as uint8.

    Args:
        sums: [N, C, …].
        bias: int32 [C].
        scale: float32 [C].
        zero: what stands for 0, uint8.
    """
    places = [1] * (sums.ndim - 2)
    charge = (sums + bias.reshape(-1, *places)).astype(np.float32)
    rounded = np.rint(charge * scale.reshape(-1, *places)) + zero
    return np.asarray(np.clip(rounded, 0, 255), np.uint8)


class MaxPool(op_max_pool.MaxPool):
    """With auto_pad and ceil_mode padded where onnxruntime pads; ONNX's own where indices are asked for."""

    op_domain = ""

    def _run(  # type: ignore[override]
        self, x: Array, **attributes: Any
    ) -> tuple[Array, ...]:
        if len(self.onnx_node.output) > 1:
            return super()._run(x, **attributes)  # type: ignore[no-any-return, no-untyped-call]
        return (max_pool(x, attributes),)


class AveragePool(OpRun):
    """With auto_pad and ceil_mode padded where onnxruntime pads."""

    op_domain = ""

    def _run(self, x: Array, **attributes: Any) -> tuple[Array]:
        return (average_pool(x, attributes),)


class GlobalMaxPool(OpRun):
    """Over any number of axes: ONNX's own leaves the last of three."""

    op_domain = ""

    def _run(self, x: Array) -> tuple[Array]:
        return (x.max(axis=tuple(range(2, x.ndim)), keepdims=True),)


#: What takes the place of ONNX's own.
OWN_OPS: tuple[type[OpRun], ...] = (
    ConvTranspose,
    GatherElements,
    QLinearConv,
    MaxPool,
    AveragePool,
    GlobalMaxPool,
    LSTM,
    GRU,
    RNN,
    Loop,
)
