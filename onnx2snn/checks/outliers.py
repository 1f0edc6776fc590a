"""A range that one sample alone stretches."""

from __future__ import annotations

import numpy as np

from onnx2snn.calibration.statistics import Statistics
from onnx2snn.checks.scores import outlier
from onnx2snn.data.dataset import Dataset

#: How many times the next largest a range has to be, and the probability of such a gap by accident.
_STRETCHED, _CLEAR = 3.0, 1e-4


def stretched(statistics: Statistics, dataset: Dataset) -> str | None:
    """Whether in some layer one sample reaches far beyond all others.

    Told by the spacings of the samples' own maxima; the inputs are asked first, then the layers in order.

    Args:
        statistics: of the calibration.
        dataset: what it saw.
    """
    inputs = {spec.name for spec in dataset.inputs}
    for name, batches in statistics.peaks.items():
        peaks = np.concatenate(batches) if batches else np.zeros(0)
        if len(peaks) < 3 or not np.isfinite(peaks).all():
            continue
        number, times, probability = outlier(peaks)
        if times > _STRETCHED and probability * len(statistics.peaks) < _CLEAR:
            where = f"input '{name}'" if name in inputs else f"layer '{name}'"
            return (
                f"{dataset.source}, sample {number} of those calibrated on: expected values like those of "
                f"{len(peaks) - 1} others, found up to {peaks[number]:.4g} in {where}, {times:.3g} times the "
                "next largest, so that it alone stretches ranges; repair or remove it (of --threshold, "
                "percentile minds it least)"
            )
    return None
