"""Speed of an artifact against its own ANN, in one run: `python -m benchmarks.speed`.

Both run in plain onnxruntime sessions, interleaved, on the same batches; the table shows medians and the
median of the pairwise ratios. Absolute times mean nothing on another machine.
"""

from __future__ import annotations

import time
from statistics import median
from typing import Any

import click
import onnx
import onnxruntime
from rich.console import Console
from rich.table import Table

import onnx2snn
from benchmarks.nets import NETS

SETTINGS: dict[str, dict[str, Any]] = {
    "stream, burst": {},
    "stream, signed": {"signed": True},
    "layer, burst": {"schedule": "layer"},
}


def session(model: onnx.ModelProto) -> onnxruntime.InferenceSession:
    """A plain session: nothing registered, default settings."""
    return onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])


def seconds(runner: onnxruntime.InferenceSession, feeds: dict) -> float:
    """One timed run."""
    started = time.perf_counter()
    runner.run(None, feeds)
    return time.perf_counter() - started


@click.command()
@click.option("--net", "names", multiple=True, default=("resnet20",), show_default=True)
@click.option("--batch", "batches", multiple=True, type=int, default=(64,), show_default=True)
@click.option("--timesteps", default=8, show_default=True)
@click.option("--samples", default=512, show_default=True, help="Calibration images.")
@click.option("--only", default="", help="Only settings whose name holds this.")
@click.option("--repeats", default=15, show_default=True)
def main(
    names: tuple[str, ...], batches: tuple[int, ...], timesteps: int, samples: int, repeats: int, only: str
) -> None:
    """Print the table."""
    table = Table(box=None, header_style="bold")
    for column in ("net", "neuron", "T", "batch", "ANN ms", "SNN ms", "SNN / ANN", "compile s"):
        table.add_column(column, justify="left" if column in ("net", "neuron") else "right")
    for name in names:
        net = NETS[name]
        ann = session(onnx.load(net.path))
        for label, options in SETTINGS.items():
            if only not in label:
                continue
            started = time.perf_counter()
            compiled = onnx2snn.compile(net.path, net.train(samples), timesteps=timesteps, **options)
            compile_seconds = time.perf_counter() - started
            snn = session(compiled.model)
            for batch in batches:
                feeds = next(net.test().batches(batch))
                pairs = [(seconds(ann, feeds), seconds(snn, feeds)) for _ in range(repeats + 2)][2:]
                table.add_row(
                    name,
                    label,
                    str(timesteps),
                    str(batch),
                    f"{1e3 * median(a for a, _ in pairs):.1f}",
                    f"{1e3 * median(s for _, s in pairs):.1f}",
                    f"{median(s / a for a, s in pairs):.1f}",
                    f"{compile_seconds:.1f}",
                )
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
