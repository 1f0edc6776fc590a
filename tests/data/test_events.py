"""Columns of events: how arrays hold them, and what a sound recording is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from onnx2snn.data.events import check_events, check_offsets, holds_events, named_columns, split_columns
from onnx2snn.errors import DataError
from tests.data.event_cases import FIELDS, HEIGHT, WIDTH, fields, rows

SENSOR = HEIGHT, WIDTH

DTYPES = {
    "tonic": FIELDS,
    "tonic, bool": np.dtype([("x", "<i8"), ("y", "<i8"), ("t", "<i8"), ("p", "?")]),
    "expelliarmus": np.dtype([("t", "<i8"), ("x", "<i2"), ("y", "<i2"), ("p", "u1")], align=True),
    "Metavision": np.dtype([("x", "<u2"), ("y", "<u2"), ("p", "<i2"), ("t", "<i8")]),
    "aedat": np.dtype([("t", "<u8"), ("x", "<u2"), ("y", "<u2"), ("on", "?")]),
}


@pytest.mark.parametrize("dtype", DTYPES.values(), ids=DTYPES)
def test_fields_of_libraries(dtype: np.dtype[Any]) -> None:
    assert holds_events(dtype)
    stored = np.zeros(20, dtype)
    expected = rows(20)
    names = named_columns(dtype.names)
    assert names is not None
    for number, column in enumerate(("x", "y", "polarity", "time")):
        stored[names[column]] = expected[:, number]
    found = split_columns("d", stored)
    np.testing.assert_array_equal(np.column_stack([*found.values()]), expected)


def test_columns_of_a_mapping_and_rows_of_an_array() -> None:
    expected = rows(9)
    columns = {name: expected[:, number] for number, name in enumerate(("xs", "ys", "ps", "ts"))}
    for stored in (columns, expected):
        np.testing.assert_array_equal(np.column_stack([*split_columns("d", stored).values()]), expected)
    assert not holds_events(np.dtype("f4"))
    assert not holds_events(np.dtype([("x", "i4"), ("y", "i4"), ("t", "i4")]))


@pytest.mark.parametrize(
    ("stored", "message"),
    [
        (np.zeros((3, 5), int), r"expected events as integers \[M, 4\] .*, found int64 \[3, 5\]; store them"),
        ({"x": np.zeros(3)}, r"or with the fields x, y, p, t, found \['x'\]; store"),
        (np.zeros((3, 4)), r"d: x: expected integers of shape \[3\], found float64 of shape \[3\]; convert"),
        (
            fields(rows(3)).astype([*FIELDS.descr[:2], ("t", "f8"), ("p", "i1")]),
            r"d: time: expected integers of shape \[3\] \(microseconds\), found float64",
        ),
        (
            dict(zip("xytp", (np.zeros(3, int), np.zeros(2, int)) * 2, strict=True)),
            r"d: y: expected integers of shape \[3\], found int64 of shape \[2\]",
        ),
    ],
)
def test_refuses_other_arrays(stored: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        split_columns("d", stored)


def checked(events: np.ndarray, offsets: list[int] | None = None) -> Any:
    bounds = np.array([0, len(events)] if offsets is None else offsets)
    return check_events("d", split_columns("d", events), bounds, SENSOR)


@pytest.mark.parametrize("off", [0, -1])
def test_polarities_are_two_values(off: int) -> None:
    events = rows(50)
    events[:, 2] = np.where(events[:, 2] > 0, 1, off)
    np.testing.assert_array_equal(checked(events).on, rows(50)[:, 2] > 0)


def test_each_recording_has_a_clock_of_its_own() -> None:
    twice = np.concatenate([rows(20, start=5_000), rows(20)])
    assert twice[20, 3] < twice[19, 3]
    assert len(checked(twice, [0, 20, 40])) == 40


def planted(event: int, column: int, value: int) -> np.ndarray:
    events = rows(10).astype(np.int64)
    events[event, column] = value
    return events


@pytest.mark.parametrize(
    ("events", "offsets", "message"),
    [
        (
            planted(3, 0, 8),
            None,
            r"^d, event 3: expected x from 0 to 7, a sensor of 8 columns, found 8;",
        ),
        (planted(3, 1, -1), None, r"^d, event 3: expected y from 0 to 5, a sensor of 6 rows, found -1;"),
        (planted(7, 1, 6), [0, 4, 10], r"^d, recording 1, event 3: expected y from 0 to 5.* --sensor H,W"),
        (
            planted(9, 3, 1 << 62),
            None,
            r"^d: expected times in µs from -2\^62 to 2\^62, found 1\d{3} to 4611686018427387904; mend",
        ),
        (planted(7, 2, 2), None, r"^d: expected polarities of two values, .* found 0, 1, 2; convert"),
        (planted(7, 2, -1), None, r"^d: expected polarities of two values, .* found -1, 0, 1; convert"),
        (
            planted(6, 3, 1_000),
            [0, 4, 10],
            r"^d, recording 1, event 2: expected a time of at least \d+ µs, that of the event before, "
            r"found 1000; sort the events",
        ),
        (rows(0), None, r"^d: expected at least 1 event, found none; leave empty recordings out"),
        (rows(4), [0, 2, 2, 4], r"^d, recording 1: expected at least 1 event, found none"),
    ],
)
def test_refuses_broken_recordings(events: np.ndarray, offsets: list[int] | None, message: str) -> None:
    with pytest.raises(DataError, match=message):
        checked(events, offsets)


@pytest.mark.parametrize(
    "offsets",
    [np.array([0.0, 5.0]), *map(np.array, ([1, 5], [0, 4], [0, 4, 3, 5], [0]))],
)
def test_refuses_offsets_that_are_none(offsets: np.ndarray) -> None:
    with pytest.raises(DataError, match=r"o: expected ascending integers from 0 to 5, .* found \w+ \["):
        check_offsets("o", offsets, 5)
