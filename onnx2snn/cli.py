"""The command line. Only this file prints, by way of `terminal.py`."""

from __future__ import annotations

import io
import logging
from collections.abc import Callable
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any

import click
import numpy as np
from rich.console import Console
from rich.logging import RichHandler
from rich.text import Text

import onnx2snn
from onnx2snn import tables
from onnx2snn.analysis.coverage import count_roles
from onnx2snn.analysis.evaluation import evaluate as evaluate_session
from onnx2snn.analysis.evaluation import open_reference, top1
from onnx2snn.calibration.preprocessing import Preprocessing, parse_floats, parse_scale, parse_size
from onnx2snn.calibration.readers import open_dataset
from onnx2snn.doctor import examine
from onnx2snn.errors import OptionError, OutputError
from onnx2snn.model_file import load_model, write_atomically
from onnx2snn.options import CompileOptions
from onnx2snn.runtime.artifact import is_artifact, take_apart
from onnx2snn.runtime.session import SpikingSession
from onnx2snn.terminal import (
    OneLineErrors,
    check_outputs,
    console_for,
    json_path,
    progress_bar,
    say,
    write_json,
)

_DEFAULTS = CompileOptions()
_DATA_HELP = (
    "An .npz, an .npy, a directory of either, or a directory of images (class sub-folders give labels)."
)
_Command = Callable[..., Any]


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


def _preprocessing_options(command: _Command) -> _Command:
    """How integer arrays and images become what the model eats."""
    for option in reversed(
        (
            click.option("--scale", metavar="NUMBER", help="Factor on integers and images, such as 1/255."),
            click.option("--mean", metavar="A,B,C", help="Subtracted after scaling, per channel."),
            click.option("--std", metavar="A,B,C", help="Divided by after that, per channel."),
            click.option(
                "--layout", type=click.Choice(["NCHW", "NHWC"]), help="Axis order the model expects."
            ),
            click.option("--resize", metavar="H,W", help="Size that image files are resized to."),
        )
    ):
        command = option(command)
    return command


def _sample_options(command: _Command) -> _Command:
    for option in (
        click.option(
            "--json", "json_file", metavar="FILE|-", help="Write the figures as JSON; - for stdout."
        ),
        click.option(
            "--batch-size", default=_DEFAULTS.batch_size, show_default=True, help="Samples a batch."
        ),
        click.option("--max-samples", type=int, help="Use at most that many samples.  [default: all]"),
    ):
        command = option(command)
    return command


_threads_option = click.option(
    "--threads", type=int, help="Threads that an operator may use.  [default: one a core]"
)


@main.command("compile")
@click.argument("model", metavar="MODEL.onnx")
@click.option("--calib", required=True, metavar="DATA", help=f"Calibration samples. {_DATA_HELP}")
@click.option("-o", "--output", metavar="FILE", help="The artifact.  [default: MODEL.snn.onnx, here]")
@click.option(
    "-T", "--timesteps", default=_DEFAULTS.timesteps, show_default=True, help="Simulation length T."
)
@click.option(
    "-G",
    "--max-spikes",
    type=int,
    help="Most spikes of a neuron a timestep, Γ.  [default: 4; none with --code radix]",
)
@click.option("--levels", type=int, help="Spikes a timestep that stand for the range R.  [default: Γ]")
@click.option("--signed", is_flag=True, help="Neurons that can take spikes back: closer to the ANN.")
@click.option(
    "--schedule",
    type=click.Choice(["stream", "layer"]),
    default=_DEFAULTS.schedule,
    show_default=True,
    help="Every layer at every timestep, or a layer fires once all its input is in.",
)
@click.option(
    "--code",
    type=click.Choice(["burst", "radix"]),
    default=_DEFAULTS.code,
    show_default=True,
    help="For --schedule layer: N = Γ·T levels, or the bits of N = 2^T - 1.",
)
@click.option(
    "--weights",
    type=click.Choice(["float", "int8"]),
    default=_DEFAULTS.weights,
    show_default=True,
    help="For --schedule layer: weights of 8 bits, and integer arithmetic.",
)
@click.option(
    "--threshold",
    type=click.Choice(["max", "percentile", "mse"]),
    default=_DEFAULTS.threshold,
    show_default=True,
    help="Rule that chooses R from the activations.",
)
@click.option(
    "--percentile", default=_DEFAULTS.percentile, show_default=True, help="For --threshold percentile."
)
@click.option(
    "--granularity",
    type=click.Choice(["channel", "layer"]),
    default=_DEFAULTS.granularity,
    show_default=True,
    help="One threshold per channel or per layer.",
)
@click.option(
    "--correct-bias/--no-correct-bias", default=True, show_default=True, help="Correct biases layer by layer."
)
@click.option(
    "--refit/--no-refit",
    default=_DEFAULTS.refit,
    show_default=True,
    help="With --schedule layer, as part of --correct-bias: refit weights to the spikes before them.",
)
@click.option(
    "--approximate",
    type=click.Choice(["none", "relu-sum"]),
    default=_DEFAULTS.approximate,
    show_default=True,
    help="Let smooth activations (GELU, SiLU, …) spike, as sums of ReLUs.",
)
@click.option("--strict", is_flag=True, help="Refuse nodes that would be computed without spikes.")
@click.option("--dynamic-timesteps", is_flag=True, help="Make T an optional input of the artifact.")
@_preprocessing_options
@_sample_options
def compile_command(
    model: str, calib: str, output: str | None, max_samples: int | None, json_file: str | None, **values: Any
) -> None:
    """Compile a trained ANN into a spiking network.

    MODEL.onnx is a feed-forward net from any framework. Rectifiers (ReLU, ReLU6, LeakyReLU, trained
    quantisers …) become neurons; what is not linear and no rectifier is computed exactly, without spikes,
    and reported. The result is one ordinary ONNX file with the same inputs and outputs, which a stock
    onnxruntime runs.
    """
    target = Path(output or f"{Path(model).stem}.snn.onnx")
    check_outputs([model, calib], {"-o": target, "--json": json_path(json_file)})
    preprocessing = _preprocessing(values, Preprocessing())
    with progress_bar() as advance:
        compiled = onnx2snn.compile(
            model,
            calib,
            preprocessing=preprocessing,
            max_samples=max_samples,
            progress=advance,
            **values,
        )
    compiled.save(target)
    out = console_for(json_file)
    out.print(tables.role_table(compiled.report["roles"]))
    say(out, "work", tables.macs_line(compiled.report["macs"]))
    if "layers" in compiled.report:
        say(out, "int8", tables.layers_line(compiled.report["layers"]))
    samples = compiled.report["calibration"]["samples"]
    size = target.stat().st_size / 1e6
    say(out, f"{target}", f"{size:.2f} MB, T = {values['timesteps']}, calibrated on {samples} samples")
    say(out, "next", f"onnx2snn evaluate {target} --data DATA --reference {model}")
    write_json(json_file, {"output": str(target), "version": onnx2snn.__version__, **compiled.report})


@main.command()
@click.argument("snn", metavar="SNN.onnx")
@click.option(
    "--data", required=True, metavar="DATA", help=f"Samples, with labels for accuracy. {_DATA_HELP}"
)
@click.option("--reference", metavar="MODEL.onnx", help="The ANN, to compare with.")
@click.option("--timesteps", metavar="T,T,…", help="Timesteps to report, each on the way to the largest.")
@_threads_option
@_preprocessing_options
@_sample_options
def evaluate(
    snn: str,
    data: str,
    reference: str | None,
    timesteps: str | None,
    threads: int | None,
    batch_size: int,
    max_samples: int | None,
    json_file: str | None,
    **values: Any,
) -> None:
    """Measure a compiled network.

    Accuracy, agreement with the ANN, spikes, synaptic operations, energy and speed, after each number of
    timesteps. Preprocessing is the one recorded in the artifact, unless options change it.
    """
    check_outputs([snn, data, reference], {"--json": json_path(json_file)})
    _positive("--batch-size", batch_size)
    session = SpikingSession(snn, threads=threads)
    compiled = session.timesteps
    alone = timesteps is None and session.artifact.schedule == "layer"
    steps = [compiled] if alone else _timesteps(timesteps, compiled)
    dataset = open_dataset(data, session.inputs, _recorded(session, values), max_samples)
    ann = None if reference is None else open_reference(reference, session)
    with progress_bar() as advance:
        figures = evaluate_session(
            session,
            dataset,
            steps,
            ann,
            batch_size=batch_size,
            progress=lambda done: advance("evaluate", done / len(dataset)),
        )
    out = console_for(json_file)
    out.print(tables.evaluation_table(figures))
    _print_reference(out, figures)
    _print_uncounted(out, figures)
    write_json(json_file, figures)


@main.command()
@click.argument("snn", metavar="SNN.onnx")
@click.option("--input", "data", required=True, metavar="X.npy", help=f"Samples. {_DATA_HELP}")
@click.option("-o", "--output", metavar="OUT.npz", help="Write the outputs by name.")
@click.option("--timesteps", type=int, help="T.  [default: as compiled]")
@_threads_option
@_preprocessing_options
def run(
    snn: str, data: str, output: str | None, timesteps: int | None, threads: int | None, **values: Any
) -> None:
    """Run a compiled network on samples.

    Shows the outputs' shapes and the winning classes, or writes the outputs.
    """
    check_outputs([snn, data], {"-o": output})
    session = SpikingSession(snn, threads=threads)
    dataset = open_dataset(data, session.inputs, _recorded(session, values))
    runs = [
        (session.run(batch, timesteps).outputs, count)
        for batch, count in session.batches(dataset, _DEFAULTS.batch_size)
    ]
    outputs = {
        name: np.concatenate([part[name][:count] for part, count in runs])
        for name in session.artifact.outputs
    }
    out = console_for(None)
    if output is not None:
        buffer = io.BytesIO()
        np.savez(buffer, allow_pickle=False, **outputs)
        write_atomically(output, buffer.getvalue())
    for name, values_ in outputs.items():
        say(out, name, f"{list(values_.shape)} {values_.dtype}" + (f" → {output}" if output else ""))
        best = top1(values_)
        if best is not None:
            shown = ", ".join(map(str, best[:20])) + (", …" if len(best) > 20 else "")
            say(out, "classes", shown)


@main.command()
@click.argument("model", metavar="ANY.onnx")
@click.option("--strict", is_flag=True, help="Judge as compile --strict does.")
@click.option("--json", "json_file", metavar="FILE|-", help="Write the report as JSON; - for stdout.")
def inspect(model: str, strict: bool, json_file: str | None) -> None:
    """Say what becomes of every node, and why.

    Of an ANN: what each node would become. Of a compiled network: what became of the ANN's nodes, and its
    neurons.
    """
    check_outputs([model], {"--json": json_path(json_file)})
    loaded = load_model(model, weights=False)
    report: dict[str, Any]
    if is_artifact(loaded):
        artifact = take_apart(loaded)
        nodes = artifact.metadata.get("nodes", [])
        report = {"kind": "snn", "roles": count_roles(nodes), **artifact.metadata}
    else:
        report = {"kind": "ann", **onnx2snn.inspect(loaded, strict=strict).to_dict()}
    out = console_for(json_file)
    out.print(tables.node_table(report["nodes"]))
    out.print()
    if report["kind"] == "snn":
        out.print(tables.neuron_table(report["neurons"]))
        out.print()
        options = report["options"]
        layered = report["schedule"] == "layer"
        schedule = f"schedule layer, code {options['code']}" if layered else f"Γ = {options['max_spikes']}"
        say(out, "compiled", f"by onnx2snn {report['version']}, T = {options['timesteps']}, {schedule}")
    out.print(tables.role_table(report["roles"]))
    if "macs" in report:
        say(out, "work", tables.macs_line(report["macs"]))
    if not report["roles"]["spiking"] and not report["roles"]["refused"]:
        say(
            out,
            "note",
            "no neurons: compile refuses a net without a ReLU, unless --approximate relu-sum finds some",
        )
    write_json(json_file, report)


@main.command()
@click.option("--out", default="onnx2snn-demo", show_default=True, metavar="DIR", help="Where the files go.")
def demo(out: str) -> None:
    """Compile and evaluate an embedded example.

    The whole road with a small CNN that reads handwritten digits.
    """
    folder = Path(out)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"{folder}: cannot be made a folder ({error.strerror}); choose another with --out"
        ) from error
    for name in ("digits.onnx", "digits_calibration.npz", "digits_test.npz"):
        write_atomically(folder / name, resources.files("onnx2snn.demo").joinpath(name).read_bytes())
    model, target = folder / "digits.onnx", folder / "digits.snn.onnx"
    console = console_for(None)
    console.print(
        "A small CNN (BatchNorm, a residual Add, a MaxPool) that reads 8×8 pictures of handwritten digits\n"
        "becomes a spiking network: its neurons send spikes instead of numbers, for T timesteps.\n"
    )
    with progress_bar() as advance:
        compiled = onnx2snn.compile(
            model,
            folder / "digits_calibration.npz",
            preprocessing=Preprocessing(scale=1 / 16),
            signed=True,
            progress=advance,
        )
        compiled.save(target)
        session = SpikingSession(target)
        dataset = open_dataset(folder / "digits_test.npz", session.inputs, Preprocessing(scale=1 / 16))
        figures = evaluate_session(
            session,
            dataset,
            [1, 2, 4, 8],
            open_reference(model, session),
            progress=lambda done: advance("evaluate", done / len(dataset)),
        )
    console.print(tables.role_table(compiled.report["roles"]))
    console.print()
    console.print(tables.evaluation_table(figures))
    _print_reference(console, figures)
    console.print("\nThe same by hand:")
    console.print(
        f"  onnx2snn compile {model} --calib {folder}/digits_calibration.npz"
        f" --scale 1/16 --signed -o {target}",
        soft_wrap=True,
    )
    console.print(
        f"  onnx2snn evaluate {target} --data {folder}/digits_test.npz --reference {model}", soft_wrap=True
    )
    console.print(f"\nFiles in {folder}: the ANN, the SNN (any onnxruntime runs it), the data.")


@main.command()
@click.option("--json", "json_file", metavar="FILE|-", help="Write what was found as JSON; - for stdout.")
def doctor(json_file: str | None) -> None:
    """Show what is installed.

    Versions, the native kernels, what onnxruntime runs on, and the extras.
    """
    check_outputs([], {"--json": json_path(json_file)})
    found = examine()
    console_for(json_file).print(tables.doctor_table(found))
    write_json(json_file, found)


def _preprocessing(values: dict[str, Any], base: Preprocessing) -> Preprocessing:
    """Take the preprocessing options out of `values`; what is not given stays as in `base`."""
    parsers: dict[str, Callable[[str], Any]] = {
        "scale": parse_scale,
        "mean": parse_floats,
        "std": parse_floats,
        "layout": str,
        "resize": parse_size,
    }
    given = {name: (values.pop(name), parse) for name, parse in parsers.items()}
    return replace(base, **{name: parse(text) for name, (text, parse) in given.items() if text is not None})


def _recorded(session: SpikingSession, values: dict[str, Any]) -> Preprocessing:
    recorded = session.artifact.metadata.get("preprocessing")
    return _preprocessing(values, Preprocessing.from_dict(recorded) if recorded else Preprocessing())


def _timesteps(text: str | None, compiled: int) -> list[int]:
    if text is None:
        return sorted(
            {1 << power for power in range(compiled.bit_length()) if 1 << power < compiled} | {compiled}
        )
    try:
        steps = sorted({int(part) for part in text.split(",")})
    except ValueError as error:
        raise OptionError(
            f"--timesteps: expected numbers such as 1,2,4,8, found '{text}'; separate them by commas"
        ) from error
    if steps[0] < 1:
        raise OptionError(
            f"--timesteps: expected numbers of at least 1, found {steps[0]}; leave it out for all to T"
        )
    return steps


def _positive(flag: str, value: int) -> None:
    if value < 1:
        raise OptionError(f"{flag}: expected at least 1, found {value}; leave it out for the default")


def _print_uncounted(console: Console, figures: dict[str, Any]) -> None:
    if figures["uncounted"]:
        names = ", ".join(figures["uncounted"])
        text = f"not counted as operations or energy, since no spikes reach it directly: {names}"
        console.print(Text(text, "yellow"), soft_wrap=True)


def _print_reference(console: Console, figures: dict[str, Any]) -> None:
    accuracy = figures["reference_accuracy"]
    ann = "" if accuracy is None else f"; the ANN itself reaches {tables.percent(accuracy)}"
    console.print(
        Text(f"{figures['samples']} samples{ann}. Energy: {figures['energy']['convention']}.", "dim")
    )
