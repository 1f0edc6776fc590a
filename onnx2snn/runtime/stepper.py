"""Drive a step graph: what it makes of the carried values goes back into it, without leaving the device."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

import numpy as np
import onnxruntime

from onnx2snn.artifact.artifact import Carried, zero_state
from onnx2snn.engine.engines import Array, Engine, OnnxruntimeEngine, running
from onnx2snn.errors import DataError


class Stepper(Protocol):
    """A step graph between two timesteps."""

    def advance(self, feeds: Mapping[str, Array] | None = None) -> None:
        """One timestep; with `feeds` on other values than so far, of the same shapes."""
        ...

    def restart(self, feeds: Mapping[str, Array]) -> None:
        """Go back before the first timestep, with other inputs of the same shapes."""
        ...

    def carried(self, names: Collection[str]) -> dict[str, Array]:
        """Some carried values, by input name of the step graph."""
        ...

    def put(self, values: Mapping[str, Array]) -> None:
        """Overwrite carried values by others, which broadcast to their shapes; not before the first step."""
        ...

    def results(self) -> dict[str, Array]:
        """All that the last step gave."""
        ...

    def select(self, rows: Array) -> Stepper:
        """Go on with some of the samples only, by their places [n] in the batch."""
        ...


def make_stepper(
    engine: Engine,
    carried: Sequence[Carried],
    feeds: Mapping[str, Array],
    state: Mapping[str, Array] | None = None,
) -> Stepper:
    """A step graph before the first timestep.

    Args:
        engine: has the step graph.
        carried: what goes back into it.
        feeds: its other inputs, which stay the same until others are given; may hold more than it reads.
        state: the carried values to begin with; the artifact's by default.
    """
    state = zero_state(carried) if state is None else state
    if isinstance(engine, OnnxruntimeEngine):
        return _BoundStepper(engine, carried, feeds, state)
    return _PlainStepper(engine, carried, feeds, state)


class _PlainStepper:
    """By way of NumPy, for engines that live there."""

    def __init__(
        self,
        engine: Engine,
        carried: Sequence[Carried],
        feeds: Mapping[str, Array],
        state: Mapping[str, Array],
    ) -> None:
        self._engine, self._names, self._initial = engine, carried, state
        self._results: dict[str, Array] = {}
        self.restart(feeds)

    def restart(self, feeds: Mapping[str, Array]) -> None:
        self._feeds, self._state = feeds, dict(self._initial)

    def advance(self, feeds: Mapping[str, Array] | None = None) -> None:
        self._feeds = self._feeds if feeds is None else feeds
        self._results = self._engine.run({**self._feeds, **self._state})
        self._state = {value.before: self._results[value.after] for value in self._names}

    def carried(self, names: Collection[str]) -> dict[str, Array]:
        return {name: self._state[name] for name in names}

    def put(self, values: Mapping[str, Array]) -> None:
        for name, value in values.items():
            self._state[name] = np.broadcast_to(value, self._state[name].shape).astype(
                self._state[name].dtype
            )

    def results(self) -> dict[str, Array]:
        return self._results

    def select(self, rows: Array) -> Stepper:
        feeds, state = select_rows(self._feeds, rows), select_rows(self._state, rows)
        return _PlainStepper(self._engine, self._names, feeds, state)


class _BoundStepper:
    """By onnxruntime's bindings: a carried value is overwritten in place, or has two places that take turns.

    The first step makes values of the batch's size of the initial ones, which broadcast; the second makes the
    other places. What comes later, in this run or the next, allocates nothing.
    """

    def __init__(
        self,
        engine: OnnxruntimeEngine,
        carried: Sequence[Carried],
        feeds: Mapping[str, Array],
        state: Mapping[str, Array],
    ) -> None:
        self._engine = engine
        self._session, self._device, self._in_place = engine.session, engine.device, engine.in_place
        self._carried = carried
        self._read = {item.name for item in self._session.get_inputs()}
        self._given = {item.name: item.shape for item in self._session.get_outputs()}
        # Copies: on the CPU onnxruntime shares an array's memory, and a restart writes into it.
        self._feeds = {
            name: self._on_device(array.copy()) for name, array in feeds.items() if name in self._read
        }
        # The initial values, those behind odd steps, and those behind even ones.
        self._places = [{name: self._on_device(array) for name, array in state.items()}]
        self._bindings: dict[tuple[int, int], onnxruntime.IOBinding] = {}
        self._misjudged: list[Carried] = []
        self._last: onnxruntime.IOBinding | None = None
        self._steps = 0

    def restart(self, feeds: Mapping[str, Array]) -> None:
        for name, value in self._feeds.items():
            if list(feeds[name].shape) != value.shape():
                raise DataError(
                    f"'{name}': expected shape {value.shape()}, as in the steps before, "
                    f"found {list(feeds[name].shape)}; call reset() first"
                )
            value.update_inplace(np.asarray(feeds[name], order="C"))
        self._steps = 0

    def advance(self, feeds: Mapping[str, Array] | None = None) -> None:
        if feeds is not None:
            steps = self._steps
            self.restart(feeds)
            self._steps = steps
        source, target = _place(self._steps), _place(self._steps + 1)
        binding = self._bindings.get((source, target)) or self._bind(source, target)
        for value in self._misjudged:  # a binding would offer what it was given in its last run
            if value.before in self._read:  # not the sum of graded spikes, which each step gives whole
                binding.bind_ortvalue_input(value.before, self._places[source][value.before])
            binding.bind_output(value.after, self._device)
        with running():
            self._session.run_with_iobinding(binding)
        new_place = target == len(self._places)
        if new_place or self._misjudged:
            made = dict(zip(self._given, binding.get_outputs(), strict=True))
        if new_place:
            self._places.append({value.before: made[value.after] for value in self._carried})
            self._misjudged = [value for value in self._carried if self._is_misjudged(value)]
        else:
            self._bindings[source, target] = binding
        for value in self._misjudged:
            self._places[target][value.before] = made[value.after]
        self._last = binding
        self._steps += 1

    def _is_misjudged(self, value: Carried) -> bool:
        """Whether onnxruntime expects another shape than its own kernel gives, and so takes no place for it.

        ONNX counts windows of a MaxPool with ceil_mode that lie behind the input altogether, kernels do not.
        """
        sizes = zip(self._given[value.after], self._places[-1][value.before].shape(), strict=False)
        return any(isinstance(expected, int) and expected != found for expected, found in sizes)

    def carried(self, names: Collection[str]) -> dict[str, Array]:
        place = self._places[_place(self._steps)]
        return {name: place[name].numpy() for name in names}

    def put(self, values: Mapping[str, Array]) -> None:
        place = self._places[_place(self._steps)]
        for name, value in values.items():
            before = place[name].numpy()
            place[name].update_inplace(np.broadcast_to(value, before.shape).astype(before.dtype))

    def results(self) -> dict[str, Array]:
        given = self._last.get_outputs() if self._last is not None else []
        return {name: value.numpy() for name, value in zip(self._given, given, strict=True)}

    def select(self, rows: Array) -> Stepper:
        feeds = select_rows({name: value.numpy() for name, value in self._feeds.items()}, rows)
        # Copies: what is the same for all samples would be read out of memory that goes with this stepper.
        state = {name: a.copy() for name, a in select_rows(self.carried(self._places[0]), rows).items()}
        return _BoundStepper(self._engine, self._carried, feeds, state)

    def _bind(self, source: int, target: int) -> onnxruntime.IOBinding:
        """A step from one place to another; onnxruntime makes the place that is not there yet."""
        read = self._places[source]
        written = {name: read[name] for name in self._in_place} if source else {}
        if target < len(self._places):
            written = self._places[target]
        binding = self._session.io_binding()
        for name, value in {**self._feeds, **read}.items():
            if name in self._read:
                binding.bind_ortvalue_input(name, value)
        kept = [value for value in self._carried if value.before in written and value not in self._misjudged]
        targets = {value.after: written[value.before] for value in kept}
        for name in self._given:
            if name in targets:
                binding.bind_ortvalue_output(name, targets[name])
            else:
                binding.bind_output(name, self._device)
        return binding

    def _on_device(self, array: Array) -> onnxruntime.OrtValue:
        return onnxruntime.OrtValue.ortvalue_from_numpy(np.asarray(array, order="C"), self._device)


def select_rows(values: Mapping[str, Array], rows: Array) -> dict[str, Array]:
    """Some samples of every value; all of what is the same for all samples."""
    return {name: array if _is_shared(array) else array[rows] for name, array in values.items()}


def _is_shared(array: Array) -> bool:
    return array.ndim == 0 or len(array) == 1


def _place(steps: int) -> int:
    """Where the carried values are after so many steps."""
    return 2 - steps % 2 if steps else 0
