"""Collect: one streaming pass of the ANN over the calibration data."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper

from onnx2snn.calibration.histogram import ChannelHistogram, Vector
from onnx2snn.calibration.readers import Dataset
from onnx2snn.channels import channel_axis, channels_first
from onnx2snn.errors import DataError, ModelError
from onnx2snn.graph import Graph, rank, write_model
from onnx2snn.runtime.engines import OnnxruntimeEngine

logger = logging.getLogger(__name__)


def ignore(done: float) -> None:
    """Report progress to nobody."""
    del done


@dataclass
class Statistics:
    """What the ANN's tensors look like over the calibration data.

    Attributes:
        samples: how many samples were seen.
        histograms: activation tensor → its histogram per channel.
        means: tensor → mean per channel, float64 [C] ([1] where the tensor has no channel axis).
    """

    samples: int = 0
    histograms: dict[str, ChannelHistogram] = field(default_factory=dict)
    means: dict[str, Vector] = field(default_factory=dict)


def collect_statistics(
    graph: Graph,
    dataset: Dataset,
    batch_size: int,
    activations: list[str],
    averaged: list[str],
    advance: Callable[[float], None] = ignore,
) -> Statistics:
    """Run the ANN once over all batches; memory holds one batch's activations and the statistics.

    Args:
        graph: the ANN.
        dataset: calibration samples.
        batch_size: samples a batch; the model's own batch size where that is fixed.
        activations: tensors (at least zero everywhere) to make histograms of.
        averaged: tensors whose mean per channel is wanted.
        advance: called after each batch with the share of the samples that is done.

    Raises:
        ModelError: a tensor's values become NaN or infinite, or onnxruntime fails.
        DataError: the data cannot be read.
    """
    tensors = graph.tensors()
    axes = {name: channel_axis(tensors[name]) for name in activations}
    model, mean_outputs = _augmented(graph, activations, averaged)
    engine = OnnxruntimeEngine(model)
    statistics = Statistics()
    sums: dict[str, Vector] = {}
    for batch, count in calibration_batches(graph, dataset, batch_size):
        results = engine.run(batch)
        statistics.samples += count
        for name, output in mean_outputs.items():
            mean = np.atleast_1d(results[output].astype(np.float64))
            if not np.isfinite(mean).all():
                raise ModelError(
                    f"tensor '{name}': expected finite activations on calibration data, found NaN or Inf; "
                    "check the preprocessing (--scale, --mean, --std) and the model"
                )
            sums[name] = sums.get(name, 0.0) + mean * count
        for name in activations:
            values = channels_first(results[name], axes[name])
            if name not in statistics.histograms:
                statistics.histograms[name] = ChannelHistogram(len(values))
            statistics.histograms[name].add(values)
        advance(statistics.samples / len(dataset))
    statistics.means = {name: total / statistics.samples for name, total in sums.items()}
    logger.info("statistics of %d tensors from %d samples", len(activations), statistics.samples)
    return statistics


def calibration_batches(
    graph: Graph, dataset: Dataset, batch_size: int
) -> Iterator[tuple[dict[str, npt.NDArray[Any]], int]]:
    """Batches with their sizes, of the model's own batch size where that is fixed.

    Raises:
        DataError: not even one whole batch of the fixed size.
    """
    first = graph.inputs[0].shape[0] if graph.inputs and graph.inputs[0].shape else None
    fixed = first if isinstance(first, int) and first > 0 else None
    seen = 0
    for batch in dataset.batches(fixed or batch_size):
        count = len(next(iter(batch.values())))
        if fixed is None or count == fixed:
            seen += count
            yield batch, count
    if not seen:
        raise DataError(
            f"{dataset.source}: expected at least {fixed or 1} samples, one batch of the model, "
            f"found {len(dataset)}; give more, or export the model with a dynamic batch"
        )


def _augmented(
    graph: Graph, activations: list[str], averaged: list[str]
) -> tuple[onnx.ModelProto, dict[str, str]]:
    """The ANN with the activations and the per-channel means as further outputs; tensor → its mean's name."""
    model = write_model(graph)
    tensors = graph.tensors()
    present = {output.name for output in model.graph.output}
    for name in activations:
        if name not in present:
            model.graph.output.append(helper.make_empty_tensor_value_info(name))
    outputs: dict[str, str] = {}
    for name in averaged:
        axis, dims = channel_axis(tensors[name]), rank(tensors[name]) or 0
        outputs[name] = f"{name}/mean"
        inputs = [name]
        if axis is not None:
            axes = np.asarray([other for other in range(dims) if other != axis], dtype=np.int64)
            model.graph.initializer.append(onnx.numpy_helper.from_array(axes, f"{name}/mean_axes"))
            inputs.append(f"{name}/mean_axes")
        model.graph.node.append(helper.make_node("ReduceMean", inputs, [outputs[name]], keepdims=0))
        model.graph.output.append(helper.make_empty_tensor_value_info(outputs[name]))
    return model, outputs
