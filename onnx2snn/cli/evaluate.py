"""`onnx2snn evaluate` and `onnx2snn run`."""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import click
import numpy as np
import numpy.typing as npt
from rich.console import Console

import onnx2snn
from onnx2snn.cli.commands import Command
from onnx2snn.cli.files import ANY_FILE, ONNX_FILE
from onnx2snn.cli.options import (
    DATA_HELP,
    DEFAULTS,
    EXIT,
    PREPROCESSING,
    SAMPLES,
    answer_option,
    check_positive,
    energy_option,
    exit_options,
    preprocessing_options,
    read_timesteps,
    recorded,
    report_option,
    sample_options,
    strict_option,
    threads_option,
)
from onnx2snn.cli.output import print_answer, print_outputs, print_reference, print_uncounted
from onnx2snn.cli.stream import (
    STREAM,
    check_alone,
    evaluate_following,
    one_source,
    read_following,
    run_following,
    stream_options,
)
from onnx2snn.cli.tasks import TASK, labels_option, open_labelled, read_asked, task_options
from onnx2snn.cli.terminal import check_outputs, console_for, json_path, progress_bar, say, write_json
from onnx2snn.data.preprocessing import Preprocessing
from onnx2snn.data.readers import open_dataset
from onnx2snn.errors import OptionError
from onnx2snn.exits.rule import ExitRule, parse_exit
from onnx2snn.model.file import write_atomically
from onnx2snn.report import tables
from onnx2snn.report.measures import exit_measures, measure_table

if TYPE_CHECKING:
    from onnx2snn.analysis.evaluation import Evaluation
    from onnx2snn.runtime.session import SpikingSession
    from onnx2snn.tasks.asked import Asked

# What takes long to import is imported by the commands themselves: help and completion answer at once.


@click.command(
    cls=Command,
    examples=[
        "onnx2snn evaluate model.snn.onnx --data test.npz --reference model.onnx",
        "onnx2snn evaluate model.snn.onnx --data test.npz --timesteps 2,4,8 --json -",
        "onnx2snn evaluate boxes.snn.onnx --data images/ --labels boxes.json",
    ],
    sections={
        "Files": ["data", "labels", "reference", "json_file", "report_file"],
        **TASK,
        "Run": ["timesteps", "answer", "threads", "energy_model", "strict"],
        "Streams": ["stream", *STREAM],
        **EXIT,
        **SAMPLES,
    },
)
@click.argument("snn", type=ONNX_FILE, metavar="SNN.onnx")
@click.option(
    "--data",
    required=True,
    type=ANY_FILE,
    metavar="DATA",
    help=f"Samples, with labels to judge by. {DATA_HELP}",
)
@labels_option
@click.option("--reference", type=ONNX_FILE, metavar="MODEL.onnx", help="The ANN, to compare with.")
@click.option("--timesteps", metavar="T,T,…", help="Timesteps to report, each on the way to the largest.")
@task_options
@answer_option
@click.option("--stream", is_flag=True, help="Follow recordings frame by frame, with the state carried on.")
@stream_options
@exit_options
@threads_option
@energy_option
@strict_option
@preprocessing_options
@sample_options
@report_option
def evaluate(
    snn: str,
    data: str,
    labels: str | None,
    reference: str | None,
    timesteps: str | None,
    stream: bool,
    early_exit: str | None,
    calib: str | None,
    max_loss: float | None,
    energy_model: str | None,
    batch_size: int,
    max_samples: int | None,
    strict: bool,
    json_file: str | None,
    report_file: str | None,
    **values: Any,
) -> None:
    """Measure a compiled network.

    What its task is measured by, against labels and the ANN, spikes, synaptic operations, energy and speed,
    after each number of timesteps. Preprocessing is as recorded in the artifact, unless options change it.
    """
    from onnx2snn.analysis.energy import load_energy_model
    from onnx2snn.analysis.evaluation import evaluate as evaluate_session
    from onnx2snn.analysis.evaluation import open_reference
    from onnx2snn.checks.findings import examine_network
    from onnx2snn.cli.repeat import report
    from onnx2snn.report.recording import record

    sources = [snn, data, labels, reference, energy_model]
    check_outputs(sources, {"--json": json_path(json_file), "--report": report_file})
    check_positive("--batch-size", batch_size)
    model = load_energy_model(energy_model)
    asked = read_asked(values)
    session = _open_session(snn, values)
    following = read_following(session, values, wanted=stream)
    steps = _steps(session, timesteps)
    preprocessing = recorded(session, values)
    dataset = open_labelled(data, labels, session.inputs, preprocessing, max_samples)
    ann = None if reference is None else open_reference(reference, session)
    said = examine_network(dataset, session.artifact.record, reference, strict=strict)
    if following is not None:
        check_alone("--timesteps", timesteps, "--early-exit", early_exit, "--report", report_file)
        evaluate_following(session, dataset, following, ann, batch_size, json_file)
        return
    rule = _exit_rule(session, early_exit, calib, max_loss, preprocessing, steps[-1], asked)
    with progress_bar("evaluate") as advance:
        more: dict[str, Any] = {"early_exit": rule, "energy_model": model, "asked": asked, "warnings": said}
        progress = partial(_share, advance, len(dataset))
        figures = evaluate_session(
            session, dataset, steps, ann, batch_size=batch_size, progress=progress, **more
        )
    out = console_for(json_file)
    _print_figures(out, figures)
    print_outputs(out, figures.outputs)
    print_answer(out, session)
    samples = partial(record, session, dataset, steps[-1])
    report(out, report_file, snn, figures, session.artifact.record, samples)
    write_json(json_file, figures.to_dict())


@click.command(
    cls=Command,
    examples=[
        "onnx2snn run model.snn.onnx --input x.npy -o scores.npz",
        "onnx2snn run model.snn.onnx --input x.npy --early-exit confidence:0.99",
        "onnx2snn run model.snn.onnx --stream frames.npy --frame-rate 30",
    ],
    sections={
        "Files": ["data", "output"],
        "Run": ["timesteps", "answer", "threads"],
        "Streams": ["stream", *STREAM],
        **EXIT,
        **PREPROCESSING,
    },
)
@click.argument("snn", type=ONNX_FILE, metavar="SNN.onnx")
@click.option("--input", "data", type=ANY_FILE, metavar="X.npy", help=f"Samples. {DATA_HELP}")
@click.option("-o", "--output", type=ANY_FILE, metavar="OUT.npz", help="Write the outputs by name.")
@click.option("--timesteps", type=int, help="T.  [default: as compiled]")
@answer_option
@click.option(
    "--stream",
    type=ANY_FILE,
    metavar="DATA",
    help="Instead of --input: frames to follow one after the other, with the state carried on.",
)
@stream_options
@exit_options
@threads_option
@preprocessing_options
def run(
    snn: str,
    data: str | None,
    output: str | None,
    timesteps: int | None,
    stream: str | None,
    early_exit: str | None,
    calib: str | None,
    max_loss: float | None,
    **values: Any,
) -> None:
    """Run a compiled network on samples.

    Shows the outputs' shapes and the winning classes, or writes the outputs; with an early exit also
    `timesteps_used`.
    """
    from onnx2snn.exits.in_file import USED
    from onnx2snn.runtime.gathering import gather

    source = one_source(data, stream)
    check_outputs([snn, source], {"-o": output})
    session = _open_session(snn, values)
    following = read_following(session, values, wanted=stream is not None)
    preprocessing = recorded(session, values)
    dataset = open_dataset(source, session.inputs, preprocessing)
    if following is not None:
        check_alone("--timesteps", timesteps, "--early-exit", early_exit)
        run_following(session, dataset, following, output)
        return
    rule = _exit_rule(session, early_exit, calib, max_loss, preprocessing, timesteps)
    runs = []
    with progress_bar("run") as advance:
        for batch, count in session.batches(dataset, DEFAULTS.batch_size):
            runs.append(
                (session.run(batch, timesteps, early_exit=rule), count, len(next(iter(batch.values()))))
            )
            advance("run", min(1.0, len(runs) * DEFAULTS.batch_size / len(dataset)))
    batches = [(part.outputs, count, samples) for part, count, samples in runs]
    outputs = {name: gather(spec, batches, source) for name, spec in session.outputs.items()}
    used = [part.timesteps_used[:count] for part, count, _ in runs if part.timesteps_used is not None]
    if used:
        outputs[USED] = np.concatenate(used)
    out = console_for(None)
    if output is not None:
        buffer = io.BytesIO()
        np.savez(buffer, allow_pickle=False, **outputs)
        write_atomically(output, buffer.getvalue())
    for name, values_ in outputs.items():
        say(out, name, f"{list(values_.shape)} {values_.dtype}" + (f" → {output}" if output else ""))
        best = session.outputs[name].answers(values_, len(dataset)) if name in session.outputs else None
        if best is not None:
            say(out, "classes", _first(best))
        elif name == USED:
            say(out, "on average", f"{values_.mean():.2f} timesteps: {_first(values_)}")


def _open_session(snn: str, values: dict[str, Any]) -> SpikingSession:
    """Take the options of a session out of `values`, and open it."""
    with progress_bar():
        return onnx2snn.SpikingSession(snn, threads=values.pop("threads"), answer=values.pop("answer"))


def _print_figures(out: Console, figures: Evaluation) -> None:
    measures = measure_table(figures)
    if measures is not None:
        out.print(measures)
        out.print()
    out.print(tables.evaluation_table(figures))
    if figures.early_exit is not None:
        out.print()
        out.print(tables.exit_table(figures.early_exit))
        say(out, "early exit", tables.exit_line(figures.early_exit, figures.timesteps[-1]))
        if measured := exit_measures(figures.early_exit):
            say(out, "with it", measured)
    out.print()
    out.print(tables.energy_table(figures))
    say(out, "bits sent", tables.bits_line(figures.energy))
    print_reference(out, figures)
    print_uncounted(out, figures)


def _steps(session: SpikingSession, timesteps: str | None) -> list[int]:
    """The numbers of timesteps to report; T alone in the schedule `layer`."""
    if timesteps is None and session.artifact.schedule == "layer":
        return [session.timesteps]
    return read_timesteps(timesteps, session.timesteps)


def _share(advance: Callable[[str, float], None], samples: int, done: int) -> None:
    advance("evaluate", done / samples)


def _first(numbers: npt.NDArray[Any]) -> str:
    """The first of many numbers."""
    return ", ".join(map(str, numbers[:20])) + (", …" if len(numbers) > 20 else "")


def _exit_rule(
    session: SpikingSession,
    early_exit: str | None,
    calib: str | None,
    max_loss: float | None,
    preprocessing: Preprocessing,
    timesteps: int | None,
    asked: Asked | None = None,
) -> ExitRule | None:
    """The rule that the options name; found with the calibration data where these are given."""
    from onnx2snn.analysis.exit_tolerance import find_exit

    if early_exit is None:
        if calib is not None or max_loss is not None:
            flag = "--calib" if calib is not None else "--max-loss"
            raise OptionError(f"{flag}: expected only with --early-exit auto; add that, or leave it out")
        return None
    if parse_exit(early_exit) is not None or calib is None:
        if max_loss is not None:
            raise OptionError(
                f"--max-loss: expected --early-exit auto and --calib DATA to find thresholds with, found "
                f"--early-exit {early_exit}" + ("" if calib else " without --calib") + "; give both"
            )
        return session.exit_rule(early_exit)
    dataset = open_dataset(calib, session.inputs, preprocessing)
    with progress_bar("early exit") as advance:
        progress = partial(advance, "early exit")
        return find_exit(session, dataset, max_loss, timesteps, asked=asked, progress=progress)
