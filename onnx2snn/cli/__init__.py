"""The command line. Only this package prints, by way of `terminal.py`."""

from __future__ import annotations

import click

import onnx2snn
from onnx2snn.cli.commands import Commands

#: Name → where the command is and what it does; nothing is imported before it is called.
PLACES = {
    "compile": ("onnx2snn.cli.compile:compile_command", "Compile a trained ANN into a spiking network."),
    "evaluate": ("onnx2snn.cli.evaluate:evaluate", "Measure a compiled network."),
    "diagnose": ("onnx2snn.cli.diagnose:diagnose", "Find the layers that make the error, and why."),
    "run": ("onnx2snn.cli.evaluate:run", "Run a compiled network on samples."),
    "inspect": ("onnx2snn.cli.inspect:inspect", "Say what becomes of every node, and why."),
    "sweep": ("onnx2snn.cli.sweep:sweep", "Try many conversions of a net, and show what each gives."),
    "web": ("onnx2snn.cli.web:web", "Write a page that runs a compiled network in a browser."),
    "demo": ("onnx2snn.cli.demo:demo", "Compile and evaluate an embedded example."),
    "doctor": ("onnx2snn.cli.inspect:doctor", "Show what is installed, and what to do about the rest."),
    "completion": ("onnx2snn.cli.completion:completion", "Print what makes a shell complete commands."),
}


@click.group(
    cls=Commands,
    places=PLACES,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    examples=[
        "onnx2snn demo",
        "onnx2snn compile model.onnx --calib train.npz --scale 1/255",
        "onnx2snn evaluate model.snn.onnx --data test.npz --reference model.onnx",
        "onnx2snn compile --help",
    ],
)
@click.version_option(onnx2snn.__version__, message="onnx2snn %(version)s")
def main() -> None:
    """Compile a trained ANN (ONNX) into a spiking neural network (ONNX) and run it."""
