"""Channel-wise bias correction, measured in one sweep through the already converted net.

The SNN and the ANN go through the net side by side, layer by layer. Each neuron's input current is shifted,
per channel, until the rectified mean current has the ANN's mean activation,

    E[f(Ī + c)] = E[f(z)]        f(x) = clip(x, 0, ceiling)

with Ī the SNN's mean current over time and z the ANN's pre-activation; for the layer that the outputs are
made of, f is the identity. Matching after the rectifier matters: what happens far below zero, where the
neuron is silent, would otherwise shift the values that it does send.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from onnx2snn.calibration.histogram import Vector
from onnx2snn.calibration.readers import Dataset
from onnx2snn.calibration.stages import Stage, Train
from onnx2snn.calibration.statistics import calibration_batches, ignore
from onnx2snn.channels import channels_first
from onnx2snn.graph import Graph, is_cell, operands, producer
from onnx2snn.ops.li_pool import max_pool
from onnx2snn.sections import divide, is_neuron

logger = logging.getLogger(__name__)

Array = npt.NDArray[Any]

#: What is held of one chunk of samples may take this many bytes; more samples make more chunks.
MEMORY = 1 << 30

#: Newton steps to a channel's shift; the equation is piecewise linear, so few are enough.
_ITERATIONS = 3


@dataclass
class _Batch:
    """One batch on its way through the net: inputs, and cell outputs of the ANN and of the SNN."""

    inputs: dict[str, Array]
    samples: int
    ann: dict[str, Array] = field(default_factory=dict)
    snn: dict[str, Train] = field(default_factory=dict)

    def drop(self, names: Sequence[str]) -> None:
        for name in names:
            self.ann.pop(name, None)
            self.snn.pop(name, None)


def measure_corrections(
    graph: Graph,
    dataset: Dataset,
    ceilings: Mapping[str, float],
    batch_size: int,
    timesteps: int,
    advance: Callable[[float], None] = ignore,
) -> dict[str, Vector]:
    """What to add to each neuron's input, and to what the outputs are made of; float64 [C] by `Stage.key`.

    Args:
        graph: the converted graph, with cells for rectifiers and pools.
        dataset: calibration samples.
        ceilings: neuron → c of the Clip(0, c) that it stands for; none for a ReLU.
        batch_size: samples a batch.
        timesteps: T.
        advance: called with the share of the sweep that is done.

    Cost: T + 2 passes over each layer in all, whatever the depth. Spike trains are held for as many samples
    as fit `MEMORY`; with more, corrections are averaged over the chunks.
    """
    stages = _stages(graph)
    corrections: dict[str, Vector] = {}
    seen = 0
    for chunk in _chunks(graph, dataset, stages, batch_size, timesteps):
        count = sum(batch.samples for batch in chunk)
        for number, stage in enumerate(stages):
            shift = np.zeros(1)
            if stage.cell is None or is_neuron(stage.cell):
                ceiling = ceilings.get(stage.key, np.inf)
                ann, snn = _currents(stage, chunk, ceiling)
                lacking = _mean_gap(ann, snn) if stage.cell is None else rectified_shift(ann, snn, ceiling)
                earlier = corrections.get(stage.key, np.zeros_like(lacking))
                shift = (earlier * seen + lacking * count) / (seen + count)
                corrections[stage.key] = shift
            if stage.cell is not None:
                name = stage.cell.outputs[0].name
                for batch in chunk:
                    if not is_neuron(stage.cell):
                        batch.ann[name] = max_pool(stage.current(batch.inputs | batch.ann), stage.cell.attrs)
                    batch.snn[name] = stage.run({**batch.inputs, **batch.snn}, shift, timesteps)
            for batch in chunk:
                batch.drop(_last_read(stages, number))
            advance((seen + count * (number + 1) / len(stages)) / len(dataset))
        seen += count
        logger.info("bias correction: %d samples", seen)
    return corrections


def rectified_shift(ann: Array, snn: Array, ceiling: float) -> Vector:
    """The shift c of each channel for which E[f(snn + c)] = E[f(ann)], f(x) = clip(x, 0, ceiling).

    Args:
        ann: pre-activations [C, n].
        snn: mean currents [C, n].
        ceiling: infinity for a ReLU.

    A channel that is silent in both gets no shift.
    """
    wanted = np.clip(ann, 0, ceiling)
    shift = np.zeros(len(ann))
    for _ in range(_ITERATIONS):
        given = np.clip(snn + shift[:, None].astype(snn.dtype), 0, ceiling)
        # The slope over all that is active on either side: less than Newton's step, so it cannot overshoot.
        active = ((wanted > 0) | (given > 0)).sum(axis=1)
        shift += (wanted - given).sum(axis=1, dtype=np.float64) / np.maximum(active, 1)
    return shift


def _mean_gap(ann: Array, snn: Array) -> Vector:
    gap: Vector = (ann - snn).mean(axis=1, dtype=np.float64)
    return gap


def _currents(stage: Stage, chunk: Sequence[_Batch], ceiling: float) -> tuple[Array, Array]:
    """The ANN's pre-activations and the SNN's mean currents, both [C, n]; the ANN's activations are kept.

    What lies between cells is affine, so means over time go in and the mean over time comes out.
    """
    ann, snn = [], []
    for batch in chunk:
        exact = stage.current(batch.inputs | batch.ann)
        means = {name: batch.snn[name].mean() for name in stage.sources if name in batch.snn}
        ann.append(channels_first(exact, stage.axis))
        snn.append(channels_first(stage.current(batch.inputs | means), stage.axis))
        if stage.cell is not None:
            batch.ann[stage.cell.outputs[0].name] = np.clip(exact, 0, ceiling)
    return np.concatenate(ann, axis=1), np.concatenate(snn, axis=1)


def _stages(graph: Graph) -> list[Stage]:
    """Every cell, then every layer that outputs are made of."""
    tensors = graph.tensors()
    cells = [Stage(graph, node.inputs[0], node) for node in graph.nodes if is_cell(node)]
    return cells + [Stage(graph, tensors[name], None) for name in _output_layers(graph)]


def _output_layers(graph: Graph) -> list[str]:
    """For each output behind the last neuron, the tensor of the last linear layer before it."""
    found: dict[str, None] = {}
    sections = divide(graph)
    for output in graph.outputs:
        node = producer(output)
        while node is not None and sections.of[node.name] == "head":
            if node.op in ("Conv", "ConvTranspose", "Gemm", "MatMul", "Add"):
                found[node.outputs[0].name] = None
                break
            node = next((producer(source) for source in operands(node)), None)
    return list(found)


def _chunks(
    graph: Graph, dataset: Dataset, stages: Sequence[Stage], batch_size: int, timesteps: int
) -> Iterator[list[_Batch]]:
    """Consecutive batches of which all that is held fits `MEMORY` together."""
    chunk: list[_Batch] = []
    limit = 0
    for inputs, samples in calibration_batches(graph, dataset, batch_size):
        if not limit:
            limit = max(1, MEMORY // max(1, _bytes_per_batch(stages, inputs, timesteps)))
        chunk.append(_Batch(inputs, samples))
        if len(chunk) == limit:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _bytes_per_batch(stages: Sequence[Stage], inputs: Mapping[str, Array], timesteps: int) -> int:
    """The most that is held of one batch at once, found by one timestep of the first batch."""
    trains: dict[str, Train] = {}
    sizes: dict[str, int] = {}
    most = 0
    for number, stage in enumerate(stages):
        if stage.cell is not None:
            name = stage.cell.outputs[0].name
            trains[name] = stage.run({**inputs, **trains}, np.zeros(1), 1)
            spikes = trains[name].steps[0]
            sizes[name] = spikes.nbytes * timesteps + spikes.size * np.dtype(np.float32).itemsize
        most = max(most, sum(sizes.values()))
        for name in _last_read(stages, number):
            sizes.pop(name, None)
            trains.pop(name, None)
    return most


def _last_read(stages: Sequence[Stage], number: int) -> list[str]:
    """What no stage after this one reads."""
    later = {source for stage in stages[number + 1 :] for source in stage.sources}
    earlier = [stage.cell.outputs[0].name for stage in stages[: number + 1] if stage.cell is not None]
    return [name for name in earlier if name not in later]
