"""What a path leads to, asked before it is opened: a pipe would be waited for, a device may have no end."""

from __future__ import annotations

import stat
from pathlib import Path

from onnx2snn.errors import DataError, Onnx2SnnError, one_line

_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def check_regular(path: str | Path, expected: str = "a file", error: type[Onnx2SnnError] = DataError) -> None:
    """Make sure that a path leads to a regular file, which whoever reads it will come to the end of.

    Args:
        path: of a file that is to be read; links are followed.
        expected: what it is to be, for the message.
        error: what to raise.

    Raises:
        Onnx2SnnError: nothing is there or can be looked at, or it is a folder, a pipe, a socket or a device.
    """
    try:
        mode = Path(path).stat().st_mode
    except (FileNotFoundError, NotADirectoryError) as missing:
        raise error(f"{path}: expected {expected}, found nothing there; check the path") from missing
    except (OSError, ValueError) as problem:
        raise error(f"{path}: expected {expected}, cannot be read ({one_line(problem)})") from problem
    found = next((kind for is_kind, kind in _KINDS if is_kind(mode)), None)
    if found is not None:
        raise error(
            f"{path}: expected {expected}, found {found}; check the path, or keep it in a regular file"
        )
