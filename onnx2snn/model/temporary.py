"""A file to write into beside the one that it will replace, and what killed writers left of theirs."""

from __future__ import annotations

import hashlib
import os
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

if sys.platform != "win32":
    import fcntl


@contextmanager
def beside(target: Path) -> Iterator[Path]:
    """An empty file in the target's folder, there until it is renamed or the context ends.

    Its writer holds a lock on it, which ends with the process however that ends: files of the same target
    without one are of writers that were killed, and are removed. (Without such locks, on Windows, they stay.)

    Raises:
        OSError: the file cannot be made.
    """
    start = f".{hashlib.sha256(os.fsencode(target.name)).hexdigest()[:16]}"
    for left in target.parent.glob(f"{start}.*.part"):
        _remove_unless_held(left)
    made = target.with_name(f"{start}.{uuid.uuid4().hex}.part")
    with made.open("xb") as held:
        if sys.platform == "win32":
            held.close()  # or nobody could rename it
        else:
            with suppress(OSError):  # a file system without locks
                fcntl.flock(held, fcntl.LOCK_EX)
        try:
            yield made
        finally:
            made.unlink(missing_ok=True)


def _remove_unless_held(left: Path) -> None:
    if sys.platform != "win32":
        with suppress(OSError), left.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            left.unlink()
