"""Quantised integrate-and-fire neuron: the stand-in for an activation that was trained with N levels.

    u = v + I_t
    n_t = clip(n_{t-1} + floor(u/θ), 0, floor(t·N/T))          s_t = n_t - n_{t-1}
    v = u - s_t·θ          y_t = s_t·θ                         v_0 = θ/2,  n_0 = 0

With θ = q·T the mean after T timesteps is q·clip(floor(Ī/q + 1/2), 0, N), whatever the order in which the
current came: nothing limits a burst but the levels, and spikes sent too early are taken back. So the neuron
is exact, and N and q come from the trained net (Datta et al. 2023), not from calibration.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from onnx2snn.ops.cell import Array, Cell, Neuron, Setting, State, function_body, zero

FUNCTION = function_body("""
QuantizedIF <levels, timesteps>
(current, potential, sent, elapsed, threshold) => (output, next_potential, next_sent, next_elapsed) {
    one = Constant <value_float: float = 1.0> ()
    tick = CastLike (one, elapsed)
    next_elapsed = Add (elapsed, tick)
    all_levels = Constant <value_int: int = @levels> ()
    most = CastLike (all_levels, elapsed)
    all_timesteps = Constant <value_int: int = @timesteps> ()
    duration = CastLike (all_timesteps, elapsed)
    due = Mul (next_elapsed, most)
    share = Div (due, duration)
    ceiling = Floor (share)
    charged = Add (current, potential)
    ratio = Div (charged, threshold)
    whole = Floor (ratio)
    wanted = Add (whole, sent)
    positive = Relu (wanted)
    next_sent = Min (positive, ceiling)
    spikes = Sub (next_sent, sent)
    output = Mul (spikes, threshold)
    next_potential = Sub (charged, output)
}
""")


def step(
    current: Array, state: State, parameters: Sequence[Array], attributes: Mapping[str, Any]
) -> tuple[Array, State]:
    """One timestep: `current` [N, C, …], state (v, n, t), parameters (θ,) broadcastable to `current`."""
    (potential, sent, elapsed), (threshold,) = state, parameters
    time = elapsed + 1
    ceiling = np.floor(time * attributes["levels"] / attributes["timesteps"])
    charged = current + potential
    next_sent = np.clip(np.floor(charged / threshold) + sent, 0, ceiling)
    output = (next_sent - sent) * threshold
    return output, (charged - output, next_sent, time)


def initial_state(parameters: Sequence[Array]) -> State:
    """v_0 = θ/2, n_0 = 0, t = 0."""
    (threshold,) = parameters
    return np.asarray(threshold / 2, dtype=threshold.dtype), zero(), zero()


def set_up(kind: Any, options: Any) -> Setting:
    """θ = q·T, and the levels that the net was trained with."""
    attributes = {"levels": kind.levels, "timesteps": options.timesteps}
    return Setting(lambda q: q * options.timesteps, attributes, kind.levels / options.timesteps, kind.levels)


def most_spikes(attributes: Mapping[str, Any], timesteps: int) -> int:
    """What is due after so many of the timesteps that it was made for."""
    return int(timesteps * attributes["levels"] // attributes["timesteps"])


CELL = Cell(
    "QuantizedIF",
    "neuron",
    ("potential", "sent", "elapsed"),
    FUNCTION,
    step,
    initial_state,
    Neuron(
        lambda kind, options: options.schedule == "stream" and kind.step is not None,
        set_up,
        most_spikes,
        limit="levels",
        takes_back=True,
    ),
)
