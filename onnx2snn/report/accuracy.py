"""Accuracy and agreement, against T and against energy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from onnx2snn.analysis.evaluation import Evaluation
from onnx2snn.report.content import Plot, Section, Table
from onnx2snn.report.drawing import draw
from onnx2snn.report.measures import axis_name, measure_columns, measure_named
from onnx2snn.report.outputs import output_tables
from onnx2snn.report.plots import BLUE, INK, MUTED, ORANGE, PURPLE
from onnx2snn.report.subject import Subject
from onnx2snn.report.words import count, energy_unit, joules, listed, percent, sentence
from onnx2snn.tasks.classify import FIRST

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_HEIGHT = 235
#: Percent that an axis of shares shows at least.
_LEAST_SPAN = 2.5
#: key in the figures → name, colour, marker, line.
_MEASURES = {
    "accuracy": ("accuracy", BLUE, "o", "-"),
    "agreement": ("same answer as the ANN", ORANGE, "s", "--"),
    "output_error": ("relative error of the output", PURPLE, "D", ":"),
}


def accuracy_section(subject: Subject) -> Section:
    """What is right after how many timesteps, and what that costs."""
    figures: Evaluation = subject.figures
    measures = _measures(figures)
    plots = [] if not measures else [_against_time(figures, measures), _against_energy(figures, measures)]
    plots = [*_of_task(figures), *plots]
    tables = [_table(figures), *output_tables(figures.outputs)]
    return Section("accuracy", "Timesteps and energy", _lead(figures), plots, tables)


def _measures(figures: Evaluation) -> list[str]:
    """What there is to draw: shares of answers, or else the error."""
    shares = [name for name in ("accuracy", "agreement") if getattr(figures, name)[0] is not None]
    return shares or [name for name in ("output_error",) if getattr(figures, name)[0] is not None]


def _lead(figures: Evaluation) -> list[str]:
    if figures.accuracy[0] is None and figures.agreement[0] is None:
        if figures.measures or figures.agreement_measures:
            against = "the labels" if figures.measures else "the ANN's output in the place of labels"
            return [f"The task is taken for {figures.task}; its figures are those against {against}."]
        if figures.output_error[0] is not None:
            return [
                "The output has no class scores, so there is no accuracy and no agreement, only its error."
            ]
        return [
            "Without labels or a reference there is no accuracy and no agreement, only spikes and energy."
        ]
    if figures.accuracy[0] is None:
        return ["The data have no labels, so there is no accuracy."]
    return [] if figures.agreement[0] is not None else ["No reference was given, so there is no agreement."]


def _of_task(figures: Evaluation) -> list[Plot]:
    """What a task that knows no right answers is measured by, against T; nothing for class scores."""
    pairs = [("against labels", figures.measures), ("ANN as truth", figures.agreement_measures)]
    found = [(against, *next(iter(series.items()))) for against, series in pairs if series]
    curves = [(against, values) for against, key, values in found if key != FIRST and None not in values]
    if not curves:
        return []
    measure, steps = measure_named(figures.task, found[0][1]), figures.timesteps
    ann = next(iter(figures.reference_measures.values()), None)
    factor = 100 if measure.unit == "share" else 1

    def paint(figure: Figure) -> None:
        axes = figure.add_subplot()
        for (against, values), colour, marker in zip(curves, (BLUE, ORANGE), "os", strict=False):
            scaled = [factor * float(value or 0) for value in values]
            axes.plot(steps, scaled, color=colour, marker=marker, label=against, markersize=5)
        if ann is not None:
            axes.axhline(factor * ann, color=MUTED, linestyle=(0, (1, 2)), linewidth=1.5, label="the ANN's")
        axes.set_xscale("log", base=2)
        axes.set_xticks(steps, [str(step) for step in steps])
        axes.minorticks_off()
        axes.set_xlabel("timesteps T")
        axes.set_ylabel(axis_name(measure))
        figure.legend(loc="outside upper left", ncols=3)

    listing = "; ".join(
        f"{against}: "
        + ", ".join(f"{measure.show(v)} at T = {t}" for t, v in zip(steps, values, strict=True))
        for against, values in curves
    )
    return [draw("measure", f"{measure.name} against T", f"{listing}.", paint, height=_HEIGHT)]


def _against_time(figures: Evaluation, measures: Sequence[str]) -> Plot:
    steps = figures.timesteps

    def paint(figure: Figure) -> None:
        axes = figure.add_subplot()
        for name in measures:
            label, colour, marker, line = _MEASURES[name]
            values = [100 * value for value in getattr(figures, name)]
            axes.plot(steps, values, line, color=colour, marker=marker, label=label, markersize=5)
        _draw_ann(axes, figures, measures)
        _keep_to_shares(axes, measures)
        axes.set_xscale("log", base=2)
        axes.set_xticks(steps, [str(step) for step in steps])
        axes.minorticks_off()
        axes.set_xlabel("timesteps T")
        axes.set_ylabel("% of the samples" if measures[0] != "output_error" else "relative error, %")
        figure.legend(loc="outside upper left", ncols=2)

    return draw(
        "against-time",
        f"{sentence(listed([_MEASURES[name][0] for name in measures]))} against T",
        "; ".join(
            f"{_MEASURES[name][0]}: "
            + ", ".join(
                f"{percent(v)} at T = {t}" for t, v in zip(steps, getattr(figures, name), strict=True)
            )
            for name in measures
        )
        + ".",
        paint,
        height=_HEIGHT,
    )


def _draw_ann(axes: Axes, figures: Evaluation, measures: Sequence[str]) -> None:
    if "accuracy" in measures and figures.reference_accuracy is not None:
        level = 100 * figures.reference_accuracy
        axes.axhline(level, color=MUTED, linestyle=(0, (1, 2)), linewidth=1.5, label="accuracy of the ANN")


def _keep_to_shares(axes: Axes, measures: Sequence[str]) -> None:
    """No more than 100 %, and a range in which a tenth of a point is no mountain."""
    if measures[0] != "output_error":
        low, high = axes.get_ylim()
        high = min(high, 100.5)
        axes.set_ylim(max(0.0, min(low, high - _LEAST_SPAN)), high)


def _against_energy(figures: Evaluation, measures: Sequence[str]) -> Plot:
    energy, steps = figures.energy, figures.timesteps
    spent, ann = energy.snn_joules_per_sample, energy.ann_joules_per_sample
    scale, unit = energy_unit(max(*spent, ann))
    name = measures[0]
    label, colour, marker, line = _MEASURES[name]
    values = [100 * value for value in getattr(figures, name)]

    def paint(figure: Figure) -> None:
        from matplotlib.ticker import LogLocator, NullFormatter

        axes = figure.add_subplot()
        axes.plot([joule / scale for joule in spent], values, line, color=colour, marker=marker, markersize=5)
        for step, joule, value in zip(steps, spent, values, strict=True):
            axes.annotate(f"T = {step}", (joule / scale, value), (5, -10), textcoords="offset points")
        if ann and name == "accuracy" and figures.reference_accuracy is not None:
            place = (ann / scale, 100 * figures.reference_accuracy)
            axes.plot(*place, marker="*", markersize=11, color=INK, linestyle="none")
            axes.annotate("ANN", place, (0, 7), textcoords="offset points", ha="center")
        elif ann:
            axes.axvline(ann / scale, color=MUTED, linestyle=(0, (1, 2)), linewidth=1.5)
            axes.annotate(
                "ANN",
                (ann / scale, 0.02),
                (-4, 0),
                xycoords=("data", "axes fraction"),
                textcoords="offset points",
                ha="right",
            )
        if min(spent) > 0:
            axes.set_xscale("log")
            axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
            axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
            axes.xaxis.set_minor_formatter(NullFormatter())
        axes.margins(x=0.12, y=0.12)
        _keep_to_shares(axes, measures)
        axes.set_xlabel(f"energy a sample, {unit} (estimated)")
        axes.set_ylabel(f"{label}, %")

    listing = ", ".join(
        f"{percent(v / 100)} for {joules(j)} at T = {t}" for t, j, v in zip(steps, spent, values, strict=True)
    )
    reference = f"; the ANN takes {joules(ann)}" if ann else ""
    return draw(
        "against-energy",
        f"{sentence(label)} against energy",
        f"{label}: {listing}{reference}.",
        paint,
        height=_HEIGHT,
        caption=f"{energy.convention}.",
    )


def _table(figures: Evaluation) -> Table:
    energy = figures.energy
    columns = {
        "T": [str(step) for step in figures.timesteps],
        "accuracy": [percent(value) for value in figures.accuracy],
        "same answer as the ANN": [percent(value) for value in figures.agreement],
        **dict(measure_columns(figures)),
        "error of the output": [percent(value) for value in figures.output_error],
        "spikes a sample": [count(value) for value in figures.spikes_per_sample],
        "synaptic operations": [count(value) for value in figures.synaptic_operations_per_sample],
        "energy a sample": [joules(value) for value in energy.snn_joules_per_sample],
        "ANN = 1": ["" if value is None else f"{value:.2f}" for value in energy.ratio],
    }
    shown = {name: cells for name, cells in columns.items() if any(cells)}
    return Table("After each number of timesteps", list(shown), list(zip(*shown.values(), strict=True)), 0)
