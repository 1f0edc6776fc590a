"""The command line that was typed, for a report: files by their names alone."""

from __future__ import annotations

import shlex
from typing import Any

import click
from click.core import ParameterSource

from onnx2snn.report.words import file_name


def typed_command() -> str:
    """What to type to have the current command again; folders of files are left out."""
    context = click.get_current_context()
    arguments, options = [], []
    for parameter in context.command.params:
        value = context.params.get(str(parameter.name))
        if value is None or context.get_parameter_source(str(parameter.name)) != ParameterSource.COMMANDLINE:
            continue
        if isinstance(value, bool):
            options.append(_longest(parameter.opts if value else parameter.secondary_opts))
        elif isinstance(parameter, click.Argument):
            arguments.append(_written(parameter, value))
        else:
            options += [_longest(parameter.opts), _written(parameter, value)]
    return shlex.join(["onnx2snn", str(context.info_name), *arguments, *options])


def _longest(names: list[str]) -> str:
    return max(names, key=len)


def _written(parameter: click.Parameter, value: Any) -> str:
    return file_name(value) if isinstance(parameter.type, click.Path) else str(value)
