"""A histogram of activations for every channel, whose memory does not grow with the number of samples."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

#: Bins per channel. A range that grows is doubled by merging bins in pairs, so at least half stay in use.
BINS = 2048

Vector = npt.NDArray[np.float64]


class ChannelHistogram:
    """Counts of non-negative activations in `BINS` equal bins from 0, per channel.

    Attributes:
        counts: float64 [C, BINS], values above zero, each counted with its weight.
        zeros: float64 [C], values that are exactly zero.
        width: float64 [C], width of a channel's bins; 0 while the channel has shown nothing but zeros.
        maximum: float64 [C], largest value seen.
    """

    def __init__(self, channels: int) -> None:
        self.counts = np.zeros((channels, BINS))
        self.zeros = np.zeros(channels)
        self.width = np.zeros(channels)
        self.maximum = np.zeros(channels)

    @property
    def channels(self) -> int:
        """C."""
        return len(self.width)

    def add(self, values: npt.NDArray[np.floating], weights: npt.NDArray[np.floating] | None = None) -> None:
        """Count a batch of activations [C, n], all finite and at least zero, each with a weight (one)."""
        if not values.size:
            return
        highest = values.max(axis=1).astype(np.float64)
        self.maximum = np.maximum(self.maximum, highest)
        self._cover(highest)
        empty = values.shape[1] - np.count_nonzero(values, axis=1)
        self.zeros += empty
        # Zeros fall into the first bin; a channel of nothing else has none.
        widths = np.where(self.width > 0, self.width, 1.0)[:, None]
        index = (values / widths).astype(np.int64)
        np.minimum(index, BINS - 1, out=index)
        index += np.arange(self.channels)[:, None] * BINS
        counted = None if weights is None else np.where(values > 0, weights, 0).reshape(-1)
        flat = np.bincount(index.reshape(-1), counted, minlength=self.counts.size)
        self.counts += flat.reshape(self.counts.shape)
        if weights is None:
            self.counts[:, 0] -= empty

    def centers(self) -> Vector:
        """Mid-points of the bins, float64 [C, BINS]."""
        return (np.arange(BINS) + 0.5) * self.width[:, None]

    def percentile(self, percent: float) -> Vector:
        """The value that `percent` % of all activations (zeros included) do not exceed, up to one bin."""
        wanted = (self.zeros + self.counts.sum(axis=1)) * (percent / 100)
        reached = self.zeros[:, None] + np.cumsum(self.counts, axis=1) >= wanted[:, None]
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
            whole.counts[0] = np.bincount(index.ravel(), self.counts.ravel(), minlength=BINS)
        return whole

    def _cover(self, highest: Vector) -> None:
        """Widen the bins of the channels whose new maximum lies beyond them."""
        fresh = (self.width == 0) & (highest > 0)
        self.width[fresh] = np.maximum(highest[fresh] / BINS, np.finfo(np.float64).tiny)
        for channel in np.flatnonzero(highest > self.width * BINS):
            while highest[channel] > self.width[channel] * BINS:
                pairs = self.counts[channel].reshape(-1, 2).sum(axis=1)
                self.counts[channel, : BINS // 2], self.counts[channel, BINS // 2 :] = pairs, 0
                self.width[channel] *= 2
