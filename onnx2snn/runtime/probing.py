"""Runs that an artifact was not made for: recorded, with neurons told what to send, with an exact one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import onnx

from onnx2snn.artifact.artifact import Carried, zero_state
from onnx2snn.artifact.probe_graphs import (
    SHIFT,
    ExactNeuron,
    after,
    before,
    dtype_of,
    find_tail,
    recording,
    showing,
    taught,
)
from onnx2snn.engine.engines import Array
from onnx2snn.model.weights import model_bytes
from onnx2snn.runtime.runner import Network, Runner, Step

Values = Mapping[str, Array]
#: Bytes of weights that the parts behind exact neurons may have together.
_MEMORY = 1 << 29
Graph = tuple[onnx.ModelProto, tuple[Carried, ...]]


@dataclass(frozen=True)
class Recording:
    """What went through every neuron of a run, in the units of the artifact.

    Attributes:
        outputs: the outputs.
        currents: neuron → mean over time of its current, [N, …]; of a graded one its target at the end.
        sent: neuron → mean over time of what it sent, [N, …]; of a graded one the sum.
        activity: neuron → mean of the magnitude, which spikes taken back do not cancel, [N, …].
    """

    outputs: dict[str, Array]
    currents: dict[str, Array]
    sent: dict[str, Array]
    activity: dict[str, Array]


class Prober:
    """Changed step graphs of an artifact.

    Args:
        network: its artifact; not of integers.
    """

    def __init__(self, network: Network) -> None:
        self._artifact, self._network = network.artifact, network
        self._steps: dict[tuple[str, ...], Step] = {}

    def record(self, feeds: dict[str, Array], timesteps: int) -> Recording:
        """Run samples; the schedule `layer` takes its own number of timesteps."""
        step = self._step(("record",), lambda: recording(self._artifact))
        steps = 1 if self._artifact.schedule == "layer" or self._artifact.sums else timesteps
        runner = self._network.start(feeds, step)
        runner.advance_to(timesteps)
        state = runner.carried([value.before for value in step.carried])
        samples = len(next(iter(feeds.values())))
        currents, sent, activity = (
            {
                neuron.name: _for_each(state[before(neuron, what)] / steps, samples)
                for neuron in self._artifact.neurons
            }
            for what in ("current", "sent", "activity")
        )
        return Recording(runner.outputs(), currents, sent, activity)

    def teach(
        self, feeds: dict[str, Array], sent: Values, exact: Sequence[ExactNeuron] = ()
    ) -> tuple[dict[str, Array], dict[str, Array]]:
        """One pass in which neurons send what they are told, and no time passes.

        Args:
            feeds: the inputs.
            sent: neuron → what it sends, in the artifact's units, [N, …].
            exact: the neurons that nobody tells.

        Returns:
            neuron → its current, [N, …], in the artifact's units; and the outputs.
        """
        key = ("teach", *sorted(sent), "exact", *sorted(neuron.name for neuron in exact))
        step = self._step(key, lambda: taught(self._artifact, list(sent), exact))
        bridge = self._network.bridge(feeds)
        given = {
            neuron.output[0]: sent[neuron.name].astype(dtype_of(self._artifact, neuron))
            for neuron in self._artifact.neurons
            if neuron.name in sent
        }
        results = step.engine.run({**bridge, **zero_state(step.carried), **given})
        results |= given
        state = {
            value.before: results[value.after] for value in self._artifact.carried if value.after in results
        }
        samples = len(next(iter(feeds.values())))
        currents = {
            neuron.name: _for_each(results[after(neuron, "current")], samples)
            for neuron in self._artifact.neurons
        }
        return currents, self._network.read_out(bridge, state, 1)

    def outputs_with_each(
        self, exact: Sequence[ExactNeuron], feeds: dict[str, Array], shifts: Values, timesteps: int
    ) -> Iterator[dict[str, Array]]:
        """The outputs where one neuron is exact, for one after the other, all else as it is.

        What comes before an exact neuron is computed once for all of them.

        Args:
            exact: the neurons.
            feeds: the inputs.
            shifts: neuron → what is added to its current, [N, …], in ANN units.
            timesteps: T.
        """
        together = max(1, _MEMORY // max(1, model_bytes(self._artifact.model)))
        for start in range(0, len(exact), together):
            yield from self._outputs_with_some(exact[start : start + together], feeds, shifts, timesteps)
            if together < len(exact):  # each has weights of its own
                self._steps = {
                    key: step for key, step in self._steps.items() if key[0] not in ("tail", "trunk")
                }

    def _outputs_with_some(
        self, exact: Sequence[ExactNeuron], feeds: dict[str, Array], shifts: Values, timesteps: int
    ) -> Iterator[dict[str, Array]]:
        tails = {neuron.name: find_tail(self._artifact, neuron) for neuron in exact}
        wanted = {name for tail in tails.values() for name in tail.reads}
        step = self._step(("trunk", *sorted(tails)), lambda: showing(self._artifact, wanted))
        moves = {one.name: np.asarray(shifts[one.name] / one.unit, np.float32) for one in exact}
        trunk = self._network.start(feeds, step)
        runners: dict[str, Runner] = {}
        while trunk.timesteps < timesteps:
            trunk.advance()
            values = {**trunk.bridge, **trunk.results()}
            for name, tail in tails.items():
                given = {**values, SHIFT: moves[name]}
                if name not in runners:
                    step = self._step(("tail", name), partial(tail.model, given))
                    runners[name] = self._network.follow(given, step)
                    runners[name].advance()
                else:
                    runners[name].advance(given)
        base = trunk.carried([value.before for value in self._artifact.carried])
        for name, tail in tails.items():
            own = runners[name].carried([value.before for value in tail.carried])
            yield self._network.read_out(trunk.bridge, {**base, **own}, timesteps)

    def _step(self, key: tuple[str, ...], make: Callable[[], Graph]) -> Step:
        if key not in self._steps:
            model, carried = make()
            self._steps[key] = Step(self._network.load(model), carried)
        return self._steps[key]


def _for_each(values: Array, samples: int) -> Array:
    """What is the same for all samples, as a value of each."""
    return np.broadcast_to(values, (samples, *values.shape[1:])) if len(values) == 1 else values
