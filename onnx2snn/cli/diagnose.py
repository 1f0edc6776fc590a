"""`onnx2snn diagnose`."""

from __future__ import annotations

from functools import partial
from typing import Any

import click

import onnx2snn
from onnx2snn.cli.commands import Command
from onnx2snn.cli.files import ANY_FILE, ONNX_FILE
from onnx2snn.cli.options import (
    DATA_HELP,
    SAMPLES,
    answer_option,
    check_positive,
    preprocessing_options,
    recorded,
    report_option,
    sample_options,
    strict_option,
    threads_option,
)
from onnx2snn.cli.output import print_answer
from onnx2snn.cli.terminal import check_outputs, console_for, json_path, progress_bar, write_json
from onnx2snn.data.readers import open_dataset
from onnx2snn.report import tables

# What takes long to import is imported by the commands themselves: help and completion answer at once.


@click.command(
    cls=Command,
    examples=[
        "onnx2snn diagnose model.snn.onnx --reference model.onnx --data test.npz",
        "onnx2snn diagnose model.snn.onnx --reference model.onnx --data x.npy --json -",
    ],
    sections={
        "Files": ["reference", "data", "json_file", "report_file"],
        "Run": ["timesteps", "answer", "threads", "strict"],
        **SAMPLES,
    },
)
@click.argument("snn", type=ONNX_FILE, metavar="SNN.onnx")
@click.option(
    "--reference",
    required=True,
    type=ONNX_FILE,
    metavar="MODEL.onnx",
    help="The ANN that it was compiled from.",
)
@click.option(
    "--data",
    required=True,
    type=ANY_FILE,
    metavar="DATA",
    help=f"Samples, with labels for accuracy. {DATA_HELP}",
)
@click.option("--timesteps", type=int, help="T.  [default: as compiled]")
@answer_option
@threads_option
@strict_option
@preprocessing_options
@partial(sample_options, most=256)  # every layer is run on its own with each of them
@report_option
def diagnose(
    snn: str,
    reference: str,
    data: str,
    timesteps: int | None,
    answer: str | None,
    threads: int | None,
    batch_size: int,
    max_samples: int | None,
    strict: bool,
    json_file: str | None,
    report_file: str | None,
    **values: Any,
) -> None:
    """Find the layers that make the error, and why.

    Runs network and ANN on the same samples (256, unless --max-samples says otherwise) and splits the error
    of every neuron layer into what clipping, coarse spikes, their timing and its weights make, and what it
    inherits from the layers before.
    """
    from onnx2snn.analysis.diagnosis import PreparedReference
    from onnx2snn.analysis.diagnosis import diagnose as diagnose_session
    from onnx2snn.checks.findings import examine_network
    from onnx2snn.cli.repeat import report
    from onnx2snn.report.recording import record

    check_outputs([snn, reference, data], {"--json": json_path(json_file), "--report": report_file})
    check_positive("--batch-size", batch_size)
    with progress_bar():
        session = onnx2snn.SpikingSession(snn, threads=threads, answer=answer)
        ann = PreparedReference(reference, session, threads)
    dataset = open_dataset(data, session.inputs, recorded(session, values), max_samples)
    with progress_bar("diagnose") as advance:
        figures = diagnose_session(
            session,
            ann,
            dataset,
            timesteps=timesteps,
            batch_size=batch_size,
            warnings=examine_network(dataset, session.artifact.record, reference, strict=strict),
            progress=lambda share: advance("diagnose", share),
        )
    out = console_for(json_file)
    for sentence in figures.verdict:
        out.print(sentence)
    out.print()
    out.print(tables.diagnosis_table(figures))
    out.print(tables.DIAGNOSIS_LEGEND, style="dim")
    print_answer(out, session)
    samples = partial(record, session, dataset, figures.timesteps)
    report(out, report_file, snn, figures, session.artifact.record, samples)
    write_json(json_file, figures.to_dict())
