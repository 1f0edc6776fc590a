"""Increment: the way out of an analog island.

    y_t = t·f_t - (t-1)·f_{t-1}

What leaves adds up to t·f_t: its mean over time is the island's value on the rates so far, exactly. Where f_t
is not finite, such as 0/0 while nothing has spiked yet, y_t is 0, and the next one makes up for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from onnx2snn.ops.cell import Array, Cell, State, function_body, zero

FUNCTION = function_body("""
Increment (input, scaled, elapsed) => (output, next_scaled, next_elapsed) {
    one = Constant <value_float: float = 1.0> ()
    tick = CastLike (one, elapsed)
    next_elapsed = Add (elapsed, tick)
    unknown = IsNaN (input)
    infinite = IsInf (input)
    waits = Or (unknown, infinite)
    reached = Mul (input, next_elapsed)
    next_scaled = Where (waits, scaled, reached)
    output = Sub (next_scaled, scaled)
}
""")


def step(
    value: Array, state: State, parameters: Sequence[Array], attributes: Mapping[str, Any]
) -> tuple[Array, State]:
    """One timestep: `value` f_t of any shape, state (t·f_t, t), no parameters, no attributes."""
    assert not parameters
    assert not attributes
    scaled, elapsed = state
    time = elapsed + 1
    reached = np.where(np.isfinite(value), value, 0) * time
    next_scaled = np.where(np.isfinite(value), reached, scaled)
    return next_scaled - scaled, (next_scaled, time)


def initial_state(parameters: Sequence[Array]) -> State:
    """0·f_0 = 0, t = 0."""
    assert not parameters
    return zero(), zero()


CELL = Cell("Increment", "rate", ("scaled", "elapsed"), FUNCTION, step, initial_state, acts_as="Identity")
