"""Channel-wise bias correction, measured in one sweep through the already converted net."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from onnx2snn.calibration.histogram import Vector
from onnx2snn.calibration.readers import Dataset
from onnx2snn.calibration.stages import Stage, Train
from onnx2snn.calibration.statistics import Statistics, calibration_batches, ignore
from onnx2snn.channels import channels_first
from onnx2snn.graph import Graph, is_cell, operands, producer
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


def measure_corrections(
    graph: Graph,
    dataset: Dataset,
    statistics: Statistics,
    batch_size: int,
    timesteps: int,
    advance: Callable[[float], None] = ignore,
) -> dict[str, Vector]:
    """What to add to the input of each neuron, and to what the outputs are made of; float64 [C] by `Stage.key`.

    Args:
        graph: the converted graph, with cells for rectifiers and pools.
        dataset: calibration samples, the same that `statistics` saw.
        statistics: the ANN's means.
        batch_size: samples a batch.
        timesteps: T.
        advance: called with the share of the sweep that is done.

    Cost: T + 1 passes over each layer in all, whatever the depth. Spike trains are held for as many samples
    as fit `MEMORY`; with more, corrections are averaged over the chunks.
    """
    stages = _stages(graph, statistics)
    last_use = _last_uses(stages)
    corrections: dict[str, Vector] = {}
    seen = 0
    for chunk in _chunks(graph, dataset, stages, batch_size, timesteps):
        inputs = [batch for batch, _ in chunk]
        count = sum(size for _, size in chunk)
        trains: list[dict[str, Train]] = [{} for _ in chunk]
        anns = [dict(b) for b in inputs]
        for number, stage in enumerate(stages):
            shift = np.zeros(1)
            if stage.cell is None or is_neuron(stage.cell):
                zs=[];za=[]
                for batch, held, ann in zip(inputs, trains, anns, strict=True):
                    feeds = {name: held[name].mean() if name in held else batch[name] for name in stage.sources}
                    zs.append(channels_first(stage.current(feeds), stage.axis))
                    a = stage.current(ann); 
                    za.append(channels_first(a, stage.axis))
                    if stage.cell is not None: ann[stage.cell.outputs[0].name]=np.maximum(a,0)
                zs=np.concatenate(zs,1); za=np.concatenate(za,1)
                import os
                mode=os.environ.get('MODE','pre')
                if mode=='pre' or stage.cell is None: lacking=(za-zs).mean(1,dtype=np.float64)
                elif mode=='cond':
                    w=za>0; lacking=((za-zs)*w).sum(1,dtype=np.float64)/np.maximum(w.sum(1),1)
                elif mode=='post':
                    lacking=np.zeros(len(zs))
                    ra=np.maximum(za,0)
                    for _ in range(6):
                        s2=zs+lacking[:,None].astype(np.float32)
                        w=(za>0)|(s2>0)
                        lacking=lacking+((ra-np.maximum(s2,0))*w).sum(1,dtype=np.float64)/np.maximum(w.sum(1),1)
                if mode!='pre' and stage.cell is None and os.environ.get('NOHEAD'): lacking=np.zeros(len(zs))
                print_err.append((stage.key, float(((za-zs)**2).mean()/ (za**2).mean()))) if False else None
                earlier = corrections.get(stage.key, np.zeros_like(lacking))
                shift = (earlier * seen + lacking * count) / (seen + count)
                corrections[stage.key] = shift
            if stage.cell is not None and not is_neuron(stage.cell):
                for ann in anns: ann[stage.cell.outputs[0].name]=stage.run(ann, np.zeros(1), 1).steps[0]
            if stage.cell is not None:
                for batch, held in zip(inputs, trains, strict=True):
                    held[stage.cell.outputs[0].name] = stage.run({**batch, **held}, shift, timesteps)
            advance((seen + count * (number + 1) / len(stages)) / len(dataset))
            for held in trains:
                for source in [source for source in held if last_use.get(source, -1) <= number]:
                    del held[source]
        seen += count
        logger.info("bias correction: %d samples", seen)
    return corrections


def _stages(graph: Graph, statistics: Statistics) -> list[Stage]:
    tensors = graph.tensors()
    stages = [Stage(graph, node.inputs[0], node) for node in graph.nodes if is_cell(node)]
    inputs = {stage.target.name for stage in stages}
    return stages + [Stage(graph, tensors[name], None) for name in statistics.means if name not in inputs]


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
    """The most that the spike trains of one batch take at once, found by one timestep of the first batch."""
    trains: dict[str, Train] = {}
    sizes: dict[str, int] = {}
    last_use = _last_uses(stages)
    most = 0
    for number, stage in enumerate(stages):
        if stage.cell is not None:
            name = stage.cell.outputs[0].name
            trains[name] = stage.run({**batch, **trains}, np.zeros(1), 1)
            sizes[name] = trains[name].steps[0].nbytes * timesteps
        most = max(most, sum(sizes.values()))
        for name in [name for name in sizes if last_use.get(name, -1) <= number]:
            del sizes[name], trains[name]
    return most


def _last_uses(stages: Sequence[Stage]) -> dict[str, int]:
    return {source: number for number, stage in enumerate(stages) for source in stage.sources}


def _mean_current(
    stage: Stage, inputs: Sequence[Mapping[str, Array]], trains: Sequence[Mapping[str, Train]], count: int
) -> Vector:
    """The target's mean over samples, time and pixels: its stage is affine, so means in give the mean."""
    total: Vector | None = None
    for batch, held in zip(inputs, trains, strict=True):
        feeds = {name: held[name].mean() if name in held else batch[name] for name in stage.sources}
        values = channels_first(stage.current(feeds), stage.axis).mean(axis=1, dtype=np.float64)
        weighted = values * len(next(iter(batch.values())))
        total = weighted if total is None else total + weighted
    assert total is not None
    return total / count
