"""What `evaluate --stream` and `run --stream` do: follow frames, with the state carried on."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click
import numpy as np

from onnx2snn.cli.options import recorded
from onnx2snn.cli.terminal import console_for, progress_bar, say, write_json
from onnx2snn.data.readers import Dataset
from onnx2snn.errors import OptionError
from onnx2snn.model.file import write_atomically
from onnx2snn.report import stream_tables

if TYPE_CHECKING:
    from onnx2snn.analysis.evaluation import Reference
    from onnx2snn.runtime.frames import Pace
    from onnx2snn.runtime.session import SpikingSession

#: The options that say how frames are followed.
STREAM = ["steps_per_frame", "tolerance", "hop", "frame_rate"]
Command = Callable[..., Any]


@dataclass(frozen=True)
class Following:
    """How frames are followed.

    Attributes:
        pace: by the network.
        seconds: from frame to frame; None where that is not known.
    """

    pace: Pace
    seconds: float | None


def stream_options(command: Command) -> Command:
    """How frames are followed."""
    for option in (
        click.option(
            "--frame-rate",
            type=float,
            metavar="HZ",
            help="Frames a second, for the real-time factor.  [default: as --frames time:… says]",
        ),
        click.option(
            "--hop",
            type=int,
            metavar="COLUMNS",
            help="Frames are windows of a signal along their last axis, each so far behind the one before.",
        ),
        click.option(
            "--tolerance",
            type=int,
            metavar="N",
            help="A power of two: send no change smaller than N of a neuron's smallest spikes.  [default: 1]",
        ),
        click.option(
            "--steps-per-frame",
            metavar="K|rest",
            help="Timesteps a frame, or until no neuron sends.  [default: rest with graded spikes, else 1]",
        ),
    ):
        command = option(command)
    return command


def read_following(
    session: SpikingSession,
    values: dict[str, Any],
    *,
    wanted: bool,
) -> Following | None:
    """Take the options of `stream_options` out of `values`: how frames are followed; None if they are not.

    Raises:
        OptionError: options of streams without one, or that no stream can have.
    """
    from onnx2snn.analysis.stream_evaluation import frame_seconds
    from onnx2snn.runtime.frames import Pace

    steps_per_frame, tolerance, hop, frame_rate = given = [values.pop(name) for name in STREAM]
    if not wanted:
        for name, value in zip(STREAM, given, strict=True):
            if value is not None:
                flag = "--" + name.replace("_", "-")
                raise OptionError(f"{flag}: expected only with --stream; add that or leave it out")
        return None
    if steps_per_frame is None:
        steps_per_frame = "rest" if session.artifact.sums else "1"
    steps = int(steps_per_frame) if steps_per_frame.isdecimal() else steps_per_frame
    preprocessing = recorded(session, dict(values))  # a copy: who opens the data takes the options out
    pace = Pace(steps, 1 if tolerance is None else tolerance, count=True, hop=hop or 0)
    return Following(pace, frame_seconds(preprocessing, frame_rate))


def one_source(data: str | None, stream: str | None) -> str:
    """The one of two that is given.

    Raises:
        OptionError: both, or neither.
    """
    if data is None and stream is not None:
        return stream
    if data is None or stream is not None:
        raise OptionError(
            f"run: expected either --input X.npy or --stream DATA, found {'both' if data else 'neither'}; "
            "give one of the two"
        )
    return data


def check_alone(*flags: Any) -> None:
    """Refuse what does not go with --stream: flags and values in turns."""
    for flag, value in zip(flags[::2], flags[1::2], strict=True):
        if value is not None:
            raise OptionError(f"{flag}: expected none with --stream, found {value}; leave it out")


def evaluate_following(
    session: SpikingSession,
    dataset: Dataset,
    following: Following,
    reference: Reference | None,
    at_once: int,
    json_file: str | None,
) -> None:
    """Measure a network that follows the recordings of a data set."""
    from onnx2snn.analysis.stream_evaluation import evaluate_stream

    with progress_bar("stream") as advance:
        figures = evaluate_stream(
            session,
            dataset,
            following.pace,
            reference,
            at_once=at_once,
            seconds=following.seconds,
            progress=lambda done: advance("stream", done / len(dataset)),
        )
    out = console_for(json_file)
    out.print(stream_tables.figures_table(figures))
    if figures.accuracy_by_frame is not None:
        out.print()
        out.print(stream_tables.time_table(figures, following.seconds))
    write_json(json_file, figures.to_dict())


def run_following(
    session: SpikingSession, dataset: Dataset, following: Following, output: str | None
) -> None:
    """Follow frames, show what each gave and cost, and write it if asked for."""
    from onnx2snn.analysis.stream_evaluation import recordings_of

    kept: dict[str, list[Any]] = {}
    log = stream_tables.FrameLog(session.artifact.outputs[0])
    stream = session.open_stream(following.pace)
    with progress_bar("stream") as advance:
        for number, recording in enumerate(recordings_of(dataset)):
            for feeds in recording.batches(1):
                frame = stream.advance(feeds, [number])
                log.add(number, frame)
                if output is not None:
                    values = frame.outputs | {name: getattr(frame, name) for name in log.counted}
                    for name, value in values.items():
                        kept.setdefault(name, []).append(value)
                advance("stream", log.frames / len(dataset))
    if output is not None:
        buffer = io.BytesIO()
        np.savez(buffer, allow_pickle=False, **{name: np.concatenate(v) for name, v in kept.items()})
        write_atomically(output, buffer.getvalue())
    out = console_for(None)
    out.print(log.table())
    for name, line in log.lines(following.seconds):
        say(out, name, line)
    if output is not None:
        say(out, "written", output)
