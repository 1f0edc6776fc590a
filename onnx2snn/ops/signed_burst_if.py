"""Signed burst integrate-and-fire neuron: takes back spikes that it sent too early.

    u = v + I_t
    s_t = clip(floor(u/θ), max(-Γ, -n), Γ)          n += s_t
    v = u - s_t·θ          y_t = s_t·θ              v_0 = θ/2,  n_0 = 0

n, the net number of spikes sent so far, never falls below zero: the output's sum stays a ReLU's.
A spike fires when u ≥ θ (ties fire) and one is taken back when u < 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from onnx2snn.ops.burst_if import initial_state as initial_burst_state
from onnx2snn.ops.burst_if import most_spikes, set_up
from onnx2snn.ops.cell import Array, Cell, Neuron, State, function_body, zero

# max(-Γ, -n) as a lower bound equals clipping to ±Γ first and then keeping n + s at zero or more.
FUNCTION = function_body("""
SignedBurstIF <max_spikes> (current, potential, sent, threshold) => (output, next_potential, next_sent) {
    limit = Constant <value_int: int = @max_spikes> ()
    ceiling = CastLike (limit, current)
    floor = Neg (ceiling)
    charged = Add (current, potential)
    ratio = Div (charged, threshold)
    whole = Floor (ratio)
    wanted = Clip (whole, floor, ceiling)
    total = Add (wanted, sent)
    next_sent = Relu (total)
    spikes = Sub (next_sent, sent)
    output = Mul (spikes, threshold)
    next_potential = Sub (charged, output)
}
""")


def step(
    current: Array, state: State, parameters: Sequence[Array], attributes: Mapping[str, Any]
) -> tuple[Array, State]:
    """One timestep: `current` [N, C, …], state (v, n), parameters (θ,) broadcastable to `current`."""
    (potential, sent), (threshold,) = state, parameters
    limit = attributes["max_spikes"]
    charged = current + potential
    spikes = np.clip(np.floor(charged / threshold), np.maximum(-limit, -sent), limit)
    output = spikes * threshold
    return output, (charged - output, sent + spikes)


def initial_state(parameters: Sequence[Array]) -> State:
    """v_0 = θ/2, n_0 = 0."""
    return (*initial_burst_state(parameters), zero())


CELL = Cell(
    "SignedBurstIF",
    "neuron",
    ("potential", "sent"),
    FUNCTION,
    step,
    initial_state,
    Neuron(
        lambda kind, options: (
            options.schedule == "stream" and options.signed and kind.slope is None and kind.step is None
        ),
        set_up,
        most_spikes,
        takes_back=True,
        adaptable=True,
        scales=True,
    ),
    native=True,
)
