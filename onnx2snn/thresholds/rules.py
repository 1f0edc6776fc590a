"""Rules that turn activation statistics into the range R of every channel (θ = R/levels).

To add a rule, write its file, and add the file's name to `_FILES`.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

import numpy as np

from onnx2snn.thresholds.histogram import ChannelHistogram, Vector
from onnx2snn.thresholds.transfer import Transfer

_FILES = (
    "maximum",
    "percentile",
    "mse",
)

RULES: dict[str, Callable[[ChannelHistogram, Transfer], Vector]] = {
    rule.NAME: rule.choose for rule in (import_module(f"onnx2snn.thresholds.{file}") for file in _FILES)
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
