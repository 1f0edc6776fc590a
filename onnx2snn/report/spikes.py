"""Spikes by layer: how many a sample, and how busy a neuron is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from onnx2snn.analysis.evaluation import Evaluation
from onnx2snn.report.content import Plot, Section, Table
from onnx2snn.report.drawing import bar_axes, draw
from onnx2snn.report.plots import BLUE, CARD, GREEN, MUTED
from onnx2snn.report.subject import Subject
from onnx2snn.report.words import count, large, percent, short, shown

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Layers that are drawn; of more, those with the largest figures.
MOST_LAYERS = 48
#: Height of a layer's bar and of what is around them, in units of the drawing.
ROW, AROUND = 13.0, 44.0


def spikes_section(subject: Subject) -> Section:
    """What each layer sends in a whole run."""
    figures: Evaluation = subject.figures
    recording = subject.recording
    spikes: Mapping[str, float] = figures.spikes_by_neuron
    steps = figures.timesteps[-1]
    total = sum(spikes.values())
    neurons = {} if recording is None else recording.neurons
    rates = {name: sent / neurons[name] / steps for name, sent in spikes.items() if neurons.get(name)}
    plots = activity_plots(spikes, rates, steps)
    rows = [
        (
            shown(name),
            count(sent),
            percent(sent / total if total else 0.0),
            f"{neurons[name]:,}" if name in neurons else "",
            f"{rates[name]:.3f}" if name in rates else "",
        )
        for name, sent in spikes.items()
    ]
    columns = ("neuron layer", "spikes a sample", "share", "neurons", "spikes a neuron a timestep")
    return Section(
        "spikes",
        "Spikes by layer",
        [f"Layers in the order in which they fire; means of {figures.samples:,} samples."],
        plots,
        [Table("The same in figures", columns, rows, folded=True)],
    )


def activity_plots(spikes: Mapping[str, float], rates: Mapping[str, float], steps: int) -> list[Plot]:
    """Spikes a sample and, where they are known, spikes a neuron a timestep, by layer."""
    plots = [
        _bars("spikes-by-layer", f"Spikes by layer, T = {steps}", spikes, "spikes a sample", BLUE, "", count)
    ]
    if rates:
        title, unit = f"Firing rate by layer, T = {steps}", "spikes a neuron a timestep"
        plots.append(_bars("rate-by-layer", title, rates, unit, GREEN, "///", lambda rate: f"{rate:.2f}"))
    return plots


def _bars(
    key: str,
    title: str,
    values: Mapping[str, float],
    unit: str,
    colour: str,
    hatch: str,
    written: Callable[[float], str],
) -> Plot:
    """A bar for each layer, with its figure, as `told` writes it, at the end."""
    names = largest(values)

    def paint(figure: Figure) -> None:
        axes = bar_axes(figure, [short(name, 22) for name in names], unit)
        numbers = [values[name] for name in names]
        drawn = axes.barh(
            range(len(names)), numbers, color=colour, height=0.72, hatch=hatch, edgecolor=CARD, linewidth=0
        )
        axes.bar_label(drawn, [written(number) for number in numbers], padding=2, color=MUTED)
        axes.margins(x=0.14)
        axes.locator_params(axis="x", nbins=6)
        axes.xaxis.set_major_formatter(lambda value, _: large(value))

    most = max(names, key=lambda name: values[name], default=None)
    description = "" if most is None else f"{shown(most)} has the most, {written(values[most])} {unit}."
    return draw(
        key,
        title,
        f"One bar for each of {len(names)} layers. {description}",
        paint,
        height=AROUND + ROW * len(names),
        caption=left_out(values, names),
    )


def largest(values: Mapping[str, float]) -> list[str]:
    """The names that are drawn, in their order: all, or of many those with the largest values."""
    if len(values) <= MOST_LAYERS:
        return list(values)
    chosen = set(sorted(values, key=lambda name: -values[name])[:MOST_LAYERS])
    return [name for name in values if name in chosen]


def left_out(values: Mapping[str, float], names: Sequence[str]) -> str:
    """Says that some are not drawn."""
    missing = len(values) - len(names)
    if not missing:
        return ""
    who, has = ("layer with less is", "it") if missing == 1 else ("layers with less are", "them")
    return f"{missing} {who} not drawn; the table has {has}."
