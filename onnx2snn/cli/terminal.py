"""What every command needs: outputs that overwrite nothing else, progress, tables, JSON."""

from __future__ import annotations

import json
import os
import re
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeElapsedColumn
from rich.table import Column
from rich.text import Text

from onnx2snn.cli.invocation import Advance, PatientConsole, current, discard
from onnx2snn.data.event_files import EVENT_SUFFIXES
from onnx2snn.data.image_folder import IMAGE_SUFFIXES
from onnx2snn.data.readers import ARRAY_SUFFIXES
from onnx2snn.errors import OutputError
from onnx2snn.model.file import check_writable, write_atomically
from onnx2snn.printable import escaped

#: Seconds before a progress bar shows.
_PATIENCE = 1.0
#: Characters of a line that nobody has to fit into anything.
_UNBOUNDED = 100_000
_INNER_CAPITAL = re.compile(r"(?<=[a-z])([A-Z])")


def check_outputs(inputs: Sequence[str | None], outputs: Mapping[str, str | Path | None]) -> None:
    """Find out before any work that an output cannot be written or would overwrite something of the command.

    Args:
        inputs: files and folders that the command reads.
        outputs: option → the file that it names; None where there is none.

    Raises:
        OutputError: no way to write there, or the file is an input or another option's output.
    """
    taken: dict[Path, str] = {}
    for option, path in outputs.items():
        if path is None:
            continue
        check_writable(path)
        target = Path(os.path.realpath(path))
        sources = (source for source in inputs if source is not None and _reads(Path(source), target))
        if found := next((f"the input {source}" for source in sources), taken.get(target)):
            raise OutputError(
                f"{path}: expected a file of its own, found {found}; choose another with {option}"
            )
        taken[target] = f"the output of {option}"
    current().watch(Path(path) for path in outputs.values() if path is not None)


def _reads(source: Path, target: Path) -> bool:
    """Whether a command reads the file `target`, given the file or folder `source`."""
    if not (source.exists() and target.exists()):
        return False
    is_data = target.suffix.lower() in ARRAY_SUFFIXES | EVENT_SUFFIXES | IMAGE_SUFFIXES
    return target.samefile(source) or (is_data and source.resolve() in target.parents)


def json_path(json_file: str | None) -> Path | None:
    """The file that `--json` names, None for stdout or no JSON."""
    return None if json_file in (None, "-") else Path(str(json_file))


def write_json(json_file: str | None, content: object) -> None:
    """Write what `--json` asked for, to its file or to stdout."""
    if json_file is None:
        return
    text = escaped(json.dumps(content, indent=2, ensure_ascii=False)) + "\n"
    path = json_path(json_file)
    if path is None:
        _echo(text, sys.stdout)
    else:
        write_atomically(path, text.encode())


def _echo(text: str, file: IO[str]) -> None:
    """Print text as it is, also to a reader that has left."""
    try:
        click.echo(text, file, nl=False)
    except BrokenPipeError:
        discard(file.fileno())


def console_for(json_file: str | None) -> Console:
    """Tables go to stdout, unless JSON goes there; to a file or a pipe in full width and as plain text."""
    console = PatientConsole(stderr=json_file == "-", quiet=current().quiet)
    return console if console.is_terminal else _PlainConsole(stderr=console.stderr, quiet=console.quiet)


class _PlainConsole(PatientConsole):
    """Lines as long as they are, so that they can be searched, and without spaces at their ends."""

    def __init__(self, *, stderr: bool, quiet: bool) -> None:
        super().__init__(stderr=stderr, quiet=quiet, width=_UNBOUNDED, color_system=None)

    def print(self, *objects: Any, **options: Any) -> None:
        """Print what rich would, stripped line by line."""
        with self.capture() as captured:
            super().print(*objects, **options)
        lines = captured.get().replace("█", "#").split("\n")
        _echo("\n".join(line.rstrip() for line in lines), self.file)


def say(console: Console, name: str, text: str, *, whole: bool = False) -> None:
    """A name in bold and what there is to say of it.

    Args:
        console: where.
        name: what it is about.
        text: a sentence, or a command that can be copied.
        whole: break no line of it, even on a narrow terminal: for commands.
    """
    console.print(Text.assemble((name, "bold"), "  ", text), soft_wrap=whole)


@contextmanager
def progress_bar(name: str = "load") -> Iterator[Advance]:
    """A bar on stderr for what takes longer than a second, with the time left; it vanishes when all is done.

    Yields a function that takes what is being done and the share of it that is. The first phase has the given
    name, a new one begins where the share is 0, and the time left is that of the phase. There is no bar with
    `--quiet`, nor where stderr is no terminal that can move its cursor. Inside of another bar it is that one.
    """
    invocation = current()
    if invocation.advance is not None:
        yield invocation.advance
        return
    bar = _Bar(invocation.console, name)
    movable = invocation.console.file.isatty() and not invocation.console.is_dumb_terminal
    show = threading.Timer(_PATIENCE, bar.progress.start)
    show.daemon = True
    if movable and not invocation.quiet:
        show.start()
    invocation.advance = bar.advance
    try:
        yield bar.advance
    finally:
        invocation.advance = None
        show.cancel()
        if show.ident is not None:
            show.join()
        if bar.progress.live.is_started:
            bar.progress.stop()


class _Bar:
    """The display of one phase after the other."""

    def __init__(self, console: Console, name: str) -> None:
        description = TextColumn("{task.description}", table_column=Column(no_wrap=True, overflow="ellipsis"))
        columns = (description, BarColumn(), TimeElapsedColumn(), _TimeLeft())
        self.progress = Progress(*columns, console=console, transient=True)
        self.begin(name)

    def begin(self, name: str) -> None:
        """A phase of which nobody knows yet how long it takes."""
        for task in self.progress.task_ids:
            self.progress.remove_task(task)
        self.task = self.progress.add_task(name, total=None, expected=None)
        self.name, self.done, self.started = name, 0.0, time.monotonic()

    def advance(self, name: str, done: float) -> None:
        """A share of a phase is done."""
        words = _words(name)
        if done < self.done or (done == 0 and words != self.name):
            self.begin(words)
        if done > 0:
            expected = (time.monotonic() - self.started) / done
            self.progress.update(
                self.task, description=words, total=1.0, completed=min(done, 1.0), expected=expected
            )
        self.name, self.done = words, done


class _TimeLeft(ProgressColumn):
    """Seconds until the phase is done, if it goes on as fast as it did on the whole."""

    def render(self, task: Task) -> Text:
        """The time left of a task; nothing while it is not known."""
        expected = task.fields["expected"]
        if expected is None or task.elapsed is None:
            return Text("")
        minutes, seconds = divmod(max(0, round(expected - task.elapsed)), 60)
        hours, minutes = divmod(minutes, 60)
        return Text(f"{hours}:{minutes:02}:{seconds:02} left", "progress.remaining")


def _words(name: str) -> str:
    """The name of a pass as words: CorrectBias → correct bias."""
    return _INNER_CAPITAL.sub(r" \1", name).lower() if name.replace(" ", "").isalpha() else name
