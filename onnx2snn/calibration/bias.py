"""Channel-wise bias correction, measured in one sweep through the already converted net."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from onnx2snn.calibration.histogram import Vector
from onnx2snn.calibration.readers import Dataset
from onnx2snn.calibration.statistics import Statistics, calibration_batches
from onnx2snn.channels import broadcastable, channel_axis, channels_first
from onnx2snn.graph import Graph, Node, Tensor, constant, extract, is_cell, operands, producer
from onnx2snn.ops import CELLS
from onnx2snn.runtime.engines import OnnxruntimeEngine
from onnx2snn.sections import divide, is_neuron

logger = logging.getLogger(__name__)

Array = npt.NDArray[Any]

#: Spike trains of one chunk of samples may take this many bytes; more samples make more chunks.
MEMORY = 1 << 30


def correction_targets(graph: Graph) -> list[str]:
    """The tensors whose mean is corrected: the input of every neuron, and what the outputs are made of."""
    targets = [node.inputs[0].name for node in graph.nodes if is_neuron(node)]
    sections = divide(graph)
    for output in graph.outputs:
        node = producer(output)
        while node is not None and sections.of[node.name] == "head":
            if node.op in ("Conv", "ConvTranspose", "Gemm", "MatMul", "Add"):
                targets.append(node.outputs[0].name)
                break
            node = next((producer(source) for source in operands(node)), None)
    return list(dict.fromkeys(targets))


@dataclass
class Train:
    """A cell's output over all timesteps, small: spikes as int8 (or what Γ asks for) times θ, or floats.

    Attributes:
        steps: [T, N, …].
        scale: θ, broadcastable to one step; None for a pool, whose output is kept as it is.
    """

    steps: list[Array]
    scale: Array | None

    def at(self, time: int) -> Array:
        """The output at one timestep, float32."""
        return self.steps[time] if self.scale is None else self.steps[time] * self.scale

    def mean(self) -> Array:
        """The output's mean over time, float32."""
        total = np.zeros(self.steps[0].shape, dtype=np.float32)
        for step in self.steps:
            total += step
        total /= np.float32(len(self.steps))
        return total if self.scale is None else total * self.scale


class Stage:
    """One step of the sweep: the stateless part of the net up to one target, and the cell behind it."""

    def __init__(self, graph: Graph, target: Tensor, cell: Node | None) -> None:
        self.target, self.cell = target, cell
        self.axis = channel_axis(target)
        self.sources = _sources(target)
        self._engine: OnnxruntimeEngine | None = None
        if target.name not in self.sources:
            self._engine = OnnxruntimeEngine(extract(graph, self.sources, [target.name]))

    def current(self, feeds: Mapping[str, Array]) -> Array:
        """The target's value from values of the sources."""
        if self._engine is None:
            return feeds[self.target.name]
        return self._engine.run(feeds)[self.target.name]


def measure_corrections(
    graph: Graph, dataset: Dataset, statistics: Statistics, batch_size: int, timesteps: int
) -> dict[str, Vector]:
    """What to add to the mean of each target, per channel, to make it the ANN's; float64 [C].

    Args:
        graph: the converted graph, with cells for rectifiers and pools.
        dataset: calibration samples, the same that `statistics` saw.
        statistics: the ANN's means.
        batch_size: samples a batch.
        timesteps: T.

    Cost: T + 1 passes over each layer in all, whatever the depth. Spike trains are held for as many samples
    as fit `MEMORY`; with more, corrections are averaged over the chunks.
    """
    stages = _stages(graph, statistics)
    last_use = {source: number for number, stage in enumerate(stages) for source in stage.sources}
    corrections: dict[str, Vector] = {}
    seen = 0
    for chunk in _chunks(graph, dataset, stages, batch_size, timesteps):
        inputs = [batch for batch, _ in chunk]
        count = sum(size for _, size in chunk)
        trains: list[dict[str, Train]] = [{} for _ in chunk]
        for number, stage in enumerate(stages):
            name = stage.target.name
            if name in statistics.means and not (stage.cell is not None and not is_neuron(stage.cell)):
                lacking = statistics.means[name] - _mean_current(stage, inputs, trains, count)
                earlier = corrections.get(name, np.zeros_like(lacking))
                corrections[name] = (earlier * seen + lacking * count) / (seen + count)
            if stage.cell is not None:
                _run_cell(stage, inputs, trains, corrections.get(name), timesteps)
            for held in trains:
                for source in [source for source in held if last_use.get(source, -1) <= number]:
                    del held[source]
        seen += count
        logger.info("bias correction: %d samples", seen)
    return corrections


def _stages(graph: Graph, statistics: Statistics) -> list[Stage]:
    tensors = graph.tensors()
    stages = [Stage(graph, node.inputs[0], node) for node in graph.nodes if is_cell(node)]
    corrected = {stage.target.name for stage in stages}
    return stages + [
        Stage(graph, tensors[name], None) for name in statistics.means if name not in corrected
    ]


def _sources(target: Tensor) -> list[str]:
    """The cell outputs and graph inputs that a tensor is computed from without passing another cell."""
    found: dict[str, None] = {}
    visited: set[str] = set()
    pending = [target]
    while pending:
        tensor = pending.pop()
        if tensor.name in visited or constant(tensor) is not None:
            continue
        visited.add(tensor.name)
        node = producer(tensor)
        if node is None or is_cell(node):
            found[tensor.name] = None
        else:
            pending.extend(operands(node))
    return list(found)


def _chunks(
    graph: Graph, dataset: Dataset, stages: Sequence[Stage], batch_size: int, timesteps: int
) -> Iterator[list[tuple[dict[str, Array], int]]]:
    """Consecutive batches whose spike trains fit `MEMORY` together."""
    chunk: list[tuple[dict[str, Array], int]] = []
    limit = 0
    for batch, count in calibration_batches(graph, dataset, batch_size):
        if not limit:
            limit = max(1, MEMORY // max(1, _bytes_per_batch(stages, batch, timesteps)))
        chunk.append((batch, count))
        if len(chunk) == limit:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _bytes_per_batch(stages: Sequence[Stage], batch: Mapping[str, Array], timesteps: int) -> int:
    """The most that the spike trains of one batch take at once, found by one pass over the first batch."""
    values: dict[str, Array] = dict(batch)
    sizes: dict[str, int] = {}
    last_use = {source: number for number, stage in enumerate(stages) for source in stage.sources}
    most = 0
    for number, stage in enumerate(stages):
        if stage.cell is not None:
            output, _ = _step(stage.cell, stage.current(values), None)
            name = stage.cell.outputs[0].name
            values[name] = output
            sizes[name] = output.size * timesteps * (1 if is_neuron(stage.cell) else output.itemsize)
        most = max(most, sum(sizes.values()))
        for name in [name for name in sizes if last_use.get(name, -1) <= number]:
            del sizes[name], values[name]
    return most


def _mean_current(
    stage: Stage, inputs: Sequence[Mapping[str, Array]], trains: Sequence[Mapping[str, Train]], count: int
) -> Vector:
    """The target's mean over samples, time and pixels. Its stage is affine, so means go in, the mean comes out."""
    total: Vector | None = None
    for batch, held in zip(inputs, trains, strict=True):
        feeds = {name: held[name].mean() if name in held else batch[name] for name in stage.sources}
        values = channels_first(stage.current(feeds), stage.axis).mean(axis=1, dtype=np.float64)
        weighted = values * len(next(iter(batch.values())))
        total = weighted if total is None else total + weighted
    assert total is not None
    return total / count


def _run_cell(
    stage: Stage,
    inputs: Sequence[Mapping[str, Array]],
    trains: Sequence[dict[str, Train]],
    correction: Vector | None,
    timesteps: int,
) -> None:
    """Run a cell through all timesteps of every batch and keep its output."""
    assert stage.cell is not None
    cell, name = stage.cell, stage.cell.outputs[0].name
    scale = constant(cell.inputs[1]) if is_neuron(cell) else None
    shift = 0.0 if correction is None else broadcastable(correction, stage.target)
    for batch, held in zip(inputs, trains, strict=True):
        timeless = not any(source in held for source in stage.sources)
        state = None
        steps: list[Array] = []
        current: Array | None = None
        for time in range(timesteps):
            if current is None or not timeless:
                feeds = {src: held[src].at(time) if src in held else batch[src] for src in stage.sources}
                current = stage.current(feeds) + shift
            output, state = _step(cell, current, state)
            steps.append(output if scale is None else _spikes(output, scale, cell))
        held[name] = Train(steps, scale)


def _step(cell: Node, current: Array, state: Any) -> tuple[Array, Any]:
    operator = CELLS[cell.op]
    parameters = [np.asarray(constant(tensor)) for tensor in cell.inputs[1:]]
    state = operator.initial_state(parameters) if state is None else state
    return operator.step(current, state, parameters, cell.attrs)


def _spikes(output: Array, threshold: Array, cell: Node) -> Array:
    dtype = np.min_scalar_type(-int(cell.attrs["max_spikes"]))
    return np.rint(output / threshold).astype(dtype)
