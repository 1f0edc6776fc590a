"""R = the given percentile of all activations, zeros included; the maximum where that would be 0."""

from __future__ import annotations

import numpy as np

from onnx2snn.thresholds.histogram import ChannelHistogram, Vector
from onnx2snn.thresholds.transfer import Transfer

NAME = "percentile"


def choose(histogram: ChannelHistogram, transfer: Transfer) -> Vector:
    """The range of every channel, float64 [C]."""
    value = histogram.percentile(transfer.percentile)
    return np.where(value > 0, value, histogram.maximum)
