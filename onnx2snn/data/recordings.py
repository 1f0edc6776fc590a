"""Event recordings as a data set: each becomes one frame or several, and a frame is a sample."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from onnx2snn.data.dataset import Dataset, InputSpec, Part
from onnx2snn.data.event_files import Recordings
from onnx2snn.data.event_frames import (
    CHANNELS,
    Events,
    FrameRule,
    accumulated,
    count_events,
    parse_accumulate,
)
from onnx2snn.data.events import check_events
from onnx2snn.data.image_folder import balanced
from onnx2snn.data.labels import LABELS_KEY
from onnx2snn.data.preprocessing import Layout, Preprocessing, infer_layout
from onnx2snn.errors import DataError

#: Bytes of the frames that are made at once.
_CHUNK = 1 << 24
#: Frames of one recording, past which a time is more likely broken than meant.
_MOST_FRAMES = 10_000_000


@dataclass(frozen=True)
class Source:
    """A file, or an item of the caller's, with recordings.

    Attributes:
        where: what it is called in a message.
        read: reads it, anew each time.
    """

    where: str
    read: Callable[[], Recordings]


@dataclass(frozen=True)
class _Target:
    """What every recording is made into."""

    name: str
    rule: FrameRule
    preprocessing: Preprocessing
    channels: int
    #: Height and width that the model takes, None where it takes any.
    size: tuple[int | None, int | None]
    layout: Layout

    def sensor(self, found: Recordings) -> tuple[int, int]:
        """Height and width of the camera, in pixels."""
        known = self.preprocessing.sensor or found.sensor
        if known is not None:
            return known
        height, width = self.size
        if height is None or width is None or self.preprocessing.resize is not None:
            raise DataError(
                f"{found.where}: expected a sensor of known size, found none in the data; give --sensor H,W"
            )
        return height, width

    def frame_size(self, where: str, sensor: tuple[int, int]) -> tuple[int, int]:
        """Height and width of a frame, known to fit the model."""
        size = self.preprocessing.resize or sensor
        if size[0] > sensor[0] or size[1] > sensor[1]:
            raise DataError(
                f"{where}: expected --resize of at most {sensor[0]},{sensor[1]}, the sensor's size, found "
                f"{size[0]},{size[1]}; leave it out, or give --sensor H,W"
            )
        wanted = [found if fixed is None else fixed for fixed, found in zip(self.size, size, strict=True)]
        if tuple(wanted) != size:
            which = "--resize gives" if self.preprocessing.resize else "of the sensor"
            option = "--sensor" if wanted[0] > sensor[0] or wanted[1] > sensor[1] else "--resize"
            raise DataError(
                f"{where}: expected frames of {wanted[0]}x{wanted[1]} pixels (height x width) for input "
                f"'{self.name}', found {size[0]}x{size[1]}, those {which}; "
                f"give {option} {wanted[0]},{wanted[1]}"
            )
        return size

    def shape(self, size: tuple[int, int]) -> tuple[int, ...]:
        """The shape of a frame in the model's layout."""
        return (self.channels, *size) if self.layout == "NCHW" else (*size, self.channels)


class _Reader:
    """Reads recordings in any order, and holds the last file and the last recording that was asked for."""

    def __init__(self, target: _Target) -> None:
        self.target = target
        self._file: tuple[Source, Recordings, Events] | None = None
        self._recording: tuple[Source, int, Events, NDArray[np.int64]] | None = None

    def file(self, source: Source) -> tuple[Recordings, Events]:
        """All recordings of a source, as they are stored and checked."""
        if self._file is None or self._file[0] is not source:
            self._file = None
            found = source.read()
            sensor = self.target.sensor(found)
            self._file = source, found, check_events(found.where, found.columns, found.offsets, sensor)
        return self._file[1:]

    def frames(self, source: Source, recording: int, first: int, last: int) -> dict[str, NDArray[np.int32]]:
        """Frames `first` up to `last` of a recording, by the input's name and in its layout."""
        target = self.target
        found, every = self.file(source)
        if self._recording is None or self._recording[0] is not source or self._recording[1] != recording:
            events = every[found.offsets[recording] : found.offsets[recording + 1]]
            self._recording = source, recording, events, target.rule.numbers(events.time)
        *_, events, numbers = self._recording
        most = parse_accumulate(target.preprocessing.accumulate)
        earliest = 0 if most is None else max(0, first - most + 1)
        start, stop = np.searchsorted(numbers, [earliest, last])
        sensor = target.sensor(found)
        counts = count_events(
            events[start:stop],
            numbers[start:stop] - earliest,
            last - earliest,
            sensor,
            target.frame_size(found.where, sensor),
            target.preprocessing.polarity,
        )
        counts = accumulated(counts, most)[first - earliest :]
        return {target.name: counts if target.layout == "NCHW" else counts.transpose(0, 2, 3, 1)}


def recording_dataset(
    sources: Sequence[Source],
    inputs: Sequence[InputSpec],
    preprocessing: Preprocessing,
    max_samples: int | None,
    name: str,
    labels: NDArray[np.int64] | None = None,
    label_names: tuple[str, ...] | None = None,
) -> Dataset:
    """A data set of event recordings: all are read once here, and again, one at a time, when they are used.

    Args:
        sources: where they are, in order.
        inputs: the model's, which has to be one.
        preprocessing: with `frames`.
        max_samples: at most so many frames; with `labels` about as many of each class.
        name: of all of it.
        labels: int64, ascending, the class of each source; None: those that sources bring.
        label_names: the classes' names.

    Raises:
        DataError: recordings that cannot be read, are broken or do not fit the model, no rule for frames,
            or labels for some only.
    """
    target = _target(name, inputs, preprocessing)
    reader = _Reader(target)
    order = np.arange(len(sources)) if labels is None else balanced(labels)
    room = np.inf if max_samples is None else max_samples
    opened: dict[int, _Opened] = {}
    for number in order.tolist():
        if room <= 0:
            break
        opened[number] = _open(reader, sources[number], room)
        room -= opened[number].frames.sum()
    chosen = [opened[number] for number in sorted(opened)]
    if labels is not None:
        classes = [np.full(len(opened[number].frames), labels[number]) for number in sorted(opened)]
    else:
        classes = [found.labels for found in chosen if found.labels is not None]
    if classes and len(classes) < len(chosen):
        raise DataError(
            f"{name}: expected labels in every file or in none, found them in {len(classes)} of "
            f"{len(chosen)}; store '{LABELS_KEY}' in each .npz"
        )
    frames = np.concatenate([found.frames for found in chosen])
    return Dataset(
        tuple(inputs),
        alike(tuple(part for found in chosen for part in found.parts)),
        replace(preprocessing, layout=target.layout),
        name,
        np.repeat(np.concatenate(classes), frames) if classes else None,
        label_names,
        np.repeat(np.arange(len(frames)), frames),
    )


@dataclass(frozen=True, eq=False)
class _Opened:
    """What is known of a source: its parts, the frames of each recording, and labels."""

    parts: list[Part]
    frames: NDArray[np.int64]
    labels: NDArray[np.int64] | None


def _open(reader: _Reader, source: Source, room: float) -> _Opened:
    """Check the recordings of a source, and lay out at most `room` frames of them."""
    target = reader.target
    found, events = reader.file(source)
    size = target.frame_size(found.where, target.sensor(found))
    shape = target.shape(size)
    chunk = max(1, _CHUNK // (8 * 2 * size[0] * size[1]))
    parts: list[Part] = []
    frames: list[int] = []
    for recording, (start, stop) in enumerate(zip(found.offsets[:-1], found.offsets[1:], strict=True)):
        count = target.rule.frames(int(stop - start), int(events.time[start]), int(events.time[stop - 1]))
        where = f"{found.where}, recording {recording}" if len(found.offsets) > 2 else found.where
        if count > _MOST_FRAMES:
            raise DataError(
                f"{where}: expected at most {_MOST_FRAMES:,} frames, found {count:,}; give longer frames, "
                "or mend its times"
            )
        count = int(min(count, room))
        room -= count
        frames.append(count)
        for first in range(0, count, chunk):
            last = min(first + chunk, count)
            read = partial(reader.frames, source, recording, first, last)
            parts.append(Part(last - first, {target.name: where}, {target.name: shape}, read))
        if room <= 0:
            break
    labels = None if found.labels is None else found.labels[: len(frames)]
    return _Opened(parts, np.array(frames, np.int64), labels)


def _target(name: str, inputs: Sequence[InputSpec], preprocessing: Preprocessing) -> _Target:
    if preprocessing.frames is None:
        raise DataError(
            f"{name}: expected --frames with event recordings, found none; give --frames count:1 for one "
            "frame a recording, time:10ms or events:2000 for frames of some length, as the net was trained"
        )
    if len(inputs) != 1:
        names = ", ".join(spec.name for spec in inputs)
        raise DataError(
            f"{name}: expected a model with 1 input for event recordings, found {len(inputs)} ({names}); "
            f"store the inputs in an .npz under their names"
        )
    (spec,) = inputs
    channels = CHANNELS[preprocessing.polarity]
    layout = preprocessing.layout or _layout(spec, channels)
    found = spec.shape[1 if layout == "NCHW" else 3] if len(spec.shape) == 4 else 0
    if found not in (None, channels):
        other = "channels" if found == 2 else "signed or --polarity sum"
        remedy = (
            f"give --polarity {other}" if found in (1, 2) else "give --layout, or make the frames yourself"
        )
        raise DataError(
            f"{name}: expected a {layout} model input of {channels} channels for --polarity "
            f"{preprocessing.polarity}, found '{spec.name}' of shape {list(spec.shape)}; {remedy}"
        )
    size = spec.shape[2:] if layout == "NCHW" else spec.shape[1:3]
    rule = FrameRule.parse(preprocessing.frames)
    return _Target(spec.name, rule, preprocessing, channels, (size[0], size[1]), layout)


def _layout(spec: InputSpec, channels: int) -> Layout:
    """Where the channels of frames are, which `infer_layout` knows of images only."""
    if len(spec.shape) != 4 or (spec.shape[1] == channels) == (spec.shape[3] == channels):
        return infer_layout(spec.shape)
    return "NCHW" if spec.shape[1] == channels else "NHWC"


def alike(parts: tuple[Part, ...]) -> tuple[Part, ...]:
    """The parts, known to have samples of one shape.

    Raises:
        DataError: they have not.
    """
    first = parts[0]
    for part in parts:
        if part.sample_shapes != first.sample_shapes:
            ((name, shape),) = part.sample_shapes.items()
            raise DataError(
                f"{part.where[name]}: expected frames of shape {list(first.sample_shapes[name])} as in "
                f"{first.where[name]}, found {list(shape)}; give --resize H,W"
            )
    return parts
