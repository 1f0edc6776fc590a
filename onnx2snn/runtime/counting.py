"""Run an artifact and count: spikes of every neuron, synaptic operations of every layer."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx

from onnx2snn.runtime.artifact import Artifact
from onnx2snn.runtime.engines import Engine
from onnx2snn.runtime.inputs import count_samples
from onnx2snn.runtime.results import Checkpoint
from onnx2snn.runtime.stepper import make_stepper
from onnx2snn.runtime.synapses import events, make_counter

Array = npt.NDArray[Any]
Values = Mapping[str, Array]


class Counting:
    """The counting graphs of an artifact, loaded.

    Args:
        artifact: the network.
        load: loads a graph.

    Attributes:
        uncounted: see `EventCounter`.
    """

    def __init__(self, artifact: Artifact, load: Callable[[onnx.ModelProto], Engine]) -> None:
        counter = make_counter(artifact)
        self._artifact, self.uncounted = artifact, counter.uncounted
        self._counts = counter.carried
        self._carried = (*artifact.carried, *counter.carried)
        self._step, self._synapses = load(counter.step), load(counter.synapses)

    def checkpoints(
        self,
        bridge: Callable[[dict[str, Array]], dict[str, Array]],
        feeds: dict[str, Array],
        wanted: Sequence[int],
        sums: Sequence[str],
        read_out: Callable[[Values, Values, int], dict[str, Array]],
    ) -> list[Checkpoint]:
        """Run samples, with a checkpoint after each of the timesteps wanted, which ascend.

        Args:
            bridge: what the step reads beside the state, from the inputs.
            feeds: the inputs.
            wanted: numbers of timesteps.
            sums: the carried values that `read_out` reads.
            read_out: the outputs after some timesteps.
        """
        samples = count_samples(self._artifact.inputs, feeds)
        started, seconds = time.perf_counter(), 0.0
        given = bridge(feeds)
        told = {*sums, *(value.before for value in self._counts)}
        stepper = make_stepper(self._step, self._carried, given)
        checkpoints = []
        layered = self._artifact.schedule == "layer"
        for number in wanted if layered else range(1, wanted[-1] + 1):
            stepper.advance()
            if number in wanted:
                state = stepper.carried(told)
                outputs = read_out(given, state, number)
                seconds += time.perf_counter() - started
                spikes, operations = self._totals(given, state, samples)
                checkpoints.append(Checkpoint(number, outputs, spikes, operations, seconds))
                started = time.perf_counter()
        return checkpoints

    def fan_out(self, bridge: Values, timesteps: int) -> dict[str, float]:
        """Synaptic operations that a spike of each neuron causes on average, pools on its way included."""
        stepper = make_stepper(self._step, self._carried, bridge)
        for _ in range(timesteps):
            stepper.advance()
        state = stepper.carried([value.before for value in self._counts])
        counts = {value.after: state[value.before] for value in self._counts}
        caused = dict.fromkeys((cell.name for cell in self._artifact.neurons), 0.0)
        for cell in self._artifact.spiking:
            alone = {n: a if n == events(cell) else np.zeros_like(a) for n, a in counts.items()}
            results = self._synapses.run({**bridge, **alone})
            for name in self._artifact.sources(cell):
                caused[name] += sum(float(value.sum()) for value in results.values())
        sent = {cell.name: float(counts[events(cell)].sum()) for cell in self._artifact.neurons}
        return {name: total / max(1.0, sent[name]) for name, total in caused.items()}

    def _totals(
        self, bridge: Values, state: Values, samples: int
    ) -> tuple[dict[str, Array], dict[str, Array]]:
        counts = {value.after: state[value.before] for value in self._counts}
        spikes = {cell.name: _per_sample(counts[events(cell)], samples) for cell in self._artifact.neurons}
        operations = self._synapses.run({**bridge, **counts})
        return spikes, {
            name.removesuffix("/synapses"): np.rint(value).astype(np.int64)
            for name, value in operations.items()
        }


def _per_sample(counts: Array, samples: int) -> Array:
    totals: Array = np.rint(counts.reshape(samples, -1).sum(axis=1, dtype=np.float64))
    return totals.astype(np.int64)
