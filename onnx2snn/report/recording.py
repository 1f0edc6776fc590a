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
        sizes: of graded spikes the same by size, R first, [samples, T, 2, n]: above zero, and below.
    """

    layer: str
    number: int
    sent: Array
    negative: Array
    sizes: Array | None = None


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
    names, runs = [], []
    neurons: dict[str, int] = {}
    for number, (name, spikes) in enumerate(_runs(session, dataset.every(stride), steps)):
        label = None if dataset.labels is None else dataset.labels[number * stride]
        names.append(f"sample {number * stride}{_told(label, name)}")
        neurons = {layer: counts[0].size for layer, counts in spikes.items()}
        runs.append(
            {
                layer: _sent(_channels(_axis(session, layer, counts), counts), _exponents(session, layer))
                for layer, counts in spikes.items()
            }
        )
    return Recording(steps, neurons, tuple(_busiest(runs)), tuple(names))


def _runs(session: SpikingSession, dataset: Dataset, steps: int) -> Iterator[tuple[str, dict[str, Array]]]:
    """The answer to each of the first samples, and its spikes by layer, integers [T, …]."""
    left = SAMPLES
    for feeds, count in session.batches(dataset, 1):
        run = session.run(feeds, steps, record=True)
        output = session.artifact.outputs[0]
        samples = len(next(iter(feeds.values())))
        answers = session.outputs[output].answers(run.outputs[output], samples)
        for index in range(min(count, left)):
            answer = "" if answers is None else f"{answers[index]}"
            yield answer, {name: counts[:, index] for name, counts in run.spikes.items()}
        left -= count
        if left <= 0:
            return


def _exponents(session: SpikingSession, layer: str) -> int | None:
    record = session.artifact.record.neurons.get(layer)
    return None if record is None else record.exponents


def _sent(spikes: Array, exponents: int | None) -> Array:
    """Spikes a neuron of each channel, [T, C, 2, n]: above zero and below, of n sizes or of one."""
    if exponents is None:
        signed = [[np.maximum(spikes, 0)], [np.maximum(-spikes, 0)]]
    else:
        grades = range(exponents, 0, -1)
        signed = [[sign * spikes == grade for grade in grades] for sign in (1, -1)]
    return np.stack([np.stack([of.mean(axis=2) for of in sizes], axis=-1) for sizes in signed], axis=2)


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


def _busiest(runs: list[dict[str, Array]]) -> Iterator[Channel]:
    """The channels with the most spikes a neuron; the busiest layers only where there are too many."""
    layers = list(runs[0])
    totals = {layer: sum(run[layer][:, :, 0].sum(axis=(0, 2)) for run in runs) for layer in layers}
    if len(layers) > _ROWS:
        chosen = sorted(layers, key=lambda layer: -float(totals[layer].max(initial=0.0)))[:_ROWS]
        layers = [layer for layer in layers if layer in chosen]
    for layer in layers:
        for number in np.argsort(-totals[layer], kind="stable")[: max(1, _ROWS // len(layers))]:
            sizes = np.stack([run[layer][:, number] for run in runs])
            above, below = np.moveaxis(sizes.sum(axis=-1), -1, 0)
            yield Channel(layer, int(number), above, below, sizes if sizes.shape[-1] > 1 else None)
