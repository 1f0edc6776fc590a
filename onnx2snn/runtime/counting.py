"""Run an artifact and count: spikes of every neuron, synaptic operations of every layer, other arithmetic."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx

from onnx2snn.artifact.artifact import final_name, zero_state
from onnx2snn.artifact.fan_out import count_dense
from onnx2snn.artifact.input_counts import InputCounter, changed, make_input_counter
from onnx2snn.artifact.layouts import by_sample
from onnx2snn.artifact.spike_counts import event_count, spike_count
from onnx2snn.artifact.synapses import make_counter
from onnx2snn.engine.engines import Engine
from onnx2snn.ops.names import TIMESTEPS
from onnx2snn.runtime.inputs import count_samples
from onnx2snn.runtime.results import Checkpoint, Work
from onnx2snn.runtime.runner import Network, Runner, Step

Array = npt.NDArray[Any]
Values = Mapping[str, Array]


class Counting:
    """The counting graphs of an artifact, loaded.

    Args:
        network: its artifact.

    Attributes:
        step: one timestep, which also carries counts.
        counts: the counts that it carries, by input name.
        uncounted: see `EventCounter`.
    """

    def __init__(self, network: Network) -> None:
        self._network, self._artifact = network, network.artifact
        self._counter = make_counter(network.artifact)
        self.uncounted = self._counter.uncounted
        self.counts = [value.before for value in self._counter.carried]
        carried = (*self._artifact.carried, *self._counter.carried)
        self.step = Step(network.load(self._counter.step), carried)
        self._synapses = network.load(self._counter.synapses)

    def checkpoints(self, feeds: dict[str, Array], wanted: Sequence[int]) -> list[Checkpoint]:
        """Run samples, with a checkpoint after each of the timesteps wanted, which ascend."""
        samples = count_samples(self._artifact.inputs, feeds)
        started, seconds = time.perf_counter(), 0.0
        runner = self._network.start(feeds, self.step)
        checkpoints = []
        for number in wanted:
            runner.advance_to(number)
            outputs = runner.outputs()
            seconds += time.perf_counter() - started
            counts = self.count(runner, samples)
            checkpoints.append(Checkpoint(number, outputs, **counts, seconds=seconds))
            started = time.perf_counter()
        return checkpoints

    @cached_property
    def _inputs(self) -> tuple[InputCounter, Engine] | None:
        counter = make_input_counter(self._artifact)
        return None if counter is None else (counter, self._network.load(counter.model))

    def prefix_macs(self, changes: Values, samples: int) -> Array:
        """Multiply-accumulates that changed inputs cost in the layers that read them, int64 [N].

        Args:
            changes: input → whether each of its values has changed, bool [N, …].
            samples: N.
        """
        if self._inputs is None:
            return np.zeros(samples, np.int64)
        counter, engine = self._inputs
        found = engine.run({changed(name): value.astype(np.float32) for name, value in changes.items()})
        return sum(
            (by_sample(value, samples, counter.rows[name]) for name, value in found.items()),
            np.zeros(samples, np.int64),
        )

    @property
    def model(self) -> onnx.ModelProto:
        """The graph of `step`."""
        return self._counter.step

    def spikes(self, runner: Runner, samples: int) -> Array:
        """How often the neurons of each sample have sent something so far, int64 [N]."""
        state = runner.carried([f"{event_count(cell)}/in" for cell in self._artifact.neurons])
        layouts = [self._counter.layouts[cell.output[0]] for cell in self._artifact.neurons]
        counts = zip(state.values(), layouts, strict=True)
        return sum((by_sample(c, samples, layout) for c, layout in counts), np.zeros(samples, np.int64))

    def count(self, runner: Runner, samples: int) -> dict[str, dict[str, Array]]:
        """Counts per sample so far, as a checkpoint has them."""
        return self._count(runner.bridge, runner.carried(self.counts), samples)

    def fan_out(self, feeds: dict[str, Array]) -> dict[str, float]:
        """Synaptic operations that a spike of each neuron causes on average, pools on its way included."""
        runner = self._network.start(feeds, self.step)
        runner.advance_to(self._artifact.timesteps)
        state = runner.carried(self.counts)
        counts = {spike_count(c): state[f"{spike_count(c)}/in"] for c in self._artifact.spiking}
        caused = dict.fromkeys((cell.name for cell in self._artifact.neurons), 0.0)
        for cell in self._artifact.spiking:
            alone = {n: a if n == spike_count(cell) else np.zeros_like(a) for n, a in counts.items()}
            results = self._synapses.run({**runner.bridge, **alone})
            for name in self._artifact.sources(cell):
                caused[name] += sum(float(value.sum()) for value in results.values())
        sent = {cell.name: float(counts[spike_count(cell)].sum()) for cell in self._artifact.neurons}
        return {name: total / max(1.0, sent[name]) for name, total in caused.items()}

    def work(self, feeds: dict[str, Array]) -> Work:
        """What is computed for a sample beside spikes; the inputs only give the shapes."""
        samples = count_samples(self._artifact.inputs, feeds)
        parts = (self._artifact.prefix, self._counter.step, self._artifact.head)
        known = {**feeds, **zero_state(self.step.carried)}
        macs: list[dict[str, int]] = []
        for part in parts:
            if part is None:
                macs.append({})
                continue
            counted, names = count_dense(part)
            results = self._network.load(counted).run(known)
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
        results = self._network.load(self._counter.still).run({**known, **silent})
        layers_of = self._counter.layers
        return sum(_share(value, samples) for name, value in results.items() if layers_of[name] in layers)

    def _count(self, bridge: Values, state: Values, samples: int) -> dict[str, dict[str, Array]]:
        """Counts per sample, as a checkpoint has them."""
        counted, layouts = {}, self._counter.layouts
        for sent, arrived, count in (
            ("spikes", "synaptic_operations", spike_count),
            ("events", "synaptic_events", event_count),
        ):
            counts = {cell.name: state[f"{count(cell)}/in"] for cell in self._artifact.spiking}
            counted[sent] = {
                cell.name: by_sample(counts[cell.name], samples, layouts[cell.output[0]])
                for cell in self._artifact.neurons
            }
            feeds = {spike_count(cell): counts[cell.name] for cell in self._artifact.spiking}
            counted[arrived] = {
                self._counter.layers[name]: by_sample(value, samples, layouts[name])
                for name, value in self._synapses.run({**bridge, **feeds}).items()
                if name in self._counter.layers
            }
        return counted


def _share(counts: Array, samples: int) -> int:
    """What there is for each sample where there is as much for each, in whatever order."""
    return round(float(counts.sum()) / samples)
