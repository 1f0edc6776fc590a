"""Collect: one streaming pass of the ANN over the calibration data."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper

from onnx2snn.calibration.places import Places, at_places
from onnx2snn.data.batches import model_batches
from onnx2snn.data.readers import Dataset
from onnx2snn.engine.engines import OnnxruntimeEngine
from onnx2snn.errors import ModelError
from onnx2snn.graph.channels import channel_axis
from onnx2snn.graph.graph import Graph, write_model
from onnx2snn.memory import MemoryBound
from onnx2snn.model.spill import stored
from onnx2snn.model.tap import tap
from onnx2snn.model.weights import let_go, references
from onnx2snn.thresholds.histogram import ChannelHistogram, Vector, around

logger = logging.getLogger(__name__)

#: Threads that fill histograms; each has some memory of its own.
_THREADS = 2

#: Values of a channel that a histogram counts, at least, of a larger number.
_PLACES = 1 << 17


def ignore(done: float) -> None:
    """Report progress to nobody."""
    del done


@dataclass(frozen=True)
class Activation:
    """Which tensor tells of an activation.

    Attributes:
        tensor: its output, or its input where it has a slope.
        slope: gain below zero, broadcastable to the tensor; None for one that is zero there.
    """

    tensor: str
    slope: npt.NDArray[Any] | None = None


@dataclass
class Statistics:
    """What the ANN's activations look like over the calibration data.

    Attributes:
        samples: how many samples were seen.
        largest: bytes of the largest activation of one sample.
        total: bytes of all activations of one sample.
        histograms: activation's output → histogram per channel of its magnitude. What lies below zero counts
            with the square of its slope, which is how much its error weighs.
        peaks: input, or activation's output → the largest magnitude of each sample, [n] a batch; of what has
            a row for each sample.
    """

    samples: int = 0
    largest: int = 0
    total: int = 0
    histograms: dict[str, ChannelHistogram] = field(default_factory=dict)
    peaks: dict[str, list[Vector]] = field(default_factory=dict)

    def note(self, name: str, peaks: Vector, samples: int) -> None:
        """Add a batch's peaks, unless rows are no samples."""
        if len(peaks) == samples:
            self.peaks.setdefault(name, []).append(peaks)


def collect_statistics(
    graph: Graph,
    dataset: Dataset,
    batch_size: int,
    activations: Mapping[str, Activation],
    advance: Callable[[float], None] = ignore,
    *,
    memory: MemoryBound,
) -> Statistics:
    """Run the ANN once over all batches; memory holds one batch's activations and the statistics.

    All activations count for a channel's maximum, and `_PLACES` of each channel at least for the rest.

    Args:
        graph: the ANN.
        dataset: calibration samples.
        batch_size: the most samples of a batch; the model's own batch size where that is fixed.
        activations: by the name of their output.
        advance: called after each batch with the share of the samples that is done.
        memory: of which a batch's activations take a share; batches get smaller where they would take more.

    Raises:
        ModelError: an activation becomes NaN or infinite, or onnxruntime fails.
        DataError: the data cannot be read.
        OptionError: memory in which the activations of one sample do not fit.
    """
    tensors = graph.tensors()
    axes = {name: channel_axis(tensors[activation.tensor]) for name, activation in activations.items()}
    read = [activation.tensor for activation in activations.values()]
    model = tap(write_model(graph), read, only=True)
    engine, huge = OnnxruntimeEngine(model), bool(references(model))
    statistics = Statistics(peaks={name: [] for name in (*(t.name for t in graph.inputs), *activations)})
    places = {name: Places(len(dataset), _PLACES) for name in activations}

    def add(name: str) -> None:
        activation = activations[name]
        outputs = results[activation.tensor]
        peaks = _count(statistics.histograms[name], activation, outputs, axes[name], places[name])
        statistics.note(name, peaks, count)

    if read:
        sizes = _sample_bytes(engine, graph, dataset)
        statistics.largest, statistics.total = max(sizes), sum(sizes)
        batch_size = memory.batch(statistics.total, batch_size, fixed_batch(graph))
    with ThreadPoolExecutor(_THREADS) as pool:  # NumPy's loops let other threads run
        for batch, count in calibration_batches(graph, dataset, batch_size):
            results = _run(engine, batch)
            statistics.samples += count
            let_go()
            for name, fed in batch.items():
                statistics.note(name, _largest(fed), count)
            for name in activations.keys() - statistics.histograms.keys():
                given = results[activations[name].tensor]
                statistics.histograms[name] = _histogram(given, axes[name], in_file=huge)
            list(pool.map(add, activations))
            let_go()
            advance(statistics.samples / len(dataset))
    logger.info("statistics of %d tensors from %d samples", len(activations), statistics.samples)
    return statistics


def _histogram(outputs: npt.NDArray[Any], axis: int | None, *, in_file: bool) -> ChannelHistogram:
    """An empty one; of a net whose weights are in files, as they are many, it may be as much as these."""
    histogram = ChannelHistogram(1 if axis is None else outputs.shape[axis])
    if in_file:
        histogram.counts = stored(histogram.counts, writable=True)
    return histogram


def _sample_bytes(engine: OnnxruntimeEngine, graph: Graph, dataset: Dataset) -> list[int]:
    """Bytes of each output for one sample; of nothing, where a constant ties the model to another batch."""
    batch, count = next(calibration_batches(graph, dataset, 1))
    try:
        return [-(-result.nbytes // count) for result in engine.run(batch).values()]
    except ModelError as error:
        logger.info("one sample alone cannot be run, so batches stay as they are: %s", error)
        return [0]


def collect_ranges(
    graph: Graph,
    dataset: Dataset,
    batch_size: int,
    tensors: Collection[str],
    advance: Callable[[float], None] = ignore,
    *,
    memory: MemoryBound,
) -> dict[str, ChannelHistogram]:
    """Histograms of whole tensors: of the positive part (channel 0) and the negative part (channel 1).

    Raises:
        ModelError, DataError, OptionError: as `collect_statistics`.
    """
    engine = OnnxruntimeEngine(tap(write_model(graph), sorted(tensors), only=True))
    histograms = {name: ChannelHistogram(2) for name in tensors}
    done = 0
    sizes = _sample_bytes(engine, graph, dataset)
    batch_size = memory.batch(sum(sizes), batch_size, fixed_batch(graph))
    for batch, count in calibration_batches(graph, dataset, batch_size):
        results = _run(engine, batch)
        done += count
        for name, histogram in histograms.items():
            values = results[name].reshape(-1)
            whole = histogram.add(np.stack([np.maximum(values, 0), np.maximum(-values, 0)]))
            _check(name, values, finite=whole)
        advance(done / len(dataset))
    return histograms


def evaluate_elementwise(part: onnx.ModelProto, points: Vector) -> Vector:
    """A model of one input and one output, which works element by element, at points [n]."""
    (source,), (result,) = part.graph.input, part.graph.output
    dtype = helper.tensor_dtype_to_np_dtype(source.type.tensor_type.elem_type)
    del part.graph.value_info[:]
    for item in (source, result):
        item.type.tensor_type.ClearField("shape")
    values = OnnxruntimeEngine(part).run({source.name: points.astype(dtype)})[result.name]
    return np.asarray(values, np.float64)


def _count(
    histogram: ChannelHistogram,
    activation: Activation,
    outputs: npt.NDArray[Any],
    axis: int | None,
    places: Places,
) -> Vector:
    """Add a batch to an activation's histogram; gives the largest magnitude of each sample, [N]."""
    slope = activation.slope
    some = at_places(outputs, axis, places.some(outputs.shape, axis, slope))
    weights = (
        None
        if slope is None or np.all(slope == 1)
        else np.where(some < 0, np.square(slope, dtype=np.float64), 1.0)
    )
    magnitudes = some if slope is None else np.abs(some)
    highest = _highest(outputs, axis, signed=slope is not None)
    whole = histogram.add(
        magnitudes, weights, axis=axis, highest=highest.max(axis=0) if outputs.size else None
    )
    _check(activation.tensor, outputs, finite=whole)
    return np.asarray(highest.max(axis=1))


def _highest(values: npt.NDArray[Any], axis: int | None, *, signed: bool) -> Vector:
    """The largest magnitudes [N, C] of each sample in each channel; [1, C] where channels come first."""
    before, channels, _ = around(values.shape, axis)
    if not values.size:
        return np.zeros((1, channels))
    rows = len(values) if values.ndim and axis != 0 else 1
    apart = values.reshape(rows, 1 if axis is None else before // rows, channels, -1)
    highest = apart.max(axis=(1, 3))
    if signed:
        highest = np.maximum(highest, -apart.min(axis=(1, 3)))
    return np.asarray(highest, np.float64)


def _largest(fed: npt.NDArray[Any]) -> Vector:
    """The largest magnitude of each sample of an input, [n]; what is no number is as large as 0."""
    flat = fed.reshape(len(fed), math.prod(fed.shape[1:]))
    largest = np.maximum(flat.max(axis=1, initial=0), -flat.min(axis=1, initial=0).astype(np.float64))
    return np.asarray(np.nan_to_num(largest, nan=0.0), np.float64)


def _check(name: str, values: npt.NDArray[Any], *, finite: bool) -> None:
    if not values.size:
        raise ModelError(
            f"tensor '{name}': expected activations, found none, as its shape is {list(values.shape)}; "
            "remove the empty branch from the model"
        )
    if not finite:
        raise ModelError(
            f"tensor '{name}': expected finite activations on calibration data, "
            "found NaN or Inf; check the preprocessing (--scale, --mean, --std) and the model"
        )


def _run(engine: OnnxruntimeEngine, batch: dict[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
    try:
        return engine.run(batch)
    except ModelError as error:
        raise ModelError(
            f"{error}; if the model was exported for one batch size only, use it as --batch-size"
        ) from error


def fixed_batch(graph: Graph) -> int | None:
    """The batch size that the model was exported for; None where it takes any."""
    first = graph.inputs[0].shape[0] if graph.inputs and graph.inputs[0].shape else None
    return first if isinstance(first, int) and first > 0 else None


def calibration_batches(
    graph: Graph, dataset: Dataset, batch_size: int
) -> Iterator[tuple[dict[str, npt.NDArray[Any]], int]]:
    """Whole batches with their sizes, of the model's own batch size where that is fixed.

    Raises:
        DataError: not even one whole batch of the fixed size.
    """
    return model_batches(dataset, batch_size, fixed_batch(graph), fill=False)
