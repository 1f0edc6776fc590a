"""A command as a user types it, and what it must not do besides raising an exception."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

from click.testing import CliRunner

from onnx2snn.cli import main


class UntidyError(Exception):
    """A command that failed said something else than one line, or wrote to stdout."""


class LeftError(Exception):
    """A file is there that nobody asked for, or one is changed that was there before."""


class DifferenceError(Exception):
    """Two ways to run the same network give different results."""


def command(folder: Path, words: Sequence[str], written: Collection[str] = ()) -> str:
    """Run a command in this process: "ok" or "refused"; all else is an exception.

    Args:
        folder: where it may write, and where nothing else may change.
        words: after `onnx2snn`.
        written: names in the folder that it writes where it works.
    """
    before = _look(folder)
    result = CliRunner().invoke(main, [str(word) for word in words], catch_exceptions=False)
    after = _look(folder)
    if result.exit_code == 0:
        before |= {name: after[name] for name in written if name in after}
    changed = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
    if changed:
        raise LeftError(", ".join(changed))
    if result.exit_code == 0:
        return "ok"
    # Warnings may come first; `error: ` is the last line, and the only one of its kind.
    *warnings, last = result.stderr.splitlines() or [""]
    tidy = last.startswith("error: ") and all(line.startswith("warning: ") for line in warnings)
    if result.exit_code != 2 or result.stdout or not tidy:
        said = f"{result.stdout}{result.stderr}".strip().splitlines()[:2]
        raise UntidyError(f"{words[0]} ends with {result.exit_code}: {' / '.join(said)[:300]}")
    return "refused"


def _look(folder: Path) -> dict[str, tuple[int, int, int]]:
    found = {}
    for path in folder.rglob("*"):
        state = path.lstat()
        changing = (state.st_ino, state.st_size, state.st_mtime_ns) if not path.is_dir() else (0, 0, 0)
        found[path.relative_to(folder).as_posix()] = changing
    return found
