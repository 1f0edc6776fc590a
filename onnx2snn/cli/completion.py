"""`onnx2snn completion`."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from onnx2snn.cli.commands import Command


@click.command(
    cls=Command,
    examples=[
        "onnx2snn completion bash",
        """eval "$(onnx2snn completion bash)"   # in ~/.bashrc; zsh: the same in ~/.zshrc""",
        "onnx2snn completion fish > ~/.config/fish/completions/onnx2snn.fish",
    ],
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print what makes a shell complete commands.

    Then the tabulator key completes commands, options, their choices and files. Print it into the shell's own
    start-up file, as the examples do.
    """
    kind = get_completion_class(shell)
    assert kind is not None
    click.echo(kind(ctx.find_root().command, {}, "onnx2snn", "_ONNX2SNN_COMPLETE").source())
