"""The spikes of neurons, from what a step of an artifact computes."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx

from onnx2snn.artifact.artifact import Artifact
from onnx2snn.engine.engines import Array
from onnx2snn.ops import CELLS, graded_fire
from onnx2snn.ops.accumulate_fire import count_spikes, spike_train
from onnx2snn.ops.graded_if import grades
from onnx2snn.runtime.results import Run
from onnx2snn.runtime.runner import Runner


def whole_train(artifact: Artifact, cell: onnx.NodeProto, values: Mapping[str, Array]) -> Array:
    """The spikes [T, …] of a neuron of the schedule `layer`, from its accumulated current."""
    attributes = {item.name: onnx.helper.get_attribute_value(item) for item in cell.attribute}
    if CELLS[cell.op_type].sums:
        target, reach = values[cell.input[0]], artifact.threshold(cell)
        return graded_fire.spike_train(target, reach, attributes, artifact.timesteps)[1]
    counts = count_spikes(values[cell.input[0]], artifact.parameters(cell), attributes)
    return spike_train(counts, attributes["code"].decode(), attributes["levels"], artifact.timesteps)


def step_spikes(
    artifact: Artifact, cell: onnx.NodeProto, before: Mapping[str, Array], results: Mapping[str, Array]
) -> Array:
    """What a neuron sent in a step, from the state before it and the step's results."""
    operator = CELLS[cell.op_type]
    if operator.sums:
        change = results[cell.output[0]] - before[cell.input[1]]
        exponents = onnx.helper.get_node_attr_value(cell, "exponents")
        return grades(change, artifact.threshold(cell), exponents)
    if operator.uneven:
        place = 1 + operator.states.index("sent")
        sent = results[cell.output[place]] - before[cell.input[place]]
    else:
        sent = results[cell.output[0]] / artifact.threshold(cell)
    spikes: Array = np.rint(sent).astype(np.int16)
    return spikes


def record_run(artifact: Artifact, runner: Runner, steps: int) -> Run:
    """Some timesteps, with the outputs and every neuron's spikes of each; the step tells what they send."""
    outputs: list[dict[str, Array]] = []
    spikes: dict[str, list[Array]] = {cell.name: [] for cell in artifact.neurons}
    counted = [cell for cell in artifact.neurons if CELLS[cell.op_type].uneven or CELLS[cell.op_type].sums]
    sent = [cell.input[1 + CELLS[cell.op_type].states.index("sent")] for cell in counted]
    for _ in range(steps):
        before = runner.carried(sent)
        runner.advance()
        outputs.append(runner.outputs())
        results = runner.results()
        for cell in artifact.neurons:
            spikes[cell.name].append(step_spikes(artifact, cell, before, results))
    return Run(
        steps,
        outputs[-1],
        {name: _stacked([output[name] for output in outputs]) for name in artifact.outputs},
        {name: np.stack(sent) for name, sent in spikes.items()},
    )


def _stacked(values: list[Array]) -> Array:
    """Arrays of one shape as one; of others, such as boxes that a step finds, as objects [T]."""
    if len({array.shape for array in values}) == 1:
        return np.stack(values)
    apart = np.empty(len(values), dtype=object)
    apart[:] = values
    return apart
