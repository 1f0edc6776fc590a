"""The report that `--report` asks for, with the command line that gives it again."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Collection, Sequence
from typing import Any

import click
from click.core import ParameterSource
from rich.console import Console

from onnx2snn.artifact.records import Metadata
from onnx2snn.cli.terminal import progress_bar, say
from onnx2snn.records import Record
from onnx2snn.report.page import write_report
from onnx2snn.report.recording import Recording
from onnx2snn.report.subject import Subject
from onnx2snn.report.words import file_name


def report(
    out: Console,
    path: str | None,
    name: str,
    figures: Record,
    metadata: Metadata | None = None,
    record: Callable[[], Recording] | None = None,
) -> None:
    """Write the report of the current command, if it is asked for one.

    Args:
        out: where to say so.
        path: the page; None for none.
        name: the file that the command was about.
        figures: what it found.
        metadata: what the artifact says of itself.
        record: runs some samples for the raster.
    """
    if path is None:
        return
    command = str(click.get_current_context().info_name)
    with progress_bar("report") as advance:
        recording = None if record is None else record()
        subject = Subject(command, name, figures, typed_command(), metadata or Metadata(), recording)
        write_report(path, subject, lambda done: advance("report", done))
    say(out, "report", path)


def typed_command(
    *, leave_out: Collection[str] = (), add: Sequence[str] = (), write: Callable[[str], str] = file_name
) -> str:
    """What to type to have the current command again.

    Args:
        leave_out: parameters that are not typed again.
        add: words behind all others.
        write: what becomes of the name of a file; by default it is named without its folder.
    """
    context = click.get_current_context()
    arguments, options = [], []
    for parameter in context.command.params:
        name = str(parameter.name)
        value = context.params.get(name)
        if value is None or name in leave_out or not is_typed(name):
            continue
        if isinstance(value, bool):
            options.append(_longest(parameter.opts if value else parameter.secondary_opts))
        elif isinstance(parameter, click.Argument):
            arguments.append(_written(parameter, value, write))
        else:
            options += [_longest(parameter.opts), _written(parameter, value, write)]
    return shlex.join(["onnx2snn", str(context.info_name), *arguments, *options, *add])


def is_typed(name: str) -> bool:
    """Whether the user has given a parameter of the current command."""
    return click.get_current_context().get_parameter_source(name) == ParameterSource.COMMANDLINE


def _longest(names: list[str]) -> str:
    return max(names, key=len)


def _written(parameter: click.Parameter, value: Any, write: Callable[[str], str]) -> str:
    return write(value) if isinstance(parameter.type, click.Path) else str(value)
