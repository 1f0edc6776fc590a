"""What a task is measured by, as columns and in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from rich.table import Table

from onnx2snn.report.words import percent
from onnx2snn.tasks import named
from onnx2snn.tasks.classify import FIRST
from onnx2snn.tasks.task import Measure

if TYPE_CHECKING:
    from onnx2snn.analysis.early_exit import ExitFigures
    from onnx2snn.analysis.evaluation import Evaluation
    from onnx2snn.analysis.sweep import Point, Sweep

#: What the network's output misses of the ANN's.
_ERROR = Measure("output_error", "error of the output", more=False)


def measure_named(task: str, key: str) -> Measure:
    """A task's measure."""
    return named(task).named(key)


def measure_columns(figures: Evaluation) -> list[tuple[str, list[str]]]:
    """Titles and cells, one for each number of timesteps, of all but accuracy and agreement.

    All figures against labels, and one against the ANN, or all where there are no labels; of what are no
    class scores also the relative error of the output.
    """
    columns = _titled(figures.task, figures.measures, "")
    agreeing = dict(list(figures.agreement_measures.items())[: 1 if columns else None])
    columns += _titled(figures.task, agreeing, ", ANN as truth")
    if FIRST not in figures.agreement_measures and figures.output_error[0] is not None:
        columns.append((_ERROR.name, [_ERROR.show(value) for value in figures.output_error]))
    return columns


def measure_table(figures: Evaluation) -> Table | None:
    """The same as a table, one row for each number of timesteps; None where there is nothing else."""
    columns = measure_columns(figures)
    if not columns:
        return None
    table = Table(box=None, pad_edge=False, header_style="bold")
    columns.insert(0, ("timesteps", [str(steps) for steps in figures.timesteps]))
    for title, cells in columns:  # titles may wrap, numbers may not
        table.add_column(title, justify="right", min_width=max(map(len, cells)))
    for row in zip(*(cells for _, cells in columns), strict=True):
        table.add_row(*row)
    return table


def _titled(task: str, series: Mapping[str, list[float | None]], against: str) -> list[tuple[str, list[str]]]:
    measures = {key: measure_named(task, key) for key in series if key != FIRST}
    return [
        (f"{measure.name}{against}", [measure.show(value) for value in series[key]])
        for key, measure in measures.items()
    ]


def exit_measures(figures: ExitFigures) -> str:
    """What an early exit reaches, of a task that knows no right answers; empty for class scores."""
    found = figures.measures or figures.agreement_measures
    if not found or FIRST in found:
        return ""
    return reached(figures.task, found) + ("" if figures.measures else ", ANN as truth")


def quality_text(figures: Sweep, point: Point) -> str:
    """What a point of a sweep is compared by."""
    measure, value = figures.compared, point.value(figures.measure)
    return percent(value) if measure.unit == "share" else measure.show(value)


def quality_drawn(figures: Sweep, point: Point) -> float:
    """The same as a number, shares in percent; not a number where there is none."""
    value = point.value(figures.measure)
    return float("nan") if value is None else value * (100 if figures.compared.unit == "share" else 1)


def quality_axis(figures: Sweep) -> str:
    """What stands at its axis."""
    return axis_name(figures.compared)


def axis_name(measure: Measure) -> str:
    """A measure with its unit."""
    return measure.name + {"share": ", %", "dB": ", dB"}.get(measure.unit, "")


def reached(task: str, figures: Mapping[str, float | None]) -> str:
    """Figures at one time as a list in words: of the accuracy its value alone."""
    if FIRST in figures:
        return measure_named(task, FIRST).show(figures[FIRST])
    listed = [(measure_named(task, key), value) for key, value in figures.items()]
    return ", ".join(f"{measure.name} {measure.show(value)}" for measure, value in listed)
