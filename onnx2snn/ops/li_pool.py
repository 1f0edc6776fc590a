"""Lateral inhibition pooling: MaxPool for spikes (Li & Zeng 2022), in any geometry.

    C_t = C_{t-1} + x_t          P_t = MaxPool(C_t)          y_t = P_t - P_{t-1}

For non-overlapping windows this is Li & Zeng's rule, the winner so far inhibiting its neighbours. Summed
over t it is MaxPool of the sums, for every kernel, stride, pad, dilation and ceil_mode.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np

from onnx2snn.ops.cell import Array, Cell, State, function_body, zero

# Every attribute is written out on each node: ONNX's reference evaluator knows no absent one in a body.
FUNCTION = function_body("""
LIPool <auto_pad, ceil_mode, dilations, kernel_shape, pads, strides>
(input, total, pooled) => (output, next_total, next_pooled) {
    next_total = Add (input, total)
    next_pooled = MaxPool <auto_pad: string = @auto_pad, ceil_mode: int = @ceil_mode,
        dilations: ints = @dilations, kernel_shape: ints = @kernel_shape, pads: ints = @pads,
        strides: ints = @strides> (next_total)
    output = Sub (next_pooled, pooled)
}
""")


def step(
    x: Array, state: State, parameters: Sequence[Array], attributes: Mapping[str, Any]
) -> tuple[Array, State]:
    """One timestep: `x` [N, C, spatial…], state (C, P), no parameters, MaxPool's attributes."""
    assert not parameters
    total, pooled = state
    next_total = x + total
    next_pooled = max_pool(next_total, attributes)
    return next_pooled - pooled, (next_total, next_pooled)


def initial_state(parameters: Sequence[Array]) -> State:
    """C_0 = P_0 = 0."""
    assert not parameters
    return zero(), zero()


def max_pool(x: Array, attributes: Mapping[str, Any]) -> Array:
    """ONNX MaxPool (opset 21) of [N, C, spatial…] in NumPy; all attributes of `LIPool` given."""
    kernel, strides, dilations = (attributes[name] for name in ("kernel_shape", "strides", "dilations"))
    pads, mode = list(attributes["pads"]), _text(attributes["auto_pad"])
    dims, size = len(kernel), x.shape[2:]
    if mode.startswith("SAME"):
        pads = same_pads(size, kernel, strides, dilations, upper=mode == "SAME_UPPER")
    spans = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
    outputs = [
        _output_size(size[i], spans[i], strides[i], pads[i], pads[i + dims], bool(attributes["ceil_mode"]))
        for i in range(dims)
    ]
    # With ceil_mode the last window may reach beyond the padding, without it it may end before it.
    ends = [max(0, (outputs[i] - 1) * strides[i] + spans[i] - size[i] - pads[i]) for i in range(dims)]
    margins = [(0, 0), (0, 0), *((pads[i], ends[i]) for i in range(dims))]
    # Finite like onnxruntime's: a window of nothing but padding stays the same, so its step is 0, not NaN.
    lowest = np.finfo(x.dtype).min
    padded = np.pad(x, margins, constant_values=lowest) if any(map(any, margins)) else x
    result = np.full((*x.shape[:2], *outputs), lowest, dtype=x.dtype)
    for offset in product(*(range(k) for k in kernel)):
        window = tuple(
            slice(o * d, o * d + (n - 1) * s + 1, s)
            for o, d, n, s in zip(offset, dilations, outputs, strides, strict=True)
        )
        np.maximum(result, padded[(slice(None), slice(None), *window)], out=result)
    return result


def same_pads(
    size: Sequence[int],
    kernel: Sequence[int],
    strides: Sequence[int],
    dilations: Sequence[int],
    *,
    upper: bool,
) -> list[int]:
    """Explicit pads for auto_pad SAME_UPPER or SAME_LOWER: as many as give ceil(size/stride) outputs."""
    spans = (np.asarray(kernel) - 1) * dilations + 1
    outputs = -(-np.asarray(size) // strides)
    total = np.maximum((outputs - 1) * strides + spans - size, 0)
    less, more = total // 2, total - total // 2
    begin, end = (less, more) if upper else (more, less)
    return [int(pad) for pad in (*begin, *end)]


def _output_size(size: int, span: int, stride: int, begin: int, end: int, ceil_mode: bool) -> int:
    room = size + begin + end - span
    if not ceil_mode:
        return room // stride + 1
    outputs = -(-room // stride) + 1
    # A window that would start behind the input, in its end padding, is dropped.
    return outputs - 1 if (outputs - 1) * stride >= size + begin else outputs


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


CELL = Cell(
    "LIPool", "pool", ("total", "pooled"), FUNCTION, step, initial_state, acts_as="MaxPool", native=True
)
