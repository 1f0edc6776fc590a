"""Accumulate-and-fire neuron of a PReLU: below zero it sends negative spikes, which carry slope·θ each.

    k = clip(floor(U/θ + 1/2), -N, N)          y = θ·g(k)          g(k) = k for k ≥ 0, slope·k for k < 0

The layer schedule's LeakyRelu or PRelu; otherwise like `AccumulateFire`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from onnx2snn.ops.accumulate_fire import count_spikes, initial_state, most_spikes, set_up
from onnx2snn.ops.cell import Array, Cell, Neuron, State, function_body

FUNCTION = function_body("""
LeakyAccumulateFire <levels, code, potential> (current, slope, threshold) => (output) {
    start = Constant <value_float: float = @potential> ()
    limit = Constant <value_int: int = @levels> ()
    shift = CastLike (start, current)
    ceiling = CastLike (limit, current)
    floor = Neg (ceiling)
    ratio = Div (current, threshold)
    shifted = Add (ratio, shift)
    whole = Floor (shifted)
    spikes = Clip (whole, floor, ceiling)
    positive = Relu (spikes)
    negative = Sub (spikes, positive)
    leaked = Mul (negative, slope)
    value = Add (positive, leaked)
    output = Mul (value, threshold)
}
""")


def step(
    current: Array, state: State, parameters: Sequence[Array], attributes: Mapping[str, Any]
) -> tuple[Array, State]:
    """The whole run: `current` [N, C, …] accumulated, no state, parameters (slope, θ) broadcastable to it."""
    slope, threshold = parameters
    spikes = count_spikes(current, parameters, attributes).astype(current.dtype)
    return np.where(spikes < 0, slope * spikes, spikes) * threshold, state


# Its name in artifacts is older than the rule that a leaky neuron is one whose potential leaks.
CELL = Cell(
    "LeakyAccumulateFire",
    "neuron",
    (),
    FUNCTION,
    step,
    initial_state,
    Neuron(
        lambda kind, options: options.schedule == "layer" and kind.slope is not None,
        set_up,
        most_spikes,
        limit="levels",
        fires_once=True,
    ),
    uneven=True,
)
