"""Settings that a search tries: their networks, energy, latency and loss, and the passes that it takes."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import onnx

from onnx2snn.aim import Aim
from onnx2snn.analysis.candidates import Candidates, describe
from onnx2snn.analysis.evaluation import evaluate
from onnx2snn.analysis.joint_loss import JointLoss
from onnx2snn.analysis.judging import Judge, open_judge
from onnx2snn.analysis.ladders import Options
from onnx2snn.analysis.loss import LossMeter
from onnx2snn.analysis.task_loss import TaskLoss, can_bound, join
from onnx2snn.artifact.records import Trial
from onnx2snn.compiler.compiler import Progress
from onnx2snn.data.readers import Dataset
from onnx2snn.engine.engines import make_engine
from onnx2snn.errors import DataError
from onnx2snn.options import CompileOptions
from onnx2snn.runtime.session import SpikingSession
from onnx2snn.tasks import AUTO

logger = logging.getLogger(__name__)

#: Samples that settings are calibrated on, held back to judge them, and counted for their energy, at most;
#: and the share of all that the first are, where that is not too few.
_CALIBRATED, _HELD_BACK, _COUNTED = 250, 500, 64
_SHARE, _FEW = 4, 64
#: Samples after which a setting that clearly loses too much is given up.
_CHUNK = 128
#: Standard errors that make it clear.
_CLEAR = 2.0
#: Passes of the ANN over the calibration samples that a search may take with its last conversion.
PASSES = 60
#: Passes over its samples that a conversion takes, by schedule: a trial's, and the last one, with its refit;
#: and a run whose operations are counted.
_TRIAL, _CONVERSION = {"layer": 6.0, "stream": 8.0}, {"layer": 12.0, "stream": 8.0}
_COUNTING = 8.0
#: Passes that a run in the schedule `layer` takes, whatever T; one in `stream` takes T.
_LAYER_RUN = 2.0


class BudgetError(Exception):
    """Passes or minutes are used up."""


@dataclass
class Tried:
    """A setting, its network, and what is known of it so far.

    Attributes:
        options: those that the search chose.
        layers: neuron layers of its network.
        session: the network; None once nothing more is asked of it, so that few are held.
        energy: the ANN's is 1.
        latency: timesteps until the output is there, where a neuron layer takes one.
        loss, error: points and their standard error; None until they are measured.
        changed: percent of answers.
        verdict: what became of it.
    """

    options: Options
    layers: int
    session: SpikingSession | None
    energy: float
    latency: int
    loss: float | None = None
    error: float | None = None
    changed: float | None = None
    verdict: str = "not the best"

    @property
    def lost(self) -> float:
        """Points; infinitely many where nobody has measured."""
        return float("inf") if self.loss is None else self.loss

    def trial(self, *, chosen: bool) -> Trial:
        """What there is to tell."""
        return Trial(
            describe(self.options),
            self.options,
            self.energy,
            self.latency,
            self.loss,
            self.error,
            self.changed,
            self.verdict,
            chosen=chosen,
        )


class Trials:
    """All settings that were tried.

    Args:
        source: the ANN.
        dataset: all calibration samples; half of them, at most, calibrate settings, the others judge them.
        aim: what the search aims at.
        given: the options that the user has given.
        progress: called with the share of the passes that are used up.

    Raises:
        DataError: fewer than two samples.
    """

    def __init__(
        self,
        source: onnx.ModelProto,
        dataset: Dataset,
        aim: Aim,
        given: Mapping[str, Any],
        progress: Progress | None,
    ) -> None:
        if len(dataset) < 2:
            raise DataError(
                f"{dataset.source}: expected at least 2 samples to choose options by, half of which are held "
                f"back, found {len(dataset)}; give more"
            )
        self.source, self.aim, self.given, self._progress = source, aim, dict(given), progress
        self.samples = len(dataset)
        seen, held_back = dataset.halves()
        self.held_back = _at_most(held_back, _HELD_BACK)
        most = min(_CALIBRATED, max(_FEW, len(dataset) // _SHARE))
        self.candidates = Candidates(source, _at_most(seen, most))
        self._batch_size = int(self.given.get("batch_size", CompileOptions.batch_size))
        self._started = time.monotonic()
        self.passes = 0.0
        self.all: list[Tried] = []
        self.meter: LossMeter | TaskLoss | JointLoss | None = None

    def measure(self, options: Options) -> Tried:
        """A setting's network and energy; what was tried before is not converted again.

        Raises:
            BudgetError: it would take too long.
        """
        for tried in self.all:
            if tried.options == options:
                return tried
        self._check_budget(options)
        session = self._session(options)
        counted = _at_most(self.held_back, _COUNTED)
        figures = evaluate(session, counted, [session.timesteps], batch_size=self._batch_size, warnings=())
        self.spend(_TRIAL[options["schedule"]] * len(self.candidates.calibration))
        self.spend(_COUNTING * len(counted))
        energy = float(figures.energy.ratio[0] or 0.0)
        layers = len(session.neurons)
        tried = Tried(options, layers, session, energy, latency(options, layers))
        self.all.append(tried)
        logger.info("search: %s: energy %.3f", describe(options), tried.energy)
        return tried

    def lose(self, tried: Tried, bound: float = float("inf")) -> None:
        """Measure what a setting loses, on no more samples than it takes to see that it is too much."""
        if tried.loss is not None:
            return
        session = tried.session or self._session(tried.options)
        meter = self._meter(session)
        run = _LAYER_RUN if tried.options["schedule"] == "layer" else session.timesteps
        parts: list[Any] = []
        done, looked = 0, 0
        for batch, count in session.batches(self.held_back, self._batch_size):
            parts.extend(_read(meter, session.run(batch).outputs, batch, count))
            done += count
            self.spend(run * count)
            if done - looked >= _CHUNK and done < len(self.held_back):
                looked = done
                loss, error = meter.loss(_joined(meter, parts))
                if loss - _CLEAR * error > bound:
                    break
        found = _joined(meter, parts)
        tried.loss, tried.error = meter.loss(found)
        tried.changed = meter.changed(found)
        tried.session = None

    def _session(self, options: Options) -> SpikingSession:
        """A setting's network, without the refit: that takes longest, and loses about as much or less."""
        refit = {"refit": False} if options["schedule"] == "layer" else {}
        return self.candidates.session(self.given | options | refit)

    def convert_all(self, options: Mapping[str, Any]) -> None:
        """Count the last conversion, on all samples."""
        self.spend(_CONVERSION[options["schedule"]] * self.samples)

    def spend(self, samples: float) -> None:
        """Count the samples that the ANN could have run on in the same time."""
        self.passes += samples / self.samples
        if self._progress is not None:
            self._progress("search", min(self.passes / PASSES, 1.0))

    def _meter(self, session: SpikingSession) -> LossMeter | TaskLoss | JointLoss:
        """What knows the ANN's answers; made with the first network, which knows the batches."""
        if self.meter is None:
            engine, names = make_engine(self.source), session.artifact.outputs
            judged = self.held_back
            if self.aim.loss_measure == "agreement":
                judged = replace(judged, labels=None, targets=None)
            judge: Judge | None = None
            joint: JointLoss | None = None
            parts: list[tuple[dict[str, Any], int]] = []
            for batch, count in session.batches(self.held_back, self._batch_size):
                given = engine.run(batch)
                given = {name: given[name] for name in names}
                if not parts:
                    judge = open_judge(self.aim.asked, session.artifact, judged, batch, given)
                    if not self._bounds(judge, known=True):
                        joint = JointLoss.over(session, given, _samples(batch), self.aim)
                parts.append((given, count))
                if joint is not None:
                    joint.expect(_read(joint, given, batch, count))
            self.spend(len(self.held_back))
            if joint is not None:
                self.meter = joint
            elif judge is not None and self._bounds(judge):
                self.meter = TaskLoss(judge, join([judge.read(*part) for part in parts]))
            else:
                scores = [outputs[names[0]][:count] for outputs, count in parts]
                self.meter = LossMeter(np.concatenate(scores), self.held_back, self.aim)
        return self.meter

    def _bounds(self, judge: Judge | None, *, known: bool = False) -> bool:
        """Whether the bound is in the task's measure; with `known` whether labels or the user name it."""
        if judge is None or not can_bound(judge) or self.aim.loss_measure == "accuracy":
            return False
        return not known or self.aim.task != AUTO or judge.truth is not None

    def _check_budget(self, options: Options) -> None:
        """Stop before what would not fit; one setting always does."""
        minutes = self.aim.search_minutes
        if not self.all:
            return
        if minutes is not None and time.monotonic() - self._started > 60 * minutes:
            raise BudgetError(f"{minutes:g} minutes are over")
        run = _LAYER_RUN if options["schedule"] == "layer" else options["timesteps"]
        samples = _TRIAL[options["schedule"]] * len(self.candidates.calibration)
        samples += _COUNTING * _COUNTED + run * len(self.held_back)
        if self.passes + samples / self.samples + max(_CONVERSION.values()) > PASSES:
            raise BudgetError(f"{PASSES} passes of the ANN are used up")


def _read(
    meter: LossMeter | TaskLoss | JointLoss, outputs: Mapping[str, Any], batch: Mapping[str, Any], count: int
) -> list[Any]:
    """What a meter judges of the first samples of a batch."""
    if isinstance(meter, JointLoss):
        return meter.read(outputs, count, _samples(batch))
    return [meter.read(outputs, count)]


def _joined(meter: LossMeter | TaskLoss | JointLoss, parts: list[Any]) -> Any:
    """What was read of batches as if of one."""
    return parts if isinstance(meter, JointLoss) else join(parts)


def _samples(batch: Mapping[str, Any]) -> int:
    return len(next(iter(batch.values())))


def latency(options: Mapping[str, Any], layers: int) -> int:
    """Timesteps until the output is there, if a neuron layer hears the one before it a timestep later.

    In `layer` each of the layers waits for all T timesteps of the one before; in `stream` none does.
    """
    depth, steps = max(layers, 1), int(options["timesteps"])
    return depth * steps if options["schedule"] == "layer" else depth + steps - 1


def _at_most(dataset: Dataset, most: int) -> Dataset:
    """So many samples of a data set at most, evenly."""
    return dataset.every(-(-len(dataset) // most)) if len(dataset) > most else dataset
