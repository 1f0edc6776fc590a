"""Files of event recordings: every format, whole and broken."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from onnx2snn.data.array_files import npz_headers
from onnx2snn.data.event_files import (
    Recordings,
    are_recordings,
    read_bin,
    read_npy_recording,
    read_npz_recordings,
)
from onnx2snn.errors import DataError
from tests.data.event_cases import fields, rows


def stored(found: Recordings) -> np.ndarray:
    """The events as rows."""
    return np.column_stack([found.columns[name] for name in ("x", "y", "polarity", "time")])


def n_mnist(events: np.ndarray) -> bytes:
    """Rows as N-MNIST stores them."""
    x, y, polarity, time = events.astype(np.int64).T
    return (
        np.column_stack([x, y, polarity << 7 | time >> 16, time >> 8 & 255, time & 255])
        .astype("u1")
        .tobytes()
    )


def test_npz_of_events_and_offsets(tmp_path: Path) -> None:
    events = np.concatenate([rows(7), rows(5, 1)])
    file = tmp_path / "d.npz"
    np.savez(file, events=events, offsets=np.array([0, 7, 12]), labels=np.array([3, 1], np.uint8))
    found = read_npz_recordings(file)
    np.testing.assert_array_equal(stored(found), events)
    np.testing.assert_array_equal(found.offsets, [0, 7, 12])
    assert found.labels is not None
    np.testing.assert_array_equal(found.labels, [3, 1])
    assert found.where == f"{file}['events']"


@pytest.mark.parametrize("key", ["events", "anything"])
def test_npz_of_fields(tmp_path: Path, key: str) -> None:
    np.savez(tmp_path / "d.npz", **{key: fields(rows(7))}, labels=np.array(4))
    found = read_npz_recordings(tmp_path / "d.npz")
    np.testing.assert_array_equal(stored(found), rows(7))
    np.testing.assert_array_equal(found.offsets, [0, 7])
    np.testing.assert_array_equal(found.labels, [4])


def test_npz_of_a_column_each(tmp_path: Path) -> None:
    """As SpikingJelly keeps them."""
    np.savez(tmp_path / "d.npz", **{name: rows(7)[:, number] for number, name in enumerate("xypt")})
    found = read_npz_recordings(tmp_path / "d.npz")
    np.testing.assert_array_equal(stored(found), rows(7))
    assert found.labels is None


@pytest.mark.parametrize(
    ("arrays", "taken", "expected"),
    [
        ({"events": rows(3), "offsets": np.array([0, 3])}, {"events"}, True),
        ({"events": rows(3)}, {"x"}, True),
        ({"events": rows(3)}, {"events"}, False),  # a model of four numbers
        ({"events": fields(rows(3))}, {"events"}, True),
        ({"events": rows(3).astype(float)}, {"x"}, False),
        ({"images": rows(3)}, {"x"}, False),
        ({name: rows(3)[:, 0] for name in "xypt"}, {"input"}, True),
        ({name: rows(3)[:, 0] for name in "xypt"}, {"x"}, False),
    ],
)
def test_what_recordings_are(
    tmp_path: Path, arrays: dict[str, np.ndarray], taken: set[str], expected: bool
) -> None:
    np.savez(tmp_path / "d.npz", **arrays)
    assert are_recordings(npz_headers(tmp_path / "d.npz"), taken) is expected


def test_npy_of_fields_and_of_rows(tmp_path: Path) -> None:
    for name, array in (("a", fields(rows(7))), ("b", rows(7))):
        np.save(tmp_path / f"{name}.npy", array)
        np.testing.assert_array_equal(stored(read_npy_recording(tmp_path / f"{name}.npy")), rows(7))


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        (
            {"events": rows(3), "offsets": np.array([0, 2])},
            r"\['offsets'\]: expected ascending integers",
        ),
        (
            {"events": rows(3), "labels": np.array([1, 2])},
            r"\['labels'\]: expected 1 labels, one a recording, found 2; store one class number a record",
        ),
        ({"events": rows(3), "labels": np.array([-1])}, "expected class numbers from 0, found -1"),
        ({"events": np.zeros((3, 5), int)}, r"d\.npz\['events'\]: expected events as integers \[M, 4\]"),
        ({"images": np.zeros(3)}, r"d\.npz: expected events as .* found \['images'\]"),
    ],
)
def test_refuses_other_npz(tmp_path: Path, arrays: dict[str, np.ndarray], message: str) -> None:
    np.savez(tmp_path / "d.npz", **arrays)
    with pytest.raises(DataError, match=message):
        read_npz_recordings(tmp_path / "d.npz")


def test_bin_of_n_mnist(tmp_path: Path) -> None:
    """Bytes by hand: x 3, y 1, brighter, 0x012345 µs; x 33, y 33, darker, 0x7fffff µs."""
    (tmp_path / "d.bin").write_bytes(bytes.fromhex("0301812345 21217fffff"))
    np.testing.assert_array_equal(
        stored(read_bin(tmp_path / "d.bin")), [[3, 1, 1, 74565], [33, 33, 0, 8388607]]
    )
    (tmp_path / "e.bin").write_bytes(n_mnist(rows(30)))
    np.testing.assert_array_equal(stored(read_bin(tmp_path / "e.bin")), rows(30))


def test_the_clock_of_a_bin_wraps_around(tmp_path: Path) -> None:
    (tmp_path / "d.bin").write_bytes(bytes.fromhex("0101000005 00f0000000 0201000006"))
    np.testing.assert_array_equal(stored(read_bin(tmp_path / "d.bin")), [[1, 1, 0, 5], [2, 1, 0, 8198]])


def test_refuses_a_cut_bin(tmp_path: Path) -> None:
    (tmp_path / "d.bin").write_bytes(n_mnist(rows(3))[:-1])
    with pytest.raises(DataError, match=r"d\.bin: expected 5 bytes an event, as in N-MNIST, found 14 bytes"):
        read_bin(tmp_path / "d.bin")
    with pytest.raises(DataError, match=r"no\.bin: cannot be read \(No such file"):
        read_bin(tmp_path / "no.bin")
