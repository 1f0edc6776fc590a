"""What a search for options tried, as a table and in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table

from onnx2snn.report.content import Section
from onnx2snn.report.content import Table as PageTable
from onnx2snn.report.subject import Subject

if TYPE_CHECKING:
    from onnx2snn.artifact.records import SearchRecord, Trial

_UNITS = {
    "accuracy": "points of accuracy",
    "agreement": "points of agreement",
    "error": "% of relative error",
}
_COLUMNS = ("setting", "energy", "latency", "loss", "changed", "")
#: What the columns are.
LEGEND = (
    "energy: the ANN's is 1; latency: timesteps until the output is there, if a layer takes one; loss: "
    "estimated, with its standard error; changed: answers that differ from the ANN's"
)


def search_table(found: SearchRecord) -> Table:
    """Every setting that was tried, by ascending energy; the chosen one in bold."""
    table = Table(box=None, pad_edge=False, header_style="bold", caption=LEGEND, caption_justify="left")
    for title in _COLUMNS:
        table.add_column(title, justify="right" if title in _COLUMNS[1:5] else "left", no_wrap=title != "")
    for trial in _ordered(found):
        table.add_row(*_cells(trial), style="bold" if trial.chosen else "")
    return table


def search_section(subject: Subject) -> Section | None:
    """The same for a page; None where nothing was searched."""
    found: SearchRecord | None = subject.figures.search
    if found is None:
        return None
    columns = ("setting", "what became of it", *_COLUMNS[1:5])
    rows = [(name, verdict, *numbers) for name, *numbers, verdict in map(_cells, _ordered(found))]
    table = PageTable("Settings by energy", columns, rows, 2)
    says = [f"Searched: {search_line(found)}.", f"{LEGEND[0].upper()}{LEGEND[1:]}."]
    return Section("search", "Search", says, tables=[table])


def search_line(found: SearchRecord) -> str:
    """What was looked for, what it took, and what came of it, as a sentence."""
    if found.target_energy is not None:
        aim = f"the least loss at no more than {found.target_energy:g} of the ANN's energy"
    else:
        unit = _UNITS.get(found.measure, found.measure)
        aim = f"the {_best(found.prefer)} for at most {found.max_loss:g} {unit}"
    missed = "" if found.met else "; NOT met"
    stopped = f"; {found.stopped}" if found.stopped else ""
    return (
        f"{aim}{missed}: {len(found.trials)} settings on {found.calibrated} samples, judged by "
        f"{found.held_back} held back, {found.passes:.0f} passes of the ANN{stopped}"
    )


def _best(preference: str) -> str:
    return {"accuracy": "least loss"}.get(preference, f"least {preference}")


def _ordered(found: SearchRecord) -> list[Trial]:
    return sorted(found.trials, key=lambda trial: trial.energy)


def _cells(trial: Trial) -> tuple[str, ...]:
    lost = "" if trial.loss is None else f"{trial.loss:.2f} ± {trial.error or 0:.2f}"
    changed = "" if trial.changed is None else f"{trial.changed:.1f} %"
    return (trial.name, f"{trial.energy:.3f}", str(trial.latency), lost, changed, trial.verdict)
