"""One call of the command line: how much it says, and what it has written when somebody stops it."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from onnx2snn.printable import shown_lines

#: Takes what is being done, and the share of it that is.
Advance = Callable[[str, float], None]
_LEVELS = {0: logging.WARNING, 1: logging.INFO}
_STYLES = {logging.WARNING: "bold yellow", logging.ERROR: "bold red"}


class PatientConsole(Console):
    """A console whose reader may leave: what is printed afterwards goes nowhere, the command goes on.

    Names and paths of the user's are printed as they are, whatever brackets they have, but for characters
    that a terminal would obey.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(markup=False, highlight=False, **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterator[Segment]:
        """Render as rich does, for all that is printed; its own ways to move the cursor stay."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(shown_lines(segment.text), segment.style)

    def on_broken_pipe(self) -> None:
        """Of `onnx2snn … | head`."""
        discard(self.file.fileno())


def discard(descriptor: int) -> None:
    """Send what is written to a file descriptor nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, descriptor)
    os.close(nowhere)


@dataclass
class Invocation:
    """What the user wants to hear, and the state of what the command writes.

    Attributes:
        quiet: nothing but errors, and what `--json -` asks for.
        verbosity: 0 for warnings, 1 for a line each pass, 2 for a line each node.
        console: stderr; the one that log and progress bar share, so that they do not fight.
        advance: of the progress bar that is there, see `terminal.progress_bar`.
        remains: what a command that is stopped leaves behind on purpose; None for nothing.
    """

    quiet: bool = False
    verbosity: int = 0
    console: Console = field(default_factory=lambda: PatientConsole(stderr=True))
    advance: Advance | None = None
    remains: str | None = None
    _before: dict[Path, int | None] = field(default_factory=dict)

    def watch(self, outputs: Iterable[Path]) -> None:
        """Remember how the files that will be written look now."""
        self._before |= {path: _identity(path) for path in outputs}

    def what_stands(self) -> str:
        """What is on the disk when the command is stopped now, as half a sentence."""
        if self.remains is not None:
            return self.remains
        written = [str(path) for path, before in self._before.items() if _identity(path) != before]
        return f"{', '.join(written)} is complete" if written else "nothing was written"

    @contextmanager
    def log(self) -> Iterator[None]:
        """Show what the package logs, as far as the user wants to hear it."""
        if self.quiet and self.verbosity:
            raise click.UsageError(
                "--quiet, --verbose: expected one of them, found both; leave one out.",
                click.get_current_context(silent=True),
            )
        logger = logging.getLogger("onnx2snn")
        level = logging.ERROR if self.quiet else _LEVELS.get(self.verbosity, logging.DEBUG)
        handler, before = _LogLines(self.console, level), logger.level
        logger.addHandler(handler)
        logger.setLevel(level)
        try:
            yield
        finally:
            logger.setLevel(before)
            logger.removeHandler(handler)


class _LogLines(logging.Handler):
    """Log records as lines above the progress bar: seconds since the start, or how bad it is.

    A warning is shown once, however often a sweep comes upon it.
    """

    def __init__(self, console: Console, level: int) -> None:
        super().__init__(level)
        self.console = console
        self.warned: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        """Print a record."""
        message = record.getMessage()
        if record.levelno >= logging.WARNING:
            if message in self.warned:
                return
            self.warned.add(message)
        started = (f"{record.relativeCreated / 1e3:7.2f} s  ", "dim")
        level = (f"{record.levelname.lower()}: ", _STYLES.get(record.levelno, ""))
        start = level if record.levelno >= logging.WARNING else started
        whole = not self.console.is_terminal  # a terminal's lines break between words, a file's nowhere
        self.console.print(Text.assemble(start, message), soft_wrap=whole)


def _identity(path: Path) -> int | None:
    """Which file is there: one that is written whole is another one than before."""
    try:
        return path.stat().st_ino
    except OSError:
        return None


def current() -> Invocation:
    """That of the command that is running; one of its own outside of any."""
    context = click.get_current_context(silent=True)
    if context is None:
        return Invocation()
    invocation: Invocation = context.meta.setdefault(__name__, Invocation())
    return invocation
