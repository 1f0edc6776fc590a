"""Run an artifact in time: the prefix once, step after step, and what reads the outputs out."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import onnx

from onnx2snn.artifact.artifact import Artifact, Carried, final_name
from onnx2snn.engine.engines import Array, Backend, Engine, EngineOptions, make_engine
from onnx2snn.exits.until_rest import MOVING, first_free, tell_rest
from onnx2snn.ops.names import TIMESTEPS
from onnx2snn.runtime.stepper import Stepper, make_stepper, select_rows

Values = Mapping[str, Array]


@dataclass(frozen=True)
class Step:
    """One timestep of a network, ready to run.

    Attributes:
        engine: has its graph.
        carried: what goes back into it.
        tells_rest: whether it also gives `MOVING`.
    """

    engine: Engine
    carried: tuple[Carried, ...]
    tells_rest: bool = False


class Network:
    """The parts of an artifact, each loaded when it is first run; several threads may run it.

    Args:
        artifact: the network.
        backend: runs its parts.
        options: for the backend.
    """

    def __init__(self, artifact: Artifact, backend: Backend, options: EngineOptions) -> None:
        self.artifact, self.backend = artifact, backend
        self._options = options
        # The memory of a run that is over; one pop or append is whole, whatever other threads do.
        self._idle: deque[tuple[dict[str, tuple[int, ...]], Stepper]] = deque(maxlen=1)

    def load(self, model: onnx.ModelProto, states: Mapping[str, str] | None = None) -> Engine:
        """Any graph, on the network's backend; `states` as for `make_engine`."""
        return make_engine(model, self.backend, self._options, states)

    @cached_property
    def step(self) -> Step:
        """One timestep, as it is in the artifact."""
        # What goes from step to step and is not read behind the last one may lie in memory as it likes, if
        # it begins as a single number: one for each channel would not follow where the layout goes.
        private = {
            value.before: value.after
            for value in self.artifact.carried
            if value.before not in self.sums() and value.initial.size == 1
        }
        return Step(self.load(self.artifact.step, private), self.artifact.carried)

    @cached_property
    def resting_step(self) -> Step:
        """The same, which also tells whether some neuron has sent anything."""
        return Step(self.load(self.resting_model), self.artifact.carried, tells_rest=True)

    @cached_property
    def resting_model(self) -> onnx.ModelProto:
        """The graph of `resting_step`."""
        model = onnx.ModelProto()
        model.CopyFrom(self.artifact.step)
        model.graph.node.extend(tell_rest(self.artifact.cells))
        model.graph.output.append(onnx.helper.make_tensor_value_info(MOVING, onnx.TensorProto.BOOL, []))
        return model

    @cached_property
    def first_free(self) -> int:
        """The timesteps in which some neuron may still wait."""
        return first_free(self.artifact.neurons)

    @cached_property
    def _prefix(self) -> Engine | None:
        return None if self.artifact.prefix is None else self.load(self.artifact.prefix)

    @cached_property
    def _head(self) -> Engine:
        return self.load(self.artifact.head)

    @cached_property
    def _summed(self) -> list[Carried]:
        """What adds up over time, and is read behind the last step."""
        read = {item.name for item in self.artifact.head.graph.input}
        return [value for value in self.artifact.carried if final_name(value) in read]

    def bridge(self, feeds: dict[str, Array]) -> dict[str, Array]:
        """What the step and the head read beside the state: inputs, and what the prefix makes of them."""
        return feeds if self._prefix is None else feeds | self._prefix.run(feeds)

    def start(self, feeds: dict[str, Array], step: Step | None = None) -> Runner:
        """A run before its first timestep, in which every timestep sees the same inputs.

        Args:
            feeds: the inputs.
            step: a changed timestep; the artifact's by default.
        """
        return self.follow(self.bridge(feeds), step or self.step)

    @contextmanager
    def borrowed(self, feeds: dict[str, Array]) -> Iterator[Runner]:
        """As `start`, in the memory of a run that is over, if there is one of these shapes.

        The run is over where the context ends: its memory is lent to the next one.
        """
        bridge = self.bridge(feeds)
        shapes = {name: array.shape for name, array in bridge.items()}
        try:
            known, stepper = self._idle.pop()
        except IndexError:
            known, stepper = {}, None
        if stepper is None or known != shapes:
            stepper = make_stepper(self.step.engine, self.step.carried, bridge)
        else:
            stepper.restart(bridge)
        yield Runner(self, bridge, stepper)
        self._idle.append((shapes, stepper))

    def follow(self, bridge: dict[str, Array], step: Step, state: Values | None = None) -> Runner:
        """A run that begins behind the prefix, with another state than the artifact's if there is one."""
        stepper = make_stepper(step.engine, step.carried, bridge, state)
        return Runner(self, bridge, stepper, tells_rest=step.tells_rest)

    def read_out(self, bridge: Values, state: Values, timesteps: int) -> dict[str, Array]:
        """The outputs, from what was carried out of the last of some timesteps."""
        available = dict(bridge)
        available |= {final_name(value): state[value.before] for value in self._summed}
        available[TIMESTEPS] = np.asarray(timesteps, dtype=np.int64)
        found = self._head.run(available)
        return {name: found[name] for name in self.artifact.outputs}

    def sums(self) -> list[str]:
        """The carried values that `read_out` reads."""
        return [value.before for value in self._summed]


class Runner:
    """A run between two timesteps.

    In the schedule `layer` all timesteps are one step.

    Attributes:
        bridge: what each step reads beside the state.
        timesteps: how many have been run.
    """

    def __init__(
        self, network: Network, bridge: dict[str, Array], stepper: Stepper, *, tells_rest: bool = False
    ) -> None:
        self._network, self._stepper, self._tells_rest = network, stepper, tells_rest
        self.bridge, self.timesteps = bridge, 0

    def advance(self, bridge: dict[str, Array] | None = None) -> None:
        """One step; with `bridge` on other values than so far, of the same shapes."""
        self._stepper.advance(bridge)
        self.bridge = self.bridge if bridge is None else bridge
        artifact = self._network.artifact
        self.timesteps += artifact.timesteps if artifact.schedule == "layer" else 1

    def advance_to(self, timesteps: int) -> None:
        """As many steps as it takes, or until rest where the step tells it."""
        while self.timesteps < timesteps and not self.at_rest:
            self.advance()

    @property
    def at_rest(self) -> bool:
        """Whether no neuron will ever send again; False where the step does not tell."""
        return self._tells_rest and self.timesteps > self._network.first_free and not self.moving

    @property
    def moving(self) -> bool:
        """Whether some neuron has sent something in the last step, which has to tell it."""
        return bool(self._stepper.results()[MOVING])

    def carried(self, names: Collection[str]) -> dict[str, Array]:
        """Some carried values, by input name of the step."""
        return self._stepper.carried(names)

    def put(self, values: Values) -> None:
        """Go on from other carried values, which broadcast; the first step has been run."""
        self._stepper.put(values)

    def results(self) -> dict[str, Array]:
        """All that the last step gave."""
        return self._stepper.results()

    def outputs(self) -> dict[str, Array]:
        """The network's outputs after the timesteps so far."""
        return self._network.read_out(self.bridge, self.carried(self._network.sums()), self.timesteps)

    def keep(self, rows: Array) -> None:
        """Go on with some of the samples only, by their places [n] in the batch."""
        self.bridge = select_rows(self.bridge, rows)
        self._stepper = self._stepper.select(rows)
