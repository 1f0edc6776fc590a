"""Python objects as data: what tonic's data sets give, with transforms and without."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from onnx2snn.data.items import are_items
from onnx2snn.data.preprocessing import UNCHANGED, Preprocessing
from onnx2snn.data.readers import dataset_from_arrays
from onnx2snn.errors import DataError
from tests.data.event_cases import FRAMES, counted, fields, rows
from tests.data.reader_cases import PAIR, VECTOR, floats, whole

TWO = Preprocessing(frames="count:2")


class Tonic:
    """A data set as `tonic.datasets` are: it reads an item when asked, and transforms it."""

    def __init__(self, many: int, transform: Any = None) -> None:
        self.many, self.transform = many, transform

    def __len__(self) -> int:
        return self.many

    def __getitem__(self, number: int) -> tuple[Any, Any]:
        events = fields(rows(20 + number, number))
        return (events if self.transform is None else self.transform(events)), number % 3


def to_frame(events: np.ndarray) -> np.ndarray:
    """As `tonic.transforms.ToFrame` with two equal slices of events does: int16 [2, 2, H, W]."""
    half = len(events) // 2
    values = np.column_stack([events[name] for name in "xypt"])
    return np.stack([counted(values[:half]), counted(values[half : 2 * half])]).astype(np.int16)


def test_events_become_frames() -> None:
    data = dataset_from_arrays(Tonic(4), FRAMES, TWO)
    assert data.labels is not None
    assert data.recordings is not None
    np.testing.assert_array_equal(data.labels, [0, 0, 1, 1, 2, 2, 0, 0])
    np.testing.assert_array_equal(data.recordings, [0, 0, 1, 1, 2, 2, 3, 3])
    frames = whole(data, 3)
    for number in range(4):
        np.testing.assert_array_equal(
            frames[2 * number : 2 * number + 2].sum(axis=0), counted(rows(20 + number, number))
        )
    assert len(dataset_from_arrays(Tonic(4), FRAMES, TWO, 3)) == 3


def test_transforms_make_frames() -> None:
    data = dataset_from_arrays(Tonic(3, to_frame), FRAMES, Preprocessing(scale=0.5))
    assert data.labels is not None
    assert data.recordings is not None
    np.testing.assert_array_equal(data.recordings, [0, 0, 1, 1, 2, 2])
    np.testing.assert_array_equal(data.labels, [0, 0, 1, 1, 2, 2])
    expected = np.concatenate([to_frame(Tonic(3)[number][0]) for number in range(3)])
    np.testing.assert_array_equal(whole(data), expected / 2)
    assert len(dataset_from_arrays(Tonic(3, to_frame), FRAMES, UNCHANGED, 3)) == 3


def test_single_samples() -> None:
    pairs = [(array, np.int64(number)) for number, array in enumerate(floats(3, 2))]
    data = dataset_from_arrays(pairs, VECTOR)  # type: ignore[arg-type]
    np.testing.assert_array_equal(whole(data), floats(3, 2))
    np.testing.assert_array_equal(data.labels, [0, 1, 2])
    assert data.recordings is None


def test_events_without_labels() -> None:
    items = [fields(rows(9, seed)) for seed in range(2)]
    one = Preprocessing(frames="count:1")
    for data in (
        dataset_from_arrays(items, FRAMES, one),  # type: ignore[arg-type]
        dataset_from_arrays([(item, None) for item in items], FRAMES, one),  # type: ignore[arg-type]
    ):
        assert data.labels is None
        np.testing.assert_array_equal(whole(data), [counted(rows(9, seed)) for seed in range(2)])


def test_arrays_of_recordings_in_memory() -> None:
    one = Preprocessing(frames="count:1")
    alone = dataset_from_arrays(fields(rows(9)), FRAMES, one)
    np.testing.assert_array_equal(whole(alone), [counted(rows(9))])
    held = {"events": rows(9), "offsets": np.array([0, 4, 9])}
    both = dataset_from_arrays(held, FRAMES, one, labels=np.array([3, 1]))
    np.testing.assert_array_equal(whole(both), [counted(rows(9)[:4]), counted(rows(9)[4:])])
    np.testing.assert_array_equal(both.labels, [3, 1])


def test_other_things_are_no_items() -> None:
    for other in (floats(2, 2), {"x": floats(2, 2)}, [[1.0, 2.0], [3.0, 4.0]], [], "ab", [floats(1, 2)], 3):
        assert not are_items(other)


@pytest.mark.parametrize(
    ("items", "inputs", "message"),
    [
        (
            [(floats(1, 2)[0], 1)],
            PAIR,
            "expected a model with 1 input for pairs of .*, found 2",
        ),
        ([(floats(1, 3)[0], 1)], VECTOR, r"item 0: expected shape \[N, 2\] for input 'x', found \[1, 3\]"),
        (
            [(floats(1, 2), 1), (floats(1, 2), "a")],
            VECTOR,
            "every item or of none, found one in 1 of 2",
        ),
        ([(floats(1, 2), -1)], VECTOR, "items: expected class numbers from 0, found -1"),
        (
            [(floats(1, 2), 2**64 - 1)],
            VECTOR,
            "items: expected class numbers from 0, found 18446744073709551615",
        ),
        (
            [(fields(rows(3)), 2**64 - 1)],
            FRAMES,
            "item 0: expected class numbers from 0, found 184467440737095",
        ),
        ([(floats(0, 2), 1)], VECTOR, "items: expected at least 1 sample, found 0"),
        ([(fields(rows(3)), -1)], FRAMES, "item 0: expected class numbers from 0, found -1"),
        (
            [(fields(rows(3)), 0), (fields(rows(0)), 0)],
            FRAMES,
            "item 1: expected at least 1 event",
        ),
        (
            [(fields(rows(3)), 0), (floats(1, 2), 0)],
            FRAMES,
            r"item 1: expected events as .*, found float32",
        ),
    ],
)
def test_refuses_items_that_do_not_fit(items: Any, inputs: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        dataset_from_arrays(items, inputs, TWO if inputs is FRAMES else UNCHANGED)


def test_refuses_items_that_change() -> None:
    lengths = iter((2, 2, 2, 3))
    data = dataset_from_arrays(Tonic(1, lambda _: np.zeros((next(lengths), 2, 6, 8))), FRAMES)
    with pytest.raises(DataError, match=r"item 0: expected .* \[2, 2, 6, 8\] as before, found \[3"):
        whole(data)
