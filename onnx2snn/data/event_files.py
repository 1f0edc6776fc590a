"""Files of event recordings, one reader a format."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnx2snn.data import prophesee
from onnx2snn.data.array_files import MOST_UNPACKED, Header, npz_headers, open_npy, read_npz
from onnx2snn.data.events import check_offsets, holds_events, named_columns, split_columns
from onnx2snn.data.labels import LABELS_KEY, check_classes, check_label_array
from onnx2snn.errors import DataError, one_line
from onnx2snn.files import check_regular

EVENTS_KEY = "events"
OFFSETS_KEY = "offsets"
#: The columns of a packet that `aedat` gives, also of recordings without one.
_AEDAT4 = {"x": "<u2", "y": "<u2", "on": "?", "t": "<u8"}


@dataclass(frozen=True, eq=False)
class Recordings:
    """Recordings that are stored together, not yet checked.

    Attributes:
        where: what their events are called in a message.
        columns: integers [M] under the names of `events.NAMES`.
        offsets: int64 [R + 1]; recording r has the events offsets[r] to offsets[r + 1].
        labels: int64 [R], the class of each; None: unknown.
        sensor: height and width in pixels, where the file names them.
    """

    where: str
    columns: Mapping[str, NDArray[Any]]
    offsets: NDArray[np.int64]
    labels: NDArray[np.int64] | None = None
    sensor: tuple[int, int] | None = None


def one_recording(
    where: str,
    stored: NDArray[Any] | Mapping[str, NDArray[Any]],
    sensor: tuple[int, int] | None = None,
) -> Recordings:
    """A recording without a label.

    Raises:
        DataError: no columns of events.
    """
    columns = split_columns(where, stored)
    return Recordings(where, columns, np.array([0, len(columns["time"])]), sensor=sensor)


def recordings_of(where: str, arrays: Mapping[str, NDArray[Any]]) -> Recordings:
    """Recordings from arrays by key: `events`, or a column each, with `offsets` and `labels` or without.

    Raises:
        DataError: arrays of another form, or that do not fit each other.
    """
    events = _events_key({key: Header(array.shape, array.dtype) for key, array in arrays.items()})
    named = f"{where}['{events}']" if events else where
    found = one_recording(named, arrays[events] if events else arrays)
    offsets, labels = found.offsets, None
    if OFFSETS_KEY in arrays:
        offsets = check_offsets(f"{where}['{OFFSETS_KEY}']", arrays[OFFSETS_KEY], int(found.offsets[-1]))
    if LABELS_KEY in arrays:
        labels = np.atleast_1d(arrays[LABELS_KEY])
        place = f"{where}['{LABELS_KEY}']"
        check_label_array(place, Header(labels.shape, labels.dtype), len(offsets) - 1, "recording")
        check_classes(place, labels)
        labels = labels.astype(np.int64)
    return Recordings(named, found.columns, offsets, labels)


def are_recordings(headers: Mapping[str, Header], taken: Collection[str]) -> bool:
    """Whether arrays by key are event recordings, those apart that are `taken` for a model's inputs."""
    key = _events_key(headers)
    if key is None:
        return named_columns(headers) is not None and not taken & headers.keys()
    header = headers[key]
    rows = len(header.shape) == 2 and header.shape[1] == 4 and header.dtype.kind in "iu"
    return holds_events(header.dtype) or (rows and (OFFSETS_KEY in headers or key not in taken))


def _events_key(headers: Mapping[str, Header]) -> str | None:
    """The key of the only array of events; None where each column has one."""
    structured = [key for key, header in headers.items() if holds_events(header.dtype)]
    if EVENTS_KEY in headers:
        return EVENTS_KEY
    return structured[0] if len(structured) == 1 else None


def read_npz_recordings(file: Path) -> Recordings:
    """An `.npz` of `events` (or x, y, p, t), with `offsets` and `labels` or without."""
    headers = npz_headers(file)
    events = _events_key(headers)
    columns = named_columns(headers)
    wanted = [events] if events else list(columns.values() if columns else headers)
    wanted += {OFFSETS_KEY, LABELS_KEY} & headers.keys()
    return recordings_of(str(file), read_npz(file, {key: key for key in wanted}))


def read_npy_recording(file: Path) -> Recordings:
    """An `.npy` of one recording, with the fields of events or with rows of x, y, polarity and time."""
    return one_recording(str(file), open_npy(file))


def read_bin(file: Path) -> Recordings:
    """A `.bin` of N-MNIST or N-Caltech101: five bytes an event.

    x, y, polarity (1 bit), time in µs (23 bits, the high ones first). A y of 240 is no event, but a
    clock that wrapped around: 2¹³ µs later (Orchard et al. 2015, the readers that come with the data set).
    """
    content = np.frombuffer(_content(file), np.uint8)
    if len(content) % 5:
        raise DataError(
            f"{file}: expected 5 bytes an event, as in N-MNIST, found {len(content)} bytes in all; "
            f"the file is cut or of another format: copy it again"
        )
    x, y, high, middle, low = content.reshape(-1, 5).T.astype(np.int64)
    wrapped = y == 240
    time = ((high & 0x7F) << 16 | middle << 8 | low) + np.cumsum(wrapped) * (1 << 13)
    columns = {"x": x, "y": y, "polarity": high >> 7, "time": time}
    return one_recording(str(file), {name: values[~wrapped] for name, values in columns.items()})


def read_prophesee(file: Path) -> Recordings:
    """A `.raw` of EVT2 or EVT3 words, or a `.dat`."""
    columns, sensor = prophesee.decode(str(file), _content(file))
    return one_recording(str(file), columns, sensor)


def read_aedat4(file: Path) -> Recordings:
    """An `.aedat4` of iniVation's DV, all its packets of events as one recording."""
    aedat = _package("aedat", file)
    check_regular(file)
    try:
        with _panics_are_errors():
            decoder = aedat.Decoder(str(file))
            sizes = [stream for stream in decoder.id_to_stream().values() if stream["type"] == "events"]
            packets = _at_most((packet["events"] for packet in decoder if "events" in packet), MOST_UNPACKED)
    except (RuntimeError, ValueError) as error:
        raise DataError(
            f"{file}: expected a whole AEDAT4 file, found one that cannot be read ({one_line(error)}); "
            "copy or record it again"
        ) from error
    if len(sizes) != 1:
        raise DataError(
            f"{file}: expected one stream of events, found {len(sizes)}; export the one to use by itself"
        )
    sensor = sizes[0]["height"], sizes[0]["width"]
    # Column by column: NumPy does not join structures whose fields have titles.
    columns = {
        name: np.concatenate([np.zeros(0, kind), *(packet[name] for packet in packets)])
        for name, kind in _AEDAT4.items()
    }
    return one_recording(str(file), columns, sensor)


@contextmanager
def _panics_are_errors() -> Iterator[None]:
    """What is written in Rust panics of offsets out of range: no `Exception`, and told to stderr as well."""
    with ExitStack() as afterwards:
        afterwards.push(_refuse_panic)
        with suppress(OSError):  # no stderr, nobody to be told
            said = os.dup(2)
            afterwards.callback(os.close, said)
            with Path(os.devnull).open("wb") as nowhere:
                os.dup2(nowhere.fileno(), 2)
            afterwards.callback(os.dup2, said, 2)
        yield


def _refuse_panic(kind: type[BaseException] | None, error: BaseException | None, _: object) -> bool:
    """A panic as a ValueError, told by its name as no module has it; all else goes on."""
    if kind is not None and error is not None and kind.__name__ == "PanicException":
        raise ValueError(one_line(error)) from error
    return False


def _at_most(packets: Iterable[NDArray[Any]], most: int) -> list[NDArray[Any]]:
    """The packets, which may be compressed, of no more bytes than `most`."""
    kept: list[NDArray[Any]] = []
    for packet in packets:
        kept.append(packet)
        most -= packet.nbytes
        if most < 0:
            raise ValueError(f"its events would unpack to more than {MOST_UNPACKED / 1e9:.1f} GB")
    return kept


def read_hdf5(file: Path) -> Recordings:
    """An HDF5 file: `events` or `CD/events`, as an array or as a group of columns, or columns at its root.

    `offsets` and `labels` beside them are those of an `.npz`. Files of DSEC and Metavision are so.
    """
    h5py = _package("h5py", file)
    check_regular(file)
    try:
        with h5py.File(file, "r") as root:
            place = next((name for name in (EVENTS_KEY, f"CD/{EVENTS_KEY}") if name in root), None)
            node = root if place is None else root[place]
            if isinstance(node, h5py.Dataset):
                arrays = {EVENTS_KEY: _whole(node)}
            else:
                columns = named_columns(node) or {name: name for name in node}
                arrays = {
                    name: _whole(node[name]) for name in columns.values() if hasattr(node[name], "dtype")
                }
            arrays |= {key: _whole(root[key]) for key in (OFFSETS_KEY, LABELS_KEY) if key in root}
    except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:
        raise DataError(
            f"{file}: expected events in a whole HDF5 file, found one that cannot be read "
            f"({one_line(error)}); write it again, without filters that h5py does not have"
        ) from error
    return recordings_of(str(file), arrays)


def _whole(stored: Any) -> NDArray[Any]:
    """The values of an HDF5 data set, which a few bytes can say to be any number of zeros."""
    if stored.nbytes > MOST_UNPACKED and stored.nbytes > stored.id.get_storage_size():
        raise ValueError(
            f"'{stored.name}' would unpack to {stored.nbytes / 1e9:.1f} GB, more than the "
            f"{MOST_UNPACKED / 1e9:.1f} GB that one may"
        )
    values: NDArray[Any] = stored[()]
    return values


def _package(name: str, file: Path) -> ModuleType:
    try:
        return import_module(name)
    except ImportError as error:
        raise DataError(
            f"{file}: {file.suffix} files need {name}, which is missing; pip install 'onnx2snn[events]'"
        ) from error


def _content(file: Path) -> bytes:
    check_regular(file)
    try:
        return file.read_bytes()
    except OSError as error:
        raise DataError(f"{file}: cannot be read ({error.strerror}); check its permissions") from error


#: Suffix → what reads a file of it.
READERS: dict[str, Callable[[Path], Recordings]] = {
    ".npz": read_npz_recordings,
    ".npy": read_npy_recording,
    ".bin": read_bin,
    ".aedat4": read_aedat4,
    ".raw": read_prophesee,
    ".dat": read_prophesee,
    ".h5": read_hdf5,
    ".hdf5": read_hdf5,
}
EVENT_SUFFIXES = frozenset(READERS) - {".npz", ".npy"}
