"""Pictures of figures, by matplotlib (extra `report`): of a sweep, and what reports share with it."""

from __future__ import annotations

import io
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from onnx2snn.errors import OptionError
from onnx2snn.model.file import write_atomically
from onnx2snn.report.measures import quality_axis, quality_drawn

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from onnx2snn.analysis.sweep import Point, Sweep

#: Text, lines and surfaces; a report turns each into a variable of its style sheet.
INK, MUTED, GRID, CARD = "#1b1e23", "#555c66", "#dfe3e8", "#fffffe"
#: Series: told apart with each kind of colour blindness, and never by colour alone.
BLUE, ORANGE, GREEN, PURPLE, GREY = "#0b62a8", "#b84d00", "#0a7255", "#8e3f8a", "#8a929c"
PINK, OLIVE = "#c2185b", "#5d6a00"
#: Kind of conversion → marker and colour.
_STYLES = {
    "stream": ("o", BLUE),
    "signed": ("s", ORANGE),
    "layer": ("^", GREEN),
    "radix": ("D", PURPLE),
    "graded": ("P", PINK),
    "graded-layer": ("X", OLIVE),
}
SUFFIXES = (".png", ".svg", ".pdf")


def check_extra(option: str, packages: Sequence[str] = ("matplotlib",)) -> None:
    """Find out before any work that an option of the extra `report` can be kept to.

    Raises:
        OptionError: one of the packages is not installed.
    """
    missing = [package for package in packages if find_spec(package) is None]
    if missing:
        raise OptionError(
            f"{option}: expected {' and '.join(missing)}, found none; pip install 'onnx2snn[report]'"
        )


def check_plot(path: str | Path) -> None:
    """Find out before any work that a plot can be drawn.

    Raises:
        OptionError: matplotlib is not installed, or a kind of file that it does not write.
    """
    if Path(path).suffix.lower() not in SUFFIXES:
        raise OptionError(f"--plot: expected a file name in {', '.join(SUFFIXES)}, found '{path}'; rename it")
    check_extra("--plot")


def plot_sweep(figures: Sweep, path: str | Path) -> None:
    """Draw a sweep into a file, see `draw_sweep`.

    Args:
        figures: what `onnx2snn.analysis.sweep.sweep` returned.
        path: the picture; its suffix says which kind.
    """
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    draw_sweep(axes, figures)
    axes.set_title(f"{len(figures.points)} conversions, {figures.samples} samples")
    axes.grid(visible=True, which="both", color=GRID)
    axes.set_axisbelow(True)
    axes.legend(fontsize="small")
    buffer = io.BytesIO()
    # No date and no random names: the same figures give the same bytes.
    kind = Path(path).suffix.lower().removeprefix(".")
    fixed = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(kind, {})
    with rc_context({"svg.hashsalt": "onnx2snn"}):
        figure.savefig(buffer, format=kind, dpi=150, metadata=fixed)
    write_atomically(path, buffer.getvalue())


def draw_sweep(axes: Axes, figures: Sweep) -> None:
    """Draw a sweep: quality against energy, the frontier, its knee and the ANN.

    Args:
        axes: to draw into.
        figures: what `onnx2snn.analysis.sweep.sweep` returned.
    """
    from matplotlib.ticker import LogLocator, NullFormatter

    measure, points = figures.measure, figures.points
    microjoules = [1e6 * point.joules_per_sample for point in points]
    quality = [quality_drawn(figures, point) for point in points]
    for kind, (marker, colour) in _STYLES.items():
        shown = [n for n, point in enumerate(points) if point.name.split(",")[0] == kind]
        for compressed in (False, True):
            chosen = [n for n in shown if ("compress" in points[n].options) == compressed]
            if chosen:
                axes.scatter(
                    [microjoules[n] for n in chosen],
                    [quality[n] for n in chosen],
                    marker=marker,
                    facecolor="none" if compressed else colour,
                    edgecolor=colour,
                    label=f"{kind}{', compressed' if compressed else ''}",
                )
    best = [n for n, point in enumerate(points) if point.best]
    axes.plot(
        [microjoules[n] for n in best],
        [quality[n] for n in best],
        color=GREY,
        linewidth=1,
        zorder=0,
        label="best for its energy",
    )
    (knee,) = (n for n, point in enumerate(points) if point.knee)
    axes.scatter(
        microjoules[knee],
        quality[knee],
        s=150,
        facecolor="none",
        edgecolor=INK,
        label=f"knee: {points[knee].name} ({_shown(figures, points[knee])}, {microjoules[knee]:.3g} µJ)",
    )
    if measure == "accuracy" and figures.reference_accuracy is not None:
        level = 100 * figures.reference_accuracy
        axes.axhline(level, color=MUTED, linestyle="--", linewidth=1, label="ANN")
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("energy a sample, µJ (estimated, 45 nm)")
    axes.set_ylabel(quality_axis(figures))


def _shown(figures: Sweep, point: Point) -> str:
    return figures.compared.show(point.value(figures.measure))


def draw_sweep_over_time(axes: Axes, figures: Sweep) -> None:
    """Draw what each kind of conversion reaches at best with each number of timesteps.

    Args:
        axes: to draw into.
        figures: what `onnx2snn.analysis.sweep.sweep` returned.
    """
    steps: set[int] = set()
    for kind, (marker, colour) in _STYLES.items():
        best: dict[int, Point] = {}
        for point in figures.points:
            if point.name.split(",")[0] == kind:
                time = point.options["timesteps"]
                best[time] = max(best.get(time, point), point, key=figures.quality)
        if best:
            times = sorted(best)
            axes.plot(
                times,
                [quality_drawn(figures, best[time]) for time in times],
                color=colour,
                marker=marker,
                label=kind,
            )
            steps |= best.keys()
    axes.set_xscale("log", base=2)
    axes.set_xticks(sorted(steps), [str(time) for time in sorted(steps)])
    axes.minorticks_off()
    axes.set_xlabel("timesteps T")
    axes.set_ylabel(quality_axis(figures))
