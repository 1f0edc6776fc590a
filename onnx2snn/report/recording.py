"""Spikes of a few samples, channel by channel: what the raster shows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from onnx2snn.data.readers import Dataset
from onnx2snn.runtime.session import SpikingSession

Array = npt.NDArray[Any]

#: Samples that are shown, and timesteps of a network that runs longer.
SAMPLES = 4
_MOST_TIMESTEPS = 32
#: Channels that are shown in all: as many of each layer as there is room for.
_ROWS = 24


@dataclass(frozen=True)
class Channel:
    """One channel's spikes.

    Attributes:
        layer: its neuron layer.
        number: of the channel in it.
        sent: spikes a neuron of the channel in each timestep, float64 [samples, T].
        negative: spikes below zero (taken back, or a leaky neuron's), likewise, as positive numbers.
    """

    layer: str
    number: int
    sent: Array
    negative: Array


@dataclass(frozen=True)
class Recording:
    """What some samples made the network send.

    Attributes:
        timesteps: how many were recorded.
        neurons: layer → neurons.
        channels: the busiest of each layer, layers in the order in which they fire.
        samples: what each sample is, in words.
    """

    timesteps: int
    neurons: Mapping[str, int]
    channels: tuple[Channel, ...]
    samples: tuple[str, ...]


def record(session: SpikingSession, dataset: Dataset, timesteps: int) -> Recording:
    """Run a few samples, spread over a data set, and keep what each channel sends.

    Samples run one by one: memory holds the spikes of one, or of one batch where the model fixes its size.

    Args:
        session: the network.
        dataset: at least one sample, with labels or without.
        timesteps: T; a longer run in the schedule `stream` is recorded from its start.
    """
    steps = timesteps if session.artifact.schedule == "layer" else min(timesteps, _MOST_TIMESTEPS)
    stride = max(1, len(dataset) // SAMPLES)
    names, sent, negative = [], [], []
    neurons: dict[str, int] = {}
    for number, (name, spikes) in enumerate(_runs(session, dataset.every(stride), steps)):
        label = None if dataset.labels is None else dataset.labels[number * stride]
        names.append(f"sample {number * stride}{_told(label, name)}")
        by_channel = {
            layer: _channels(_axis(session, layer, counts), counts) for layer, counts in spikes.items()
        }
        neurons = {layer: counts[0].size for layer, counts in spikes.items()}
        sent.append({layer: np.maximum(counts, 0).mean(axis=2) for layer, counts in by_channel.items()})
        negative.append({layer: np.maximum(-counts, 0).mean(axis=2) for layer, counts in by_channel.items()})
    return Recording(steps, neurons, tuple(_busiest(sent, negative)), tuple(names))


def _runs(session: SpikingSession, dataset: Dataset, steps: int) -> Iterator[tuple[str, dict[str, Array]]]:
    """The answer to each of the first samples, and its spikes by layer, integers [T, …]."""
    left = SAMPLES
    for feeds, count in session.batches(dataset, 1):
        run = session.run(feeds, steps, record=True)
        scores = run.outputs[session.artifact.outputs[0]]
        for index in range(min(count, left)):
            answer = f"{scores[index].argmax()}" if scores.ndim == 2 and scores.shape[1] > 1 else ""
            sizes = {name: counts[:, index] for name, counts in run.spikes.items()}
            yield answer, {n: np.sign(c) for n, c in sizes.items()} if session.artifact.sums else sizes
        left -= count
        if left <= 0:
            return


def _told(label: Any, answer: str) -> str:
    if not answer:
        return ""
    if label is None:
        return f": class {answer}"
    return f": class {answer}, right" if str(label) == answer else f": class {answer}, wrong ({label})"


def _axis(session: SpikingSession, layer: str, counts: Array) -> int:
    """The axis of the channels of a layer's spikes [T, …]: where as many lie as it has thresholds."""
    record = session.artifact.record.neurons.get(layer)
    channels = 1 if record is None else record.channels
    fitting = [axis for axis in range(1, counts.ndim) if counts.shape[axis] == channels]
    return fitting[0] if fitting else min(1, counts.ndim - 1)


def _channels(axis: int, counts: Array) -> Array:
    """Spikes [T, …, C, …] as [T, C, n]; a layer without any axis is one channel."""
    if axis == 0:
        return counts.reshape(len(counts), 1, 1)
    moved = np.moveaxis(counts, axis, 1)
    return moved.reshape(*moved.shape[:2], -1)


def _busiest(sent: list[dict[str, Array]], negative: list[dict[str, Array]]) -> Iterator[Channel]:
    """The channels with the most spikes a neuron; the busiest layers only where there are too many."""
    layers = list(sent[0])
    totals = {layer: sum(run[layer].sum(axis=0) for run in sent) for layer in layers}
    if len(layers) > _ROWS:
        chosen = sorted(layers, key=lambda layer: -float(totals[layer].max(initial=0.0)))[:_ROWS]
        layers = [layer for layer in layers if layer in chosen]
    for layer in layers:
        for number in np.argsort(-totals[layer], kind="stable")[: max(1, _ROWS // len(layers))]:
            yield Channel(
                layer,
                int(number),
                np.stack([run[layer][:, number] for run in sent]),
                np.stack([run[layer][:, number] for run in negative]),
            )
