"""`onnx2snn compile`."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import click

import onnx2snn
from onnx2snn.cli.commands import Command
from onnx2snn.cli.files import ANY_FILE, ONNX_FILE
from onnx2snn.cli.options import (
    DATA_HELP,
    DEFAULTS,
    SAMPLES,
    preprocessing_options,
    read_preprocessing,
    report_option,
    sample_options,
)
from onnx2snn.cli.terminal import check_outputs, console_for, json_path, progress_bar, say, write_json
from onnx2snn.data.preprocessing import Preprocessing
from onnx2snn.options import AUTO
from onnx2snn.report import tables
from onnx2snn.thresholds.rules import RULES

# What takes long to import is imported by the commands themselves: help and completion answer at once.


def _read_spikes(ctx: click.Context, param: click.Parameter, value: str | None) -> int | str | None:
    """A whole number, or `auto`."""
    return value if value in (None, AUTO) else int(click.INT(value, param, ctx))


@click.command(
    "compile",
    cls=Command,
    examples=[
        "onnx2snn compile model.onnx --calib train.npz --scale 1/255",
        "onnx2snn compile model.onnx --calib images/ --signed -T 4 -o fast.snn.onnx",
        "onnx2snn compile model.onnx --calib x.npy --schedule layer --code radix -T 4",
    ],
    sections={
        "Files": ["calib", "output", "json_file", "report_file"],
        "Neurons": ["timesteps", "max_spikes", "levels", "signed", "schedule", "code", "weights"],
        "Calibration": ["threshold", "percentile", "granularity", "correct_bias", "refit"],
        "Savings": ["spike_budget", "compress", "max_loss", "loss_measure", "early_exit"],
        "What may be converted": ["approximate", "strict", "dynamic_timesteps"],
        "Samples": [*SAMPLES["Samples"], "max_search_samples"],
        "Preprocessing": SAMPLES["Preprocessing"],
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
@click.option("-T", "--timesteps", default=DEFAULTS.timesteps, show_default=True, help="Simulation length T.")
@click.option(
    "-G",
    "--max-spikes",
    metavar="INTEGER|auto",
    callback=_read_spikes,
    help="Most spikes of a neuron a timestep, Γ; auto: each layer gets its own, and levels.  "
    "[default: 4; none with --code radix]",
)
@click.option(
    "--spike-budget",
    metavar="N|P%",
    help="For --max-spikes auto: spikes a sample, or a share of what Γ = 4 sends.  [default: 100%]",
)
@click.option(
    "--compress",
    type=click.Choice(["none", "spikes", "energy"]),
    default=DEFAULTS.compress,
    show_default=True,
    help="Raise thresholds where nobody notices, to save spikes, or synaptic operations.",
)
@click.option(
    "--max-loss",
    type=float,
    help="What that may cost: points on samples held back with --compress, answers that may differ in "
    "percent with --early-exit auto.  [default: 0.3; 0.1]",
)
@click.option(
    "--loss-measure",
    type=click.Choice(["auto", "accuracy", "agreement"]),
    default=DEFAULTS.loss_measure,
    show_default=True,
    help="For --compress: points of what; auto: accuracy where DATA has labels.",
)
@click.option(
    "--max-search-samples",
    type=int,
    default=DEFAULTS.max_search_samples,
    show_default=True,
    help="Samples that layers are measured on for --max-spikes auto and --compress.",
)
@click.option(
    "--early-exit",
    metavar="auto|confidence|entropy[:X]",
    help="The file stops by itself once every sample of a batch is decided.",
)
@click.option("--levels", type=int, help="Spikes a timestep that stand for the range R.  [default: Γ]")
@click.option("--signed", is_flag=True, help="Neurons that can take spikes back: closer to the ANN.")
@click.option(
    "--schedule",
    type=click.Choice(["stream", "layer"]),
    default=DEFAULTS.schedule,
    show_default=True,
    help="Every layer at every timestep, or a layer fires once all its input is in.",
)
@click.option(
    "--code",
    type=click.Choice(["burst", "radix"]),
    default=DEFAULTS.code,
    show_default=True,
    help="For --schedule layer: N = Γ·T levels, or the bits of N = 2^T - 1.",
)
@click.option(
    "--weights",
    type=click.Choice(["float", "int8"]),
    default=DEFAULTS.weights,
    show_default=True,
    help="For --schedule layer: weights of 8 bits, and integer arithmetic.",
)
@click.option(
    "--threshold",
    type=click.Choice(list(RULES)),
    default=DEFAULTS.threshold,
    show_default=True,
    help="Rule that chooses R from the activations.",
)
@click.option(
    "--percentile", default=DEFAULTS.percentile, show_default=True, help="For --threshold percentile."
)
@click.option(
    "--granularity",
    type=click.Choice(["channel", "layer"]),
    default=DEFAULTS.granularity,
    show_default=True,
    help="One threshold per channel or per layer.",
)
@click.option(
    "--correct-bias/--no-correct-bias", default=True, show_default=True, help="Correct biases layer by layer."
)
@click.option(
    "--refit/--no-refit",
    default=DEFAULTS.refit,
    show_default=True,
    help="With --schedule layer, as part of --correct-bias: refit weights to the spikes before them.",
)
@click.option(
    "--approximate",
    type=click.Choice(["none", "relu-sum"]),
    default=DEFAULTS.approximate,
    show_default=True,
    help="Let smooth activations (GELU, SiLU, …) spike, as sums of ReLUs.",
)
@click.option("--strict", is_flag=True, help="Refuse nodes that would be computed without spikes.")
@click.option("--dynamic-timesteps", is_flag=True, help="Make T an optional input of the artifact.")
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

    MODEL.onnx is a feed-forward net from any framework. Rectifiers (ReLU, ReLU6, LeakyReLU, trained
    quantisers …) become neurons; what is not linear and no rectifier is computed exactly, without spikes,
    and reported. The result is one ordinary ONNX file with the same inputs and outputs, which a stock
    onnxruntime runs.
    """
    from onnx2snn.artifact.artifact import take_apart
    from onnx2snn.cli.repeat import report

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
            **values,
        )
        advance("save", 0.0)
        compiled.save(target)
    out = console_for(json_file)
    done = compiled.report
    out.print(tables.role_table(done.roles))
    say(out, "work", tables.macs_line(done.macs))
    if done.adaptation is not None:
        out.print(tables.adaptation_table(done.adaptation.layers, done.neurons))
        say(out, "adapted", tables.adaptation_line(done.adaptation))
    if done.early_exit is not None:
        say(out, "early exit", tables.rule_line(done.early_exit))
    if done.layers is not None:
        say(out, "int8", tables.layers_line(done.layers))
    samples = done.calibration.samples
    size = target.stat().st_size / 1e6
    say(out, f"{target}", f"{size:.2f} MB, T = {values['timesteps']}, calibrated on {samples} samples")
    report(out, report_file, model, done, take_apart(compiled.model).record)
    following = ["onnx2snn", "evaluate", str(target), "--data", "DATA", "--reference", model]
    say(out, "next", shlex.join(following), whole=True)
    write_json(json_file, {"output": str(target), "version": onnx2snn.__version__, **done.to_dict()})
