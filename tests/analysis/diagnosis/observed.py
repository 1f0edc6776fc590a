"""Neuron layers as a diagnosis has them: tallies from a few numbers for each channel, and what is found."""

from __future__ import annotations

import numpy as np

from onnx2snn.analysis.diagnosis.components import LayerTally, Levels, Observation
from onnx2snn.analysis.diagnosis.figures import Fault, LayerDiagnosis
from onnx2snn.graph.rectifiers import Rectifier

#: Steps of ¼, at most 1.
QUARTERS = Levels(np.float32(0.25), 4)


def observation(before, *, after=None, taught=None, current=None, sent=None, activity=None) -> Observation:
    """Rows are samples, columns channels; what is not given is as of an exact layer."""
    before = np.asarray(before, np.float32)
    given = [after, taught, current, sent, activity]
    default = [np.maximum(before, 0), before, before, np.maximum(before, 0)]
    values = [d if g is None else np.float32(g) for g, d in zip(given, default, strict=False)]
    return Observation(before, *values, np.abs(values[-1]) if activity is None else np.float32(activity))


def tallied(before, *, levels=QUARTERS, refitted=False, **given) -> LayerTally:
    tally = LayerTally(Rectifier(), levels, 1, refitted=refitted)
    tally.add(observation(before, **given))
    return tally


CLIPS = Fault("clipping", 0.9, "r clips 33 % of its mass", "raise --percentile, or use --threshold mse")


def layer(name="r", *, own=0.1, dead=(), found=()) -> LayerDiagnosis:
    return LayerDiagnosis(
        name,
        "BurstIF",
        4,
        channels=2,
        neurons=2,
        activation_rms=1.0,
        error=own,
        own_error=own,
        components={},
        harm={},
        clipped_mass=0.0,
        saturated_channels=[],
        dead_channels=list(dead),
        firing_rate=0.1,
        spikes_per_sample=1.0,
        agreement_if_exact=None,
        agreement_if_only_spiking=None,
        faults=list(found),
    )
