"""`onnx2snn compile`."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import onnx2snn
from onnx2snn.aim import AIM_DECLARATIONS
from onnx2snn.cli.commands import Command
from onnx2snn.cli.files import ANY_FILE, ONNX_FILE
from onnx2snn.cli.options import (
    DATA_HELP,
    PREPROCESSING,
    SAMPLES,
    compile_options,
    compile_sections,
    preprocessing_options,
    read_preprocessing,
    report_option,
    sample_options,
    search_options,
)
from onnx2snn.cli.terminal import check_outputs, console_for, json_path, progress_bar, say, write_json
from onnx2snn.data.preprocessing import Preprocessing
from onnx2snn.report import tables

if TYPE_CHECKING:
    from rich.console import Console

    from onnx2snn.artifact.records import SearchRecord
    from onnx2snn.compiler.report import CompileReport

# What takes long to import is imported by the commands themselves: help and completion answer at once.


@click.command(
    "compile",
    cls=Command,
    examples=[
        "onnx2snn compile model.onnx --calib train.npz --scale 1/255",
        "onnx2snn compile model.onnx --calib train.npz --max-loss 0.3",
        "onnx2snn compile model.onnx --calib images/ -T 4 -o fast.snn.onnx",
        "onnx2snn compile model.onnx --calib x.npy --schedule layer --code radix -T 4",
    ],
    sections={
        "Files": ["calib", "output", "json_file", "report_file"],
        **compile_sections(),
        "Search": list(AIM_DECLARATIONS),
        "Samples": [*SAMPLES["Samples"], "max_search_samples"],
        **PREPROCESSING,
    },
)
@click.argument("model", type=ONNX_FILE, metavar="MODEL.onnx")
@click.option(
    "--calib", required=True, type=ANY_FILE, metavar="DATA", help=f"Calibration samples. {DATA_HELP}"
)
@click.option(
    "-o",
    "--output",
    type=ANY_FILE,
    metavar="FILE",
    help="The artifact.  [default: MODEL.snn.onnx, here]",
)
@compile_options
@search_options
@preprocessing_options
@sample_options
@report_option
def compile_command(
    model: str,
    calib: str,
    output: str | None,
    max_samples: int | None,
    json_file: str | None,
    report_file: str | None,
    **values: Any,
) -> None:
    """Compile a trained ANN into a spiking network.

    MODEL.onnx is a feed-forward net from any framework. Behind its activations (ReLU, GELU, trained
    quantisers …) stand neurons; what else is not linear is computed exactly, without spikes, and reported.
    The result is one ordinary ONNX file with the same inputs and outputs, which a stock
    onnxruntime runs.

    Options are as you type them, or their defaults. With --max-loss, and nothing that uses it, or with
    --target-energy, schedule, code, timesteps and sizes that you leave out are chosen by trying.
    """
    from onnx2snn.artifact.artifact import take_apart
    from onnx2snn.cli.repeat import is_typed, report

    target = Path(output or f"{Path(model).stem}.snn.onnx")
    check_outputs([model, calib], {"-o": target, "--json": json_path(json_file), "--report": report_file})
    preprocessing = read_preprocessing(values, Preprocessing())
    with progress_bar() as advance:
        compiled = onnx2snn.compile(
            model,
            calib,
            preprocessing=preprocessing,
            max_samples=max_samples,
            progress=advance,
            **{name: value for name, value in values.items() if is_typed(name)},
        )
        advance("save", 0.0)
        written = compiled.save(target)
    out = console_for(json_file)
    done = compiled.report
    repeat = _print_search(out, done.search)
    _print_report(out, done)
    size, samples = target.stat().st_size / 1e6, done.calibration.samples
    say(out, f"{target}", f"{size:.2f} MB, T = {done.options.timesteps}, calibrated on {samples} samples")
    for weights in written[1:]:
        say(out, f"{weights}", f"{weights.stat().st_size / 1e6:.2f} MB, its weights: keep it beside it")
    report(out, report_file, model, done, take_apart(compiled.model).record)
    following = ["onnx2snn", "evaluate", str(target), "--data", "DATA", "--reference", model]
    say(out, "next", shlex.join(following), whole=True)
    figures = {"output": str(target), "version": onnx2snn.__version__, **done.to_dict()}
    write_json(json_file, figures if repeat is None else figures | {"repeat": repeat})


def _print_report(out: Console, done: CompileReport) -> None:
    """What became of the nodes, and what each option did."""
    out.print(tables.role_table(done.roles))
    say(out, "work", tables.macs_line(done.macs))
    if done.adaptation is not None:
        out.print(tables.adaptation_table(done.adaptation.layers, done.neurons))
        say(out, "adapted", tables.adaptation_line(done.adaptation))
    if done.early_exit is not None:
        say(out, "early exit", tables.rule_line(done.early_exit))
    if done.options.until_rest:
        say(out, "rest", tables.REST_LINE)
    if done.layers is not None:
        say(out, "int8", tables.layers_line(done.layers))


def _print_search(out: Console, found: SearchRecord | None) -> str | None:
    """What a search tried, and the line that compiles what it has chosen without it; None for no search."""
    if found is None:
        return None
    from onnx2snn.analysis.candidates import command
    from onnx2snn.cli.repeat import typed_command
    from onnx2snn.report.searches import search_line, search_table

    options = found.chosen.options
    searched = ("max_loss", "loss_measure", *AIM_DECLARATIONS, "json_file", "report_file", *options)
    line = typed_command(leave_out=searched, add=shlex.split(command(options)), write=str)
    out.print(search_table(found))
    say(out, "search", search_line(found))
    say(out, "repeat", line, whole=True)
    return line
