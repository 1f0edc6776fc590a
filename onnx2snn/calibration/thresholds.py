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


#: Candidates for R as shares of a channel's maximum: beyond it for what was not seen, down to 4 % for heavy
#: tails, dense near the maximum.
_SHARES = np.concatenate([np.linspace(2.0, 1.025, 40), np.geomspace(1.0, 0.04, 64)])


def _max(histogram: ChannelHistogram, transfer: Transfer) -> Vector:
    """R = the largest activation seen: nothing is clipped, θ is coarse."""
    del transfer
    return histogram.maximum.copy()


def _percentile(histogram: ChannelHistogram, transfer: Transfer) -> Vector:
    """R = the given percentile of all activations, zeros included; the maximum where that would be 0."""
    value = histogram.percentile(transfer.percentile)
    return np.where(value > 0, value, histogram.maximum)


def _mse(histogram: ChannelHistogram, transfer: Transfer) -> Vector:
    """R = argmin of Σ (f(a) - a)² with the neuron's own transfer function f, over what was seen and one more.

    A neuron fed a constant a for T timesteps from v_0 = θ/2 gives
    f(a) = q·clip(floor(a/q + 1/2), 0, Γ·T) with q = R/N: the half shift makes it round to the nearest.

    The one more lies beyond the maximum by an exponentially distributed excess, whose mean is that of the √n
    largest of the n activations seen. With few samples and many levels it keeps R from ending where
    calibration happened to end; with many samples it hardly counts.
    """
    centers = histogram.centers()
    best = histogram.maximum.copy()
    least = np.full(histogram.channels, np.inf)
    excess = _mean_excess(histogram)
    for share in _SHARES:
        candidate = histogram.maximum * share
        quantum = np.where(candidate > 0, candidate / transfer.steps, 1.0)[:, None]
        steps = np.clip(np.floor(centers / quantum + 0.5), 0, transfer.most_steps)
        error = np.einsum("cb,cb->c", (steps * quantum - centers) ** 2, histogram.counts)
        error += _unseen_error(candidate * transfer.most_steps / transfer.steps - histogram.maximum, excess)
        better = error < least
        best[better], least[better] = candidate[better], error[better]
    return best


def _mean_excess(histogram: ChannelHistogram) -> Vector:
    """By how much the √n largest of n activations exceed the least of them, on average."""
    above = np.cumsum(histogram.counts[:, ::-1], axis=1)[:, ::-1]
    largest = np.where(above <= np.sqrt(above[:, :1]), histogram.counts, 0.0)
    places = np.arange(largest.shape[1])
    number = largest.sum(axis=1)
    first = np.argmax(largest > 0, axis=1)
    total = largest @ places - first * number
    return np.asarray(np.divide(total, number, out=np.zeros_like(number), where=number > 0) * histogram.width)


def _unseen_error(margin: Vector, excess: Vector) -> Vector:
    """E[(X - margin)²] where X > margin, for X exponential of the given mean: what saturation cuts off."""
    mean = np.maximum(excess, np.finfo(np.float64).tiny)
    inside = 2 * mean**2 * np.exp(-np.maximum(margin, 0) / mean)
    below = np.maximum(-margin, 0)
    return np.asarray(inside + below**2 + 2 * below * mean)


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
