"""Moments of what layers read in the converted net: how often and how hard each weight is used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from onnx2snn.calibration.histogram import Vector
from onnx2snn.calibration.readers import Dataset
from onnx2snn.calibration.statistics import calibration_batches
from onnx2snn.channels import channels_first
from onnx2snn.emit.cells import functions_of
from onnx2snn.graph import Graph, extract
from onnx2snn.runtime.engines import OnnxruntimeEngine

#: More samples tell no more about a mean over all their places.
_SAMPLES = 256


@dataclass
class Moments:
    """Of every channel of a tensor, float64 [C].

    Attributes:
        mean: E[x].
        square: E[x²].
    """

    mean: Vector
    square: Vector


def measure_moments(
    graph: Graph, axes: Mapping[str, int | None], dataset: Dataset, batch_size: int
) -> dict[str, Moments]:
    """Run calibration samples, evenly spread, through a net of the schedule `layer`.

    Args:
        graph: the converted net, whose cells have no state.
        axes: tensor → the axis of its channels; None for one channel in all.
        dataset: calibration samples.
        batch_size: samples a batch.
    """
    model = extract(graph, [tensor.name for tensor in graph.inputs], list(axes))
    model.functions.extend(functions_of(model.graph.node))
    engine = OnnxruntimeEngine(model)
    found: dict[str, Moments] = {}
    seen = 0
    for batch, count in calibration_batches(graph, dataset.every(-(-len(dataset) // _SAMPLES)), batch_size):
        results = engine.run(batch)
        share = count / (seen := seen + count)
        for name, axis in axes.items():
            values = channels_first(results[name], axis).astype(np.float64)
            now = Moments(values.mean(axis=1), np.square(values).mean(axis=1))
            moments = found.setdefault(name, now)
            moments.mean = moments.mean + share * (now.mean - moments.mean)
            moments.square = moments.square + share * (now.square - moments.square)
    return found
