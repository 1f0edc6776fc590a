"""Arrays in `.npy` and `.npz` files: what they are without reading them, and large ones mapped, not read."""

from __future__ import annotations

import math
import mmap
import shutil
import tempfile
import tokenize
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.lib import format as npy_format
from numpy.typing import NDArray

from onnx2snn.errors import DataError, one_line
from onnx2snn.files import check_regular

#: Arrays of more bytes are mapped; those of an `.npz`, which may be compressed, from a nameless file.
LARGE = 1 << 27
#: Bytes that one compressed array may unpack to: a file of a few MB can claim any number of zeros.
MOST_UNPACKED = 1 << 34

# What NumPy and zipfile let through on broken, encrypted or truncated files.
_BROKEN_ARRAY = (
    OSError,
    EOFError,
    ValueError,
    KeyError,
    TypeError,
    SyntaxError,
    RuntimeError,
    OverflowError,
    MemoryError,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
)


class Header(NamedTuple):
    """Shape and dtype of a stored array, and whether its first axis varies fastest."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    fortran: bool = False


def open_npy(file: Path) -> NDArray[Any]:
    """The array of an `.npy`, mapped.

    Raises:
        DataError: no whole file of a plain array.
    """
    check_regular(file)
    try:
        array: NDArray[Any] = npy_format.open_memmap(file, mode="r")
    except _BROKEN_ARRAY as error:
        raise _unreadable(file, error) from error
    return array


def npz_headers(file: Path) -> dict[str, Header]:
    """Shape and dtype of every array of an `.npz`, without reading (or unpickling) what is in it.

    Raises:
        DataError: no whole file of plain arrays.
    """
    headers = {}
    check_regular(file)
    try:
        with zipfile.ZipFile(file) as archive:
            for member in archive.infolist():
                if member.filename.endswith(".npy"):
                    with archive.open(member) as stream:
                        header = _read_header(stream)
                        _check_size(member, header, stream.tell())
                    headers[member.filename.removesuffix(".npy")] = header
    except _BROKEN_ARRAY as error:
        raise _unreadable(file, error) from error
    return headers


def _read_header(stream: IO[bytes]) -> Header:
    readers = {(1, 0): npy_format.read_array_header_1_0, (2, 0): npy_format.read_array_header_2_0}
    version = npy_format.read_magic(stream)
    if version not in readers:
        raise ValueError(f"format version {version} is not for plain arrays")
    shape, fortran, dtype = readers[version](stream)
    return Header(shape, dtype, fortran)


def _check_size(member: zipfile.ZipInfo, header: Header, start: int) -> None:
    """Make sure that a member holds the array that its header announces, and that there is room for it."""
    size = math.prod(header.shape) * header.dtype.itemsize
    if not header.dtype.hasobject and size > member.file_size - start:
        raise ValueError(f"'{member.filename}' has {member.file_size - start:,} bytes of {size:,}")
    if member.file_size > MOST_UNPACKED and member.file_size > member.compress_size:
        raise ValueError(
            f"'{member.filename}' would unpack to {member.file_size / 1e9:.1f} GB, more than the "
            f"{MOST_UNPACKED / 1e9:.1f} GB that one may; store it uncompressed"
        )


def read_npz(file: Path, keys: Mapping[str, str]) -> dict[str, NDArray[Any]]:
    """Arrays of an `.npz` by the names that their keys are given, the large ones mapped.

    Raises:
        DataError: no whole file of plain arrays, or no room for the temporary file.
    """
    check_regular(file)
    try:
        with np.load(file, allow_pickle=False) as archive:
            return {name: _read_member(archive, key) for name, key in keys.items()}
    except _BROKEN_ARRAY as error:
        raise _unreadable(file, error) from error


def _read_member(archive: Any, key: str) -> NDArray[Any]:
    members: zipfile.ZipFile = archive.zip
    if members.getinfo(f"{key}.npy").file_size <= LARGE:
        read: NDArray[Any] = archive[key]
        return read
    with members.open(f"{key}.npy") as stream, tempfile.TemporaryFile() as file:
        shape, dtype, fortran = header = _read_header(stream)
        if dtype.hasobject:
            raise ValueError("it has Python objects")
        _check_size(members.getinfo(f"{key}.npy"), header, stream.tell())
        shutil.copyfileobj(stream, file, LARGE >> 4)
        file.flush()
        return np.memmap(file, dtype, "r", 0, shape, "F" if fortran else "C")


def _unreadable(file: Path, error: BaseException) -> DataError:
    return DataError(
        f"{file}: expected plain numeric arrays in a whole {file.suffix} file, found one that cannot be read "
        f"({one_line(error)}); write it again"
    )


def release(array: NDArray[Any]) -> None:
    """Let the pages of a mapped array leave memory again; they come back from the file."""
    mapping = getattr(array, "_mmap", None)
    if mapping is not None and hasattr(mapping, "madvise"):  # not on Windows
        mapping.madvise(mmap.MADV_DONTNEED)
