"""Activations of the ANN by layer, with the range R and the threshold θ that they were given."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from onnx2snn.artifact.records import ActivationRecord, Spread
from onnx2snn.report.content import Plot, Section
from onnx2snn.report.drawing import SMALL, draw
from onnx2snn.report.plots import GREEN, GREY, ORANGE
from onnx2snn.report.subject import Subject
from onnx2snn.report.words import percent, power, short, shown

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Layers that are drawn; of more, those that clip the most.
_MOST_LAYERS = 36
#: What clips more than this share of what a layer says deserves to be named.
_NOTABLE = 0.01


def activations_section(subject: Subject) -> Section | None:
    """A histogram a layer; None for an artifact that does not have them."""
    layers = {name: record for name, record in subject.metadata.activations.items() if record.counts}
    if not layers:
        return None
    names = list(layers)
    if len(names) > _MOST_LAYERS:
        chosen = sorted(names, key=lambda name: -layers[name].clipped)[:_MOST_LAYERS]
        names = [name for name in names if name in chosen]
    calibration = subject.metadata.calibration
    where = f" on {calibration.samples:,} samples" if calibration else ""
    graded = any(record.exponents is not None for record in subject.metadata.neurons.values())
    spikes = (
        "which the largest spike carries, the next ones half of it, a quarter …"
        if graded
        else "the dotted one its threshold θ, which is what one spike carries"
    )
    lead = [
        f"What calibration saw{where}: all channels of a layer together, in the ANN's own units, without "
        f"zeros, counts on a logarithmic scale. The dashed line is the median channel's range R, {spikes}; "
        "bands reach from the least channel's to the greatest's."
    ]
    clipped = {name: record.clipped for name, record in layers.items() if record.clipped >= _NOTABLE}
    if clipped:
        worst = max(clipped, key=lambda name: clipped[name])
        lead.append(
            f"{shown(worst)} loses the most above what its neurons can send: {percent(clipped[worst])} "
            "of its sum."
        )
    if len(names) < len(layers):
        lead.append(f"Of {len(layers)} layers the {len(names)} that lose the most above that are drawn.")
    plots = [
        _histogram(f"activations-{number}", name, layers[name], graded=graded)
        for number, name in enumerate(names)
    ]
    return Section(
        "activations", "Activations and R" if graded else "Activations, R and θ", lead, plots, size="small"
    )


def _histogram(key: str, name: str, record: ActivationRecord, *, graded: bool) -> Plot:
    counts = np.asarray(record.counts, float)
    edges = record.bin * np.arange(len(counts) + 1)
    ranges, thresholds = record.range, record.threshold

    def paint(figure: Figure) -> None:
        from matplotlib.ticker import LogLocator

        axes = figure.add_subplot()
        axes.set_yscale("log")
        axes.stairs(
            np.maximum(counts, 0.5), edges, fill=True, color=GREY, baseline=0.5, alpha=0.55, linewidth=0
        )
        axes.stairs(np.maximum(counts, 0.5), edges, color=GREY, baseline=None, linewidth=0.8)
        if not graded:
            _mark(axes, thresholds, GREEN, ":", "θ")
        _mark(axes, ranges, ORANGE, "--", "R")
        axes.set_ylim(0.5, max(2.0, float(counts.max())) * 8)
        axes.set_xlim(0, 1.04 * max(edges[-1], ranges.greatest))
        axes.set_xlabel("activation")
        axes.set_ylabel("count")
        axes.minorticks_off()
        axes.yaxis.set_major_locator(LogLocator(numticks=4))
        axes.yaxis.set_major_formatter(lambda value, _: power(round(math.log10(value))))
        axes.locator_params(axis="x", nbins=5)

    spans = f"R {_span(ranges)}" + ("" if graded else f"; θ {_span(thresholds)}")
    theta = "" if graded else f"θ {thresholds.median:.3g} · "
    return draw(
        key,
        short(name, 32),
        f"Histogram of the activations of {shown(name)}: {percent(record.zeros)} zeros; "
        f"maximum {record.maximum:.3g}; {spans}.",
        paint,
        height=150,
        width=SMALL,
        caption=f"{percent(record.zeros)} zeros · R {ranges.median:.3g} · {theta}"
        f"{percent(record.clipped, 2)} clipped",
    )


def _mark(axes: Axes, values: Spread, colour: str, line: str, letter: str) -> None:
    axes.axvspan(values.least, values.greatest, color=colour, alpha=0.14, linewidth=0)
    axes.axvline(values.median, color=colour, linestyle=line, linewidth=1.6)
    axes.annotate(
        letter,
        (values.median, 1.0),
        (2, -9),
        xycoords=("data", "axes fraction"),
        textcoords="offset points",
        color=colour,
        fontsize=9,
        fontweight="bold",
    )


def _span(values: Spread) -> str:
    if values.least == values.greatest:
        return f"{values.median:.3g}"
    return f"{values.median:.3g} (from {values.least:.3g} to {values.greatest:.3g})"
