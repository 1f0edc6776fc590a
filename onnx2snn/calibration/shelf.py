"""Arrays that wait for their turn: in memory as far as a bound allows, beyond it in files without a name."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from types import TracebackType
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from onnx2snn.errors import OutputError, first_line

Array = npt.NDArray[Any]

#: Bytes between which an array of any type may begin.
_ALIGNED = 64


@dataclass
class _Row:
    """What was put away under one label."""

    arrays: list[Array | _Written] = field(default_factory=list)
    file: IO[bytes] | None = None


@dataclass(frozen=True)
class _Written:
    """Where an array lies in the file of its row."""

    offset: int
    dtype: np.dtype[Any]
    shape: tuple[int, ...]


class Shelf:
    """Rows of arrays, each row with a label; a context manager.

    What is beyond the bound lies in temporary files, which the system deletes with the process however that
    ends, and is memory-mapped while somebody reads it.

    Args:
        most: bytes of the arrays that stay in memory.

    Attributes:
        spilled: bytes that were written to files so far.
    """

    def __init__(self, most: int) -> None:
        self._most, self._held = most, 0
        self._rows: dict[str, _Row] = {}
        self._files = ExitStack()
        self.spilled = 0

    def __enter__(self) -> Shelf:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._rows.clear()
        self._files.close()

    def __contains__(self, label: object) -> bool:
        return label in self._rows

    def put(self, label: str, array: Array) -> None:
        """Add an array to the end of a row.

        Raises:
            OutputError: there is no room for the file.
        """
        row = self._rows.setdefault(label, _Row())
        if self._held + array.nbytes <= self._most:
            self._held += array.nbytes
            row.arrays.append(array)
            return
        try:
            if row.file is None:
                file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - open until the row is dropped
                row.file = self._files.enter_context(file)
            offset = row.file.seek(0, 2)
            offset = row.file.seek(-(-offset // _ALIGNED) * _ALIGNED)
            content = memoryview(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
            while content:
                content = content[row.file.write(content) :]
        except OSError as error:
            raise OutputError(
                f"{tempfile.gettempdir()}: cannot hold what is beyond --memory ({first_line(error)}); free "
                "some room there, set TMPDIR to another folder, or give more --memory"
            ) from error
        self.spilled += array.nbytes
        row.arrays.append(_Written(offset, array.dtype, array.shape))

    def get(self, label: str, number: int) -> Array:
        """One array of a row; do not write to it."""
        row = self._rows[label]
        found = row.arrays[number]
        if not isinstance(found, _Written):
            return found
        if 0 in found.shape:
            return np.empty(found.shape, found.dtype)
        return np.asarray(np.memmap(row.file, found.dtype, "r", found.offset, found.shape))  # type: ignore[call-overload]

    def row(self, label: str) -> Sequence[Array]:
        """A row, each of its arrays read when it is asked for."""
        return _View(self, label, len(self._rows[label].arrays))

    def drop(self, label: str) -> None:
        """Forget a row, if there is one."""
        row = self._rows.pop(label, _Row())
        self._held -= sum(array.nbytes for array in row.arrays if not isinstance(array, _Written))
        if row.file is not None:
            row.file.close()


class _View(Sequence[Array]):
    """A row of a shelf as a sequence."""

    def __init__(self, shelf: Shelf, label: str, length: int) -> None:
        self._shelf, self._label, self._length = shelf, label, length

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, number: Any) -> Any:
        if not -self._length <= number < self._length:
            raise IndexError(number)
        return self._shelf.get(self._label, number)

    def __iter__(self) -> Iterator[Array]:
        return (self._shelf.get(self._label, number) for number in range(self._length))
