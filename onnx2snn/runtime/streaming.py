"""Streams: a network that goes on from frame to frame, in which a frame costs what it changes.

Graded spikes carry differences: a network that is at rest on one frame sends, on the next, only what has
become another. What it has sent, y, is a multiple of R·2^(-(n-1)), and what arrives is computed from it anew
in every timestep, so nothing adds up that rounding could make drift. Sums over time of the other codes are
taken out of float32 and added up in float64 every `_ANCHOR` timesteps; nothing but the output reads them.
Those inside of pools of bursts and at the borders of their islands stay in float32, which counts up to 2^24.

Streams of a batch may begin and end at any frame. Those that have left their first timesteps behind, in which
neurons may still wait, are stepped together.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from onnx2snn.artifact.sums import exact_timesteps
from onnx2snn.errors import DataError, OptionError
from onnx2snn.exits.until_rest import comes_to_rest, with_dead_zone
from onnx2snn.runtime.counting import Counting
from onnx2snn.runtime.frames import Frame, Pace, assembled
from onnx2snn.runtime.prefix_costs import PrefixCosts
from onnx2snn.runtime.runner import Network, Runner, Step
from onnx2snn.runtime.stepper import select_rows
from onnx2snn.runtime.windows import moved_along, shifts

logger = logging.getLogger(__name__)

Array = npt.NDArray[Any]
Values = Mapping[str, Array]

#: Timesteps after which sums over time are taken out of float32.
_ANCHOR = 4096
#: Timesteps that a frame takes at most until rest: a network comes to it in far fewer.
_MOST_STEPS = 1000


@dataclass(eq=False)
class _Cohort:
    """Streams that are stepped together.

    Attributes:
        members: what they are called.
        runner: between two timesteps.
        follows: whether it leaves small changes alone.
        totals: sums over time that were taken out of the runner, float64, by name.
        anchored: the timestep at which they were.
    """

    members: list[int]
    runner: Runner
    follows: bool = False
    totals: dict[str, Array] = field(default_factory=dict)
    anchored: int = 0

    def keep(self, places: Array) -> None:
        self.members = [self.members[place] for place in places]
        self.runner.keep(places)
        self.totals = select_rows(self.totals, places)


class Stream:
    """Streams through one network.

    Args:
        network: of the schedule `stream`.
        counting: its counting graphs, where the pace asks for them.
        pace: how it follows its frames.
        apart: whether the samples of a batch may be run in any groups.

    Raises:
        OptionError: a rest or a tolerance where neurons do not come to rest.
    """

    def __init__(self, network: Network, counting: Counting | None, pace: Pace, *, apart: bool) -> None:
        self.pace = pace
        self._network, self._counting, self._apart = network, counting, apart
        self._sums = comes_to_rest(network.artifact.neurons)
        self._exact = exact_timesteps(network.artifact.cells)
        if not self._sums and (pace.steps_per_frame == "rest" or pace.tolerance != 1 or pace.hop):
            which = f"a hop of {pace.hop}" if pace.hop else f"a tolerance of {pace.tolerance}"
            which = "rest" if pace.steps_per_frame == "rest" else which
            raise OptionError(
                f"stream: expected a network of --code graded for {which}, found one whose neurons fire in "
                "every timestep; give a number of steps per frame and no tolerance and hop, or compile with "
                "--code graded"
            )
        self._shifts = shifts(network.artifact, pace.hop)
        self._begins = self._step()
        self._follows = self._begins if pace.tolerance == 1 else self._tolerant(self._begins)
        self._costs = None if counting is None else PrefixCosts(counting, pace.hop)
        self._cohorts: list[_Cohort] = []
        self._samples = 0

    @property
    def members(self) -> set[int]:
        """The streams that have begun."""
        return {member for cohort in self._cohorts for member in cohort.members}

    def carried(self, names: Collection[str]) -> dict[str, Array]:
        """Some carried values of the streams that are stepped together, one group after the other."""
        groups = [(cohort.runner.carried(names), len(cohort.members)) for cohort in self._cohorts]
        sizes = [size for _, size in groups]
        return {name: _concatenated([values[name] for values, _ in groups], sizes) for name in names}

    def keeps(self, pace: Pace) -> bool:
        """Whether it follows frames so.

        Raises:
            OptionError: it does not, and streams have begun.
        """
        if self.pace != pace and self.members:
            raise OptionError(
                f"stream: expected {self.pace} as for the frames since the last reset, found {pace}; call "
                "reset() first"
            )
        return self.pace == pace

    def forget(self, members: Iterable[int] | None = None) -> None:
        """End some streams, or all: who comes again begins anew."""
        gone = self.members if members is None else set(members)
        self._cohorts = [cohort for cohort in self._cohorts if _keep(cohort, set(cohort.members) - gone)]
        if self._costs is not None:
            self._costs.forget(gone)

    def advance_all(self, feeds: dict[str, Array], samples: int) -> Frame:
        """One frame of streams that are called by their places in the batch.

        Raises:
            DataError: as many samples as the frames before had not.
        """
        if self.members and samples != self._samples:
            raise DataError(
                f"frame: expected {self._samples} samples, as the frames since the last reset had, found "
                f"{samples}; call reset() first"
            )
        self._samples = samples
        return self.advance(feeds, range(samples))

    def advance(self, feeds: dict[str, Array], members: Sequence[int]) -> Frame:
        """One frame.

        Args:
            feeds: inputs by name, one sample a stream.
            members: what the streams are called, in the order of the samples. Those not seen before begin;
                those that have begun and are not among them end.

        Raises:
            OptionError: others than before, in a network that does not keep its samples apart.
        """
        known = self.members
        if not self._apart and known and known != set(members):
            raise OptionError(
                "stream: expected the same streams in every frame, since the network does not keep the "
                "samples of a batch apart, found others; call reset() to begin anew, or use batches of 1"
            )
        self.forget(known - set(members))
        place = {member: row for row, member in enumerate(members)}
        bridge = self._network.bridge(feeds)
        new = [member for member in members if member not in known]
        if new:
            rows = np.array([place[member] for member in new])
            begun = _rows(bridge, rows, len(members))
            self._cohorts.append(_Cohort(new, self._network.follow(begun, self._begins)))
        self._settle(bridge, place)
        frames = []
        for cohort in self._cohorts:
            rows = np.array([place[member] for member in cohort.members])
            frames.append((rows, self._run(cohort, _rows(bridge, rows, len(members)))))
        frame = assembled(frames)
        return (
            frame if self._costs is None else replace(frame, prefix_macs=self._costs.of_frame(feeds, members))
        )

    def _step(self) -> Step:
        if self._counting is not None:
            return self._counting.step
        # A state that moves along its last axis has to lie in memory as it is.
        resting = self.pace.steps_per_frame == "rest" or self.pace.hop
        return self._network.resting_step if resting else self._network.step

    def _tolerant(self, step: Step) -> Step:
        """The same timestep, for neurons that have settled."""
        model = self._network.artifact.step if self._counting is None else self._counting.model
        if step.tells_rest:
            model = self._network.resting_model
        return replace(step, engine=self._network.load(with_dead_zone(model, self.pace.tolerance)))

    def _settle(self, bridge: Values, place: Mapping[int, int]) -> None:
        """Let all that no longer wait go on together."""
        if not self._sums:
            return
        old = [cohort for cohort in self._cohorts if cohort.runner.timesteps > self._network.first_free]
        if len(old) < 2 and (self._follows is self._begins or all(cohort.follows for cohort in old)):
            return
        members = [member for cohort in old for member in cohort.members]
        sizes = [len(cohort.members) for cohort in old]
        names = [value.before for value in self._begins.carried]
        carried = [cohort.runner.carried(names) for cohort in old]
        state = {name: _concatenated([values[name] for values in carried], sizes) for name in names}
        rows = np.array([place[member] for member in members])
        runner = self._network.follow(_rows(bridge, rows, len(place)), self._follows, state)
        runner.timesteps = min(cohort.runner.timesteps for cohort in old)
        young = [cohort for cohort in self._cohorts if cohort not in old]
        self._cohorts = [_Cohort(members, runner, follows=True), *young]

    def _run(self, cohort: _Cohort, bridge: dict[str, Array]) -> Frame:
        """The timesteps of one frame."""
        runner, samples = cohort.runner, len(cohort.members)
        if self._counting is not None and runner.timesteps:
            runner.put({name: np.zeros((), np.float32) for name in self._counting.counts})
        started, steps, seconds = time.perf_counter(), 0, 0.0
        if runner.timesteps:
            runner.put(moved_along(runner.carried(self._shifts), self._shifts))
        used, sent = np.zeros(samples, np.int64), np.zeros(samples, np.int64)
        resting = self.pace.steps_per_frame == "rest"
        while steps < _MOST_STEPS or not resting:
            runner.advance(None if steps else bridge)
            steps += 1
            if not resting:
                if steps == self.pace.steps_per_frame:
                    used[:] = steps
                    break
                continue
            moved = self._moved(runner, sent)
            used[moved] = steps
            if not moved.any() and runner.timesteps > self._network.first_free:
                break
        outputs = self._outputs(cohort)
        seconds = time.perf_counter() - started
        counted = {} if self._counting is None else self._counting.count(runner, samples)
        return Frame(
            outputs,
            used,
            seconds,
            counted.get("spikes", {}),
            _total(counted.get("events", {}), samples),
            _total(counted.get("synaptic_events", {}), samples),
            np.zeros(samples, np.int64),
        )

    def _moved(self, runner: Runner, sent: Array) -> npt.NDArray[np.bool_]:
        """Which streams have sent something in the last timestep; `sent` [N], spikes so far, goes on."""
        if self._counting is None:
            return np.full(len(sent), runner.moving)
        now = self._counting.spikes(runner, len(sent))
        moved: npt.NDArray[np.bool_] = now != sent
        sent[:] = now
        return moved

    def _outputs(self, cohort: _Cohort) -> dict[str, Array]:
        runner, sums = cohort.runner, self._network.sums()
        if self._sums:
            return runner.outputs()
        if runner.timesteps > self._exact:
            logger.warning(
                "a stream of %d timesteps: sums in pools and islands of bursts are exact up to %d, and drift "
                "from there on; call reset(), or compile with --code graded, where nothing drifts",
                runner.timesteps,
                self._exact,
            )
            self._exact = math.inf  # once
        if runner.timesteps - cohort.anchored >= _ANCHOR:
            for name, value in runner.carried(sums).items():
                cohort.totals[name] = cohort.totals.get(name, 0) + value.astype(np.float64)
            runner.put({name: np.zeros((), value.dtype) for name, value in runner.carried(sums).items()})
            cohort.anchored = runner.timesteps
        state = {
            name: (value + cohort.totals.get(name, 0)).astype(value.dtype)
            for name, value in runner.carried(sums).items()
        }
        return self._network.read_out(runner.bridge, state, runner.timesteps)


def _keep(cohort: _Cohort, members: set[int]) -> bool:
    """Go on with some streams of a cohort; whether there are any."""
    places = np.array([place for place, name in enumerate(cohort.members) if name in members], np.int64)
    if 0 < len(places) < len(cohort.members):
        cohort.keep(places)
    return len(places) > 0


def _rows(bridge: Values, rows: Array, samples: int) -> dict[str, Array]:
    """Some samples of what each step reads."""
    if np.array_equal(rows, np.arange(samples)):
        return dict(bridge)
    return select_rows(bridge, rows)


def _concatenated(arrays: Sequence[Array], sizes: Sequence[int]) -> Array:
    """The rows of several groups of samples; what is the same for all samples once."""
    if all(array.ndim and len(array) == size for array, size in zip(arrays, sizes, strict=True)):
        return np.concatenate(arrays)
    return arrays[0].copy()  # its memory goes with the group


def _total(counts: Values, samples: int) -> Array:
    return sum(counts.values(), np.zeros(samples, np.int64))
