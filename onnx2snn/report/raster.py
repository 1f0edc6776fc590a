"""A raster of the busiest channels for a few samples."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from onnx2snn.report.content import Plot, Section
from onnx2snn.report.drawing import draw
from onnx2snn.report.plots import BLUE, GREY, ORANGE
from onnx2snn.report.recording import Recording
from onnx2snn.report.subject import Subject
from onnx2snn.report.words import sentence, short, timesteps

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_ROW, _AROUND = 17.0, 62.0
#: Share of a row, and of a timestep, that marks fill.
_FILLED, _WIDE = 0.86, 0.8


def raster_section(subject: Subject) -> Section | None:
    """What the busiest channels send, timestep by timestep."""
    recording = subject.recording
    if recording is None or not recording.channels:
        return None
    up, down = _extent(recording)
    lead = [
        "The busiest channels of the layers, in the order in which they fire. A mark is as high as the "
        f"channel sends spikes in that timestep; the highest one here stands for {up:.3g} spikes a neuron."
    ]
    drawn = len({channel.layer for channel in recording.channels})
    if drawn < len(recording.neurons):
        lead.append(f"Of {len(recording.neurons)} layers the {drawn} with the busiest channels are shown.")
    if down:
        lead.append("Marks below a row's line are spikes below zero: taken back, or of a leaky neuron.")
    plots = [_raster(recording, number, up, down) for number in range(len(recording.samples))]
    return Section("raster", "Raster", lead, plots)


def _extent(recording: Recording) -> tuple[float, float]:
    """The most spikes a neuron that a channel sends in a timestep, above zero and below."""
    up = max(float(channel.sent.max(initial=0.0)) for channel in recording.channels)
    down = max(float(channel.negative.max(initial=0.0)) for channel in recording.channels)
    return up, down


def _raster(recording: Recording, number: int, up: float, down: float) -> Plot:
    channels = recording.channels
    scale = _FILLED / (up + down or 1.0)
    # From the middle of a row down to its line.
    line = scale * (up - down) / 2
    lines = np.arange(len(channels)) + line

    def paint(figure: Figure) -> None:
        axes = figure.add_subplot()
        axes.grid(visible=False)
        axes.set_yticks(lines, [f"{short(channel.layer, 20)} [{channel.number}]" for channel in channels])
        axes.tick_params(axis="y", length=0)
        axes.hlines(lines, 0.5, recording.timesteps + 0.5, color=GREY, linewidth=0.5)
        _draw_marks(axes, lines, -scale * np.stack([c.sent[number] for c in channels]), BLUE, "spikes sent")
        if down:
            below = scale * np.stack([channel.negative[number] for channel in channels])
            _draw_marks(axes, lines, below, ORANGE, "below zero")
            figure.legend(loc="outside upper left", ncols=2)
        axes.set_xlim(0.4, recording.timesteps + 0.6)
        axes.set_ylim(len(channels) - 0.4, -0.6)
        axes.locator_params(axis="x", integer=True, min_n_ticks=1)
        axes.set_xlabel("timestep")

    totals = [float(channel.sent[number].sum()) for channel in channels]
    busiest = channels[int(np.argmax(totals))]
    return draw(
        f"raster-{number}",
        sentence(recording.samples[number]),
        f"{len(channels)} channels over {timesteps(recording.timesteps)}, from {short(channels[0].layer)} "
        f"down. Busiest: channel {busiest.number} of {short(busiest.layer)}, {max(totals):.3g} spikes a "
        "neuron in all.",
        paint,
        height=_AROUND + _ROW * len(channels),
    )


def _draw_marks(
    axes: Axes, lines: npt.NDArray[Any], heights: npt.NDArray[Any], colour: str, label: str
) -> None:
    """All marks of one kind as a single path: of signed heights [rows, T], from the rows' lines."""
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    rows, columns = np.nonzero(heights)
    left, start = columns + 1 - _WIDE / 2, lines[rows]
    end = start + heights[rows, columns]
    corners = [(left, start), (left, end), (left + _WIDE, end), (left + _WIDE, start), (left, start)]
    places = np.stack([np.stack(corner, axis=1) for corner in corners], axis=1).reshape(-1, 2)
    codes = np.tile([Path.MOVETO, Path.LINETO, Path.LINETO, Path.LINETO, Path.CLOSEPOLY], len(rows))
    path = Path(places, codes) if len(rows) else Path(np.zeros((0, 2)))
    axes.add_patch(PathPatch(path, facecolor=colour, linewidth=0, label=label))
