"""Arguments that name files: shells complete them; whether they are there is for the commands to say."""

from __future__ import annotations

import shlex
from pathlib import Path

import click
from click.shell_completion import CompletionItem


class _OnnxFile(click.Path):
    """The name of a model."""

    def shell_complete(self, _: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Models alone; through folders, and where there is no model, the shell goes on by itself."""
        by_the_shell = [CompletionItem(incomplete, type="file")]
        start = incomplete.rpartition("/")[2]
        prefix = incomplete.removesuffix(start)
        try:
            there = sorted(path for path in Path(prefix or ".").iterdir() if path.name.startswith(start))
        except OSError:
            return by_the_shell
        models = [prefix + path.name for path in there if path.suffix == ".onnx"]
        # A folder may hold the one that is looked for; and only the shell quotes names as it needs them.
        if any(path.is_dir() for path in there) or any(shlex.quote(name) != name for name in models):
            return by_the_shell
        return [CompletionItem(name) for name in models] or by_the_shell


class _Folder(click.Path):
    """The name of a folder."""

    def shell_complete(self, _: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Folders alone."""
        return [CompletionItem(incomplete, type="dir")]


ANY_FILE = click.Path(readable=False)
ONNX_FILE = _OnnxFile(readable=False)
FOLDER = _Folder(readable=False)
