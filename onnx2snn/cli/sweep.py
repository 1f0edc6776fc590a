"""`onnx2snn sweep`."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from rich.console import Console

from onnx2snn.cli.commands import Command
from onnx2snn.cli.files import ANY_FILE, FOLDER, ONNX_FILE
from onnx2snn.cli.invocation import current
from onnx2snn.cli.options import (
    DATA_HELP,
    PREPROCESSING,
    SAMPLES,
    check_positive,
    declared,
    preprocessing_options,
    read_preprocessing,
    read_timesteps,
    report_option,
    sample_options,
    strict_option,
)
from onnx2snn.cli.tasks import TASK, labels_option, open_labelled, read_asked, task_options
from onnx2snn.cli.terminal import check_outputs, console_for, json_path, progress_bar, say, write_json
from onnx2snn.data.preprocessing import Preprocessing
from onnx2snn.data.readers import open_dataset
from onnx2snn.errors import OptionError, OutputError
from onnx2snn.model.file import digest, load_model
from onnx2snn.report import plots, tables

if TYPE_CHECKING:
    from onnx2snn.analysis.sweep import Grid, Sweep

# What takes long to import is imported by the commands themselves: help and completion answer at once.

_Number = TypeVar("_Number", int, float)


@click.command(
    cls=Command,
    examples=[
        "onnx2snn sweep model.onnx --calib train.npz --data test.npz --plot front.svg",
        "onnx2snn sweep model.onnx --calib x.npy --data y.npz --kinds layer,radix \\\n"
        "    --timesteps 4,8 --max-loss none",
    ],
    sections={
        "Files": ["calib", "data", "labels", "cache", "plot", "json_file", "report_file"],
        **TASK,
        "What is tried": ["kinds", "timesteps", "max_spikes", "exponents", "max_loss", "answer"],
        "Samples": ["calib_samples", *SAMPLES["Samples"], "strict"],
        **PREPROCESSING,
    },
)
@click.argument("model", type=ONNX_FILE, metavar="MODEL.onnx")
@click.option(
    "--calib", required=True, type=ANY_FILE, metavar="DATA", help=f"Calibration samples. {DATA_HELP}"
)
@click.option(
    "--data",
    required=True,
    type=ANY_FILE,
    metavar="DATA",
    help="Samples to measure on, with labels to judge by.",
)
@labels_option
@task_options
@click.option("--calib-samples", type=int, help="Calibrate on at most that many.  [default: all]")
@click.option(
    "--kinds",
    default="stream,signed,layer,radix,graded,graded-layer",
    show_default=True,
    help="stream, signed (stream --signed), layer, radix (layer --code radix), graded (stream --code "
    "graded), graded-layer.",
)
@click.option("--timesteps", default="2,4,8", show_default=True, metavar="T,T,…", help="Numbers T.")
@click.option("--max-spikes", default="2,4", show_default=True, metavar="Γ,Γ,…", help="Numbers Γ of bursts.")
@click.option(
    "--exponents", default="5,7", show_default=True, metavar="n,n,…", help="Numbers n of graded spikes."
)
@click.option(
    "--max-loss",
    default="0.3",
    show_default=True,
    metavar="POINTS,…",
    help="Also compress, with the largest Γ, at these costs; none to leave it out. Not graded spikes.",
)
@click.option(
    "--cache",
    type=FOLDER,
    metavar="DIR",
    help="Where points are kept, to go on from.  [default: MODEL.sweep]",
)
@declared("answer")
@click.option("--plot", type=ANY_FILE, metavar="FILE", help="Draw quality against energy (.png, .svg, .pdf).")
@strict_option
@preprocessing_options
@sample_options
@report_option
def sweep(
    model: str,
    calib: str,
    data: str,
    labels: str | None,
    calib_samples: int | None,
    kinds: str,
    timesteps: str,
    max_spikes: str,
    exponents: str,
    max_loss: str,
    cache: str | None,
    plot: str | None,
    batch_size: int,
    max_samples: int | None,
    strict: bool,
    json_file: str | None,
    report_file: str | None,
    **values: Any,
) -> None:
    """Try many conversions of a net, and show what each gives for its energy.

    Every point is kept in the cache: an interrupted sweep goes on where it was. The knee of the frontier is
    marked, with the command that compiles it.
    """
    from onnx2snn.analysis.candidates import command
    from onnx2snn.analysis.sweep import sweep as run_sweep
    from onnx2snn.artifact.artifact import input_specs
    from onnx2snn.cli.repeat import report
    from onnx2snn.report.words import file_name

    if plot is not None:
        plots.check_plot(plot)
    outputs = {"--json": json_path(json_file), "--plot": plot, "--report": report_file}
    check_outputs([model, calib, data, labels], outputs)
    asked = read_asked(values)
    check_positive("--batch-size", batch_size)
    grid = replace(_read_grid(kinds, timesteps, max_spikes, exponents, max_loss), answer=values.pop("answer"))
    with progress_bar():
        ann = load_model(model)
    inputs, typed = input_specs(ann), _typed(values)
    preprocessing = read_preprocessing(values, Preprocessing())
    calibration = open_dataset(calib, inputs, preprocessing, calib_samples)
    dataset = open_labelled(data, labels, inputs, preprocessing, max_samples)
    folder = _make_cache(Path(cache or f"{Path(model).stem}.sweep"))
    with progress_bar("sweep") as bar:
        more: dict[str, Any] = {"batch_size": batch_size, "asked": asked, "strict": strict, "progress": bar}
        swept = run_sweep(ann, model, calibration, dataset, grid, folder, **more)
    limit = [] if calib_samples is None else ["--max-samples", str(calib_samples)]
    words = [*limit, *typed, *shlex.split(command(swept.knee.options))]
    swept = replace(swept, command=_compile_line(model, calib, words))
    out = console_for(json_file)
    _print_points(out, swept)
    if plot is not None:
        plots.plot_sweep(swept, plot)
        say(out, "plot", plot)
    if report_file is not None:
        line = _compile_line(file_name(model), file_name(calib), words)
        report(out, report_file, model, replace(swept, command=line, source_sha256=digest(ann)))
    write_json(json_file, swept.to_dict())


def _read_grid(kinds: str, timesteps: str, max_spikes: str, exponents: str, max_loss: str) -> Grid:
    """What is tried; refused before any work."""
    from onnx2snn.analysis.candidates import KINDS
    from onnx2snn.analysis.sweep import Grid

    grid = Grid(
        _kinds(kinds, KINDS),
        read_timesteps(timesteps, 1),
        _numbers("--max-spikes", max_spikes, int),
        [] if max_loss == "none" else _numbers("--max-loss", max_loss, float),
        _numbers("--exponents", exponents, int),
    )
    grid.check()
    return grid


def _compile_line(model: str, calib: str, words: list[str]) -> str:
    return shlex.join(["onnx2snn", "compile", model, "--calib", calib, *words])


def _make_cache(folder: Path) -> Path:
    """Make the folder that keeps the points, also of a sweep that is stopped."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder}: cannot be made a folder ({error.strerror}); choose --cache") from error
    current().remains = f"what is finished is kept in {folder}: the same command goes on from there"
    return folder


def _print_points(out: Console, figures: Sweep) -> None:
    out.print(tables.sweep_table(figures))
    if not figures.labelled:
        say(out, "note", "no labels, so no accuracy: the answers are compared with the ANN's")
    elif figures.reference_accuracy is not None:
        say(out, "ANN", tables.percent(figures.reference_accuracy))
    say(out, "knee", f"{figures.knee.name}:")
    say(out, "  ", str(figures.command), whole=True)


def _kinds(text: str, known: Collection[str]) -> list[str]:
    kinds = text.split(",")
    if unknown := [kind for kind in kinds if kind not in known]:
        raise OptionError(
            f"--kinds: expected some of {', '.join(known)}, found '{unknown[0]}'; separate them by commas"
        )
    return kinds


def _numbers(flag: str, text: str, kind: Callable[[str], _Number]) -> list[_Number]:
    try:
        return sorted({kind(part) for part in text.split(",")})
    except ValueError as error:
        raise OptionError(
            f"{flag}: expected numbers separated by commas, found '{text}'; give one or more"
        ) from error


def _typed(values: dict[str, Any]) -> list[str]:
    """The preprocessing options as they were typed."""
    return [word for name, value in values.items() if value is not None for word in (f"--{name}", value)]
