"""Running mean: the way into an analog island.

    S_t = S_{t-1} + x_t          r_t = S_t/t

What enters as spikes × θ leaves as the rate so far, on which any function can be computed exactly.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from onnx2snn.ops.cell import Array, Cell, State, function_body, zero

FUNCTION = function_body("""
RunningMean (input, total, elapsed) => (output, next_total, next_elapsed) {
    one = Constant <value_float: float = 1.0> ()
    tick = CastLike (one, elapsed)
    next_elapsed = Add (elapsed, tick)
    next_total = Add (input, total)
    output = Div (next_total, next_elapsed)
}
""")


def step(
    x: Array, state: State, parameters: Sequence[Array], attributes: Mapping[str, Any]
) -> tuple[Array, State]:
    """One timestep: `x` of any shape, state (S, t), no parameters, no attributes."""
    assert not parameters
    assert not attributes
    total, elapsed = state
    time = elapsed + 1
    return (x + total) / time, (x + total, time)


def initial_state(parameters: Sequence[Array]) -> State:
    """S_0 = 0, t = 0."""
    assert not parameters
    return zero(), zero()


CELL = Cell("RunningMean", "rate", ("total", "elapsed"), FUNCTION, step, initial_state, acts_as="Identity")
