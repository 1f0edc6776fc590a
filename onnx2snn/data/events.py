"""Address events as arrays hold them, checked: columns under their names, or rows of x, y, polarity, time."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnx2snn.data.event_frames import Events
from onnx2snn.errors import DataError

#: What libraries call the columns: tonic, expelliarmus, Metavision, aedat, ESIM.
NAMES = {
    "x": ("x", "xs"),
    "y": ("y", "ys"),
    "polarity": ("p", "on", "polarity", "ps", "pol"),
    "time": ("t", "time", "timestamp", "ts"),
}
#: In µs: differences of times are within int64.
_END_OF_TIME = 1 << 62
#: The columns of a plain array, in order.
ROWS = tuple(NAMES)


def named_columns(names: Collection[str] | None) -> dict[str, str] | None:
    """The name of every column among these; None where one is missing."""
    found = {column: next((n for n in known if n in (names or ())), None) for column, known in NAMES.items()}
    named = {column: name for column, name in found.items() if name is not None}
    return named if len(named) == len(NAMES) else None


def holds_events(dtype: np.dtype[Any]) -> bool:
    """Whether an array of this type has the fields of events."""
    return named_columns(dtype.names) is not None


def split_columns(where: str, stored: NDArray[Any] | Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """The columns of events: integers [M], polarity also bool.

    Raises:
        DataError: an array of another form, of floats, or columns that differ in length.
    """
    names = named_columns(stored if isinstance(stored, Mapping) else stored.dtype.names)
    if names is not None:
        columns = {column: np.asarray(stored[name]) for column, name in names.items()}
    elif not isinstance(stored, Mapping) and stored.ndim == 2 and stored.shape[1] == len(ROWS):
        columns = {column: stored[:, number] for number, column in enumerate(ROWS)}
    else:
        form = sorted(stored) if isinstance(stored, Mapping) else f"{stored.dtype} {list(stored.shape)}"
        raise DataError(
            f"{where}: expected events as integers [M, 4] (x, y, polarity, time in µs) or with the fields "
            f"x, y, p, t, found {form}; store them like that"
        )
    for column, values in columns.items():
        kinds = "iub" if column == "polarity" else "iu"
        if values.dtype.kind not in kinds or values.ndim != 1 or len(values) != len(columns["x"]):
            raise DataError(
                f"{where}: {column}: expected integers of shape [{len(columns['x'])}]"
                f"{' (microseconds)' if column == 'time' else ''}, found {values.dtype} of shape "
                f"{list(values.shape)}; convert the column"
            )
    return columns


def check_events(
    where: str,
    columns: Mapping[str, NDArray[Any]],
    offsets: NDArray[np.int64],
    sensor: tuple[int, int],
) -> Events:
    """The events of recordings, known to be sound.

    Args:
        where: what they are called in a message.
        columns: as `split_columns` gives them.
        offsets: int64 [R + 1]; recording r has the events offsets[r] to offsets[r + 1].
        sensor: height and width in pixels.

    Raises:
        DataError: an empty recording, an event outside the sensor, polarities of other than two values, or
            a time before that of the event before.
    """

    def place(event: int) -> str:
        recording = int(np.searchsorted(offsets, event, "right")) - 1
        number = f", recording {recording}" if len(offsets) > 2 else ""
        return f"{where}{number}, event {event - int(offsets[recording])}"

    if not len(offsets) > 1 or (lengths := np.diff(offsets)).min() < 1:
        empty = f", recording {int(lengths.argmin())}" if len(offsets) > 2 else ""
        raise DataError(f"{where}{empty}: expected at least 1 event, found none; leave empty recordings out")
    for column, size, which in (("x", sensor[1], "columns"), ("y", sensor[0], "rows")):
        values = columns[column]
        outside = (values < 0) | (values >= size)
        if outside.any():
            first = int(outside.argmax())
            raise DataError(
                f"{place(first)}: expected {column} from 0 to {size - 1}, a sensor of {size} {which}, "
                f"found {values[first]}; give --sensor H,W as the camera has it"
            )
    polarity = columns["polarity"]
    low, high = int(polarity.min()), int(polarity.max())
    if low < -1 or high > 1 or (low == -1 and (polarity == 0).any()):
        several = ", ".join(map(str, np.unique(polarity)[:5].tolist()))
        raise DataError(
            f"{where}: expected polarities of two values, 0 and 1 or -1 and 1, found {several}; "
            f"convert the column, or leave out events of other kinds"
        )
    time = columns["time"].astype(np.int64)
    if max(-int(time.min()), int(time.max())) >= _END_OF_TIME:
        raise DataError(
            f"{where}: expected times in µs from -2^62 to 2^62, found {time.min()} to {time.max()}; mend the "
            "column, or convert it to µs"
        )
    backwards = time[1:] < time[:-1]
    backwards[offsets[1:-1] - 1] = False
    if backwards.any():
        event = int(backwards.argmax()) + 1
        raise DataError(
            f"{place(event)}: expected a time of at least {time[event - 1]} µs, that of the event before, "
            f"found {time[event]}; sort the events, or mend a clock that wraps around"
        )
    return Events(columns["x"], columns["y"], polarity > 0, time)


def check_offsets(where: str, offsets: NDArray[Any], events: int) -> NDArray[np.int64]:
    """Where recordings begin, and the last one ends.

    Raises:
        DataError: no ascending integers from 0 to the number of events.
    """
    fits = offsets.dtype.kind in "iu" and offsets.ndim == 1 and len(offsets) > 1
    if not fits or offsets[0] != 0 or offsets[-1] != events or (np.diff(offsets.astype(np.int64)) < 0).any():
        raise DataError(
            f"{where}: expected ascending integers from 0 to {events}, the number of events, "
            f"found {offsets.dtype} {np.array2string(offsets, threshold=6)}; recording i is "
            "events[offsets[i]:offsets[i + 1]]"
        )
    return offsets.astype(np.int64)
