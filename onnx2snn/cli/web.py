"""`onnx2snn web`."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import click
from rich.filesize import decimal

import onnx2snn
from onnx2snn.cli.commands import Command
from onnx2snn.cli.files import ANY_FILE, FOLDER, ONNX_FILE
from onnx2snn.cli.invocation import current
from onnx2snn.cli.options import (
    DATA_HELP,
    PREPROCESSING,
    answer_option,
    check_positive,
    preprocessing_options,
    recorded,
)
from onnx2snn.cli.terminal import console_for, progress_bar, say
from onnx2snn.data.readers import open_dataset

# What takes long to import is imported by the commands themselves: help and completion answer at once.


@click.command(
    cls=Command,
    examples=[
        "onnx2snn web model.snn.onnx --data test.npz --reference model.onnx -o page",
        "onnx2snn web model.snn.onnx --data test.npz --samples 50",
    ],
    sections={
        "Files": ["data", "reference", "output", "package"],
        "Samples": ["samples", "answer"],
        **PREPROCESSING,
    },
)
@click.argument("snn", type=ONNX_FILE, metavar="SNN.onnx")
@click.option(
    "--data", required=True, type=ANY_FILE, metavar="DATA", help=f"Samples to choose from. {DATA_HELP}"
)
@click.option("--reference", type=ONNX_FILE, metavar="MODEL.onnx", help="The ANN, to compare with.")
@click.option("--samples", default=20, show_default=True, help="Put at most that many samples into the page.")
@click.option("-o", "--output", type=FOLDER, metavar="DIR", help="The page's folder.  [default: SNN-web]")
@click.option(
    "--onnxruntime-web",
    "package",
    type=FOLDER,
    metavar="DIR",
    help="The unpacked npm package onnxruntime-web.  [default: fetched by npm]",
)
@answer_option
@preprocessing_options
def web(
    snn: str,
    data: str,
    reference: str | None,
    answer: str | None,
    samples: int,
    output: str | None,
    package: str | None,
    **values: Any,
) -> None:
    """Write a page that runs a compiled network in a browser.

    Pick a sample, or draw one, and watch scores and spikes timestep by timestep. The page needs no network:
    onnxruntime-web, which it runs the file with, is fetched now and kept in its folder.
    """
    from onnx2snn.analysis.evaluation import open_reference
    from onnx2snn.web.onnxruntime_web import fetch_package, read_package
    from onnx2snn.web.page import check_folder, make_page, save_page

    check_positive("--samples", samples)
    folder = Path(output or f"{Path(snn).name.removesuffix('.onnx').removesuffix('.snn')}-web")
    check_folder(folder)
    with progress_bar():
        session = onnx2snn.SpikingSession(snn, answer=answer)
    dataset = open_dataset(data, session.inputs, recorded(session, values), samples)
    ann = None if reference is None else open_reference(reference, session)
    with progress_bar() as advance:
        runtime = fetch_package(advance) if package is None else read_package(package)
        advance("run samples", 0.0)
        files = make_page(
            snn,
            session,
            dataset,
            runtime,
            ann,
            progress=lambda done: advance("run samples", done / len(dataset)),
        )
        half = f"the page in {folder} is not complete: the same command completes it"
        page = save_page(folder, files, moving=lambda: setattr(current(), "remains", half))
    out = console_for(None)
    say(out, "page", f"{page.index}: {len(dataset)} samples, {decimal(page.size)} in all")
    say(out, "open", f"by double click, or serve it: python3 -m http.server -d {shlex.quote(str(folder))}")
