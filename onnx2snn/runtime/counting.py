"""Run an artifact and count: spikes of every neuron, synaptic operations of every layer, other arithmetic."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx

from onnx2snn.artifact.artifact import Artifact, final_name, zero_state
from onnx2snn.artifact.fan_out import count_dense
from onnx2snn.artifact.layouts import by_sample
from onnx2snn.artifact.spike_counts import event_count, spike_count
from onnx2snn.artifact.synapses import make_counter
from onnx2snn.emit.stream import TIMESTEPS
from onnx2snn.engine.engines import Engine
from onnx2snn.runtime.inputs import count_samples
from onnx2snn.runtime.results import Checkpoint, Work
from onnx2snn.runtime.stepper import make_stepper

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
        self._load, self._counter = load, counter
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
                counts = self._count(given, state, samples)
                checkpoints.append(Checkpoint(number, outputs, **counts, seconds=seconds))
                started = time.perf_counter()
        return checkpoints

    def fan_out(self, bridge: Values, timesteps: int) -> dict[str, float]:
        """Synaptic operations that a spike of each neuron causes on average, pools on its way included."""
        stepper = make_stepper(self._step, self._carried, bridge)
        for _ in range(timesteps):
            stepper.advance()
        state = stepper.carried([value.before for value in self._counts])
        counts = {spike_count(c): state[f"{spike_count(c)}/in"] for c in self._artifact.spiking}
        caused = dict.fromkeys((cell.name for cell in self._artifact.neurons), 0.0)
        for cell in self._artifact.spiking:
            alone = {n: a if n == spike_count(cell) else np.zeros_like(a) for n, a in counts.items()}
            results = self._synapses.run({**bridge, **alone})
            for name in self._artifact.sources(cell):
                caused[name] += sum(float(value.sum()) for value in results.values())
        sent = {cell.name: float(counts[spike_count(cell)].sum()) for cell in self._artifact.neurons}
        return {name: total / max(1.0, sent[name]) for name, total in caused.items()}

    def work(self, feeds: dict[str, Array]) -> Work:
        """What is computed for a sample beside spikes; the inputs only give the shapes."""
        samples = count_samples(self._artifact.inputs, feeds)
        parts = (self._artifact.prefix, self._counter.step, self._artifact.head)
        known = {**feeds, **zero_state(self._carried)}
        macs: list[dict[str, int]] = []
        for part in parts:
            if part is None:
                macs.append({})
                continue
            counted, names = count_dense(part)
            results = self._load(counted).run(known)
            macs.append({layer: _share(results[name], samples) for name, layer in names.items()})
            # Each part reads what those before it gave; a step's sums stand for the mean, of the same shape.
            known |= results
            known |= {final_name(v): results[v.after] for v in self._artifact.carried if v.after in results}
            known[TIMESTEPS] = np.asarray(1, dtype=np.int64)
        prefix, step, head = macs
        every, once = (
            sum(count for layer, count in part.items() if layer in self.uncounted) for part in (step, head)
        )
        layered = self._artifact.schedule == "layer"
        return Work(
            ann_macs=sum(sum(part.values()) for part in macs),
            prefix_macs=sum(prefix.values()),
            joined_macs=self._joined_macs(known, {*step, *head}, samples),
            analog_macs=0 if layered else every,
            head_macs=once + every if layered else once,
            neurons={cell.name: known[spike_count(cell)].size // samples for cell in self._artifact.neurons},
        )

    def _joined_macs(self, known: Values, layers: set[str], samples: int) -> int:
        """Connections of counted layers over which values of the prefix arrive."""
        if self._counter.still is None:
            return 0
        silent = {name: np.zeros_like(known[name]) for name in map(spike_count, self._artifact.spiking)}
        results = self._load(self._counter.still).run({**known, **silent})
        found = self._counter.layers
        return sum(_share(value, samples) for name, value in results.items() if found[name] in layers)

    def _count(self, bridge: Values, state: Values, samples: int) -> dict[str, dict[str, Array]]:
        """Counts per sample, as a checkpoint has them."""
        found, layouts = {}, self._counter.layouts
        for sent, arrived, count in (
            ("spikes", "synaptic_operations", spike_count),
            ("events", "synaptic_events", event_count),
        ):
            counts = {cell.name: state[f"{count(cell)}/in"] for cell in self._artifact.spiking}
            found[sent] = {
                cell.name: by_sample(counts[cell.name], samples, layouts[cell.output[0]])
                for cell in self._artifact.neurons
            }
            feeds = {spike_count(cell): counts[cell.name] for cell in self._artifact.spiking}
            found[arrived] = {
                self._counter.layers[name]: by_sample(value, samples, layouts[name])
                for name, value in self._synapses.run({**bridge, **feeds}).items()
                if name in self._counter.layers
            }
        return found


def _share(counts: Array, samples: int) -> int:
    """What there is for each sample where there is as much for each, in whatever order."""
    return round(float(counts.sum()) / samples)
