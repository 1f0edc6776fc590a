"""Files of event recordings: every format, whole and broken."""

from __future__ import annotations

import struct
import sys
from pathlib import Path
from typing import Any

import flatbuffers
import h5py
import numpy as np
import pytest

from onnx2snn.data import event_files
from onnx2snn.data.array_files import npz_headers
from onnx2snn.data.event_files import (
    READERS,
    Recordings,
    are_recordings,
    read_aedat4,
    read_bin,
    read_hdf5,
    read_npy_recording,
    read_npz_recordings,
    read_prophesee,
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
    with pytest.raises(DataError, match=r"no\.bin: expected a file, found nothing there"):
        read_bin(tmp_path / "no.bin")


_DV = """<dv version="2.0"><node name="outInfo" path="/mainloop/Recorder/outInfo/">{streams}</node></dv>"""
_STREAM = """<node name="{number}" path="/mainloop/Recorder/outInfo/{number}/">
<attr key="compression" type="string">NONE</attr><attr key="typeIdentifier" type="string">EVTS</attr>
<node name="info" path="/mainloop/Recorder/outInfo/{number}/info/">
<attr key="sizeX" type="int">8</attr><attr key="sizeY" type="int">6</attr></node></node>"""


def aedat4(*packets: np.ndarray, streams: int = 1) -> bytes:
    """Packets of rows as DV writes them without compression: a header, then sized flatbuffers."""
    builder = flatbuffers.Builder()
    nodes = "".join(_STREAM.format(number=number) for number in range(streams))
    text = builder.CreateString(_DV.format(streams=nodes))
    builder.StartObject(3)
    builder.PrependInt64Slot(1, -1, 0)
    builder.PrependUOffsetTRelativeSlot(2, text, 0)
    builder.FinishSizePrefixed(builder.EndObject(), b"IOHE")
    content = b"#!AER-DAT4.0\r\n" + bytes(builder.Output())
    for packet in packets:
        builder = flatbuffers.Builder()
        builder.StartVector(16, len(packet), 8)
        for x, y, polarity, time in packet[::-1].tolist():
            builder.Prep(8, 16)
            builder.Pad(3)
            builder.PrependBool(bool(polarity))
            builder.PrependInt16(y)
            builder.PrependInt16(x)
            builder.PrependInt64(time)
        vector = builder.EndVector()
        builder.StartObject(1)
        builder.PrependUOffsetTRelativeSlot(0, vector, 0)
        builder.FinishSizePrefixed(builder.EndObject(), b"EVTS")
        content += struct.pack("<ii", 0, len(builder.Output())) + bytes(builder.Output())
    return content


def test_aedat4(tmp_path: Path) -> None:
    (tmp_path / "d.aedat4").write_bytes(aedat4(rows(20)[:12], rows(20)[12:]))
    found = read_aedat4(tmp_path / "d.aedat4")
    np.testing.assert_array_equal(stored(found), rows(20))
    assert found.sensor == (6, 8)


def test_aedat4_without_packets_is_an_empty_recording(tmp_path: Path) -> None:
    (tmp_path / "d.aedat4").write_bytes(aedat4())
    assert len(stored(read_aedat4(tmp_path / "d.aedat4"))) == 0


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (aedat4(rows(20))[:-1], r"d\.aedat4: expected a whole AEDAT4 file, found one that cannot be read \("),
        (aedat4(rows(20))[:100], "expected a whole AEDAT4 file"),
        (b"", "expected a whole AEDAT4 file"),
        # The header begins elsewhere, of which the decoder panics.
        (
            aedat4(rows(20))[:21] + b"\xff" + aedat4(rows(20))[22:],
            "expected a whole AEDAT4 file.* out of range",
        ),
        (b"#!AER-DAT3.1\r\n" + bytes(100), "expected a whole AEDAT4 file.* magic"),
        (aedat4(streams=2), "expected one stream of events, found 2; export"),
        (aedat4(streams=0), "no stream found in the description"),
    ],
)
def test_refuses_broken_aedat4(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], content: bytes, message: str
) -> None:
    (tmp_path / "d.aedat4").write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_aedat4(tmp_path / "d.aedat4")
    assert capfd.readouterr().err == ""


def test_raw_of_prophesee(tmp_path: Path) -> None:
    words = np.array([0x80000002, 0x10C01803], "<u4").tobytes()
    (tmp_path / "d.raw").write_bytes(b"% evt 2.0\n% geometry 640x480\n" + words)
    found = read_prophesee(tmp_path / "d.raw")
    np.testing.assert_array_equal(stored(found), [[3, 3, 1, 131]])
    assert found.sensor == (480, 640)


HDF5 = {
    # layout: its arrays by path
    "DSEC": {f"events/{name}": rows(9)[:, number] for number, name in enumerate("xypt")},
    "Metavision": {"CD/events": fields(rows(9)), "CD/indexes": np.zeros((1, 2))},
    "columns at the root": {name: rows(9)[:, number] for number, name in enumerate(("x", "y", "on", "time"))},
    "as an .npz": {"events": rows(9), "offsets": np.array([0, 4, 9]), "labels": np.array([2, 0])},
}


@pytest.mark.parametrize("arrays", HDF5.values(), ids=HDF5)
def test_hdf5(tmp_path: Path, arrays: dict[str, np.ndarray]) -> None:
    with h5py.File(tmp_path / "d.h5", "w") as root:
        for place, array in arrays.items():
            root[place] = array
    found = read_hdf5(tmp_path / "d.h5")
    np.testing.assert_array_equal(stored(found), rows(9))
    np.testing.assert_array_equal(found.offsets, arrays.get("offsets", [0, 9]))
    assert (found.labels is None) == ("labels" not in arrays)


def test_refuses_other_hdf5(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "d.h5", "w") as root:
        root["images"] = np.zeros((2, 3))
        root.create_group("more")
    with pytest.raises(DataError, match=r"d\.h5: expected events as .*, found \['images'\]"):
        read_hdf5(tmp_path / "d.h5")
    content = (tmp_path / "d.h5").read_bytes()
    (tmp_path / "d.h5").write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError, match=r"d\.h5: expected events in a whole HDF5 file"):
        read_hdf5(tmp_path / "d.h5")


@pytest.mark.parametrize(("suffix", "package"), [(".aedat4", "aedat"), (".h5", "h5py"), (".hdf5", "h5py")])
def test_names_what_a_missing_reader_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str, package: Any
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(
        DataError, match=rf"d{suffix}: \{suffix} files need {package}, .*; pip install 'onnx2snn\[events\]'"
    ):
        READERS[suffix](tmp_path / f"d{suffix}")


def test_what_files_of_events_may_unpack_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_files, "MOST_UNPACKED", 1 << 10)
    (tmp_path / "d.aedat4").write_bytes(aedat4(rows(200)))
    with pytest.raises(DataError, match=r"its events would unpack to more than 0\.0 GB"):
        read_aedat4(tmp_path / "d.aedat4")
    with h5py.File(tmp_path / "d.h5", "w") as root:
        root.create_dataset("events", data=np.zeros((1000, 4), np.int64), compression="gzip")
    with pytest.raises(DataError, match=r"'/events' would unpack to 0\.0 GB, more than the 0\.0 GB"):
        read_hdf5(tmp_path / "d.h5")
