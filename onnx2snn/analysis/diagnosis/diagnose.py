"""Diagnose a spiking network: how far every neuron layer is from the ANN's activation, and why."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx

from onnx2snn.analysis.diagnosis.components import (
    COMPONENTS,
    Expansion,
    LayerTally,
    Levels,
    Observation,
    levels_of,
)
from onnx2snn.analysis.diagnosis.figures import Diagnosis, LayerDiagnosis, OutputDiagnosis
from onnx2snn.analysis.diagnosis.reference import Activity, PreparedReference
from onnx2snn.analysis.diagnosis.verdict import (
    dead_channels,
    find_faults,
    own_error,
    saturated_channels,
    summarise,
)
from onnx2snn.artifact.output_errors import OutputErrors, output_figures
from onnx2snn.artifact.probe_graphs import ExactNeuron, holds_half
from onnx2snn.artifact.records import NeuronRecord
from onnx2snn.checks.findings import examine_network
from onnx2snn.data.labels import check_labels
from onnx2snn.data.readers import Dataset
from onnx2snn.errors import DataError, ModelError, OptionError
from onnx2snn.graph.channels import along_axis
from onnx2snn.graph.rectifiers import IDENTITY, Rectifier
from onnx2snn.graph.tail import filled_up
from onnx2snn.runtime.probing import Recording
from onnx2snn.runtime.session import SpikingSession

Array = npt.NDArray[Any]

#: Layers that the verdict speaks of.
_WORST = 3


def diagnose(
    session: SpikingSession,
    reference: PreparedReference,
    dataset: Dataset,
    *,
    timesteps: int | None = None,
    batch_size: int = 64,
    warnings: Sequence[str] | None = None,
    progress: Callable[[float], None] | None = None,
) -> Diagnosis:
    """Run network and ANN on the same samples and take the error apart, layer by layer.

    Args:
        session: the spiking network.
        reference: the ANN that it was compiled from.
        dataset: samples; with labels the accuracy is given.
        timesteps: T; as compiled by default.
        batch_size: samples a batch, unless the model's batch is fixed.
        warnings: what checks have said of the data; they are asked here if None, but for the ANN.
        progress: called with the share of the work that is done.

    Raises:
        OptionError: a network of integers; timesteps that are none.
        ModelError: NaN or infinity in either network.
        DataError: no samples, or labels past the classes.
    """
    if not all(map(session.artifact.parameters, session.artifact.neurons)):  # one of integers has no θ
        raise OptionError(
            "diagnose: expected a network of floats, found --weights int8, whose currents are rounded before "
            "they can be seen; compile it without and diagnose that"
        )
    if warnings is None:
        warnings = examine_network(dataset, session.artifact.record, None)
    diagnosis = _Diagnosis(session, reference, session.timesteps if timesteps is None else timesteps)
    for batch, count in session.batches(dataset, batch_size):
        labels = None if dataset.labels is None else dataset.labels[diagnosis.samples :][:count]
        diagnosis.add(batch, count, dataset, labels, progress)
    if not diagnosis.samples:
        raise DataError(
            f"{dataset.source}: expected at least one sample, found none; give data to diagnose on"
        )
    return replace(diagnosis.figures(labelled=dataset.labels is not None), warnings=list(warnings))


class _Diagnosis:
    """The samples seen so far."""

    def __init__(self, session: SpikingSession, reference: PreparedReference, timesteps: int) -> None:
        self._session, self._reference, self._timesteps = session, reference, timesteps
        self._specs = session.outputs
        self._answer = next(iter(self._specs.values()))
        self._errors = OutputErrors(self._specs)
        options, self._sums = session.artifact.record.options, session.artifact.sums
        # A graded neuron's correction stands before its activation: what that makes of it is no constant.
        self._refitted = bool(
            options.get("correct_bias")
            and (self._sums or (options.get("schedule") == "layer" and options.get("refit")))
        )
        self._neurons = {neuron.name: neuron for neuron in session.artifact.neurons}
        self._exact: dict[str, ExactNeuron] = {}
        self._levels: dict[str, Levels | Expansion] = {}
        self._tallies: dict[str, LayerTally] = {}
        self._corrections: dict[str, Array] = {}
        self._sizes: dict[str, int] = {}
        self._spikes = dict.fromkeys(self._neurons, 0)
        self._agreeing = {what: dict.fromkeys(self._neurons, 0) for what in ("exact", "spiking")}
        self._moved = {
            what: {name: OutputErrors(self._specs) for name in self._neurons} for what in self._agreeing
        }
        self._agreement, self._correct, self._right, self._answers = 0, 0, 0, False
        self._outputs = dict.fromkeys(("error", "norm", "taught", "taught·error"), 0.0)
        self.samples = 0

    def add(
        self,
        feeds: dict[str, Array],
        count: int,
        dataset: Dataset,
        labels: Array | None,
        progress: Callable[[float], None] | None,
    ) -> None:
        """Run a batch in all ways that there are; what it holds beyond `count` samples only fills it up."""
        session, samples = self._session, len(next(iter(feeds.values())))

        def advance(share: float) -> None:
            if progress is not None:
                progress((self.samples + share * count) / len(dataset))

        (point,) = session.run_counted(feeds, [self._timesteps])
        ann = self._reference.run(feeds)
        seen = session.prober.record(feeds, self._timesteps)
        if not self._exact:
            self._prepare(seen, samples)
        told = {name: ann.after[name] / self._exact[name].unit for name in self._reference.kinds}
        untold = [exact for name, exact in self._exact.items() if name not in told]
        taught, given = session.prober.teach(feeds, told, untold)
        _check_finite(ann.outputs, seen.outputs)
        answers = self._score(dataset, labels, (ann.outputs, seen.outputs, given), count, samples)

        def judge(what: str, name: str, outputs: Mapping[str, Array]) -> None:
            if answers is not None:
                same = self._answer.answers(outputs[self._answer.name], samples)
                self._agreeing[what][name] += 0 if same is None else int((same[:count] == answers).sum())
            if self._jointly:
                self._moved[what][name].add(outputs, ann.outputs, count, samples)

        shifts = {}
        for number, name in enumerate(self._exact):
            seen_here = self._observe(name, ann, seen, taught)
            self._tallies[name].add(seen_here.map(lambda values: _first(values, count, samples)))
            shifts[name] = seen_here.before - seen_here.taught
            self._spikes[name] += int(point.spikes[name][:count].sum())
            if name in told:
                alone = self._levels[name].round(seen_here.before)
                judge("spiking", name, self._reference.outputs_with(name, alone, feeds))
            advance(0.5 * (number + 1) / len(self._exact))
        trials = session.prober.outputs_with_each(list(self._exact.values()), feeds, shifts, self._timesteps)
        for name, outputs in zip(self._exact, trials, strict=True):
            judge("exact", name, outputs)
        self.samples += count

    @property
    def _jointly(self) -> bool:
        """Whether more, or less, is to be judged than the answers of one output."""
        return len(self._specs) > 1 or not self._answers

    def figures(self, *, labelled: bool) -> Diagnosis:
        """Of all samples."""
        classes, samples = self._answers, self.samples
        layers = [self._layer(name, classes=classes) for name in self._neurons]
        missing = [name for name in self._neurons if name not in self._reference.kinds]
        why = "the compiler put it in; compared with an exact neuron fed with the ANN's activations"
        diagnosis = Diagnosis(
            samples,
            self._timesteps,
            self._session.artifact.schedule,
            accuracy=self._correct / samples if labelled and classes else None,
            reference_accuracy=self._right / samples if labelled and classes else None,
            agreement=self._agreement / samples if classes else None,
            output=self._output_figures(),
            worst=[layer.layer for layer in sorted(layers, key=lambda layer: -layer.own_error)[:_WORST]],
            layers=layers,
            not_compared=dict.fromkeys(missing, why),
            outputs=output_figures(self._errors, self._specs),
        )
        return replace(diagnosis, verdict=summarise(diagnosis))

    def _output_figures(self) -> OutputDiagnosis:
        sums, tiny = self._outputs, np.finfo(np.float64).tiny
        norm = max(sums["norm"], tiny)
        return OutputDiagnosis(
            self._answer.name,
            self._errors.errors[self._answer.name],
            float(np.sqrt(sums["taught"] / norm)),
            (2 * sums["taught·error"] - sums["taught"]) / max(sums["error"], tiny),
        )

    def _prepare(self, seen: Recording, samples: int) -> None:
        records = self._session.artifact.record.neurons
        for name, neuron in self._neurons.items():
            record = records.get(name)
            _check_age(neuron, record)
            axis, shape = self._reference.axes.get(name, 1), seen.sent[name].shape
            unit, self._corrections[name] = (
                _by_channel(name, part, given or [default], axis, shape)
                for part, given, default in (
                    ("unit", record and record.unit, 1.0),
                    ("correction", record and record.correction, 0.0),
                )
            )
            parameters = self._session.artifact.parameters(neuron)
            slope = parameters[0] if len(parameters) > 1 else None
            ceiling = None if record is None else record.clip
            kind = self._reference.kinds.get(name) or Rectifier(np.inf if ceiling is None else ceiling, slope)
            kind = IDENTITY if self._sums else kind
            self._exact[name] = ExactNeuron(name, kind, unit)
            levels = levels_of(neuron, parameters, unit, self._timesteps)
            self._levels[name] = levels
            self._tallies[name] = LayerTally(kind, levels, axis, refitted=self._refitted)
            self._sizes[name] = seen.sent[name].size // samples

    def _score(
        self,
        dataset: Dataset,
        labels: Array | None,
        outputs: Sequence[Mapping[str, Array]],
        count: int,
        samples: int,
    ) -> Array | None:
        """Compare the outputs of the ANN, of the network, and of what is behind its neurons alone.

        Returns:
            The ANN's answers [count]; None where there are none.
        """
        answer = self._answer
        theirs, mine, _ = outputs
        self._errors.add(mine, theirs, count, samples)
        if not answer.counts:
            expected, found, taught = filled_up(
                *(answer.first(values[answer.name], count, samples) for values in outputs)
            )
            error, own = found - expected, taught - expected
            for name, product in {"error": error**2, "taught": own**2, "taught·error": own * error}.items():
                self._outputs[name] += float(product.sum())
            self._outputs["norm"] += float((expected**2).sum())
        right, answers = (answer.answers(values[answer.name], samples) for values in (theirs, mine))
        if right is None or answers is None:
            return None
        self._answers = True
        self._agreement += int((right == answers)[:count].sum())
        if labels is not None:
            if not answer.counts:
                check_labels(dataset, answer.name, theirs[answer.name].shape[1])
            self._correct += int((answers[:count] == labels).sum())
            self._right += int((right[:count] == labels).sum())
        return right[:count]

    def _observe(self, name: str, ann: Activity, seen: Recording, taught: Mapping[str, Array]) -> Observation:
        exact = self._exact[name]
        half = np.float32(0.5 if holds_half(self._neurons[name]) else 0.0)
        own, current = ((values[name] - half) * exact.unit for values in (taught, seen.currents))
        if not self._refitted:  # or the correction makes up for other weights, too
            own = own - self._corrections[name]
        before = ann.before.get(name, own)
        found = Observation(
            before=before,
            after=ann.after[name] if name in ann.after else exact.kind(before),
            taught=own,
            current=current,
            sent=seen.sent[name] * exact.unit,
            activity=seen.activity[name],
        )
        return found.map(lambda values: values.astype(np.promote_types(values.dtype, np.float32), copy=False))

    def _layer(self, name: str, *, classes: bool) -> LayerDiagnosis:
        tally, size = self._tallies[name], self._sizes[name]
        record = self._session.artifact.record.neurons.get(name)
        options = self._session.artifact.record.options
        spikes = self._spikes[name] / self.samples
        tiny = np.finfo(np.float64).tiny
        told = name in self._reference.kinds
        return LayerDiagnosis(
            name,
            self._neurons[name].op_type,
            None if record is None else record.max_spikes,
            channels=tally.channels,
            neurons=size,
            activation_rms=float(np.sqrt(tally.total("energy") / (self.samples * size))),
            error=tally.relative("error"),
            own_error=own_error(tally),
            components={part: tally.relative(part) for part in COMPONENTS},
            harm={part: tally.harm(part) for part in COMPONENTS},
            clipped_mass=tally.total("lost") / max(tally.total("mass"), tiny),
            saturated_channels=saturated_channels(tally),
            dead_channels=dead_channels(tally),
            firing_rate=spikes / (size * self._timesteps),
            spikes_per_sample=spikes,
            agreement_if_exact=self._agreeing["exact"][name] / self.samples if classes else None,
            agreement_if_only_spiking=self._agreeing["spiking"][name] / self.samples
            if classes and told
            else None,
            faults=find_faults(name, self._neurons[name].op_type, tally, options),
            exponents=None if record is None else record.exponents,
            outputs_if_exact=self._moved["exact"][name].joint if self._jointly else None,
            outputs_if_only_spiking=self._moved["spiking"][name].joint if self._jointly and told else None,
        )


def _by_channel(
    name: str, part: str, given: Sequence[float], axis: int | None, shape: tuple[int, ...]
) -> Array:
    """What the metadata says of a neuron's channels, so that it broadcasts."""
    vector = np.asarray(given, np.float32)
    if vector.size != 1 and axis is not None and vector.size != shape[axis]:
        raise ModelError(
            f"neuron '{name}': expected {part} in the metadata for 1 or {shape[axis]} channels, found "
            f"{vector.size}; compile again"
        )
    return along_axis(vector, axis, len(shape))


def _check_finite(*outputs: Mapping[str, Array]) -> None:
    for name, values in (item for each in outputs for item in each.items()):
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            raise ModelError(
                f"output '{name}': expected finite values, found NaN or Inf; check the preprocessing "
                "(--scale, --mean, --std) and the model"
            )


def _first(values: Array, count: int, samples: int) -> Array:
    """What belongs to the first samples of a batch; all of it where rows are no samples' own."""
    return values if len(values) % samples else values[: len(values) * count // samples]


def _check_age(neuron: onnx.NodeProto, record: NeuronRecord | None) -> None:
    if record is not None and (record.theta or "").endswith("/one") and record.unit is None:
        raise ModelError(
            f"neuron '{neuron.name}': expected what its spikes stand for in the metadata, found nothing, as "
            "an older version compiled the network; compile it again"
        )
