"""R = the largest activation seen: nothing is clipped, θ is coarse."""

from __future__ import annotations

from onnx2snn.thresholds.histogram import ChannelHistogram, Vector
from onnx2snn.thresholds.transfer import Transfer

NAME = "max"


def choose(histogram: ChannelHistogram, transfer: Transfer) -> Vector:
    """The range of every channel, float64 [C]."""
    del transfer
    return histogram.maximum.copy()
