"""Lateral inhibition over whole axes: ReduceMax for spikes, and so the maximum of several branches.

    C_t = C_{t-1} + x_t          P_t = ReduceMax(C_t)          y_t = P_t - P_{t-1}

LIPool with a window that is all of the axes: of all that spike there, the winner so far gets through.
Summed over t it is ReduceMax of the sums.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from onnx2snn.ops.cell import Array, Cell, State, function_body, zero

FUNCTION = function_body("""
LIReduceMax <axes, keepdims> (input, total, pooled) => (output, next_total, next_pooled) {
    over = Constant <value_ints: ints = @axes> ()
    next_total = Add (input, total)
    next_pooled = ReduceMax <keepdims: int = @keepdims> (next_total, over)
    output = Sub (next_pooled, pooled)
}
""")


def step(
    x: Array, state: State, parameters: Sequence[Array], attributes: Mapping[str, Any]
) -> tuple[Array, State]:
    """One timestep: `x` of any shape, state (C, P), no parameters, attributes `axes` and `keepdims`."""
    assert not parameters
    total, pooled = state
    next_total = x + total
    next_pooled = next_total.max(axis=tuple(attributes["axes"]), keepdims=bool(attributes["keepdims"]))
    return next_pooled - pooled, (next_total, next_pooled)


def initial_state(parameters: Sequence[Array]) -> State:
    """C_0 = P_0 = 0."""
    assert not parameters
    return zero(), zero()


CELL = Cell(
    "LIReduceMax",
    "pool",
    ("total", "pooled"),
    FUNCTION,
    step,
    initial_state,
    keeps_rank=False,
    acts_as="ReduceMax",
    keeps_samples=False,  # it may reduce over them
)
