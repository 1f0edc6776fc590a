"""What an early exit gives: timesteps a sample took, and what was right, spent and saved by then."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from onnx2snn.analysis.energy import Activity, Energy, EnergyModel, estimate_energy
from onnx2snn.analysis.judging import Judge, Measured
from onnx2snn.artifact.spike_bits import bits_convention, spike_bits
from onnx2snn.exits.rule import ExitRule
from onnx2snn.records import Record
from onnx2snn.runtime.results import Checkpoint, Work
from onnx2snn.runtime.session import SpikingSession
from onnx2snn.tasks.classify import FIRST

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class ExitFigures(Record):
    """What an early exit gives.

    Attributes:
        rule: when a sample is decided.
        mean_timesteps: that a sample took.
        histogram: samples that stopped after 1 to T timesteps.
        accuracy: None without labels.
        agreement: with the ANN; None without it.
        spikes_per_sample, synaptic_operations_per_sample, energy: until then.
        samples_per_second: with it.
        speedup: against all timesteps.
        measures, agreement_measures: the task's figures against labels, and against the ANN's outputs.
        task: which.
    """

    rule: ExitRule
    mean_timesteps: float
    histogram: list[int]
    accuracy: float | None
    agreement: float | None
    spikes_per_sample: float
    synaptic_operations_per_sample: float
    energy: Energy
    samples_per_second: float
    speedup: float
    measures: dict[str, float | None] = field(default_factory=dict)
    agreement_measures: dict[str, float | None] = field(default_factory=dict)
    task: str = ""


class ExitTally:
    """Sums over the samples seen so far.

    Args:
        session: the network.
        rule: when a sample is decided.
        timesteps: T, by which every sample stops.
        judge: knows the task.
    """

    def __init__(self, session: SpikingSession, rule: ExitRule, timesteps: int, judge: Judge | None) -> None:
        self._session, self._rule, self._timesteps = session, rule, timesteps
        self._used: list[Array] = []
        self._spikes, self._operations, self._events = 0, 0, 0
        self._measured = Measured(judge, 1)
        self._bits, self._bits_of = 0, spike_bits(session.artifact)
        self._seconds = [0.0, 0.0]
        self._warm = False

    def add(
        self,
        feeds: Mapping[str, Array],
        checkpoints: Sequence[Checkpoint],
        expected: Mapping[str, Array] | None,
        count: int,
    ) -> None:
        """Add a batch of `count` samples, counted after every timestep, and time it with and without.

        `expected` are the ANN's outputs, where there are some.
        """
        output = self._session.artifact.outputs[0]
        used = np.full(count, self._timesteps)
        found = [point.outputs[output][:count] for point in checkpoints]
        for point, now, before in reversed(list(zip(checkpoints, found, [None, *found[:-1]], strict=True))):
            used[self._rule.decided(now, point.timesteps, before)] = point.timesteps
        outputs: dict[str, Array] = {}
        for number, point in enumerate(checkpoints, 1):
            leaving = np.flatnonzero(used == number)
            for name, values in point.outputs.items():
                outputs.setdefault(name, np.zeros((count, *values.shape[1:]), values.dtype))
                outputs[name][leaving] = values[leaving]
            spikes = {name: int(sent[leaving].sum()) for name, sent in point.spikes.items()}
            self._spikes += sum(spikes.values())
            self._bits += sum(sent * self._bits_of[name] for name, sent in spikes.items())
            self._operations += sum(int(n[leaving].sum()) for n in point.synaptic_operations.values())
            self._events += sum(int(n[leaving].sum()) for n in point.synaptic_events.values())
        self._measured.add([outputs], expected, count)
        self._used.append(used)
        for _ in range(1 if self._warm else 2):  # the first run of either allocates its memory
            seconds = [_seconds(self._session, feeds, self._timesteps, rule) for rule in (None, self._rule)]
        self._warm = True
        self._seconds = [total + spent for total, spent in zip(self._seconds, seconds, strict=True)]

    def figures(self, work: Work, energy_model: EnergyModel | None) -> ExitFigures:
        """What it gave on all samples."""
        used = np.concatenate(self._used)
        samples = len(used)
        operations = self._operations / samples
        artifact = self._session.artifact
        activity = Activity(
            [float(used.mean())],
            [operations],
            [self._events / samples],
            [self._bits / samples],
            bits_convention(artifact),
            graded=artifact.sums,
        )
        right = {key: values[0] for key, values in self._measured.right.items()}
        agreeing = {key: values[0] for key, values in self._measured.agreeing.items()}
        return ExitFigures(
            rule=self._rule,
            mean_timesteps=float(used.mean()),
            histogram=np.bincount(used, minlength=self._timesteps + 1)[1:].tolist(),
            accuracy=right.get(FIRST),
            agreement=agreeing.get(FIRST),
            spikes_per_sample=self._spikes / samples,
            synaptic_operations_per_sample=operations,
            energy=estimate_energy(work, activity, energy_model),
            samples_per_second=samples / self._seconds[1],
            speedup=self._seconds[0] / self._seconds[1],
            measures=right,
            agreement_measures=agreeing,
            task=self._measured.task,
        )


def _seconds(
    session: SpikingSession, feeds: Mapping[str, Array], timesteps: int, rule: ExitRule | None
) -> float:
    started = time.perf_counter()
    session.run(feeds, timesteps, early_exit=rule)
    return time.perf_counter() - started
