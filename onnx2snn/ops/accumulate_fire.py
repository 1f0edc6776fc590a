"""Accumulate-and-fire neuron: the neuron of the layer schedule, which fires once all of its input is in.

    k = clip(floor(U/θ + 1/2), 0, N)          y = k·θ

with U the mean over time of the current. θ is what one of the N levels stands for. The k spikes leave within
T timesteps, as the code has it: see `spike_train`. `potential` is the 1/2, or 0 where a bias before the
neuron holds it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from onnx2snn.ops.cell import Array, Cell, Neuron, Setting, State, function_body

FUNCTION = function_body("""
AccumulateFire <levels, code, potential> (current, threshold) => (output) {
    none = Constant <value_float: float = 0.0> ()
    start = Constant <value_float: float = @potential> ()
    limit = Constant <value_int: int = @levels> ()
    zero = CastLike (none, current)
    shift = CastLike (start, current)
    ceiling = CastLike (limit, current)
    ratio = Div (current, threshold)
    charged = Add (ratio, shift)
    bounded = Clip (charged, zero, ceiling)
    spikes = Floor (bounded)
    output = Mul (spikes, threshold)
}
""")


def step(
    current: Array, state: State, parameters: Sequence[Array], attributes: Mapping[str, Any]
) -> tuple[Array, State]:
    """The whole run: `current` [N, C, …] accumulated, no state, parameters (θ,) broadcastable to it."""
    spikes = count_spikes(current, parameters, attributes).astype(current.dtype)
    return spikes * parameters[0], state


def initial_state(parameters: Sequence[Array]) -> State:
    """There is none between samples."""
    del parameters
    return ()


def count_spikes(
    current: Array, parameters: Sequence[Array], attributes: Mapping[str, Any]
) -> npt.NDArray[np.int64]:
    """Count the spikes k of every neuron, of a PReLU or not.

    Args:
        current: U, [N, C, …].
        parameters: (θ,), or (slope, θ) of a PReLU's neuron, which counts below zero as well; none of an
            integer neuron, whose current is whole.
        attributes: of the node.
    """
    levels, whole, slopes = attributes["levels"], current, parameters[:-1]
    if parameters:
        start = np.asarray(attributes["potential"], parameters[-1].dtype)
        whole = np.floor(current / parameters[-1] + start)
    counts: npt.NDArray[np.int64] = np.clip(whole, -levels if slopes else 0, levels).astype(np.int64)
    return counts


def spike_train(counts: Array, code: str, levels: int, timesteps: int) -> Array:
    """When the neuron sends its spikes.

    Args:
        counts: k of every neuron, integers from -N to N.
        code: `burst`: s_t = clip(k - (t-1)·Γ, 0, Γ) with Γ = ⌈N/T⌉, each spike worth θ; `radix`: s_t = bit
            T-t of k, worth θ·2^(T-t) (Datta et al. 2023). Negative counts send negative spikes.
        levels: N.
        timesteps: T.

    Returns:
        Integers [T, …] of the dtype of `counts`.
    """
    size, sign = np.abs(counts), np.sign(counts)
    if code == "radix":
        return np.stack([sign * (size >> (timesteps - t) & 1) for t in range(1, timesteps + 1)])
    burst = -(-levels // timesteps)
    return np.stack([sign * np.clip(size - t * burst, 0, burst) for t in range(timesteps)])


def set_up(kind: Any, options: Any) -> Setting:
    """θ = R/N; or θ = q, with the levels that the net was trained with."""
    levels = options.total_levels if kind.step is None else kind.levels
    limit = options.max_spikes
    if kind.step is None and not math.isinf(kind.ceiling):
        limit = options.range_levels
    attributes = {"levels": levels, "code": options.code, "potential": 0.5}
    share = levels if kind.step is None else 1
    return Setting(lambda reach: reach / share, attributes, levels, limit)


def most_spikes(attributes: Mapping[str, Any], timesteps: int) -> int:
    """N, whatever T."""
    del timesteps
    return int(attributes["levels"])


CELL = Cell(
    "AccumulateFire",
    "neuron",
    (),
    FUNCTION,
    step,
    initial_state,
    Neuron(
        lambda kind, options: options.schedule == "layer" and kind.slope is None,
        set_up,
        most_spikes,
        limit="levels",
        fires_once=True,
        adaptable=True,
        scales=True,
    ),
    native=True,
)
