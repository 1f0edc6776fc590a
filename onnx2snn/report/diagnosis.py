"""A diagnosis: the error of each layer, what it consists of, and what it does to the answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from onnx2snn.analysis.diagnosis.figures import Diagnosis, LayerDiagnosis
from onnx2snn.report.content import Plot, Section, Table
from onnx2snn.report.drawing import bar_axes, draw
from onnx2snn.report.outputs import output_tables
from onnx2snn.report.plots import BLUE, CARD, GREEN, GREY, MUTED, ORANGE, PURPLE
from onnx2snn.report.spikes import AROUND, ROW, activity_plots, largest, left_out
from onnx2snn.report.subject import Subject
from onnx2snn.report.words import count, percent, short, shown

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Part of an error → colour and hatch.
_PARTS = {
    "clipping": (ORANGE, "///"),
    "quantisation": (BLUE, "..."),
    "timing": (GREEN, "\\\\\\"),
    "parameters": (PURPLE, "xxx"),
    "inherited": (GREY, ""),
}
#: Key of a trial with one layer → label, colour, marker, and where in a layer's row it is drawn.
_TRIALS = (
    ("agreement_if_exact", "only this layer exact", BLUE, "o", -0.2),
    ("agreement_if_only_spiking", "only this layer spiking", ORANGE, "D", 0.2),
)
#: What quantisation and timing are of equal spikes, and of graded ones.
_EQUAL = ("comes from too coarse a θ", "from spikes that come too early or too late")
_GRADED = ("is what is too little for the smallest spike", "what a neuron has still to send before it rests")
#: Percent that the axis of answers shows at least.
_LEAST_SPAN = 2.0


def faults_section(subject: Subject) -> Section | None:
    """The faults of the layers, those of the worst first, with what to do about them."""
    figures: Diagnosis = subject.figures
    worst = figures.worst_layers
    others = [layer for layer in figures.layers if layer.layer not in figures.worst]
    tables = [
        Table(caption, ("layer", "fault", "what", "remedy"), rows, 4, folded=folded)
        for caption, layers, folded in (
            ("Of the layers with the largest errors of their own", worst, False),
            ("Of the other layers", others, True),
        )
        if (rows := _faults(layers))
    ]
    return Section("faults", "Faults", tables=tables) if tables else None


def _faults(layers: Sequence[LayerDiagnosis]) -> list[tuple[str, str, str, str]]:
    return [
        (shown(layer.layer), shown(fault.kind), shown(fault.sentence), shown(fault.remedy))
        for layer in layers
        for fault in layer.faults
    ]


def errors_section(subject: Subject) -> Section:
    """The error of every layer, drawn and in figures."""
    figures: Diagnosis = subject.figures
    layers: Sequence[LayerDiagnosis] = figures.layers
    plots = [_components(layers)]
    if any(_known(layer, key) for layer in layers for key, *_ in _TRIALS):
        plots.append(_agreement(figures))
    coarse, late = _EQUAL if figures.exponents is None else _GRADED
    lead = [
        "An error is the difference between what a layer's spikes stand for and the ANN's activation, as a "
        "share of that activation (RMS). Clipping is what exceeds the most that a neuron can send, "
        f"quantisation {coarse}, timing {late}, "
        "parameters from weights or biases that are not the ANN's; the rest is inherited from the layers "
        "before."
    ]
    missing = [f"{shown(name)} ({shown(reason)})" for name, reason in figures.not_compared.items()]
    if missing:
        lead.append(f"Not compared: {', '.join(missing)}.")
    return Section("errors", "Error by layer", lead, plots, [_table(layers), *output_tables(figures.outputs)])


def activity_section(subject: Subject) -> Section:
    """What each layer sends, with the channels that are saturated or dead."""
    layers: list[LayerDiagnosis] = subject.figures.layers
    spikes = {layer.layer: layer.spikes_per_sample for layer in layers}
    rates = {layer.layer: layer.firing_rate for layer in layers}
    plots = activity_plots(spikes, rates, subject.figures.timesteps)
    rows = [
        (
            shown(layer.layer),
            f"{layer.neurons:,}",
            count(layer.spikes_per_sample),
            f"{layer.firing_rate:.3f}",
            _channels(layer.saturated_channels, layer.channels),
            _channels(layer.dead_channels, layer.channels),
        )
        for layer in layers
    ]
    columns = (
        "layer",
        "neurons",
        "spikes a sample",
        "spikes a neuron a timestep",
        "saturated channels",
        "dead channels",
    )
    return Section("spikes", "Spikes by layer", (), plots, [Table("Activity by layer", columns, rows)])


def _components(layers: Sequence[LayerDiagnosis]) -> Plot:
    errors = {layer.layer: float(layer.error or 0.0) for layer in layers}
    names = largest(errors)
    chosen = [layer for layer in layers if layer.layer in set(names)]

    def paint(figure: Figure) -> None:
        axes = bar_axes(figure, [short(name, 22) for name in names], "relative RMS error, %")
        start = np.zeros(len(chosen))
        for part, (colour, hatch) in _PARTS.items():
            width = np.asarray([100 * layer.error * _share(layer, part) for layer in chosen])
            axes.barh(
                range(len(chosen)),
                width,
                left=start,
                color=colour,
                hatch=hatch,
                edgecolor=CARD,
                linewidth=0.6,
                height=0.76,
                label=part,
            )
            start += width
        for row, layer in enumerate(chosen):
            axes.annotate(
                percent(layer.error),
                (start[row], row),
                (3, 0),
                textcoords="offset points",
                va="center",
                color=MUTED,
            )
        axes.margins(x=0.14)
        figure.legend(loc="outside upper left", ncols=3)

    worst = max(chosen, key=lambda layer: layer.error, default=None)
    remark = ""
    if worst is not None:
        most = max(_PARTS, key=lambda part: _share(worst, part))
        remark = f"{shown(worst.layer)} has the largest, {percent(worst.error)}, most of it {most}."
    return draw(
        "components",
        "Error by layer, and what it consists of",
        f"One bar for each of {len(chosen)} layers. {remark}",
        paint,
        height=AROUND + 32 + ROW * len(chosen),
        caption="A bar is as long as the layer's error, divided in proportion to the squares of its parts. "
        + left_out(errors, names),
    )


def _share(layer: LayerDiagnosis, part: str) -> float:
    """A part's share of the sum of all parts' squares."""
    total = sum(value**2 for value in layer.components.values())
    return float(layer.components.get(part, 0.0)) ** 2 / total if total else 0.0


def _agreement(figures: Diagnosis) -> Plot:
    harm = {layer.layer: _loss(layer) for layer in figures.layers}
    names = largest(harm)
    chosen = [layer for layer in figures.layers if layer.layer in set(names)]

    def paint(figure: Figure) -> None:
        axes = bar_axes(figure, [short(name, 22) for name in names], "same answer as the ANN, %")
        drawn = [100.0 - _LEAST_SPAN]
        for key, label, colour, marker, shift in _TRIALS:
            known = [
                (100 * getattr(layer, key), row + shift)
                for row, layer in enumerate(chosen)
                if _known(layer, key)
            ]
            if known:
                values, rows = zip(*known, strict=True)
                axes.plot(values, rows, marker, color=colour, label=label, markersize=4.5)
                drawn += values
        if figures.agreement is not None:
            drawn.append(100 * figures.agreement)
            axes.axvline(drawn[-1], color=MUTED, linestyle="--", linewidth=1.2, label="as it is")
        span = 100.0 - min(drawn)
        axes.set_xlim(min(drawn) - 0.05 * span, 100 + 0.05 * span)
        figure.legend(loc="outside upper left", ncols=2)

    worst = max(names, key=lambda name: harm[name])
    remark = f"Alone, {shown(worst)} costs the most: {percent(harm[worst])} of the answers differ."
    return draw(
        "agreement-if",
        "Answers if only one layer were exact, or spiking",
        f"Two marks for each of {len(chosen)} layers, and a line for the network as it is. {remark}",
        paint,
        height=AROUND + 32 + ROW * len(chosen),
        caption="With a mark to the right of the line the network would agree more with the ANN. "
        + left_out(harm, names),
    )


def _known(layer: LayerDiagnosis, key: str) -> bool:
    return getattr(layer, key) is not None


def _loss(layer: LayerDiagnosis) -> float:
    value = layer.agreement_if_only_spiking
    return 0.0 if value is None else 1.0 - value


def _table(layers: Sequence[LayerDiagnosis]) -> Table:
    graded = any(layer.exponents is not None for layer in layers)
    columns = (
        "layer",
        "n" if graded else "Γ",
        "error",
        "its own",
        *_PARTS,
        "clipped",
        "if exact",
        "if only spiking",
    )
    rows = [
        (
            shown(layer.layer),
            _limit(layer.exponents if graded else layer.max_spikes),
            percent(layer.error, 2),
            percent(layer.own_error, 2),
            *(percent(layer.components.get(part), 2) for part in _PARTS),
            percent(layer.clipped_mass, 2),
            percent(layer.if_exact),
            percent(layer.if_only_spiking),
        )
        for layer in layers
    ]
    jointly = any(layer.outputs_if_exact is not None for layer in layers)
    what = "what all outputs are off by jointly" if jointly else "the agreement with the ANN"
    caption = f"Relative errors, and {what} if only that layer were exact or spiking"
    return Table(caption, columns, rows)


def _limit(most: int | None) -> str:
    return "" if most is None else f"{most:g}"


def _channels(numbers: Sequence[int], channels: int) -> str:
    """How many, and the first of them."""
    if not numbers:
        return ""
    first = ", ".join(map(str, numbers[:4])) + (" …" if len(numbers) > 4 else "")
    return f"{len(numbers)} of {channels}: {first}"
