"""Lateral inhibition pooling: MaxPool for spikes (Li & Zeng 2022), in any geometry.

    C_t = C_{t-1} + x_t          P_t = MaxPool(C_t)          y_t = P_t - P_{t-1}

For non-overlapping windows this is Li & Zeng's rule, the winner so far inhibiting its neighbours. Summed
over t it is MaxPool of the sums, for every kernel, stride, pad, dilation and ceil_mode.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from onnx2snn.ops.cell import Array, Cell, State, function_body, zero
from onnx2snn.ops.windows import windows

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
    """ONNX MaxPool (opset 21) of [N, C, spatial…] in NumPy."""
    # Finite like onnxruntime's: a window of nothing but padding stays the same, so its step is 0, not NaN.
    lowest = np.finfo(x.dtype).min if x.dtype.kind == "f" else np.iinfo(x.dtype).min
    result = np.asarray(lowest, x.dtype)
    for values in windows(x, attributes, lowest):
        result = np.maximum(result, values)
    return result


CELL = Cell(
    "LIPool", "pool", ("total", "pooled"), FUNCTION, step, initial_state, acts_as="MaxPool", native=True
)
