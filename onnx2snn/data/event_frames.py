"""How the events of a camera become frames: which events share a frame, and what a frame counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Self, get_args

import numpy as np
from numpy.typing import NDArray

from onnx2snn.errors import OptionError

Kind = Literal["time", "events", "count"]
Polarity = Literal["channels", "signed", "sum"]

#: Channels of a frame.
CHANNELS: dict[Polarity, int] = {"channels": 2, "signed": 1, "sum": 1}
_MICROSECONDS = {"us": 1, "µs": 1, "ms": 1_000, "s": 1_000_000}
_EXAMPLES = "time:10ms, events:2000 or count:30"


@dataclass(frozen=True)
class Events:
    """Events in the order of their times.

    Attributes:
        x: integers [M], columns from the left, 0 first.
        y: integers [M], rows from the top, 0 first.
        on: bool [M], whether it became brighter.
        time: int64 [M], microseconds from any moment on.
    """

    x: NDArray[Any]
    y: NDArray[Any]
    on: NDArray[np.bool_]
    time: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.time)

    def __getitem__(self, wanted: slice | NDArray[Any]) -> Events:
        return Events(self.x[wanted], self.y[wanted], self.on[wanted], self.time[wanted])


@dataclass(frozen=True)
class FrameRule:
    """Which events of a recording share a frame; every event is in exactly one.

    Attributes:
        kind: `time`: frames of one length, from the first event on; the last one may end early.
            `events`: frames of one number of events; the last one may have fewer.
            `count`: one number of frames, equally long, from the first event to the last.
        size: microseconds, events or frames.
    """

    kind: Kind
    size: int

    @classmethod
    def parse(cls, text: object) -> Self:
        """`time:10ms` (us, ms or s), `events:2000` or `count:30`.

        Raises:
            OptionError: anything else, or frames of no time, no event, or none at all.
        """
        kind, _, amount = text.partition(":") if isinstance(text, str) else ("", "", "")
        size = _microseconds(amount) if kind == "time" else int(amount) if amount.isdecimal() else None
        if kind not in get_args(Kind) or size is None:
            raise OptionError(f"frames: expected one such as {_EXAMPLES}, found {text!r}")
        if size < 1:
            least = "1us" if kind == "time" else "1"
            raise OptionError(f"frames: expected at least {kind}:{least}, found {text!r}; give {_EXAMPLES}")
        return cls(kind, size)  # type: ignore[arg-type]

    def frames(self, events: int, first: int, last: int) -> int:
        """How many frames a recording of so many events has, at times `first` to `last`."""
        if self.kind == "count":
            return self.size
        return (events - 1 if self.kind == "events" else last - first) // self.size + 1

    def numbers(self, time: NDArray[np.int64]) -> NDArray[np.int64]:
        """The frame of every event of a recording, int64 [M], ascending like its times."""
        if self.kind == "events":
            return np.arange(len(time)) // self.size
        since: NDArray[np.int64] = time - time[0]
        if self.kind == "time":
            return since // self.size
        length = int(since[-1]) + 1
        exact = since if length * self.size < 1 << 63 else since.astype(object)
        return (exact * self.size // length).astype(np.int64)


def parse_accumulate(value: object) -> int | None:
    """How many frames are summed into each, the last of which is its own; None for all so far.

    Raises:
        OptionError: no whole number of at least 1, and not `all`.
    """
    if value == "all":
        return None
    number = int(value) if isinstance(value, str) and value.isdecimal() else value
    if not isinstance(number, int) or isinstance(number, bool) or number < 1:
        raise OptionError(f"accumulate: expected a whole number of at least 1, or all, found {value!r}")
    return number


def accumulated(counts: NDArray[np.int32], most: int | None) -> NDArray[np.int32]:
    """Frames [n, …] of which each also counts what those before it did, at most `most` in all."""
    sums = counts.cumsum(axis=0, dtype=np.int32)
    if most is not None and most < len(sums):
        sums[most:] -= sums[:-most].copy()
    return sums


def _microseconds(text: str) -> int | None:
    """A length of time as whole microseconds."""
    number = text.rstrip("µmsu")
    unit = _MICROSECONDS.get(text[len(number) :])
    try:
        length = float(number) * unit if unit else None
    except ValueError:
        return None
    # A fraction of a microsecond would let frames drift against the clock.
    return int(length) if length is not None and length.is_integer() else None


def count_events(
    events: Events,
    numbers: NDArray[np.int64],
    frames: int,
    sensor: tuple[int, int],
    size: tuple[int, int],
    polarity: Polarity,
) -> NDArray[np.int32]:
    """Frames of event counts.

    Args:
        events: within the sensor.
        numbers: int64 [M], the frame of each, from 0 on.
        frames: how many there are; those without an event are 0.
        sensor: its height and width in pixels.
        size: height and width of a frame; pixels of the sensor that share one are counted together.
        polarity: `channels`: channel 0 counts darker, channel 1 brighter. `signed`: brighter less darker.
            `sum`: both.

    Returns:
        int32 [frames, channels, height, width].
    """
    height, width = size
    y = events.y.astype(np.int64) * height // sensor[0]
    x = events.x.astype(np.int64) * width // sensor[1]
    place = ((numbers * 2 + events.on) * height + y) * width + x
    counts = np.bincount(place, minlength=frames * 2 * height * width).astype(np.int32)
    off_on = counts.reshape(frames, 2, height, width)
    if polarity == "channels":
        return off_on
    off, on = off_on[:, :1], off_on[:, 1:]
    return on - off if polarity == "signed" else on + off
