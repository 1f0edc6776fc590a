"""Do the NumPy reference and onnxruntime send the same spikes? `python -m benchmarks.backends`.

float32 sums differ in the last bits with their order, so a neuron whose u/θ is almost an integer may fire in
one backend and not in the other, and everything after it in that sample may then differ. What must hold: the
*first* difference of each sample, in the order of firing, is such a near tie.
"""

from __future__ import annotations

import itertools
from typing import Any

import click
import numpy as np
import numpy.typing as npt
import onnx
from rich.console import Console
from rich.table import Table

import onnx2snn
from benchmarks.nets import NETS
from onnx2snn.artifact.artifact import zero_state
from onnx2snn.engine.engines import NumpyEngine

Array = npt.NDArray[Any]


def ratios(session: onnx2snn.SpikingSession, inputs: dict[str, Array], timesteps: int) -> dict[str, Array]:
    """u/θ of every neuron at every timestep, [T, N, …], by the NumPy backend."""
    artifact, model = session.artifact, onnx.ModelProto()
    model.CopyFrom(artifact.step)
    made = {name for node in model.graph.node for name in node.output}
    currents = [cell.input[0] for cell in artifact.neurons if cell.input[0] in made]
    model.graph.output.extend(onnx.helper.make_empty_tensor_value_info(name) for name in currents)
    engine = NumpyEngine(model)
    bridge = dict(inputs)
    if artifact.prefix is not None:
        bridge |= NumpyEngine(artifact.prefix).run(bridge)
    state = zero_state(artifact.carried)
    found: dict[str, list[Array]] = {cell.name: [] for cell in artifact.neurons}
    for _ in range(timesteps):
        results = engine.run({**bridge, **state})
        for cell in artifact.neurons:
            charged = {**bridge, **results}[cell.input[0]] + state[cell.input[1]]
            found[cell.name].append(charged / artifact.threshold(cell))
        state |= {value.before: results[value.after] for value in artifact.carried}
    return {name: np.stack(values) for name, values in found.items()}


def first_divergence(
    neurons: tuple[str, ...], one: dict[str, Array], other: dict[str, Array], sample: int
) -> tuple[str, int, Array] | None:
    """Neuron, timestep and mask of the first differing spikes of a sample, in the order of firing."""
    for time, name in itertools.product(range(len(one[neurons[0]])), neurons):
        differs = one[name][time, sample] != other[name][time, sample]
        if differs.any():
            return name, time, differs
    return None


def tie_distances(session: onnx2snn.SpikingSession, inputs: dict[str, Array], timesteps: int) -> list[float]:
    """How far the first difference between the backends is from a tie, for each sample that has one."""
    numpy = onnx2snn.SpikingSession(session.artifact.model, backend="numpy")
    mine = numpy.run(inputs, timesteps, record=True).spikes
    other = session.run(inputs, timesteps, record=True).spikes
    ratio = ratios(numpy, inputs, timesteps)
    distances = []
    for sample in range(len(next(iter(inputs.values())))):
        found = first_divergence(session.neurons, mine, other, sample)
        if found is not None:
            name, time, differs = found
            at = ratio[name][time, sample][differs]
            distances.append(float(np.abs(at - np.rint(at)).max()))
    return distances


@click.command()
@click.option("--images", default=32, show_default=True)
@click.option("--timesteps", default=8, show_default=True)
def main(images: int, timesteps: int) -> None:
    """Print the table; exit 1 if a first difference is no near tie."""
    table = Table(box=None, header_style="bold")
    for column in ("net", "neuron", "samples", "that differ", "farthest first difference from a tie"):
        table.add_column(column, justify="left" if column in ("net", "neuron") else "right")
    worst = 0.0
    for net, signed in itertools.product(NETS.values(), (False, True)):
        compiled = onnx2snn.compile(
            net.path, net.train(128), timesteps=timesteps, code="burst", signed=signed
        )
        session = onnx2snn.SpikingSession(compiled.model)
        distances = tie_distances(session, next(net.test().batches(images)), timesteps)
        farthest = max(distances, default=0.0)
        worst = max(worst, farthest)
        kind = "signed" if signed else "burst"
        table.add_row(net.name, kind, str(images), str(len(distances)), f"{farthest:.1e}")
    Console(width=120).print(table)
    raise SystemExit(worst > 1e-5)


if __name__ == "__main__":
    main()
