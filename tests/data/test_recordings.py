"""Event recordings as data sets: frames, labels, which recording a frame is of, and what fits a model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from onnx2snn.data import recordings
from onnx2snn.data.preprocessing import UNCHANGED, Preprocessing
from onnx2snn.data.readers import Dataset, open_dataset
from onnx2snn.errors import DataError
from tests.data.event_cases import FRAMES, HEIGHT, WIDTH, counted, fields, rows
from tests.data.reader_cases import PAIR, spec, whole

ONE = Preprocessing(frames="count:1")
TWO = Preprocessing(frames="count:2")


def store(file: Path, many: int, labels: bool = True, **more: Any) -> list[np.ndarray]:
    """Recordings of 20, 21, 22 … events as an `.npz`."""
    events = [rows(20 + number, number) for number in range(many)]
    offsets = np.cumsum([0, *map(len, events)])
    arrays = {"events": np.concatenate(events), "offsets": offsets, **more}
    file.parent.mkdir(exist_ok=True)
    np.savez(file, **arrays, **({"labels": np.arange(many) % 3} if labels else {}))
    return events


def test_a_frame_a_recording(tmp_path: Path) -> None:
    events = store(tmp_path / "d.npz", 4)
    data = open_dataset(tmp_path / "d.npz", FRAMES, ONE)
    np.testing.assert_array_equal(whole(data, 3), np.stack([counted(one) for one in events]))
    assert data.labels is not None
    assert data.recordings is not None
    np.testing.assert_array_equal(data.labels, [0, 1, 2, 0])
    np.testing.assert_array_equal(data.recordings, [0, 1, 2, 3])
    assert data.recordings.dtype == data.labels.dtype == np.int64
    assert data.source == "d.npz"


def test_frames_know_their_recording(tmp_path: Path) -> None:
    store(tmp_path / "d.npz", 3)
    data = open_dataset(tmp_path / "d.npz", FRAMES, Preprocessing(frames="events:9"))

    def known(part: Dataset) -> list[list[int]]:
        assert part.labels is not None
        assert part.recordings is not None
        return [part.recordings.tolist(), part.labels.tolist()]

    assert known(data) == [[0, 0, 0, 1, 1, 1, 2, 2, 2]] * 2
    np.testing.assert_array_equal(whole(data).sum(axis=(1, 2, 3)), [9, 9, 2, 9, 9, 3, 9, 9, 4])
    assert known(data.every(4)) == [[0, 1, 2]] * 2
    np.testing.assert_array_equal(whole(data.every(4, 2)), whole(data)[[2, 6]])
    first = open_dataset(tmp_path / "d.npz", FRAMES, data.preprocessing, 4)
    assert known(first) == [[0, 0, 0, 1]] * 2
    np.testing.assert_array_equal(whole(first), whole(data)[:4])


def test_long_recordings_are_made_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store(tmp_path / "d.npz", 2)
    rule = Preprocessing(frames="time:1ms")
    data = open_dataset(tmp_path / "d.npz", FRAMES, rule)
    monkeypatch.setattr(recordings, "_CHUNK", 3 * 8 * 2 * HEIGHT * WIDTH)
    pieces = open_dataset(tmp_path / "d.npz", FRAMES, rule)
    assert len(pieces.parts) > 10 > len(data.parts)
    assert {part.samples for part in pieces.parts[:-1]} <= {1, 2, 3}
    np.testing.assert_array_equal(whole(pieces), whole(data))
    assert whole(data).sum() == 41


@pytest.mark.parametrize("accumulate", [2, 3, "all"])
def test_frames_are_accumulated_within_their_recording(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, accumulate: Any
) -> None:
    """Whatever pieces they are made in."""
    store(tmp_path / "d.npz", 3)
    plain = open_dataset(tmp_path / "d.npz", FRAMES, Preprocessing(frames="events:4"))
    expected = []
    for number in range(3):
        frames = whole(plain.recording(number))
        for place in range(len(frames)):
            first = 0 if accumulate == "all" else max(0, place - accumulate + 1)
            expected.append(frames[first : place + 1].sum(axis=0))
    for piece in (recordings._CHUNK, 1):
        monkeypatch.setattr(recordings, "_CHUNK", piece)
        rule = Preprocessing(frames="events:4", accumulate=accumulate)
        np.testing.assert_array_equal(whole(open_dataset(tmp_path / "d.npz", FRAMES, rule)), expected)


def test_counts_are_preprocessed_like_integers(tmp_path: Path) -> None:
    events = store(tmp_path / "d.npz", 1)
    rule = Preprocessing(scale=0.5, mean=(0.0, 1.0), std=(1.0, 4.0), frames="count:1")
    found = whole(open_dataset(tmp_path / "d.npz", FRAMES, rule))[0]
    expected = counted(events[0]) / 2
    np.testing.assert_array_equal(found, np.stack([expected[0], (expected[1] - 1) / 4]))


@pytest.mark.parametrize(
    ("normalize", "expected"), [("binary", lambda a: np.minimum(a, 1)), ("max", lambda a: a / a.max())]
)
def test_counts_are_normalised(tmp_path: Path, normalize: Any, expected: Any) -> None:
    events = store(tmp_path / "d.npz", 1)
    found = whole(
        open_dataset(tmp_path / "d.npz", FRAMES, Preprocessing(frames="count:1", normalize=normalize))
    )
    assert counted(events[0]).max() > 1
    np.testing.assert_allclose(found[0], expected(counted(events[0])), rtol=1e-7)


@pytest.mark.parametrize("polarity", ["signed", "sum"])
@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
def test_one_channel_in_either_layout(tmp_path: Path, polarity: Any, layout: Any) -> None:
    events = store(tmp_path / "d.npz", 1)
    shape = (1, HEIGHT, WIDTH) if layout == "NCHW" else (HEIGHT, WIDTH, 1)
    rule = Preprocessing(frames="count:1", polarity=polarity, layout=layout)
    off, on = counted(events[0])
    found = whole(open_dataset(tmp_path / "d.npz", [spec(None, *shape)], rule))[0]
    np.testing.assert_array_equal(
        found.reshape(HEIGHT, WIDTH), on - off if polarity == "signed" else on + off
    )


def test_a_smaller_model_counts_several_pixels_together(tmp_path: Path) -> None:
    events = store(tmp_path / "d.npz", 1)
    rule = Preprocessing(frames="count:1", sensor=(HEIGHT, WIDTH), resize=(3, 4))
    found = whole(open_dataset(tmp_path / "d.npz", [spec(None, 2, 3, 4)], rule))[0]
    np.testing.assert_array_equal(found, counted(events[0]).reshape(2, 3, 2, 4, 2).sum(axis=(2, 4)))


def test_directories_of_recordings(tmp_path: Path) -> None:
    for number, name in enumerate("cab"):
        np.save(tmp_path / f"{name}.npy", fields(rows(9, number)))
    data = open_dataset(tmp_path, FRAMES, ONE)
    np.testing.assert_array_equal(whole(data), np.stack([counted(rows(9, seed)) for seed in (1, 2, 0)]))
    assert data.labels is None


@pytest.mark.parametrize("most", [None, 5])
def test_class_sub_folders_of_recordings(tmp_path: Path, most: int | None) -> None:
    for number, label in enumerate(("b", "a", "c")):
        (tmp_path / label).mkdir()
        for seed in range(2):
            np.save(tmp_path / label / f"{seed}.npy", fields(rows(9, 10 * number + seed)))
    data = open_dataset(tmp_path, FRAMES, TWO, most)
    assert data.label_names == ("a", "b", "c")
    assert data.labels is not None
    assert data.recordings is not None
    seeds = [10, 11, 0, 1, 20, 21] if most is None else [10, 0, 20]
    frames = np.repeat(np.arange(len(seeds)), 2)[:most]
    np.testing.assert_array_equal(data.recordings, frames)
    classes = np.array([0, 0, 1, 1, 2, 2] if most is None else [0, 1, 2])
    np.testing.assert_array_equal(data.labels, classes[frames])
    summed = whole(data)
    for number, seed in enumerate(seeds[:2]):
        np.testing.assert_array_equal(summed[frames == number].sum(axis=0), counted(rows(9, seed)))


def test_refuses_what_does_not_fit(tmp_path: Path) -> None:
    store(tmp_path / "d.npz", 2)
    cases = [
        (
            FRAMES,
            UNCHANGED,
            r"d\.npz: expected --frames with event .*, found none; give --frames count:1",
        ),
        (PAIR, ONE, r"d\.npz: expected a model with 1 input for event recordings, found 2 \(a, b\)"),
        (
            [spec(None, 1, 6, 8)],
            ONE,
            r"2 channels for --polarity channels, .* give --polarity signed or",
        ),
        (
            FRAMES,
            Preprocessing(frames="count:1", polarity="sum"),
            "input of 1 channels for --polarity sum, .* give --polarity channels",
        ),
        (
            [spec(None, 96)],
            ONE,
            r"a NCHW model input of 2 channels .* found 'x' of shape \[None, 96\]",
        ),
        ([spec(None, 2, 3, 4)], ONE, "event 2: expected x from 0 to 3, a sensor of 4 columns, found 4"),
        (
            [spec(None, 2, 3, 4)],
            Preprocessing(frames="count:1", sensor=(6, 8)),
            r"frames of 3x4 pixels .* found 6x8, those of the sensor; give --resize 3,4",
        ),
        (
            FRAMES,
            Preprocessing(frames="count:1", sensor=(6, 8), resize=(3, 4)),
            r"frames of 6x8 pixels .* found 3x4, those --resize gives; give --resize 6,8",
        ),
        (
            [spec(None, 2, 6, 9)],
            Preprocessing(frames="count:1", sensor=(6, 8)),
            r"frames of 6x9 pixels .* found 6x8, those of the sensor; give --sensor 6,9",
        ),
        (
            [spec(None, 2, 6, 9)],
            Preprocessing(frames="count:1", sensor=(6, 8), resize=(6, 9)),
            r"expected --resize of at most 6,8, the sensor's size, found 6,9; leave it out, or give --sensor",
        ),
        (
            [spec(None, 2, None, None)],
            ONE,
            "expected a sensor of known size, found none .*; give --sensor H,W",
        ),
    ]
    for inputs, preprocessing, message in cases:
        with pytest.raises(DataError, match=message):
            open_dataset(tmp_path / "d.npz", inputs, preprocessing)


def test_refuses_frames_past_counting(tmp_path: Path) -> None:
    events = rows(5)
    events[-1, 3] = 2**31 - 1
    np.save(tmp_path / "d.npy", fields(events))
    with pytest.raises(DataError, match=r"d\.npy: expected at most 10,000,000 frames, found 2,147,47\d,\d+"):
        open_dataset(tmp_path / "d.npy", FRAMES, Preprocessing(frames="time:1us"))


def test_refuses_labels_of_some(tmp_path: Path) -> None:
    store(tmp_path / "a.npz", 2)
    store(tmp_path / "b.npz", 2, labels=False)
    with pytest.raises(DataError, match="expected labels in every file or in none, found them in 1 of 2"):
        open_dataset(tmp_path, FRAMES, ONE)


def test_refuses_folders_without_recordings(tmp_path: Path) -> None:
    store(tmp_path / "a" / "0.npz", 1, labels=False)
    (tmp_path / "b").mkdir()
    with pytest.raises(DataError, match=r"b: expected recordings as in .*, found no recording"):
        open_dataset(tmp_path, FRAMES, ONE)
