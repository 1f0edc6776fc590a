"""Accumulate-and-fire neuron of integers: θ is one, and so is the unit of its current.

    k = min(U, N)

with U ≥ 0 the membrane potential in units of θ as uint8, to which QLinearConv or QuantizeLinear has rounded
it: that is the floor(· + 1/2) of `onnx2snn.ops.accumulate_fire`, but for ties, which go to the even number.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from onnx2snn.ops.accumulate_fire import initial_state, most_spikes, set_up
from onnx2snn.ops.cell import Array, Cell, Neuron, State, function_body

FUNCTION = function_body("""
IntegerAccumulateFire <levels, code> (current) => (spikes) {
    none = Constant <value_int: int = 0> ()
    limit = Constant <value_int: int = @levels> ()
    zero = CastLike (none, current)
    ceiling = CastLike (limit, current)
    spikes = Clip (current, zero, ceiling)
}
""")


def step(
    current: Array, state: State, parameters: Sequence[Array], attributes: Mapping[str, Any]
) -> tuple[Array, State]:
    """The whole run: `current` uint8 [N, C, …] accumulated, no state, no parameters."""
    del parameters
    return np.clip(current, 0, attributes["levels"]), state


CELL = Cell(
    "IntegerAccumulateFire",
    "neuron",
    (),
    FUNCTION,
    step,
    initial_state,
    # No activation becomes one: `onnx2snn.passes.use_integers` puts it in the place of an AccumulateFire.
    Neuron(lambda *_: False, set_up, most_spikes, limit="levels", fires_once=True),
)
