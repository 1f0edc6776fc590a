"""A sweep: what each conversion gives for its energy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnx2snn.analysis.energy import load_energy_model
from onnx2snn.analysis.sweep import SHARES, Sweep
from onnx2snn.report.content import Section, Table
from onnx2snn.report.drawing import draw
from onnx2snn.report.measures import quality_text
from onnx2snn.report.plots import draw_sweep, draw_sweep_over_time
from onnx2snn.report.subject import Subject
from onnx2snn.report.words import count, joules, percent, sentence

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_HEIGHT = 290


def frontier_section(subject: Subject) -> Section:
    """All points of a sweep, and the frontier of those that no other beats for less."""
    figures: Sweep = subject.figures
    points, name = figures.points, figures.compared.name
    best = [point for point in points if point.best]

    def against_energy(figure: Figure) -> None:
        axes = figure.add_subplot()
        draw_sweep(axes, figures)
        axes.margins(0.1)
        figure.legend(loc="outside upper left", ncols=2)

    def against_time(figure: Figure) -> None:
        axes = figure.add_subplot()
        draw_sweep_over_time(axes, figures)
        figure.legend(loc="outside upper left", ncols=4)

    front = "; ".join(
        f"{point.name}: {quality_text(figures, point)} for {joules(point.joules_per_sample)}"
        for point in best
    )
    plots = [
        draw(
            "frontier",
            f"{sentence(name)} against energy",
            f"{len(points)} conversions by energy and {name}. Best for their energy: {front}.",
            against_energy,
            height=_HEIGHT,
            caption="The ring is the knee; hollow marks are compressed. "
            f"Energy as of {load_energy_model().prices}.",
        ),
        draw(
            "sweep-over-time",
            f"{sentence(name)} against T",
            f"The best {name} of each kind with each number of timesteps; the table has the figures.",
            against_time,
            height=_HEIGHT,
            caption="The best conversion of each kind with each T.",
        ),
    ]
    return Section("frontier", "Frontier", plots=plots)


def points_section(subject: Subject) -> Section:
    """Every point in figures."""
    figures: Sweep = subject.figures
    shares = figures.measure in SHARES
    columns = (
        "conversion",
        *(("accuracy", "same answer as the ANN") if shares else (figures.compared.name,)),
        "spikes",
        "synaptic operations",
        "energy",
        "ANN = 1",
        "",
    )
    rows = [
        (
            point.name,
            *(
                (percent(point.accuracy), percent(point.agreement))
                if shares
                else (quality_text(figures, point),)
            ),
            count(point.spikes_per_sample),
            count(point.synaptic_operations_per_sample),
            joules(point.joules_per_sample),
            "" if point.energy_ratio is None else f"{point.energy_ratio:.2f}",
            "knee" if point.knee else "best" if point.best else "",
        )
        for point in figures.points
    ]
    table = Table("Conversions by energy; no other is as good as one of the best for less", columns, rows)
    command = figures.command or ""
    return Section(
        "points",
        "Conversions",
        ["The knee of the frontier is compiled by:"] if command else [],
        (),
        [table],
        command,
    )
