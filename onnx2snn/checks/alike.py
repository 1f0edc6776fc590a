"""All samples are one and the same."""

from __future__ import annotations

import numpy as np

from onnx2snn.checks.evidence import Evidence

#: Samples: fewer are a trial, by hand, of whether anything runs at all.
_FEWEST = 8
#: Of the variance of all values, what differs between samples.
_NOTHING = 1e-6


def check(evidence: Evidence) -> str | None:
    """Whether nothing differs between the samples, of which there have to be some."""
    values = evidence.sample.astype(np.float64)
    if len(values) < _FEWEST or values.size == 0:
        return None
    between = float(((values - values[:1]) ** 2).mean())
    if between > _NOTHING * float(values.var()):
        return None
    return (
        f"{evidence.source}: expected samples that differ, found the same one {len(values)} times for input "
        f"'{evidence.name}'; check how the array was made, and give real samples"
    )
