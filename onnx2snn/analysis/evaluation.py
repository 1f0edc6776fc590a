"""Run a spiking network over a data set: accuracy, agreement with the ANN, spikes, energy, speed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx

from onnx2snn.analysis.early_exit import ExitFigures, ExitTally
from onnx2snn.analysis.energy import Activity, Energy, EnergyModel, estimate_energy
from onnx2snn.analysis.judging import Judge, Measured, open_judge
from onnx2snn.artifact.artifact import input_specs
from onnx2snn.artifact.output_errors import OutputErrors, OutputFigures, distance, output_figures
from onnx2snn.artifact.outputs import OutputSpec
from onnx2snn.artifact.spike_bits import bits_convention, spike_bits
from onnx2snn.checks.findings import examine_network
from onnx2snn.data.readers import Dataset, InputSpec
from onnx2snn.engine.engines import Engine, make_engine
from onnx2snn.errors import DataError, ModelError, OptionError
from onnx2snn.exits.rule import ExitRule
from onnx2snn.model.file import digest, load_model
from onnx2snn.records import Record
from onnx2snn.runtime.results import Checkpoint, Work
from onnx2snn.runtime.session import SpikingSession
from onnx2snn.tasks.asked import Asked
from onnx2snn.tasks.classify import FIRST

Array = npt.NDArray[Any]
_EMPTY = "expected at least one sample, found none; give data to evaluate on"


@dataclass(frozen=True)
class Reference:
    """The ANN that a spiking network is compared with.

    Attributes:
        source: its file, for messages.
        engine: what runs it.
        inputs: name of each of its inputs → that of the network's input that feeds it.
        output: name of its output that stands for the network's first.
        outputs: name of each of the network's outputs → that of its output that stands for it.
        varying: whether the shape of the first one depends on its values.
    """

    source: str
    engine: Engine
    inputs: Mapping[str, str]
    output: str
    outputs: Mapping[str, str] = field(default_factory=dict)
    varying: bool = False

    def run_all(
        self, feeds: Mapping[str, Array], outputs: Mapping[str, Array] | None = None
    ) -> dict[str, Array]:
        """All of the ANN's outputs for a batch, by the network's names, beside the network's.

        Raises:
            ModelError: a first output of another shape than the network's.
        """
        found = self.engine.run({mine: feeds[its] for mine, its in self.inputs.items()})
        if outputs is not None:
            self._check(found[self.output], next(iter(outputs.values())))
        return {name: found[mine] for name, mine in self.outputs.items()}

    def run(self, feeds: Mapping[str, Array], scores: Array) -> Array:
        """The ANN's scores of a batch, beside the network's.

        Raises:
            ModelError: scores of another shape than the network's.
        """
        found = self.engine.run({mine: feeds[its] for mine, its in self.inputs.items()})[self.output]
        return self._check(found, scores)

    def _check(self, found: Array, scores: Array) -> Array:
        if found.shape != scores.shape and not (self.varying and found.ndim == scores.ndim):
            raise ModelError(
                f"{self.source}: output '{self.output}': expected shape {list(scores.shape)} as in the "
                f"spiking network, found {list(found.shape)}; give the ANN that it was compiled from"
            )
        return found


def open_reference(path: str | Path, session: SpikingSession) -> Reference:
    """Load the ANN to compare a network with.

    Raises:
        ModelError: no model, or not the one that the network was compiled from.
    """
    model = load_model(path)
    check_source(path, model, session)
    specs = {spec.name: spec for spec in input_specs(model)}
    inputs = _pair(f"{path}: inputs", list(specs), [spec.name for spec in session.inputs])
    outputs = _pair(f"{path}: outputs", [o.name for o in model.graph.output], session.artifact.outputs)
    for theirs in session.inputs:
        mine = specs[inputs[theirs.name]]
        fits = len(mine.shape) == len(theirs.shape) and all(
            size in (None, other) for size, other in zip(mine.shape, theirs.shape, strict=True)
        )
        if mine.dtype != theirs.dtype or not fits:
            raise ModelError(
                f"{path}: input '{mine.name}': expected {_describe(theirs)} as in the spiking network, "
                f"found {_describe(mine)}; give the ANN that it was compiled from"
            )
    names, first = {mine: theirs for theirs, mine in inputs.items()}, session.artifact.outputs[0]
    varying = session.outputs[first].varying
    return Reference(str(path), make_engine(model), names, outputs[first], outputs, varying)


def check_source(path: str | Path, model: onnx.ModelProto, session: SpikingSession) -> None:
    """Make sure that a network was compiled from an ANN, where the network says from which.

    Raises:
        ModelError: it was compiled from another.
    """
    known, found = session.artifact.record.source_sha256, digest(model)
    if known not in (None, found):
        raise ModelError(
            f"{path}: expected the ANN that the network was compiled from (sha256 {known[:12]}…), found "
            f"another (sha256 {found[:12]}…); give that one, or compile the network again from this one"
        )


def _pair(where: str, found: Sequence[str], expected: Sequence[str]) -> dict[str, str]:
    """Which of the names found stands for each expected one: the same, or the only one for the only one."""
    if len(found) == len(expected) == 1:
        return {expected[0]: found[0]}
    if set(found) != set(expected):
        raise ModelError(
            f"{where}: expected {', '.join(expected)} as in the spiking network, "
            f"found {', '.join(found) or 'none'}; give the ANN that it was compiled from"
        )
    return {name: name for name in expected}


def _describe(spec: InputSpec) -> str:
    return f"{spec.dtype} [{', '.join('any' if size is None else str(size) for size in spec.shape)}]"


@dataclass(frozen=True)
class Evaluation(Record):
    """Figures of a network over a data set; lists have one entry for each number of timesteps.

    Attributes:
        samples: how many.
        timesteps: the numbers.
        accuracy: None without labels, or where the task is not to classify.
        agreement: share of samples with the ANN's answer; None without a reference, or as above.
        output_error: relative L2 distance from the ANN's output; None without a reference, and of whole
            numbers.
        reference_accuracy: the ANN's.
        spikes_per_sample: of all neurons.
        spikes_by_neuron: neuron layer → spikes a sample, at the last number of timesteps.
        synaptic_operations_per_sample: spikes times connections.
        samples_per_second: without the counting.
        energy: estimated.
        early_exit: what one gives, where that was asked for.
        uncounted: layers that read values which change but are no spikes: charged as MACs.
        task: what the outputs were taken for; empty where that is not known.
        measures: the task's figures against the labels, by name; empty without.
        agreement_measures: the same figures against the ANN's outputs in the place of labels.
        reference_measures: the ANN's own against the labels.
        by_output: after the last timestep, figures of each class, label or output: against the labels, or
            else against the ANN.
        warnings: what cannot be right about the data.
        outputs: against a reference, where there are several outputs or whole numbers: what each is off by
            after the last timestep, and all of them jointly: see `onnx2snn.artifact.output_errors`.
    """

    samples: int
    timesteps: list[int]
    accuracy: list[float | None]
    agreement: list[float | None]
    output_error: list[float | None]
    reference_accuracy: float | None
    spikes_per_sample: list[float]
    spikes_by_neuron: dict[str, float]
    synaptic_operations_per_sample: list[float]
    samples_per_second: list[float]
    energy: Energy
    early_exit: ExitFigures | None = None
    uncounted: list[str] = field(default_factory=list)
    task: str = ""
    measures: dict[str, list[float | None]] = field(default_factory=dict)
    agreement_measures: dict[str, list[float | None]] = field(default_factory=dict)
    reference_measures: dict[str, float | None] = field(default_factory=dict)
    by_output: dict[str, list[float | None]] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    outputs: OutputFigures | None = None


class _Tally:
    """Sums over the samples seen so far, one entry for each number of timesteps.

    Args:
        timesteps: these numbers.
        bits: neuron → bits of a spike.
        outputs: what they hold, the answer first.
    """

    def __init__(
        self, timesteps: list[int], bits: Mapping[str, int], outputs: Mapping[str, OutputSpec]
    ) -> None:
        count = len(timesteps)
        self.samples, self.timesteps = 0, timesteps
        self.outputs = OutputErrors(outputs)
        self._answer = next(iter(outputs.values()))
        self.bits = np.zeros(count)
        self._bits_of = bits
        self.error = np.zeros(count)
        self.reference_norm = 0.0
        self.spikes = np.zeros(count)
        self.operations = np.zeros(count)
        self.events = np.zeros(count)
        self.seconds = np.zeros(count)
        self.spikes_by_neuron: dict[str, float] = {}

    def add(
        self,
        checkpoints: Sequence[Checkpoint],
        reference: Mapping[str, Array] | None,
        count: int,
        samples: int,
    ) -> None:
        """Add a batch of `count` samples; what the checkpoints hold beyond them fills it up and is left out.

        `reference`, the ANN's outputs of all `samples` of the batch, is None where there is none.
        """
        self.samples += count
        answer, wanted = self._answer, None
        if reference is not None:
            self.outputs.add(checkpoints[-1].outputs, reference, count, samples)
        if reference is not None and not answer.counts:
            wanted = answer.first(reference[answer.name], count, samples)
            self.reference_norm += distance(wanted, wanted, equal=False)[1]
        for index, point in enumerate(checkpoints):
            if wanted is not None:
                mine = answer.first(point.outputs[answer.name], count, samples)
                self.error[index] += distance(mine, wanted, equal=False)[0]
            spikes = {name: int(sent[:count].sum()) for name, sent in point.spikes.items()}
            self.spikes[index] += sum(spikes.values())
            self.bits[index] += sum(sent * self._bits_of[name] for name, sent in spikes.items())
            self.operations[index] += sum(int(n[:count].sum()) for n in point.synaptic_operations.values())
            self.events[index] += sum(int(n[:count].sum()) for n in point.synaptic_events.values())
            self.seconds[index] += point.seconds
        for name, sent in checkpoints[-1].spikes.items():
            self.spikes_by_neuron[name] = self.spikes_by_neuron.get(name, 0.0) + float(sent[:count].sum())


def evaluate(
    session: SpikingSession,
    dataset: Dataset,
    timesteps: Sequence[int],
    reference: Reference | None = None,
    *,
    batch_size: int = 64,
    early_exit: ExitRule | None = None,
    energy_model: EnergyModel | None = None,
    asked: Asked | None = None,
    warnings: Sequence[str] | None = None,
    progress: Callable[[int], None] | None = None,
) -> Evaluation:
    """Evaluate a network by its answer over a data set, after each of several numbers of timesteps.

    Args:
        session: the spiking network.
        dataset: samples, with labels where they are to be judged by those.
        timesteps: numbers of timesteps to report; each sample is run once, to the largest.
        reference: the ANN, to be judged by the labels as well, and for the agreement.
        batch_size: samples a batch, unless the model's batch is fixed.
        early_exit: also measure what it gives, with at most the largest of `timesteps`.
        energy_model: what operations take; the default one if None.
        asked: what the task is, and how outputs are read; None: what output and labels tell.
        warnings: what checks have said of the data; they are asked here if None.
        progress: called with the number of samples done after each batch.

    Raises:
        DataError: labels of another task, or past the output's classes.
        OptionError: outputs that have not the task, or that tell not when a sample is decided.
        ModelError: a reference whose output has another shape.
    """
    said = _examined(session, dataset, reference) if warnings is None else list(warnings)
    wanted, output = sorted(set(timesteps)), session.artifact.outputs[0]
    tally = _Tally(wanted, spike_bits(session.artifact), session.outputs)
    every = wanted if early_exit is None else range(1, wanted[-1] + 1)
    exits: ExitTally | None = None
    measured: Measured | None = None
    work: Work | None = None
    for batch, count in session.batches(dataset, batch_size):
        points = session.run_counted(batch, every)
        checkpoints = [point for point in points if point.timesteps in wanted]
        found = checkpoints[-1].outputs
        if measured is None:
            judge = _judge(session, dataset, reference, asked or Asked(), batch, found, batch_size)
            measured = Measured(judge, len(wanted))
            exits = _open_exits(session, early_exit, wanted[-1], judge, found[output])
        expected = None if reference is None else reference.run_all(batch, found)
        measured.add([point.outputs for point in checkpoints], expected, count)
        tally.add(checkpoints, expected, count, len(next(iter(batch.values()))))
        if exits is not None:
            exits.add(batch, points, expected, count)
        work = work or session.work_per_sample(batch)
        if progress is not None:
            progress(tally.samples)
    if work is None or measured is None:
        raise DataError(f"{dataset.source}: {_EMPTY}")
    energy = estimate_energy(work, _activity(tally, session), energy_model)
    given = None if exits is None else exits.figures(work, energy_model)
    return replace(_figures(session, tally, energy, measured, given), warnings=said)


def _examined(session: SpikingSession, dataset: Dataset, reference: Reference | None) -> list[str]:
    """What checks say of the data."""
    file = None if reference is None else reference.source
    return examine_network(dataset, session.artifact.record, file)


def _judge(
    session: SpikingSession,
    dataset: Dataset,
    reference: Reference | None,
    asked: Asked,
    batch: Mapping[str, Array],
    found: Mapping[str, Array],
    batch_size: int,
) -> Judge | None:
    """Who judges; where the ANN's images are the truth, a pass of it tells their range."""
    judge = open_judge(asked, session.artifact, dataset, batch, found)
    if judge is None or reference is None or judge.truth is not None:
        return judge
    return judge.with_range(
        judge.read(reference.run_all(feeds), count) for feeds, count in session.batches(dataset, batch_size)
    )


def _open_exits(
    session: SpikingSession, rule: ExitRule | None, timesteps: int, judge: Judge | None, scores: Array
) -> ExitTally | None:
    """What measures an early exit, if there is one and the first output tells when a sample is decided."""
    if rule is None:
        return None
    if rule.needs_scores:
        session.check_scores(scores)
        if judge is None or not judge.task.decides:
            name = "another" if judge is None else judge.task.name
            raise OptionError(
                f"--early-exit: expected a task with class scores, whose {rule.criterion} tells when one is "
                f"decided, found {name}; give change:0.01, say, which any output has"
            )
    return ExitTally(session, rule, timesteps, judge)


def _figures(
    session: SpikingSession,
    tally: _Tally,
    energy: Energy,
    measured: Measured,
    early_exit: ExitFigures | None,
) -> Evaluation:
    """What follows from the sums over all samples alone."""
    timesteps = tally.timesteps
    samples, norm = tally.samples, np.sqrt(tally.reference_norm)
    nothing: list[float | None] = [None] * len(timesteps)
    right, agreeing, ann = measured.right, measured.agreeing, measured.reference
    return Evaluation(
        samples=samples,
        timesteps=timesteps,
        accuracy=right.get(FIRST, nothing),
        agreement=agreeing.get(FIRST, nothing),
        output_error=(np.sqrt(tally.error) / norm).tolist() if norm else nothing,
        reference_accuracy=ann.get(FIRST),
        spikes_per_sample=(tally.spikes / samples).tolist(),
        spikes_by_neuron={name: count / samples for name, count in tally.spikes_by_neuron.items()},
        synaptic_operations_per_sample=energy.synaptic_operations_per_sample,
        samples_per_second=(samples / tally.seconds).tolist(),
        energy=energy,
        early_exit=early_exit,
        uncounted=list(session.uncounted),
        task=measured.task,
        measures=right,
        agreement_measures=agreeing,
        reference_measures=ann,
        by_output=measured.by_output,
        outputs=output_figures(tally.outputs, session.outputs) if tally.outputs.known else None,
    )


def _activity(tally: _Tally, session: SpikingSession) -> Activity:
    """What spikes did for a sample."""
    operations, events, bits = (
        (sums / tally.samples).tolist() for sums in (tally.operations, tally.events, tally.bits)
    )
    artifact = session.artifact
    return Activity(
        tally.timesteps, operations, events, bits, bits_convention(artifact), graded=artifact.sums
    )
