"""What the tests of event recordings share: events, seeded, and models that eat their frames."""

from __future__ import annotations

import numpy as np

from tests.data.reader_cases import spec

HEIGHT, WIDTH = 6, 8
FRAMES = [spec(None, 2, HEIGHT, WIDTH)]
#: As tonic has them.
FIELDS = np.dtype([("x", "<i2"), ("y", "<i2"), ("t", "<i8"), ("p", "<i1")])


def rows(events: int, seed: int = 0, start: int = 1_000) -> np.ndarray:
    """A recording as int32 [M, 4]: x, y, polarity 0 or 1, ascending time in µs."""
    rng = np.random.default_rng(seed)
    time = start + np.sort(rng.integers(0, 30_000, events))
    places = rng.integers(0, [WIDTH, HEIGHT, 2], (events, 3))
    return np.column_stack([places, time]).astype(np.int32)


def fields(events: np.ndarray, dtype: np.dtype = FIELDS) -> np.ndarray:
    """Rows as an array with fields."""
    found = np.zeros(len(events), dtype)
    for number, name in enumerate("xypt"):
        found[name] = events[:, number]
    return found


def counted(events: np.ndarray, size: tuple[int, int] = (HEIGHT, WIDTH)) -> np.ndarray:
    """One frame of rows, [2, H, W], event by event."""
    frame = np.zeros((2, *size), np.float32)
    for x, y, polarity, _ in events:
        frame[polarity, y, x] += 1
    return frame
