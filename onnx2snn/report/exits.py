"""An early exit: when samples are decided, and how many stop when."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnx2snn.analysis.early_exit import ExitFigures
from onnx2snn.exits.rule import ExitRule
from onnx2snn.report import tables
from onnx2snn.report.content import Plot, Section, Table
from onnx2snn.report.drawing import draw
from onnx2snn.report.measures import exit_measures
from onnx2snn.report.plots import BLUE, CARD, MUTED, ORANGE
from onnx2snn.report.subject import Subject
from onnx2snn.report.words import count, joules, percent, sentence

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Bars that can each carry their number.
_NUMBERED = 16


def exit_section(subject: Subject) -> Section | None:
    """What an early exit gave; of a compiled network, its rule alone."""
    figures: ExitFigures | ExitRule | None = subject.figures.early_exit
    if figures is None:
        return None
    if isinstance(figures, ExitRule):
        return Section("early-exit", "Early exit", [_rule(figures)], _thresholds(figures))
    energy = figures.energy
    columns = {
        "timesteps, mean": f"{figures.mean_timesteps:.2f}",
        "accuracy": percent(figures.accuracy),
        "same answer as the ANN": percent(figures.agreement),
        "spikes a sample": count(figures.spikes_per_sample),
        "synaptic operations": count(figures.synaptic_operations_per_sample),
        "energy a sample": joules(energy.snn_joules_per_sample[0]),
        "ANN = 1": "" if energy.ratio[0] is None else f"{energy.ratio[0]:.2f}",
    }
    shown = {name: cell for name, cell in columns.items() if cell}
    if measured := exit_measures(figures):
        shown["measured"] = measured
    table = Table("With the early exit", list(shown), [list(shown.values())], 0)
    plots = [_histogram(figures), *_thresholds(figures.rule)]
    return Section(
        "early-exit",
        "Early exit",
        [_rule(figures.rule)],
        plots,
        [table],
    )


def _rule(rule: ExitRule) -> str:
    text = tables.rule_line(rule)
    return f"{text[0].upper()}{text[1:]}."


def _histogram(figures: ExitFigures) -> Plot:
    stopped = figures.histogram
    samples = sum(stopped)
    times = range(1, len(stopped) + 1)

    def paint(figure: Figure) -> None:
        axes = figure.add_subplot()
        bars = axes.bar(times, stopped, color=BLUE, width=0.8, edgecolor=CARD, linewidth=0)
        if len(stopped) <= _NUMBERED:
            axes.bar_label(bars, [count(number) if number else "" for number in stopped], color=MUTED)
        mean = figures.mean_timesteps
        axes.axvline(mean, color=ORANGE, linestyle="--", label=f"mean: {mean:.2f}")
        axes.margins(y=0.12)
        axes.locator_params(axis="x", integer=True)
        axes.set_xlabel("stopped after timestep")
        axes.set_ylabel("samples")
        axes.legend(loc="upper right")

    listing = ", ".join(
        f"{number:,} after {time}" for time, number in zip(times, stopped, strict=True) if number
    )
    return draw(
        "exit-histogram",
        f"When {samples:,} samples stopped",
        f"Samples by the timestep after which they stopped: {listing}.",
        paint,
        height=210,
    )


def _thresholds(rule: ExitRule) -> list[Plot]:
    """How sure a sample must be, where that changes over time."""
    if len(rule.thresholds) < 2:
        return []
    values = [value if value <= 1 else None for value in rule.thresholds]
    known = [(time, value) for time, value in enumerate(values, 1) if value is not None]
    sure = "at least" if rule.criterion == "confidence" else "at most"

    def paint(figure: Figure) -> None:
        axes = figure.add_subplot()
        if known:
            times, numbers = zip(*known, strict=True)
            axes.plot(times, numbers, color=ORANGE, marker="s", markersize=5, linestyle="--")
        axes.set_xlim(0.5, len(values) + 0.5)
        axes.set_ylim(-0.03, 1.05)
        axes.locator_params(axis="x", integer=True)
        axes.set_xlabel("timestep")
        axes.set_ylabel(f"{rule.criterion}, {sure}")

    listing = ", ".join(f"{value:.3g} at timestep {time}" for time, value in known) or "never"
    plot = draw(
        "exit-thresholds",
        f"{sentence(rule.criterion)} that decides, {sure}",
        f"A sample stops where its {rule.criterion} is {sure}: {listing}.",
        paint,
        height=210,
        caption="Where there is no mark nobody stops; the last mark holds from there on.",
    )
    return [plot]
