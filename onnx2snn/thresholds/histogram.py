"""A histogram of activations for every channel, whose memory does not grow with the number of samples."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

#: Bins per channel. A range that grows is doubled by merging bins in pairs, so at least half stay in use.
BINS = 2048
#: Values whose places are computed together: as many as stay in cache.
_TOGETHER = 1 << 17
#: The narrowest bin, whose inverse float32 still has.
_NARROWEST = 2.0**-126

Vector = npt.NDArray[np.float64]


class ChannelHistogram:
    """Counts of non-negative activations in `BINS` equal bins from 0, per channel.

    A bin holds what is above its lower end, up to and with its upper end. Its width is a power of two, so
    neither the order of the values nor how they came in batches makes any difference.

    Attributes:
        counts: [C, BINS], values above zero; uint32, or float64 once some were counted with a weight.
        zeros: float64 [C], values that are exactly zero.
        width: float64 [C], width of a channel's bins; 0 while the channel has shown nothing but zeros.
        maximum: float64 [C], largest value seen.
    """

    def __init__(self, channels: int) -> None:
        self.counts: npt.NDArray[Any] = np.zeros((channels, BINS), np.uint32)
        self.zeros = np.zeros(channels)
        self.width = np.zeros(channels)
        self.maximum = np.zeros(channels)

    @property
    def channels(self) -> int:
        """C."""
        return len(self.width)

    def add(
        self,
        values: npt.NDArray[np.floating],
        weights: npt.NDArray[np.floating] | None = None,
        *,
        axis: int | None = 0,
        highest: Vector | None = None,
    ) -> bool:
        """Count a batch of activations, none below zero, each with a weight (one).

        Args:
            values: any shape with C along `axis`.
            weights: of the same shape; what is zero counts as one.
            axis: of the channels; None where all is one channel.
            highest: [C], the largest of each channel, where `values` are only some of all, or none.

        Returns:
            Whether all of them are finite; nothing is counted otherwise.
        """
        if not values.size and highest is None:
            return True
        shape = around(values.shape, axis)
        whole = values.astype(np.promote_types(values.dtype, np.float32), copy=False).reshape(shape)
        highest = whole.max(axis=(0, 2)).astype(np.float64) if highest is None else highest
        if not np.isfinite(highest).all():
            return False
        self.maximum = np.maximum(self.maximum, highest)
        self._cover(highest)
        if not values.size:
            return True
        if weights is not None and self.counts.dtype != np.float64:
            self.counts = self.counts.astype(np.float64)
        given = None if weights is None else np.broadcast_to(weights, values.shape).reshape(shape)
        step = max(1, _TOGETHER // (shape[0] * shape[2]))
        for first in range(0, self.channels, step):
            part = slice(first, first + step)
            self._count(whole[:, part], None if given is None else given[:, part], part)
        return True

    def _count(self, values: npt.NDArray[Any], weights: npt.NDArray[Any] | None, part: slice) -> None:
        """Some channels of a batch [before, channels, behind]."""
        # A channel of nothing but zeros has no width, and needs none. Zeros have the first bin to themselves.
        width = np.where(self.width[part] > 0, self.width[part], 1.0)[:, None]
        scaled = values * (1 / width).astype(values.dtype)
        places = np.ceil(scaled, out=scaled).astype(np.intp)
        places += np.arange(len(width))[:, None] * (BINS + 1)
        given = None if weights is None else np.where(values > 0, weights, 1).reshape(-1)
        found = np.bincount(places.reshape(-1), given, minlength=len(width) * (BINS + 1))
        found = found.reshape(len(width), BINS + 1)
        self.zeros[part] += found[:, 0]
        counts = self.counts[part]
        np.add(counts, found[:, 1:], out=counts, casting="unsafe")

    def centers(self) -> Vector:
        """Mid-points of the bins, float64 [C, BINS]."""
        return (np.arange(BINS) + 0.5) * self.width[:, None]

    def percentile(self, percent: float) -> Vector:
        """The value that `percent` % of all activations (zeros included) do not exceed, up to one bin."""
        wanted = (self.zeros + self.counts.sum(axis=1)) * (percent / 100)
        reached = self.zeros[:, None] + np.cumsum(self.counts, axis=1, dtype=np.float64) >= wanted[:, None]
        value = np.minimum((np.argmax(reached, axis=1) + 1) * self.width, self.maximum)
        return np.where(self.zeros >= wanted, 0.0, value)

    def merged(self) -> ChannelHistogram:
        """All channels in one histogram of a single channel: what thresholds per layer are chosen from."""
        whole = ChannelHistogram(1)
        whole.zeros[:] = self.zeros.sum()
        whole.maximum[:] = self.maximum.max(initial=0.0)
        whole._cover(whole.maximum)
        if whole.width[0] > 0:
            index = np.minimum((self.centers() / whole.width[0]).astype(np.int64), BINS - 1)
            whole.counts = np.bincount(index.ravel(), self.counts.ravel(), minlength=BINS)[None]
        return whole

    def _cover(self, highest: Vector) -> None:
        """Widen the bins of the channels whose new maximum lies beyond them."""
        fresh = (self.width == 0) & (highest > 0)
        share, exponent = np.frexp(highest[fresh] / BINS)
        self.width[fresh] = np.maximum(np.ldexp(1.0, exponent - (share == 0.5)), _NARROWEST)
        for channel in np.flatnonzero(highest > self.width * BINS):
            while highest[channel] > self.width[channel] * BINS:
                pairs = self.counts[channel].reshape(-1, 2).sum(axis=1)
                self.counts[channel, : BINS // 2], self.counts[channel, BINS // 2 :] = pairs, 0
                self.width[channel] *= 2


def around(shape: tuple[int, ...], axis: int | None) -> tuple[int, int, int]:
    """A shape with one axis for all that lies before the channels, theirs, and one for all behind them."""
    if axis is None:
        return 1, 1, math.prod(shape)
    return math.prod(shape[:axis]), shape[axis], math.prod(shape[axis + 1 :])
