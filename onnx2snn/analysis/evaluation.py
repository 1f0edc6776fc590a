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
from onnx2snn.artifact.artifact import input_specs
from onnx2snn.artifact.output_errors import OutputErrors, OutputFigures, distance, output_figures
from onnx2snn.artifact.outputs import OutputSpec
from onnx2snn.artifact.spike_bits import bits_convention, spike_bits
from onnx2snn.data.labels import check_labels
from onnx2snn.data.readers import Dataset, InputSpec
from onnx2snn.engine.engines import Engine, make_engine
from onnx2snn.errors import DataError, ModelError
from onnx2snn.exits.rule import ExitRule
from onnx2snn.model.file import digest, load_model
from onnx2snn.records import Record
from onnx2snn.runtime.results import Checkpoint, Work
from onnx2snn.runtime.session import SpikingSession

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Reference:
    """The ANN that a spiking network is compared with.

    Attributes:
        source: its file, for messages.
        engine: what runs it.
        inputs: name of each of its inputs → that of the network's input that feeds it.
        output: name of its output that stands for the network's first.
        outputs: name of each of the network's outputs → that of its output that stands for it.
    """

    source: str
    engine: Engine
    inputs: Mapping[str, str]
    output: str
    outputs: Mapping[str, str] = field(default_factory=dict)

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
        if found.shape != scores.shape:
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
    names = {mine: theirs for theirs, mine in inputs.items()}
    first = outputs[session.artifact.outputs[0]]
    return Reference(str(path), make_engine(model), names, first, outputs)


def check_source(path: str | Path, model: onnx.ModelProto, session: SpikingSession) -> None:
    """Make sure that a network was compiled from an ANN, where the network says from which.

    Raises:
        ModelError: it was compiled from another.
    """
    known, found = session.artifact.metadata.get("source_sha256"), digest(model)
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
        accuracy: None without labels, or where the answer is not [N, classes], nor whole numbers [N].
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
    outputs: OutputFigures | None = None


class _Tally:
    """Sums over the samples seen so far, one entry for each number of timesteps.

    Args:
        count: of these numbers.
        bits: neuron → bits of a spike.
        outputs: what they hold, the answer first.
    """

    def __init__(self, count: int, bits: Mapping[str, int], outputs: Mapping[str, OutputSpec]) -> None:
        self.samples = 0
        self.outputs = OutputErrors(outputs)
        self._answer = next(iter(outputs.values()))
        self.bits = np.zeros(count)
        self._bits_of = bits
        self.correct = np.zeros(count)
        self.agreeing = np.zeros(count)
        self.reference_correct = 0
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
        labels: Array | None,
        reference: Mapping[str, Array] | None,
        count: int,
        samples: int,
    ) -> None:
        """Add a batch of `count` samples; what the checkpoints hold beyond them fills it up and is left out.

        `labels` [count] and `reference`, the ANN's outputs of all `samples` of the batch, are None where
        there are none.
        """
        self.samples += count
        answer, expected = self._answer, None
        if reference is not None:
            expected = answer.answers(reference[answer.name], samples)
            self.outputs.add(checkpoints[-1].outputs, reference, count, samples)
            wanted = answer.first(reference[answer.name], count, samples)
            self.reference_norm += 0.0 if answer.counts else distance(wanted, wanted, equal=False)[1]
        if labels is not None and expected is not None:
            self.reference_correct += int((expected[:count] == labels).sum())
        for index, point in enumerate(checkpoints):
            values = point.outputs[answer.name]
            found = answer.answers(values, samples)
            if labels is not None and found is not None:
                self.correct[index] += (found[:count] == labels).sum()
            if reference is not None:
                if not answer.counts:
                    mine = answer.first(values, count, samples)
                    self.error[index] += distance(mine, wanted, equal=False)[0]
                if found is not None and expected is not None:
                    self.agreeing[index] += (found[:count] == expected[:count]).sum()
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
    progress: Callable[[int], None] | None = None,
) -> Evaluation:
    """Evaluate a network by its answer over a data set, after each of several numbers of timesteps.

    Args:
        session: the spiking network.
        dataset: samples, with labels where accuracy is wanted.
        timesteps: numbers of timesteps to report; each sample is run once, to the largest.
        reference: the ANN, for its accuracy and for the agreement.
        batch_size: samples a batch, unless the model's batch is fixed.
        early_exit: also measure what it gives, with at most the largest of `timesteps`.
        energy_model: what operations take; the default one if None.
        progress: called with the number of samples done after each batch.

    Raises:
        DataError: labels past the output's classes.
        ModelError: a reference whose output has another shape.
    """
    wanted = sorted(set(timesteps))
    output = session.artifact.outputs[0]
    tally = _Tally(len(wanted), spike_bits(session.artifact), session.outputs)
    exits = None if early_exit is None else ExitTally(session, early_exit, wanted[-1])
    every = wanted if exits is None else range(1, wanted[-1] + 1)
    work: Work | None = None
    answers = False
    for batch, count in session.batches(dataset, batch_size):
        points = session.run_counted(batch, every)
        checkpoints = [point for point in points if point.timesteps in wanted]
        scores, samples = checkpoints[-1].outputs[output], len(next(iter(batch.values())))
        answers = session.outputs[output].answers(scores, samples) is not None
        classes = scores.shape[1] if session.outputs[output].has_scores(scores, samples) else 0
        labels = _labels(dataset, slice(tally.samples, tally.samples + count), output, classes)
        expected = None if reference is None else reference.run_all(batch, checkpoints[-1].outputs)
        tally.add(checkpoints, labels, expected, count, samples)
        if exits is not None:
            session.check_scores(scores, samples)
            exits.add(batch, points, labels, None if expected is None else expected[output][:count], count)
        work = work or session.work_per_sample(batch)
        if progress is not None:
            progress(tally.samples)
    if work is None:
        raise DataError(
            f"{dataset.source}: expected at least one sample, found none; give data to evaluate on"
        )
    labelled, compared = dataset.labels is not None and answers, reference is not None
    energy = estimate_energy(work, _activity(tally, wanted, session), energy_model)
    evaluation = _figures(tally, wanted, energy, labelled=labelled, compared=compared, classes=answers)
    given = None if exits is None else exits.figures(work, energy_model, labelled=labelled, compared=compared)
    outputs = output_figures(tally.outputs, session.outputs) if compared else None
    return replace(evaluation, early_exit=given, uncounted=list(session.uncounted), outputs=outputs)


def _figures(
    tally: _Tally,
    timesteps: list[int],
    energy: Energy,
    *,
    labelled: bool,
    compared: bool,
    classes: bool,
) -> Evaluation:
    """What follows from the sums over all samples alone."""
    samples, norm = tally.samples, np.sqrt(tally.reference_norm)
    nothing: list[float | None] = [None] * len(timesteps)
    return Evaluation(
        samples=samples,
        timesteps=timesteps,
        accuracy=(tally.correct / samples).tolist() if labelled else nothing,
        agreement=(tally.agreeing / samples).tolist() if compared and classes else nothing,
        output_error=(np.sqrt(tally.error) / norm).tolist() if compared and norm else nothing,
        reference_accuracy=tally.reference_correct / samples if labelled and compared else None,
        spikes_per_sample=(tally.spikes / samples).tolist(),
        spikes_by_neuron={name: count / samples for name, count in tally.spikes_by_neuron.items()},
        synaptic_operations_per_sample=energy.synaptic_operations_per_sample,
        samples_per_second=(samples / tally.seconds).tolist(),
        energy=energy,
    )


def _activity(tally: _Tally, timesteps: list[int], session: SpikingSession) -> Activity:
    """What spikes did for a sample."""
    operations, events, bits = (
        (sums / tally.samples).tolist() for sums in (tally.operations, tally.events, tally.bits)
    )
    artifact = session.artifact
    return Activity(timesteps, operations, events, bits, bits_convention(artifact), graded=artifact.sums)


def _labels(dataset: Dataset, batch: slice, output: str, classes: int) -> Array | None:
    """The labels of a batch, which must be classes of the output; None where there are none."""
    if dataset.labels is None:
        return None
    if classes:
        check_labels(dataset, output, classes)
    labels: Array = dataset.labels[batch]
    return labels
