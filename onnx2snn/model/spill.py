"""Files for weights that the compiler makes of weights in files: memory need not hold these either."""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref
from collections.abc import Collection, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from onnx2snn.errors import OutputError, first_line
from onnx2snn.model.weights import is_large, is_mapped, let_go, map_file, pieces, place_in_file

Array = npt.NDArray[Any]

#: Where systems keep large files for the time being; what is in /tmp may be in memory.
_LARGE_FILES = Path("/var/tmp")


class Spill:
    """A folder of files, made when the first one is; it is gone when it is closed, or with the process."""

    def __init__(self) -> None:
        self._folder: Path | None = None
        self._files = 0
        self._adopted: list[Spill] = []

    def store(self, parts: Iterable[Array], dtype: np.dtype[Any], shape: tuple[int, ...]) -> Array:
        """Write an array that comes in parts along its first axis.

        Returns:
            A map of the file.

        Raises:
            OutputError: there is no room.
        """
        path = None
        try:
            if self._folder is None:
                made = tempfile.mkdtemp(prefix="onnx2snn-", dir=_temporary())
                self._remove = weakref.finalize(self, shutil.rmtree, made, ignore_errors=True)
                self._folder = Path(os.path.realpath(made))
            path = self._folder / f"{self._files}.bin"
            self._files += 1
            with path.open("xb") as file:
                for part in parts:
                    file.write(np.ascontiguousarray(part, dtype).data)
        except OSError as error:
            if path is not None:
                path.unlink(missing_ok=True)
            raise OutputError(
                f"{_temporary()}: weights of more than memory should hold cannot be written there "
                f"({first_line(error)}); make room, or name another folder in TMPDIR"
            ) from error
        return map_file(str(path), dtype, shape)

    def keep_only(self, used: Collection[str]) -> None:
        """Remove all files but those with these paths."""
        for path in [] if self._folder is None else self._folder.iterdir():
            if str(path) not in used:
                path.unlink()

    def adopt(self, other: Spill) -> None:
        """Keep another's files for as long as one's own."""
        if other._folder is not None or other._adopted:
            self._adopted.append(other)

    def close(self) -> None:
        """Remove the files."""
        if self._folder is not None:
            self._remove()
        for other in self._adopted:
            other.close()


def _temporary() -> str:
    """TMPDIR where it is set."""
    usable = _LARGE_FILES.is_dir() and os.access(_LARGE_FILES, os.W_OK)
    return str(_LARGE_FILES) if usable and "TMPDIR" not in os.environ else tempfile.gettempdir()


#: For whoever does not say how long files are needed: until the process ends.
_otherwise = Spill()
_current: ContextVar[Spill] = ContextVar("spill", default=_otherwise)


@contextmanager
def spilling() -> Iterator[Spill]:
    """Keep weights that are stored meanwhile apart.

    They are gone when what this gives is closed, or after an error; otherwise they live as long as those that
    were stored before.
    """
    spill, outer = Spill(), _current.get()
    token = _current.set(spill)
    with ExitStack() as undo:
        undo.callback(spill.close)
        try:
            yield spill
        finally:
            _current.reset(token)
        undo.pop_all()
    outer.adopt(spill)


def store(parts: Iterable[Array], dtype: np.dtype[Any], shape: tuple[int, ...]) -> Array:
    """Write an array to a file; see `Spill.store`."""
    return _current.get().store(parts, dtype, shape)


def stored(array: Array, *, writable: bool = False) -> Array:
    """The array, in a file; with `writable` what is written into it goes there."""
    made = store((part for _, part in pieces(array)), array.dtype, array.shape)
    place = place_in_file(made) if writable else None
    return made if place is None else map_file(place[0], array.dtype, array.shape, place[1], writable=True)


def stored_like(array: Array, like: Array) -> Array:
    """The array; in a file, if it is large and another is there, of which it was made."""
    return stored(array) if is_large(array.nbytes) and is_mapped(like) and not is_mapped(array) else array


def product(array: Array, factor: Array | np.float64) -> Array:
    """array·factor: of an array in a file an array of its type in a file, computed piece by piece.

    Args:
        array: of any shape.
        factor: broadcasts to that.
    """
    if not is_mapped(array):
        return np.asarray(array * factor)
    spread = np.broadcast_to(factor, array.shape)
    made = store((part * spread[place] for place, part in pieces(array)), array.dtype, array.shape)
    let_go()
    return made
