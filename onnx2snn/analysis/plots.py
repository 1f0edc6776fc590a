"""Pictures of figures, by matplotlib (extra `report`)."""

from __future__ import annotations

import io
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from onnx2snn.errors import OptionError
from onnx2snn.model_file import write_atomically

#: Marker and colour of each kind of conversion: neither says anything alone.
_STYLES = {
    "stream": ("o", "#0072b2"),
    "signed": ("s", "#d55e00"),
    "layer": ("^", "#009e73"),
    "radix": ("D", "#cc79a7"),
}
SUFFIXES = (".png", ".svg", ".pdf")


def check_plot(path: str | Path) -> None:
    """Find out before any work that a plot can be drawn.

    Raises:
        OptionError: matplotlib is not installed, or a kind of file that it does not write.
    """
    if Path(path).suffix.lower() not in SUFFIXES:
        raise OptionError(f"--plot: expected a file name in {', '.join(SUFFIXES)}, found '{path}'; rename it")
    if find_spec("matplotlib") is None:
        raise OptionError("--plot: expected matplotlib, found none; pip install 'onnx2snn[report]'")


def plot_sweep(found: Mapping[str, Any], path: str | Path) -> None:
    """Draw a sweep: quality against energy, the frontier, its knee and the ANN.

    Args:
        found: what `onnx2snn.analysis.sweep.sweep` returned.
        path: the picture; its suffix says which kind.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    measure, points = found["measure"], found["points"]
    microjoules = [1e6 * point["joules_per_sample"] for point in points]
    for kind, (marker, colour) in _STYLES.items():
        shown = [n for n, point in enumerate(points) if point["name"].split(",")[0] == kind]
        for compressed in (False, True):
            chosen = [n for n in shown if ("compress" in points[n]["options"]) == compressed]
            if chosen:
                axes.scatter(
                    [microjoules[n] for n in chosen],
                    [100 * points[n][measure] for n in chosen],
                    marker=marker,
                    facecolor="none" if compressed else colour,
                    edgecolor=colour,
                    label=f"{kind}{', compressed' if compressed else ''}",
                )
    best = [n for n, point in enumerate(points) if point["best"]]
    axes.plot(
        [microjoules[n] for n in best],
        [100 * points[n][measure] for n in best],
        color="0.6",
        linewidth=1,
        zorder=0,
        label="best for its energy",
    )
    (knee,) = (n for n, point in enumerate(points) if point["knee"])
    axes.annotate(
        f"{points[knee]['name']}\n{100 * points[knee][measure]:.1f} %, {microjoules[knee]:.3g} µJ",
        (microjoules[knee], 100 * points[knee][measure]),
        xytext=(12, -36),
        textcoords="offset points",
        arrowprops={"arrowstyle": "->", "color": "0.3"},
    )
    if measure == "accuracy" and found["reference_accuracy"] is not None:
        axes.axhline(100 * found["reference_accuracy"], color="0.3", linestyle="--", linewidth=1, label="ANN")
    axes.set_xscale("log")
    axes.set_xlabel("energy a sample, µJ (estimated, 45 nm)")
    axes.set_ylabel("accuracy, %" if measure == "accuracy" else "same answer as the ANN, %")
    axes.set_title(f"{len(points)} conversions, {found['samples']} samples")
    axes.grid(visible=True, which="both", color="0.92")
    axes.set_axisbelow(True)
    axes.legend(fontsize="small")
    buffer = io.BytesIO()
    # No date and no random names: the same figures give the same bytes.
    kind = Path(path).suffix.lower().removeprefix(".")
    fixed = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(kind, {})
    from matplotlib import rc_context

    with rc_context({"svg.hashsalt": "onnx2snn"}):
        figure.savefig(buffer, format=kind, dpi=150, metadata=fixed)
    write_atomically(path, buffer.getvalue())
