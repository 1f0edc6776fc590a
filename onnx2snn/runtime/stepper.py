"""Drive a step graph: what it makes of the carried values goes back into it, without leaving the device."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
import onnxruntime

from onnx2snn.runtime.artifact import Carried, zero_state
from onnx2snn.runtime.engines import Array, Engine, OnnxruntimeEngine, running


class Stepper(Protocol):
    """A step graph between two timesteps."""

    def advance(self, feeds: Mapping[str, Array] | None = None) -> None:
        """One timestep; with `feeds` on other values than so far, of the same shapes."""
        ...

    def carried(self) -> dict[str, Array]:
        """The carried values, by input name of the step graph."""
        ...

    def results(self) -> dict[str, Array]:
        """All that the last step gave."""
        ...


def make_stepper(engine: Engine, carried: Sequence[Carried], feeds: Mapping[str, Array]) -> Stepper:
    """A step graph before the first timestep.

    Args:
        engine: has the step graph.
        carried: what goes back into it.
        feeds: its other inputs, which stay the same until others are given; may hold more than it reads.
    """
    if isinstance(engine, OnnxruntimeEngine):
        return _BoundStepper(engine, carried, feeds)
    return _PlainStepper(engine, carried, feeds)


class _PlainStepper:
    """By way of NumPy, for engines that live there."""

    def __init__(self, engine: Engine, carried: Sequence[Carried], feeds: Mapping[str, Array]) -> None:
        self._engine, self._names, self._feeds = engine, carried, feeds
        self._state = zero_state(carried)
        self._results: dict[str, Array] = {}

    def advance(self, feeds: Mapping[str, Array] | None = None) -> None:
        self._feeds = self._feeds if feeds is None else feeds
        self._results = self._engine.run({**self._feeds, **self._state})
        self._state = {value.before: self._results[value.after] for value in self._names}

    def carried(self) -> dict[str, Array]:
        return self._state

    def results(self) -> dict[str, Array]:
        return self._results


class _BoundStepper:
    """By onnxruntime's bindings: two sets of carried values, in turn what a step reads and what it writes.

    Only the first two steps allocate: the first makes values of the batch's size of the initial ones, which
    broadcast; the second makes the other set.
    """

    def __init__(
        self, engine: OnnxruntimeEngine, carried: Sequence[Carried], feeds: Mapping[str, Array]
    ) -> None:
        self._session, self._device, self._in_place = engine.session, engine.device, engine.in_place
        self._carried = carried
        names = {item.name for item in self._session.get_inputs()}
        self._feeds = {name: self._on_device(array) for name, array in feeds.items() if name in names}
        self._now = {name: self._on_device(array) for name, array in zero_state(carried).items()}
        self._outputs = [item.name for item in self._session.get_outputs()]
        self._last: onnxruntime.IOBinding | None = None
        self._turns: list[onnxruntime.IOBinding] = []
        self._steps = 0

    def advance(self, feeds: Mapping[str, Array] | None = None) -> None:
        if feeds is not None:
            for name, value in self._feeds.items():
                value.update_inplace(np.ascontiguousarray(feeds[name]))
        if self._steps > 1:
            binding = self._turns[self._steps % 2]
        else:
            in_place = self._in_place if self._steps else ()
            binding = self._bind(self._now, {name: self._now[name] for name in in_place})
        with running():
            self._session.run_with_iobinding(binding)
        made = dict(zip(self._outputs, binding.get_outputs(), strict=True))
        before, self._now = self._now, {value.before: made[value.after] for value in self._carried}
        if self._steps == 1:
            self._turns = [self._bind(self._now, before), self._bind(before, self._now)]
        self._last = binding
        self._steps += 1

    def carried(self) -> dict[str, Array]:
        return {name: value.numpy() for name, value in self._now.items()}

    def results(self) -> dict[str, Array]:
        if self._last is None:
            return {}
        return {
            name: value.numpy() for name, value in zip(self._outputs, self._last.get_outputs(), strict=True)
        }

    def _bind(
        self, read: Mapping[str, onnxruntime.OrtValue], written: Mapping[str, onnxruntime.OrtValue]
    ) -> onnxruntime.IOBinding:
        """A step from some carried values to others; onnxruntime allocates what is in neither."""
        binding = self._session.io_binding()
        names = {item.name for item in self._session.get_inputs()}
        for name, value in {**self._feeds, **read}.items():
            if name in names:
                binding.bind_ortvalue_input(name, value)
        targets = {value.after: written[value.before] for value in self._carried if value.before in written}
        for name in self._outputs:
            if name in targets:
                binding.bind_ortvalue_output(name, targets[name])
            else:
                binding.bind_output(name, self._device)
        return binding

    def _on_device(self, array: Array) -> onnxruntime.OrtValue:
        return onnxruntime.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(array), self._device)
