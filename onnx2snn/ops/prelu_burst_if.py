"""Burst integrate-and-fire neuron of a PReLU: a signed neuron whose negative side has a gain of its own.

    u = v + I_t
    s_t = clip(floor(u/θ), -Γ, Γ)                   n_t = n_{t-1} + s_t
    v = u - s_t·θ                                   v_0 = θ/2,  n_0 = 0
    y_t = θ·(g(n_t) - g(n_{t-1}))                   g(n) = n for n ≥ 0, slope·n for n < 0

n, the net number of spikes sent so far, may be negative: then a spike carries slope·θ. The output's sum is
g of the rounded sum of the currents: a LeakyRelu or PRelu (He et al. 2015) of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from onnx2snn.ops.burst_if import most_spikes, set_up
from onnx2snn.ops.cell import Array, Cell, Neuron, State, function_body, zero

FUNCTION = function_body("""
LeakyBurstIF <max_spikes>
(current, potential, sent, slope, threshold) => (output, next_potential, next_sent) {
    limit = Constant <value_int: int = @max_spikes> ()
    ceiling = CastLike (limit, current)
    floor = Neg (ceiling)
    charged = Add (current, potential)
    ratio = Div (charged, threshold)
    whole = Floor (ratio)
    spikes = Clip (whole, floor, ceiling)
    next_sent = Add (sent, spikes)
    positive = Relu (sent)
    negative = Sub (sent, positive)
    leaked = Mul (negative, slope)
    value = Add (positive, leaked)
    next_positive = Relu (next_sent)
    next_negative = Sub (next_sent, next_positive)
    next_leaked = Mul (next_negative, slope)
    next_value = Add (next_positive, next_leaked)
    gained = Sub (next_value, value)
    output = Mul (gained, threshold)
    spent = Mul (spikes, threshold)
    next_potential = Sub (charged, spent)
}
""")


def step(
    current: Array, state: State, parameters: Sequence[Array], attributes: Mapping[str, Any]
) -> tuple[Array, State]:
    """One timestep: `current` [N, C, …], state (v, n), parameters (slope, θ) broadcastable to `current`."""
    (potential, sent), (slope, threshold) = state, parameters
    limit = attributes["max_spikes"]
    charged = current + potential
    spikes = np.clip(np.floor(charged / threshold), -limit, limit)
    next_sent = sent + spikes
    gained = np.where(next_sent < 0, slope * next_sent, next_sent) - np.where(sent < 0, slope * sent, sent)
    return gained * threshold, (charged - spikes * threshold, next_sent)


def initial_state(parameters: Sequence[Array]) -> State:
    """v_0 = θ/2, n_0 = 0."""
    _, threshold = parameters
    return np.asarray(threshold / 2, dtype=threshold.dtype), zero()


# Its name in artifacts is older than the rule that a leaky neuron is one whose potential leaks.
CELL = Cell(
    "LeakyBurstIF",
    "neuron",
    ("potential", "sent"),
    FUNCTION,
    step,
    initial_state,
    Neuron(
        lambda kind, options: options.schedule == "stream" and kind.slope is not None,
        set_up,
        most_spikes,
        takes_back=True,
    ),
    uneven=True,
)
