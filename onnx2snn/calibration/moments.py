"""Moments of what layers read in the converted net: how often and how hard each weight is used."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from onnx2snn.calibration.statistics import calibration_batches, fixed_batch
from onnx2snn.data.readers import Dataset
from onnx2snn.emit.cells import functions_of
from onnx2snn.engine.engines import OnnxruntimeEngine
from onnx2snn.graph.graph import Graph, extract
from onnx2snn.thresholds.histogram import Vector, around

#: As many samples are enough for a mean.
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
    graph: Graph, wanted: Collection[tuple[str, int | None]], dataset: Dataset, batch_size: int
) -> dict[tuple[str, int | None], Moments]:
    """Run calibration samples, evenly spread, through a net of the schedule `layer`.

    Args:
        graph: the converted net, whose cells have no state.
        wanted: tensors, each with the axis of its channels; None for one channel in all.
        dataset: calibration samples.
        batch_size: samples a batch.
    """
    names = list(dict.fromkeys(name for name, _ in wanted))
    model = extract(graph, [tensor.name for tensor in graph.inputs], names)
    model.functions.extend(functions_of(model.graph.node))
    engine = OnnxruntimeEngine(model)
    measured: dict[tuple[str, int | None], Moments] = {}
    seen = 0
    stride = max(1, len(dataset) // max(_SAMPLES, fixed_batch(graph) or 1))
    for batch, count in calibration_batches(graph, dataset.every(stride), batch_size):
        results = engine.run(batch)
        share = count / (seen := seen + count)
        for name, axis in wanted:
            values = results[name].reshape(around(results[name].shape, axis))
            now = Moments(_mean(values), _mean(np.square(values)))
            moments = measured.setdefault((name, axis), now)
            moments.mean = moments.mean + share * (now.mean - moments.mean)
            moments.square = moments.square + share * (now.square - moments.square)
    return measured


def _mean(values: npt.NDArray[Any]) -> Vector:
    """Over all but the channels [before, channels, behind]: what lies together, then that in float64."""
    rows = values.mean(axis=2, dtype=np.promote_types(values.dtype, np.float32))
    return np.asarray(rows.mean(axis=0, dtype=np.float64))
