"""Histograms of literal activations, and what a neuron makes of an activation."""

from __future__ import annotations

import numpy as np

from onnx2snn.thresholds.histogram import ChannelHistogram


def histogram_of(values):
    histogram = ChannelHistogram(len(values))
    histogram.add(np.asarray(values, dtype=np.float32))
    return histogram


def transferred(values, top, transfer):
    """What a neuron of range `top` gives on average for constant currents, by the formula."""
    quantum = top / transfer.steps
    return quantum * np.clip(np.floor(values / quantum + 0.5), 0, transfer.most_steps)
