"""What was found, in words, and the few figures that matter most."""

from __future__ import annotations

from onnx2snn.analysis.diagnosis.figures import Diagnosis
from onnx2snn.analysis.evaluation import Evaluation
from onnx2snn.analysis.sweep import SHARES, Sweep
from onnx2snn.compiler.report import CompileReport
from onnx2snn.report import tables
from onnx2snn.report.content import Tile
from onnx2snn.report.measures import measure_named, quality_text, reached
from onnx2snn.report.subject import Subject
from onnx2snn.report.words import (
    count,
    file_name,
    joules,
    large,
    listed,
    percent,
    points,
    short,
    shown,
    timesteps,
)
from onnx2snn.tasks.classify import FIRST

#: Points below the best that are as good as it.
_AS_GOOD = 0.005


def summary(subject: Subject) -> list[str]:
    """Sentences, the most important first."""
    return _SUMMARIES[subject.command](subject)


def tiles(subject: Subject) -> list[Tile]:
    """Figures in large type."""
    return _TILES[subject.command](subject)


def _compiled(subject: Subject) -> list[str]:
    figures: CompileReport = subject.figures
    roles, options = figures.roles, figures.options
    nodes = sum(roles.values())
    sentences = [
        f"{roles['spiking']} of {nodes} nodes of the ANN spike; {tables.macs_line(figures.macs)}.",
        f"It runs for {timesteps(options.timesteps)}{_firing(figures)}, calibrated on "
        f"{figures.calibration.samples:,} samples of {file_name(figures.calibration.source)}.",
    ]
    analog = roles["analog"]
    sentences.append(
        f"{analog} node{'s are' if analog > 1 else ' is'} computed exactly, without spikes; the table of "
        "nodes says why."
        if analog
        else "Nothing between the first neuron and the last is computed without spikes."
    )
    clipped = {name: activation.clipped for name, activation in figures.activations.items()}
    worst = max(clipped, key=lambda name: clipped[name], default=None)
    if worst is not None and clipped[worst] > 0:
        sentences.append(
            f"The layer that loses most above what its neurons can send is {shown(worst)}: "
            f"{percent(clipped[worst], 2)} of its activation."
        )
    if figures.adaptation is not None:
        sentences.append(f"Adapted: {tables.adaptation_line(figures.adaptation)}.")
    if figures.layers is not None:
        sentences.append(f"{tables.layers_line(figures.layers)}.")
    return sentences


def _firing(figures: CompileReport) -> str:
    options = figures.options
    if options.code == "graded":
        after = ", layer after layer," if options.schedule == "layer" else ""
        return f"{after} with graded neurons, {_exponents(figures)} sizes of spikes"
    if options.schedule == "layer":
        return f", layer after layer, in the code {options.code}"
    kind = "signed burst neurons" if options.signed else "burst neurons"
    return f" with {kind}, Γ = {_most_spikes(figures)}"


def _most_spikes(figures: CompileReport) -> str:
    """Γ, or from which to which it goes."""
    return _span([neuron.max_spikes for neuron in figures.neurons.values()])


def _exponents(figures: CompileReport) -> str:
    """n, or from which to which it goes."""
    return _span([neuron.exponents or 0 for neuron in figures.neurons.values()])


def _span(numbers: list[int]) -> str:
    least, most = min(numbers), max(numbers)
    return f"{least:g}" if least == most else f"{least:g} to {most:g}"


def _compile_tiles(subject: Subject) -> list[Tile]:
    figures: CompileReport = subject.figures
    share, options = figures.macs.share, figures.options
    return [
        *([] if share is None else [Tile(percent(share), "of the arithmetic is fed by spikes")]),
        Tile(str(len(figures.neurons)), "neuron layers"),
        Tile(str(options.timesteps), "timesteps T"),
        Tile(_exponents(figures), "sizes of a spike, n")
        if options.code == "graded"
        else Tile(_most_spikes(figures), "spikes of a neuron a timestep at most, Γ"),
    ]


def _evaluated(subject: Subject) -> list[str]:
    figures: Evaluation = subject.figures
    last, spikes = figures.timesteps[-1], figures.spikes_per_sample[-1]
    sentences = _measured(figures) or _answers(
        figures.samples, last, figures.accuracy[-1], figures.reference_accuracy, figures.agreement[-1]
    )
    sentences += _enough(figures)
    by_neuron = figures.spikes_by_neuron
    busiest = sorted(by_neuron, key=lambda name: -by_neuron[name])[:3]
    sent = f"It sends {count(spikes)} spikes a sample"
    neurons = 0 if subject.recording is None else sum(subject.recording.neurons.values())
    if neurons:
        sent += f", {spikes / neurons:.2f} a neuron"
    if spikes and len(by_neuron) > len(busiest):
        most = listed([f"{shown(name)} ({percent(by_neuron[name] / spikes, 0)})" for name in busiest])
        sent += f"; most in {most}"
    sentences.append(f"{sent}.")
    energy = figures.energy
    ratio = energy.ratio[-1]
    compared = "" if ratio is None else f", {ratio:.2f} of the ANN's {joules(energy.ann_joules_per_sample)}"
    sentences.append(
        f"Estimated energy: {joules(energy.snn_joules_per_sample[-1])} a sample{compared} "
        f"({energy.convention})."
    )
    if figures.early_exit is not None:
        exits = figures.early_exit
        shares = [("accuracy", exits.accuracy), ("same answer as the ANN", exits.agreement)]
        sent = "".join(f", {name} {percent(value)}" for name, value in shares if value is not None)
        sentences.append(f"With the early exit: {exits.mean_timesteps:.2f} timesteps on average{sent}.")
    if figures.uncounted:
        sentences.append(
            f"Charged as MACs, since no spikes feed them: {listed([*map(shown, figures.uncounted)])}."
        )
    return sentences


def _measured(figures: Evaluation) -> list[str]:
    """What a task that knows no right answers is measured by, in words; nothing for class scores."""
    last = {key: values[-1] for key, values in figures.measures.items()}
    agreeing = {key: values[-1] for key, values in figures.agreement_measures.items()}
    if FIRST in {**last, **agreeing} or not (last or agreeing):
        return []
    sentences = []
    if last:
        own = figures.reference_measures
        ann = f"; the ANN: {reached(figures.task, own)}" if own else ""
        sentences.append(
            f"After {timesteps(figures.timesteps[-1])} the network reaches {reached(figures.task, last)} on "
            f"{figures.samples:,} samples{ann}."
        )
    if agreeing:
        sentences.append(f"With the ANN's output as the truth: {reached(figures.task, agreeing)}.")
    return sentences


def _answers(
    samples: int, steps: int, accuracy: float | None, ann: float | None, agreement: float | None
) -> list[str]:
    """Accuracy and agreement in words."""
    sentences = []
    if accuracy is not None:
        compared = "" if ann is None else f"; the ANN {percent(ann)} ({points(accuracy - ann)})"
        compared = ", as many as the ANN" if accuracy == ann else compared
        sentences.append(
            f"After {timesteps(steps)} the network has {percent(accuracy)} of {samples:,} samples "
            f"right{compared}."
        )
    if agreement is not None:
        who, of = (
            (f"After {timesteps(steps)} it", f" of {samples:,} samples") if accuracy is None else ("It", "")
        )
        sentences.append(f"{who} gives the ANN's own answer for {percent(agreement)}{of}.")
    return sentences or [f"It ran {timesteps(steps)} on {samples:,} samples."]


def _enough(figures: Evaluation) -> list[str]:
    """The least T that is about as good as the best, where that is not the last."""
    name = "accuracy" if figures.accuracy[0] is not None else "agreement"
    values, steps = [value for value in getattr(figures, name) if value is not None], figures.timesteps
    if not values or len(steps) < 2:
        return []
    first = next(n for n, value in enumerate(values) if value >= max(values) - _AS_GOOD)
    if first == len(steps) - 1:
        return [
            f"Of the numbers of timesteps tried, no smaller one comes within 0.5 points of T = {steps[-1]}."
        ]
    joule = figures.energy.snn_joules_per_sample
    share = (
        f", for {percent(joule[first] / joule[-1], 0)} of the energy of T = {steps[-1]}" if joule[-1] else ""
    )
    return [
        f"T = {steps[first]} is enough to be within 0.5 points of the best: {percent(values[first])}{share}."
    ]


def _evaluate_tiles(subject: Subject) -> list[Tile]:
    figures: Evaluation = subject.figures
    energy, ann = figures.energy, figures.reference_accuracy
    shown_tiles = []
    if figures.accuracy[-1] is not None:
        note = "" if ann is None else f"ANN {percent(ann)}"
        shown_tiles.append(Tile(percent(figures.accuracy[-1]), "accuracy", note))
    if figures.agreement[-1] is not None:
        shown_tiles.append(Tile(percent(figures.agreement[-1]), "same answer as the ANN"))
    for key, values in list(figures.measures.items())[:1]:
        if key != FIRST:
            measure, own = measure_named(figures.task, key), figures.reference_measures.get(key)
            note = "" if own is None else f"ANN {measure.show(own)}"
            shown_tiles.append(Tile(measure.show(values[-1]), measure.name, note))
    shown_tiles.append(Tile(str(figures.timesteps[-1]), "timesteps T"))
    shown_tiles.append(Tile(large(figures.spikes_per_sample[-1]), "spikes a sample"))
    ratio = energy.ratio[-1]
    note = "" if ratio is None else f"ANN = 1: {ratio:.2f}"
    shown_tiles.append(Tile(joules(energy.snn_joules_per_sample[-1]), "energy a sample, estimated", note))
    return shown_tiles


def _swept(subject: Subject) -> list[str]:
    figures: Sweep = subject.figures
    measure, ann = figures.measure, figures.reference_accuracy
    name, knee = figures.compared.name, figures.knee
    best = max(figures.points, key=figures.quality)
    front = sum(bool(point.best) for point in figures.points)
    sentences = [
        f"{len(figures.points)} conversions on {figures.samples:,} samples; {front} of them are the best "
        "for their energy.",
        f"More energy helps little beyond {knee.name}: {name} {quality_text(figures, knee)} for "
        f"{joules(knee.joules_per_sample)} a sample.",
        f"The {'highest' if figures.compared.more else 'least'} {name} is {quality_text(figures, best)}, of "
        f"{best.name}, for "
        f"{joules(best.joules_per_sample)}.",
    ]
    if measure == "accuracy" and ann is not None:
        sentences.append(f"The ANN itself reaches {percent(ann)}.")
    if measure == "agreement":
        sentences.append("The data have no labels, so answers are compared with the ANN's.")
    return sentences


def _sweep_tiles(subject: Subject) -> list[Tile]:
    figures: Sweep = subject.figures
    knee = figures.knee
    ratio = knee.energy_ratio
    note = "" if ratio is None else f"ANN = 1: {ratio:.2f}"
    ann = figures.reference_accuracy
    compared = figures.measure == "accuracy" and ann is not None
    return [
        Tile(
            quality_text(figures, knee),
            f"{figures.measure if figures.measure in SHARES else figures.compared.name} at the knee",
            f"ANN {percent(ann)}" if compared else "",
        ),
        Tile(joules(knee.joules_per_sample), "energy a sample there, estimated", note),
        Tile(str(len(figures.points)), "conversions tried"),
    ]


def _diagnosed(subject: Subject) -> list[str]:
    return [shown(sentence) for sentence in subject.figures.verdict]


def _diagnose_tiles(subject: Subject) -> list[Tile]:
    figures: Diagnosis = subject.figures
    ann = figures.reference_accuracy
    shown_tiles = []
    if figures.accuracy is not None:
        shown_tiles.append(
            Tile(percent(figures.accuracy), "accuracy", "" if ann is None else f"ANN {percent(ann)}")
        )
    if figures.agreement is not None:
        shown_tiles.append(Tile(percent(figures.agreement), "same answer as the ANN"))
    shown_tiles.append(Tile(str(figures.timesteps), "timesteps T"))
    worst = max(figures.layers, key=lambda layer: float(layer.own_error), default=None)
    if worst is not None:
        shown_tiles.append(Tile(percent(worst.own_error), "largest error of one layer", short(worst.layer)))
    spikes = sum(layer.spikes_per_sample for layer in figures.layers)
    shown_tiles.append(Tile(large(spikes), "spikes a sample"))
    return shown_tiles


_SUMMARIES = {"compile": _compiled, "evaluate": _evaluated, "sweep": _swept, "diagnose": _diagnosed}
_TILES = {
    "compile": _compile_tiles,
    "evaluate": _evaluate_tiles,
    "sweep": _sweep_tiles,
    "diagnose": _diagnose_tiles,
}
