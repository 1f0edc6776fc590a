"""Data of another range than that of the calibration."""

from __future__ import annotations

import numpy as np

from onnx2snn.artifact.records import InputRecord
from onnx2snn.checks.evidence import Evidence
from onnx2snn.checks.scores import apart, surprise

#: Samples of which a mean says something.
_FEWEST = 8
#: Nats a value: a spread that is halved has 0.32, a shift by half the spread 0.13.
_ANOTHER = 0.15
#: Standard errors; and over the number of samples, how many more, as of few an error is not well known.
_CLEAR, _UNSURE = 5.0, 20.0


def check(evidence: Evidence) -> str | None:
    """Whether the values of an input are distributed otherwise than when the network was compiled.

    Told by the divergence from what the artifact has recorded, in the median channel, where the samples'
    brightness or contrast differs by more than by accident.
    """
    recorded = None if evidence.calibrated is None else evidence.calibrated.inputs
    for name, expected in (recorded or {}).items():
        if name not in evidence.names or not evidence.is_float(name):
            continue
        found = evidence.describe(name)
        if _differ(found, expected):
            return (
                f"{evidence.source}: expected values of input '{name}' as in the calibration, "
                f"{_words(expected)}, found {_words(found)}; leave out --scale, --mean, --std and --frames, "
                "which are recorded, or compile on data like this"
            )
    return None


def _differ(found: InputRecord, expected: InputRecord) -> bool:
    fewer = min(expected.samples, found.samples)
    varied = np.asarray(expected.deviation) > 0  # of a constant, any other value would be infinitely far
    if len(expected.mean) != len(found.mean) or fewer < _FEWEST or not varied.any():
        return False
    nats = surprise(
        np.asarray(found.mean)[varied],
        np.square(found.deviation)[varied],
        np.asarray(expected.mean)[varied],
        np.square(expected.deviation)[varied],
    )
    samples = found.samples, expected.samples
    errors = max(
        apart(found.middle, expected.middle, samples), apart(found.contrast, expected.contrast, samples)
    )
    return nats > _ANOTHER and errors > _CLEAR + _UNSURE / fewer


def _words(record: InputRecord) -> str:
    mean, deviation = np.mean(record.mean), np.mean(record.deviation)
    return f"{record.least:.3g} to {record.greatest:.3g}, {mean:.3g} ± {deviation:.3g}"
