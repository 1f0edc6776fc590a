"""What following frames gave, as tables and sentences. Nothing here prints."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from rich.table import Table

from onnx2snn.analysis.stream_evaluation import top1
from onnx2snn.report.words import count, percent

if TYPE_CHECKING:
    from onnx2snn.analysis.stream_evaluation import StreamEvaluation
    from onnx2snn.runtime.frames import Frame

Array = npt.NDArray[Any]
#: Rows of the longest table.
_ROWS = 20


def figures_table(figures: StreamEvaluation) -> Table:
    """Figures of a network that followed recordings, one a row."""
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    ann = "" if figures.reference_accuracy is None else f" (the ANN: {percent(figures.reference_accuracy)})"
    anew = f"each frame anew {count(figures.anew_operations_per_frame)}"
    alone = f"{count(figures.frames_per_second)} frames/s of one stream{_real_time(figures.real_time_factor)}"
    rows = [
        ("recordings", f"{figures.recordings:,} of {figures.frames:,} frames"),
        ("accuracy", figures.accuracy is not None and f"{percent(figures.accuracy)} of recordings{ann}"),
        ("same answer as the ANN", percent(figures.agreement) and f"{percent(figures.agreement)} of frames"),
        ("output error", percent(figures.output_error, 2)),
        ("first right answer", _latency(figures)),
        ("timesteps a frame", count(float(np.mean(figures.timesteps_by_frame)))),
        ("events a frame", count(figures.events_per_frame)),
        (
            "operations a frame",
            f"{count(figures.operations_per_frame)}; {anew}: {figures.operations_ratio:.3f} of them",
        ),
        ("speed", alone),
    ]
    for name, text in rows:
        if text:
            table.add_row(name, text)
    return table


def _latency(figures: StreamEvaluation) -> str:
    if figures.frames_to_right is None:
        return ""
    clock = "" if figures.seconds_to_right is None else f", {1000 * figures.seconds_to_right:.3g} ms"
    never = f"; never in {percent(figures.never_right)} of recordings" if figures.never_right else ""
    return f"after {figures.frames_to_right:.2f} frames on average{clock}{never}"


def _real_time(factor: float | None) -> str:
    return "" if factor is None else f", {count(factor)} times real time"


def time_table(figures: StreamEvaluation, seconds: float | None) -> Table:
    """Accuracy by time: after how many frames how many recordings are answered right."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("frames", *(["ms"] if seconds else []), "accuracy", "timesteps"):
        table.add_column(name, justify="right")
    known = figures.accuracy_by_frame or []
    for place in _spread(len(known)):
        clock = [f"{1000 * seconds * (place + 1):,.6g}"] if seconds else []
        steps = f"{figures.timesteps_by_frame[place]:.2f}"
        table.add_row(str(place + 1), *clock, percent(known[place]), steps)
    return table


def _spread(length: int) -> Sequence[int]:
    """Some places of many, the first and the last among them."""
    return sorted({round(place) for place in np.linspace(0, length - 1, min(length, _ROWS))})


class FrameLog:
    """What each frame gave and cost; holds the first ones, and sums of all: memory stays the same for ever.

    Args:
        output: whose answers are shown.
    """

    #: Fields of a frame that are numbers a stream.
    counted = ("timesteps", "events", "operations", "prefix_macs")

    def __init__(self, output: str) -> None:
        self.frames = 0
        self._output = output
        self._rows: list[tuple[str, ...]] = []
        self._sums = dict.fromkeys(self.counted, 0)
        self._seconds = 0.0
        self._classes = False

    def add(self, recording: int, frame: Frame) -> None:
        """Take in a frame of one stream."""
        numbers = {name: int(getattr(frame, name)[0]) for name in self.counted}
        best = top1(frame.outputs[self._output])
        self._classes |= best is not None
        if len(self._rows) < _ROWS:
            answer = "" if best is None else str(best[0])
            cells = (f"{value:,}" for value in numbers.values())
            self._rows.append((str(recording), str(self.frames), answer, *cells))
        self.frames += 1
        self._seconds += frame.seconds
        for name, value in numbers.items():
            self._sums[name] += value

    def table(self) -> Table:
        """The first frames."""
        table = Table(box=None, pad_edge=False, header_style="bold")
        names = ("recording", "frame", "answer", "timesteps", "events", "operations", "MACs of the input")
        shown = [place for place, name in enumerate(names) if self._classes or name != "answer"]
        for place in shown:
            table.add_column(names[place], justify="right")
        for row in self._rows:
            table.add_row(*(row[place] for place in shown))
        if self.frames > len(self._rows):
            table.add_row(*("…" for _ in shown))
        return table

    def lines(self, seconds: float | None) -> Iterator[tuple[str, str]]:
        """All frames in sentences; `seconds` from frame to frame, where they are known."""
        frames = max(1, self.frames)
        means = {name: count(total / frames) for name, total in self._sums.items()}
        yield (
            "frames",
            f"{self.frames:,}; on average {means['timesteps']} timesteps, {means['events']} events, "
            f"{means['operations']} synaptic operations and {means['prefix_macs']} MACs of the input",
        )
        rate = self.frames / max(self._seconds, 1e-9)
        factor = None if seconds is None else rate * seconds
        yield "speed", f"{count(rate)} frames/s while counting{_real_time(factor)}"
