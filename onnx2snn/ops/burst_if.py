"""Burst integrate-and-fire neuron (Li & Zeng 2022, "Efficient and Accurate Conversion of SNNs").

    u = v + I_t
    s_t = clip(floor(u/θ), 0, Γ)
    v = u - s_t·θ          y_t = s_t·θ          v_0 = θ/2

A spike fires when u ≥ θ, so ties fire. Γ = `max_spikes`; Γ = 1 is the classic IF neuron with soft reset.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from onnx2snn.ops.cell import Array, Cell, Neuron, Setting, State, function_body

FUNCTION = function_body("""
BurstIF <max_spikes> (current, potential, threshold) => (output, next_potential) {
    none = Constant <value_float: float = 0.0> ()
    limit = Constant <value_int: int = @max_spikes> ()
    zero = CastLike (none, current)
    ceiling = CastLike (limit, current)
    charged = Add (current, potential)
    ratio = Div (charged, threshold)
    whole = Floor (ratio)
    spikes = Clip (whole, zero, ceiling)
    output = Mul (spikes, threshold)
    next_potential = Sub (charged, output)
}
""")


def step(
    current: Array, state: State, parameters: Sequence[Array], attributes: Mapping[str, Any]
) -> tuple[Array, State]:
    """One timestep: `current` [N, C, …], state (v,), parameters (θ,) broadcastable to `current`."""
    (potential,), (threshold,) = state, parameters
    charged = current + potential
    output = np.clip(np.floor(charged / threshold), 0, attributes["max_spikes"]) * threshold
    return output, (charged - output,)


def initial_state(parameters: Sequence[Array]) -> State:
    """v_0 = θ/2: half a spike in advance turns the floor into rounding to the nearest."""
    (threshold,) = parameters
    return (np.asarray(threshold / 2, dtype=threshold.dtype),)


def set_up(kind: Any, options: Any) -> Setting:
    """θ = R/levels; where the activation has a ceiling, no headroom: it saturates at Γ·θ = R."""
    levels = options.range_levels
    limit = options.max_spikes if math.isinf(kind.ceiling) else levels
    return Setting(lambda reach: reach / levels, {"max_spikes": limit}, levels, limit)


def most_spikes(attributes: Mapping[str, Any], timesteps: int) -> int:
    """Γ·T."""
    return int(attributes["max_spikes"]) * timesteps


CELL = Cell(
    "BurstIF",
    "neuron",
    ("potential",),
    FUNCTION,
    step,
    initial_state,
    Neuron(
        lambda kind, options: (
            options.schedule == "stream" and not options.signed and kind.slope is None and kind.step is None
        ),
        set_up,
        most_spikes,
        adaptable=True,
        scales=True,
    ),
    native=True,
)
