"""R = argmin of Σ (f(a) - a)² with the neuron's own transfer function f.

A neuron fed a constant a for T timesteps from v_0 = θ/2 gives
f(a) = q·clip(floor(a/q + 1/2), 0, Γ·T) with q = R/N: the half shift makes it round to the nearest.

Where no activation is worth clipping, R would end where calibration happened to end. There one activation
more counts, beyond the maximum by an exponentially distributed excess; R then lies beyond the maximum.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from onnx2snn.thresholds.histogram import BINS, ChannelHistogram, Vector
from onnx2snn.thresholds.transfer import Transfer

NAME = "mse"

#: Candidates for R as shares of a channel's maximum: dense near the maximum, down to 4 % for heavy tails.
_SHARES = np.geomspace(1.0, 0.04, 64)
#: And beyond it, for what calibration has not seen.
_BEYOND = np.linspace(1.0, 2.0, 41)
#: Activations that are too few to tell how their tail goes on.
_FEW = 64
#: Channels whose errors are computed together: as many as stay in cache.
_TOGETHER = 32


def choose(histogram: ChannelHistogram, transfer: Transfer) -> Vector:
    """The range of every channel, float64 [C]."""
    best = np.empty(histogram.channels)
    excess = _mean_excess(histogram)
    for first in range(0, histogram.channels, _TOGETHER):
        part = slice(first, first + _TOGETHER)
        maximum = histogram.maximum[part]
        errors = _errors(histogram, part, transfer, _SHARES)
        best[part] = maximum * _SHARES[np.argmin(errors, axis=0)]
        whole = np.flatnonzero(best[part] == maximum)
        if len(whole):
            channels = first + whole
            errors = _errors(histogram, channels, transfer, _BEYOND)
            margin = _BEYOND[:, None] * (transfer.most_steps / transfer.steps) - 1.0
            errors += _unseen_error(margin, excess[channels])
            best[channels] = maximum[whole] * _BEYOND[np.argmin(errors, axis=0)]
    return best


def _errors(
    histogram: ChannelHistogram, channels: slice | npt.NDArray[np.int64], transfer: Transfer, shares: Vector
) -> Vector:
    """Σ (f(a) - a)² of some channels for R at each share of their maxima, in units of these.

    Returns:
        float64 [shares, channels].
    """
    counts = histogram.counts[channels].astype(np.float32)
    # In units of the maximum: activations of any size, in float32 for speed.
    maximum = histogram.maximum[channels]
    scale = np.divide(histogram.width[channels], maximum, out=np.zeros_like(maximum), where=maximum > 0)
    centers = ((np.arange(BINS) + 0.5) * scale[:, None]).astype(np.float32)
    errors = np.empty((len(shares), len(counts)))
    work = np.empty_like(centers)
    for index, share in enumerate(shares):
        if transfer.respond is not None:
            np.divide(centers, np.float32(share), out=work)
            answer = transfer.respond(work)
            answer *= np.float32(share)
            answer -= centers
            answer *= answer
            errors[index] = np.einsum("cb,cb->c", answer, counts)
            continue
        quantum = np.float32(share / transfer.steps)
        np.divide(centers, quantum, out=work)
        work += np.float32(0.5)
        np.floor(work, out=work)
        np.minimum(work, np.float32(transfer.most_steps), out=work)
        work *= quantum
        work -= centers
        work *= work
        errors[index] = np.einsum("cb,cb->c", work, counts)
    return errors


def _mean_excess(histogram: ChannelHistogram) -> Vector:
    """By what share of the maximum an activation beyond it should exceed it, on average.

    As the √n largest of the n activations seen exceed the least of these; with few, too few to tell, as if
    they were exponentially distributed, when the maximum is ln n + 0.58 times the mean.
    """
    above = np.cumsum(histogram.counts[:, ::-1], axis=1)[:, ::-1]
    largest = np.where(above <= np.sqrt(above[:, :1]), histogram.counts, 0.0)
    places = np.arange(largest.shape[1])
    number = largest.sum(axis=1)
    first = np.argmax(largest > 0, axis=1)
    total = largest @ places - first * number
    seen = np.divide(total, number, out=np.zeros_like(number), where=number > 0) * histogram.width
    maximum = np.where(histogram.maximum > 0, histogram.maximum, 1.0)
    few = 1 / (np.log(np.maximum(above[:, 0], 1)) + np.euler_gamma)
    return np.asarray(np.where(above[:, 0] < _FEW, few, seen / maximum))


def _unseen_error(margin: Vector, excess: Vector) -> Vector:
    """E[(X - margin)²] where X > margin, for X exponential of the given mean: what saturation cuts off."""
    mean = np.maximum(excess, np.finfo(np.float64).tiny)
    inside = 2 * mean**2 * np.exp(-np.clip(margin, 0, 700 * mean) / mean)
    below = np.maximum(-margin, 0)
    return np.asarray(inside + below**2 + 2 * below * mean)
