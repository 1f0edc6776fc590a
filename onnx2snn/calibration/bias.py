"""Correction of biases, and of weights, measured in one sweep through the already converted net.

The SNN and the ANN go through the net side by side, layer by layer. Each neuron's input current is shifted,
per channel, until the rectified mean current has the ANN's mean activation,

    E[f(Ī + c)] = E[f(z)]        f(x) = clip(x, 0, ceiling), below zero slope·x for a leaky one

with Ī the SNN's mean current over time and z the ANN's pre-activation; for the layer that the outputs are
made of, f is the identity. A neuron that stands for a trained quantiser is exact and gets no correction.
Matching after the rectifier matters: what happens far below zero, where the neuron is silent, would
otherwise shift the values that it does send.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from onnx2snn.calibration.refit import refit_weights
from onnx2snn.calibration.stages import Stage, Train, make_stages
from onnx2snn.calibration.statistics import calibration_batches, fixed_batch, ignore
from onnx2snn.data.readers import Dataset
from onnx2snn.errors import ModelError
from onnx2snn.graph.channels import along_axis, channels_first
from onnx2snn.graph.graph import Graph, operands, producer
from onnx2snn.graph.rectifiers import Rectifier
from onnx2snn.graph.sections import divide
from onnx2snn.ops.standard import WEIGHTED
from onnx2snn.thresholds.histogram import Vector

logger = logging.getLogger(__name__)

Array = npt.NDArray[Any]

#: What is held of one chunk of samples may take this many bytes; more samples make more chunks.
MEMORY = 1 << 30

#: About so many samples × timesteps does the sweep simulate, spread evenly over the calibration data.
BUDGET = 640

#: But no fewer samples than these, below which a mean is no better than a guess.
FEWEST = 16

#: Newton steps to a channel's shift; the equation is piecewise linear, so few are enough.
_ITERATIONS = 3


@dataclass(frozen=True)
class Corrections:
    """What the sweep found.

    Attributes:
        shifts: what to add to each neuron's input, and to what the outputs are made of; [C] by `Stage.key`.
        weights: new weights, by name.
    """

    shifts: dict[str, Vector] = field(default_factory=dict)
    weights: dict[str, Array] = field(default_factory=dict)


@dataclass
class _Batch:
    """One batch on its way through the net: inputs, and cell outputs of the ANN and of the SNN."""

    inputs: dict[str, Array]
    samples: int
    ann: dict[str, Array] = field(default_factory=dict)
    snn: dict[str, Train | Array] = field(default_factory=dict)

    def drop(self, names: Sequence[str]) -> None:
        for name in names:
            self.ann.pop(name, None)
            self.snn.pop(name, None)


def measure_corrections(
    graph: Graph,
    dataset: Dataset,
    rectifiers: Mapping[str, Rectifier],
    batch_size: int,
    timesteps: int,
    advance: Callable[[float], None] = ignore,
    *,
    refit: bool = False,
) -> Corrections:
    """Sweep through the net, and correct each layer before the next.

    Args:
        graph: the converted graph, with cells for rectifiers and pools.
        dataset: calibration samples.
        rectifiers: neuron → the activation that it stands for.
        batch_size: samples a batch.
        timesteps: T.
        advance: called with the share of the sweep that is done.
        refit: refit weights as well (see `onnx2snn.calibration.refit`), on as many samples as fit `MEMORY`.

    Cost: T + 2 passes over each layer in all, whatever the depth, for the share of the samples that `BUDGET`
    allows. Spike trains are held for as many samples as fit `MEMORY`; with more, corrections are averaged
    over the chunks.
    """
    stages = make_stages(graph, _output_layers(graph))
    dataset = dataset.every(_stride(graph, len(dataset), timesteps))
    corrections = Corrections()
    seen = 0
    for chunk in _chunks(graph, dataset, stages, batch_size, timesteps, together=refit):
        count = sum(batch.samples for batch in chunk)
        for number, stage in enumerate(stages):
            shift = np.zeros(1)
            kind = rectifiers.get(stage.key)
            ann, snn = _currents(stage, chunk, kind)
            if refit and kind is not None and kind.step is None and _moves(stage, chunk):
                means = [_means(stage, batch) for batch in chunk]
                corrections.weights.update(refit_weights(stage, means, ann, kind))
                snn = [stage.current(values) for values in means]
            if stage.yields is None or stage.grades or (kind is not None and kind.step is None):
                lacking = rectified_shift(ann, snn, kind, stage.axis)
                if not np.isfinite(lacking).all():
                    raise ModelError(
                        f"'{stage.key}': expected currents that float32 can add up, found too large ones; "
                        "check the weights and the preprocessing (--scale, --mean, --std)"
                    )
                earlier = corrections.shifts.get(stage.key, np.zeros_like(lacking))
                shift = (earlier * seen + lacking * count) / (seen + count)
                corrections.shifts[stage.key] = shift
            if stage.yields is not None:
                for batch in chunk:
                    feeds: dict[str, Train | Array] = {**batch.inputs, **batch.snn}
                    batch.snn[stage.yields] = stage.run(feeds, shift, timesteps)
            for batch in chunk:
                batch.drop(_last_read(stages, number))
            advance((seen + count * (number + 1) / len(stages)) / len(dataset))
        seen += count
        logger.info("bias correction: %d samples", seen)
    return corrections


def _stride(graph: Graph, samples: int, timesteps: int) -> int:
    """Which share of the samples `BUDGET` allows: one in so many."""
    needed = max(FEWEST, BUDGET // timesteps, fixed_batch(graph) or 1)
    return max(1, samples // needed)


def rectified_shift(
    ann: Sequence[Array], snn: Sequence[Array], kind: Rectifier | None, axis: int | None
) -> Vector:
    """The shift c of each channel for which E[f(snn + c)] = E[f(ann)].

    Args:
        ann: pre-activations, batch by batch.
        snn: mean currents, of the same shapes.
        kind: f; None for the identity.
        axis: of the channels; None where all is one channel.

    A channel that is silent in both gets no shift.
    """
    if kind is None:
        sums = sum(_channel_sums(a - s, axis) for a, s in zip(ann, snn, strict=True))
        return np.asarray(sums / sum(channels_first(a, axis).shape[1] for a in ann))
    wanted = [kind(array) for array in ann]
    gain = 0.0 if kind.slope is None else np.maximum(kind.slope, 0)
    shift = np.zeros(len(channels_first(ann[0], axis)))
    for _ in range(_ITERATIONS):
        gap, slope = np.zeros_like(shift), np.zeros_like(shift)
        for current, target in zip(snn, wanted, strict=True):
            given = kind(current + along_axis(shift, axis, current.ndim).astype(current.dtype))
            gap += _channel_sums(target - given, axis)
            # The slope over all that is active on either side: less than Newton's step, so no overshoot.
            active = (target > 0) | (given > 0)
            slope += _channel_sums(active if kind.slope is None else np.where(active, 1.0, gain), axis)
        shift += np.divide(gap, slope, out=np.zeros_like(gap), where=slope > 0)
    return shift


def _channel_sums(values: Array, axis: int | None) -> Vector:
    """Over all axes but that of the channels: rows as they lie in memory first, then these in float64."""
    others = tuple(place for place in range(values.ndim) if place != axis)
    inner = tuple(place for place in others if axis is None or place > axis)
    rows = values.sum(axis=inner, dtype=np.promote_types(values.dtype, np.float32))
    sums: Vector = rows.sum(axis=tuple(range(rows.ndim - (axis is not None))), dtype=np.float64)
    return np.atleast_1d(sums)


def _currents(
    stage: Stage, chunk: Sequence[_Batch], kind: Rectifier | None
) -> tuple[list[Array], list[Array]]:
    """The ANN's pre-activations and the SNN's mean currents, by batch; the ANN's activations are kept.

    What lies between cells is affine, or exact on means, so means over time go in and the mean comes out.
    """
    ann, snn = [], []
    for batch in chunk:
        exact = stage.current(batch.inputs | batch.ann)
        if stage.yields is None or kind is not None or stage.grades:
            ann.append(exact)
            snn.append(stage.current(_means(stage, batch)))
        if stage.yields is not None:
            batch.ann[stage.yields] = exact
        if stage.cell is not None and stage.yields is not None:
            batch.ann[stage.yields] = stage.activate(exact) if kind is None else kind(exact)
    return ann, snn


def _output_layers(graph: Graph) -> list[str]:
    """For each output behind the last neuron, the tensor of the last linear layer before it."""
    layers: dict[str, None] = {}
    sections = divide(graph)
    for output in graph.outputs:
        node = producer(output)
        while node is not None and sections.of[node.name] == "head":
            if node.op in WEIGHTED or node.op == "Add":
                layers[node.outputs[0].name] = None
                break
            node = next((producer(source) for source in operands(node)), None)
    return list(layers)


def _means(stage: Stage, batch: _Batch) -> dict[str, Array]:
    """The mean over time of all that the stage reads of the SNN."""
    read = {name: batch.snn[name] for name in stage.sources if name in batch.snn}
    means = {name: feed.mean() if isinstance(feed, Train) else feed for name, feed in read.items()}
    return batch.inputs | means


def _moves(stage: Stage, chunk: Sequence[_Batch]) -> bool:
    """Whether the stage reads spikes, and not only what is the ANN's own."""
    return any(isinstance(chunk[0].snn.get(name), Train) for name in stage.sources)


def _chunks(
    graph: Graph,
    dataset: Dataset,
    stages: Sequence[Stage],
    batch_size: int,
    timesteps: int,
    *,
    together: bool = False,
) -> Iterator[list[_Batch]]:
    """Consecutive batches of which all that is held fits `MEMORY`; smaller ones where need be.

    `together` makes one chunk, of fewer samples if they do not fit, evenly spread.
    """
    first, samples = next(calibration_batches(graph, dataset, 1))
    most = max(1, MEMORY * samples // max(1, _bytes_per_batch(stages, first, timesteps)))
    size = fixed_batch(graph) or min(batch_size, most)
    if together:
        dataset = dataset.every(-(-len(dataset) // max(most, size)))
    chunk: list[_Batch] = []
    for inputs, count in calibration_batches(graph, dataset, size):
        chunk.append(_Batch(inputs, count))
        if not together and len(chunk) == max(1, most // size):
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _bytes_per_batch(stages: Sequence[Stage], inputs: Mapping[str, Array], timesteps: int) -> int:
    """The most that is held of one batch at once, found by one timestep of it."""
    trains: dict[str, Train | Array] = {}
    sizes: dict[str, int] = {}
    most = 0
    for number, stage in enumerate(stages):
        name = stage.yields
        if name is not None:
            train = trains[name] = stage.run({**inputs, **trains}, np.zeros(1), 1)
            step = train.steps[0] if isinstance(train, Train) else train
            held = timesteps if isinstance(train, Train) else 1
            sizes[name] = step.nbytes * held + step.size * np.dtype(np.float32).itemsize
        most = max(most, sum(sizes.values()))
        for name in _last_read(stages, number):
            sizes.pop(name, None)
            trains.pop(name, None)
    return most


def _last_read(stages: Sequence[Stage], number: int) -> list[str]:
    """What no stage after this one reads."""
    later = {source for stage in stages[number + 1 :] for source in stage.sources}
    earlier = [stage.yields for stage in stages[: number + 1] if stage.yields is not None]
    return [name for name in earlier if name not in later]
