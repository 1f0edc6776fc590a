"""`onnx2snn demo`."""

from __future__ import annotations

import shlex
from importlib import resources
from pathlib import Path

import click

import onnx2snn
from onnx2snn.cli.commands import Command
from onnx2snn.cli.files import FOLDER
from onnx2snn.cli.invocation import current
from onnx2snn.cli.output import print_reference
from onnx2snn.cli.terminal import console_for, progress_bar
from onnx2snn.data.preprocessing import Preprocessing
from onnx2snn.data.readers import open_dataset
from onnx2snn.errors import OutputError
from onnx2snn.model.file import write_atomically
from onnx2snn.report import tables

# What takes long to import is imported by the commands themselves: help and completion answer at once.


@click.command(cls=Command, examples=["onnx2snn demo", "onnx2snn demo --out digits"])
@click.option(
    "--out",
    type=FOLDER,
    default="onnx2snn-demo",
    show_default=True,
    metavar="DIR",
    help="Where the files go.",
)
def demo(out: str) -> None:
    """Compile and evaluate an embedded example.

    The whole road with a small CNN that reads handwritten digits.
    """
    from onnx2snn.analysis.evaluation import evaluate as evaluate_session
    from onnx2snn.analysis.evaluation import open_reference

    folder = Path(out)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"{folder}: cannot be made a folder ({error.strerror}); choose another with --out"
        ) from error
    current().remains = f"the files in {folder} are whole; the demo has more of them"
    for name in ("digits.onnx", "digits_calibration.npz", "digits_test.npz"):
        write_atomically(folder / name, resources.files("onnx2snn.demo").joinpath(name).read_bytes())
    model, target = folder / "digits.onnx", folder / "digits.snn.onnx"
    console = console_for(None)
    console.print(
        "A small CNN (BatchNorm, a residual Add, a MaxPool) that reads 8×8 pictures of handwritten digits\n"
        "becomes a spiking network: its neurons send spikes, each with a sign and a size, instead of\n"
        "numbers, for T timesteps.\n"
    )
    with progress_bar() as advance:
        compiled = onnx2snn.compile(
            model,
            folder / "digits_calibration.npz",
            preprocessing=Preprocessing(scale=1 / 16),
            progress=advance,
        )
        compiled.save(target)
        advance("load", 0.0)
        session = onnx2snn.SpikingSession(target)
        dataset = open_dataset(folder / "digits_test.npz", session.inputs, Preprocessing(scale=1 / 16))
        figures = evaluate_session(
            session,
            dataset,
            [1, 2, 4, 8],
            open_reference(model, session),
            progress=lambda done: advance("evaluate", done / len(dataset)),
        )
    console.print(tables.role_table(compiled.report.roles))
    console.print()
    console.print(tables.evaluation_table(figures))
    print_reference(console, figures)
    console.print("\nThe same by hand:")
    calibration, test = folder / "digits_calibration.npz", folder / "digits_test.npz"
    for words in (
        ("compile", model, "--calib", calibration, "--scale", "1/16", "-o", target),
        ("evaluate", target, "--data", test, "--reference", model),
    ):
        console.print("  " + shlex.join(["onnx2snn", *map(str, words)]), soft_wrap=True)
    console.print(f"\nFiles in {folder}: the ANN, the SNN (any onnxruntime runs it), the data.")
