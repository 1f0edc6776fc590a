"""What every command needs: one-line errors, outputs that overwrite nothing else, progress, tables, JSON."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from onnx2snn.calibration.image_folder import IMAGE_SUFFIXES
from onnx2snn.calibration.readers import ARRAY_SUFFIXES
from onnx2snn.errors import Onnx2SnnError, OutputError
from onnx2snn.model_file import check_writable, write_atomically


class OneLineErrors(click.Group):
    """Exit 2 with one line for what the user can mend; a traceback and exit 1 for a bug of ours."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Take no arguments for a call for help."""
        return super().parse_args(ctx, args or ["--help"])

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run a command and exit."""
        kwargs["standalone_mode"] = False
        try:
            result = super().main(*args, **kwargs)
        except click.UsageError as error:
            command = error.ctx.command_path if error.ctx else "onnx2snn"
            _fail(f"{error.format_message()} See '{command} --help'.")
        except (Onnx2SnnError, click.ClickException) as error:
            _fail(error.format_message() if isinstance(error, click.ClickException) else str(error))
        except click.Abort:
            Console(stderr=True).print("interrupted")
            sys.exit(130)
        sys.exit(result if isinstance(result, int) else 0)


def _fail(message: str) -> None:
    line = " ".join(message.split())
    Console(stderr=True, soft_wrap=True, highlight=False).print(Text.assemble(("error: ", "bold red"), line))
    sys.exit(2)


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


def _reads(source: Path, target: Path) -> bool:
    """Whether a command reads the file `target`, given the file or folder `source`."""
    if not (source.exists() and target.exists()):
        return False
    is_data = target.suffix.lower() in ARRAY_SUFFIXES | IMAGE_SUFFIXES
    return target.samefile(source) or (is_data and source.resolve() in target.parents)


def json_path(json_file: str | None) -> Path | None:
    """The file that `--json` names, None for stdout or no JSON."""
    return None if json_file in (None, "-") else Path(str(json_file))


def write_json(json_file: str | None, content: object) -> None:
    """Write what `--json` asked for, to its file or to stdout."""
    if json_file is None:
        return
    text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
    path = json_path(json_file)
    if path is None:
        click.echo(text, nl=False)
    else:
        write_atomically(path, text.encode())


def console_for(json_file: str | None) -> Console:
    """Tables go to stdout, unless JSON goes there."""
    console = Console(stderr=json_file == "-", highlight=False)
    if not console.is_terminal:
        console.width = max(console.width, 160)  # a file or a pipe has no width to fit into
    return console


def say(console: Console, name: str, text: str) -> None:
    """One line: a name in bold and what there is to say of it."""
    console.print(Text.assemble((name, "bold"), "  ", text), soft_wrap=True)


@contextmanager
def progress_bar() -> Iterator[Callable[[str, float], None]]:
    """A bar on stderr that vanishes when it is done, and never shows where stderr is no terminal."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=1.0)

        def advance(name: str, done: float) -> None:
            bar.update(task, description=name, completed=done)

        yield advance
