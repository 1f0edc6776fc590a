"""Size of a report, and the time it takes beyond the command: `python -m benchmarks.report`.

Compiles a net, evaluates it on test images at T = 1, 2, 4 and 8 beside its ANN, and makes the page, all as
the command line does. The bounds are 3 MB and 20 seconds for ResNet-20.
"""

from __future__ import annotations

import tempfile
import time
from itertools import pairwise
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

import onnx2snn
from benchmarks.nets import NETS
from onnx2snn.analysis.evaluation import evaluate, open_reference
from onnx2snn.report.page import write_report
from onnx2snn.report.recording import record
from onnx2snn.report.subject import Subject


@click.command()
@click.option("--net", "names", multiple=True, default=("resnet20",), show_default=True)
@click.option("--samples", default=2000, show_default=True, help="Test images.")
def main(names: tuple[str, ...], samples: int) -> None:
    """Print the table."""
    table = Table(box=None, header_style="bold")
    table.add_column("net")
    for column in ("evaluation, s", "spikes of the raster, s", "page, s", "again, s", "size, kB"):
        table.add_column(column, justify="right")
    for name in names:
        net = NETS[name]
        compiled = onnx2snn.compile(net.path, net.train(500), timesteps=8, code="burst", signed=True)
        session = onnx2snn.SpikingSession(compiled.model)
        dataset = net.test(samples)
        marks = [time.perf_counter()]
        figures = evaluate(session, dataset, [1, 2, 4, 8], open_reference(net.path, session))
        marks.append(time.perf_counter())
        recording = record(session, dataset, 8)
        marks.append(time.perf_counter())
        line = f"onnx2snn evaluate {name}.snn.onnx --data test.npz --reference {net.file}"
        said = session.artifact.metadata
        subject = Subject("evaluate", f"{name}.snn.onnx", figures, line, said, recording)
        with tempfile.TemporaryDirectory() as folder:
            page = Path(folder) / "report.html"
            for _ in range(2):  # the first imports matplotlib
                write_report(page, subject)
                marks.append(time.perf_counter())
            size = page.stat().st_size
        seconds = [later - earlier for earlier, later in pairwise(marks)]
        table.add_row(name, *(f"{value:.1f}" for value in seconds), f"{size / 1e3:,.0f}")
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
