"""The command line. Only this package prints, by way of `terminal.py`."""

from __future__ import annotations

import logging

import click
from rich.console import Console
from rich.logging import RichHandler

import onnx2snn
from onnx2snn.cli import demo, evaluate, inspect, sweep
from onnx2snn.cli.compile import compile_command
from onnx2snn.terminal import OneLineErrors


@click.group(
    cls=OneLineErrors, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(onnx2snn.__version__, message="onnx2snn %(version)s")
@click.option("-v", "--verbose", count=True, help="Log each pass (-v) or each node (-vv) to stderr.")
def main(verbose: int) -> None:
    """Compile a trained ANN (ONNX) into a spiking neural network (ONNX) and run it."""
    if verbose:
        level = logging.INFO if verbose == 1 else logging.DEBUG
        handler = RichHandler(console=Console(stderr=True), show_path=False)
        logging.basicConfig(level=level, handlers=[handler], format="%(message)s")


for command in (
    compile_command,
    evaluate.evaluate,
    evaluate.run,
    inspect.inspect,
    sweep.sweep,
    demo.demo,
    inspect.doctor,
):
    main.add_command(command)
