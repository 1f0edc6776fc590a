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

_ROW, _AROUND, _LINE = 17.0, 62.0, 14.0
#: Share of a row, and of a timestep, that marks fill.
_FILLED, _WIDE = 0.86, 0.8
#: Opacity of the smallest of several sizes.
_FAINTEST = 0.25


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
        lead.append(
            "Marks below a row's line are spikes below zero"
            + (": taken back, or of a leaky neuron." if not _sizes(recording) else ".")
        )
    if _sizes(recording):
        lead.append(
            "The shade of a mark is the size of its spikes: the strongest, next to the line, are worth the "
            "range R of their channel, and each fainter one half of the one before."
        )
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
        names = [short(channel.layer.removesuffix("/neuron"), 20) for channel in channels]
        axes.set_yticks(lines, [f"{name} [{c.number}]" for name, c in zip(names, channels, strict=True)])
        axes.tick_params(axis="y", length=0)
        axes.hlines(lines, 0.5, recording.timesteps + 0.5, color=GREY, linewidth=0.5)
        above, below = _heights(recording, number)
        _draw_kind(axes, lines, -scale * above, BLUE, "spikes sent")
        if down:
            _draw_kind(axes, lines, scale * below, ORANGE, "below zero")
            handles = axes.get_legend_handles_labels()[0]
            kinds = (
                len(handles) // 2
            )  # a legend fills columns: each sign is a row of it, where there are sizes
            paired = [
                handle for pair in zip(handles[:kinds], handles[kinds:], strict=True) for handle in pair
            ]
            figure.legend(handles=paired, loc="outside upper left", ncols=max(2, kinds))
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
        height=_AROUND + (_LINE if _sizes(recording) else 0) + _ROW * len(channels),
    )


def _sizes(recording: Recording) -> int:
    """n, the most sizes of the spikes of a channel; 0 where all are equal."""
    return max(0 if channel.sizes is None else channel.sizes.shape[-1] for channel in recording.channels)


def _heights(recording: Recording, number: int) -> npt.NDArray[Any]:
    """Spikes a neuron above zero and below, [2, rows, T, sizes]."""
    most = _sizes(recording)
    rows = []
    for channel in recording.channels:
        if channel.sizes is None:
            sent = np.stack([channel.sent[number], channel.negative[number]])[..., None]
        else:
            sent = np.moveaxis(channel.sizes[number], 1, 0)
        rows.append(np.pad(sent, [(0, 0), (0, 0), (0, max(1, most) - sent.shape[-1])]))
    return np.stack(rows, axis=1)


def _draw_kind(
    axes: Axes, lines: npt.NDArray[Any], heights: npt.NDArray[Any], colour: str, label: str
) -> None:
    """Marks of one sign, of signed heights [rows, T, sizes], the largest size next to the rows' lines."""
    sizes = heights.shape[-1]
    start = np.broadcast_to(lines[:, None], heights.shape[:2])
    told = {0, sizes // 2, sizes - 1}
    for size in range(sizes):
        name = f"{label}, R" if size == 0 and sizes > 1 else label if size == 0 else f"R/{1 << size}"
        end = start + heights[..., size]
        shade = 1 - (1 - _FAINTEST) * size / max(1, sizes - 1)
        _draw_marks(axes, start, end, colour, shade, name if size in told else "")
        start = end


def _draw_marks(
    axes: Axes,
    starts: npt.NDArray[Any],
    ends: npt.NDArray[Any],
    colour: str,
    shade: float,
    label: str,
) -> None:
    """All marks of one kind as a single path: from heights [rows, T] to others."""
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    rows, columns = np.nonzero(ends - starts)
    left, start, end = columns + 1 - _WIDE / 2, starts[rows, columns], ends[rows, columns]
    corners = [(left, start), (left, end), (left + _WIDE, end), (left + _WIDE, start), (left, start)]
    places = np.stack([np.stack(corner, axis=1) for corner in corners], axis=1).reshape(-1, 2)
    codes = np.tile([Path.MOVETO, Path.LINETO, Path.LINETO, Path.LINETO, Path.CLOSEPOLY], len(rows))
    path = Path(places, codes) if len(rows) else Path(np.zeros((0, 2)))
    axes.add_patch(
        PathPatch(path, facecolor=colour, alpha=None if shade == 1 else shade, linewidth=0, label=label)
    )
