"""Rules that turn activation statistics into the range R of every channel (θ = R/levels).

To add a rule, write its function and add it to `RULES`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from onnx2snn.calibration.histogram import ChannelHistogram, Vector


@dataclass(frozen=True)
class Transfer:
    """What a neuron makes of a constant current over a whole run.

    Attributes:
        steps: N = levels·T, the output steps from 0 to R.
        most_steps: Γ·T, the steps at which the neuron saturates (more than N with headroom).
        percentile: the percentage asked for; only the rule `percentile` reads it.
    """

    steps: int
    most_steps: int
    percentile: float = 99.9


#: Candidates for R as shares of a channel's maximum: dense near the maximum, down to 4 % for heavy tails.
_SHARES = np.geomspace(1.0, 0.04, 64)


def _max(histogram: ChannelHistogram, transfer: Transfer) -> Vector:
    """R = the largest activation seen: nothing is clipped, θ is coarse."""
    del transfer
    return histogram.maximum.copy()


def _percentile(histogram: ChannelHistogram, transfer: Transfer) -> Vector:
    """R = the given percentile of all activations, zeros included; the maximum where that would be 0."""
    value = histogram.percentile(transfer.percentile)
    return np.where(value > 0, value, histogram.maximum)


def _mse(histogram: ChannelHistogram, transfer: Transfer) -> Vector:
    """R = argmin of Σ (f(a) - a)² with the neuron's own transfer function f.

    A neuron fed a constant a for T timesteps from v_0 = θ/2 gives
    f(a) = q·clip(floor(a/q + 1/2), 0, Γ·T) with q = R/N: the half shift makes it round to the nearest.
    """
    centers = histogram.centers()
    best = histogram.maximum.copy()
    least = np.full(histogram.channels, np.inf)
    import os
    mode=os.environ.get("TAIL","0")
    active = histogram.counts.sum(axis=1)
    above = np.cumsum(histogram.counts[:, ::-1], axis=1)[:, ::-1]
    top = above <= 0.1 * active[:, None]
    weight = histogram.counts * top
    mass_top = np.maximum(weight.sum(axis=1), 1e-9)
    u = np.where(top, centers, np.inf).min(axis=1)
    scale = np.where(np.isfinite(u), (weight * (centers - u[:, None])).sum(axis=1) / mass_top, 0)
    scale = np.where(np.isfinite(scale), scale, 0) * float(os.environ.get("SC","1"))
    n = float(os.environ.get("IMAGES", "64"))
    mass = {"0": 0 * active, "1": np.ones_like(active), "2": active / n, "3": np.sqrt(active / n)}[mode]
    shares = _SHARES if mode == "0" else np.concatenate([np.linspace(2.0, 1.02, 40), _SHARES])
    for share in shares:
        candidate = histogram.maximum * share
        quantum = np.where(candidate > 0, candidate / transfer.steps, 1.0)[:, None]
        steps = np.clip(np.floor(centers / quantum + 0.5), 0, transfer.most_steps)
        error = np.einsum("cb,cb->c", (steps * quantum - centers) ** 2, histogram.counts)
        over = np.maximum(candidate * transfer.most_steps / transfer.steps - histogram.maximum, 0)
        under = np.maximum(histogram.maximum - candidate * transfer.most_steps / transfer.steps, 0)
        s_ = np.maximum(scale, 1e-30)
        error = error + mass * np.where(under > 0, under**2 + 2 * under * s_ + 2 * s_**2, 2 * s_**2 * np.exp(-over / s_))
        better = error < least
        best[better], least[better] = candidate[better], error[better]
    return best


RULES: dict[str, Callable[[ChannelHistogram, Transfer], Vector]] = {
    "max": _max,
    "percentile": _percentile,
    "mse": _mse,
}


def choose_ranges(histogram: ChannelHistogram, rule: str, transfer: Transfer, ceiling: float) -> Vector:
    """The range R of every channel, float64 [C], finite and above zero.

    Args:
        histogram: activations of the layer.
        rule: a key of `RULES`.
        transfer: the neuron the range is for.
        ceiling: c of a Clip(0, c), which R never exceeds; infinity for a ReLU.

    A channel that calibration never saw active gets the layer's median range (1 where the whole layer is
    silent, or the ceiling if that is less): θ stays finite, and an input that does wake the channel gets
    through.
    """
    ranges = np.minimum(RULES[rule](histogram, transfer), ceiling)
    active = ranges > 0
    spare = float(np.median(ranges[active])) if active.any() else min(1.0, ceiling)
    return np.where(active, ranges, spare)
