"""Time and memory of a compilation against passes of the ANN: `python -m benchmarks.compile`.

Time is also given as a share of what we allow: six passes of the ANN over the same images and three seconds.

Every figure comes from a process of its own, which prints it: peaks of memory do not go down again. More
images than there are come from repeating them; a compiler does not notice.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from typing import Any

import click
import numpy as np
import onnx
from rich.console import Console
from rich.table import Table

import onnx2snn
from benchmarks.nets import NETS, Net
from onnx2snn.data.readers import Dataset, InputSpec, dataset_from_arrays
from onnx2snn.engine.engines import OnnxruntimeEngine
from onnx2snn.memory import peak_memory

SETTINGS: dict[str, dict[str, Any]] = {
    "stream": {"code": "burst"},
    "layer": {"code": "burst", "schedule": "layer"},
    "layer, int8": {"code": "burst", "schedule": "layer", "weights": "int8"},
    "stream, graded": {"code": "graded"},
    "layer, graded": {"code": "graded", "schedule": "layer"},
}


def _images(net: Net, samples: int) -> Dataset:
    """As many images as are wanted, as floats in memory."""
    (whole,) = net.train(None).batches(1 << 20)
    rows = np.arange(samples) % len(whole["input"])
    return dataset_from_arrays(
        whole["input"][rows], [InputSpec("input", np.dtype(np.float32), (None, *net.shape))]
    )


def _measure(name: str, setting: str, samples: int) -> dict[str, float]:
    """Seconds of a pass of the ANN and of a compilation, and peaks of memory in MB before and behind it."""
    net = NETS[name]
    data = _images(net, samples)
    engine = OnnxruntimeEngine(onnx.load(net.path))
    started = time.perf_counter()
    for batch in data.batches(64):
        engine.run(batch)
    ann = time.perf_counter() - started
    before = peak_memory() or 0
    started = time.perf_counter()
    onnx2snn.compile(net.path, data, **SETTINGS[setting])
    seconds = time.perf_counter() - started
    after = peak_memory() or 0
    return {"ann": ann, "compile": seconds, "before": before / 2**20, "peak": after / 2**20}


@click.command()
@click.option("--net", default="resnet20", show_default=True)
@click.option("--samples", "sizes", multiple=True, type=int, default=(256, 1024, 4096), show_default=True)
@click.option("--only", default="", help="Only settings whose name holds this.")
@click.option("--one", hidden=True, help="Print one measurement as JSON.")
def main(net: str, sizes: tuple[int, ...], only: str, one: str | None) -> None:
    """Print the table."""
    if one is not None:
        Console(width=200).print_json(json.dumps(_measure(net, one, sizes[0])))
        return
    table = Table(box=None, header_style="bold")
    table.add_column("network")
    for column in ("images", "ANN s", "compile s", "6 ANN + 3 s", "MB before", "MB peak"):
        table.add_column(column, justify="right")
    for setting in SETTINGS:
        for samples in sizes if only in setting else ():
            command = ["-m", "benchmarks.compile", "--net", net, "--samples", str(samples), "--one", setting]
            told = subprocess.run([sys.executable, *command], check=True, capture_output=True, text=True)
            found = json.loads(told.stdout)
            table.add_row(
                setting,
                str(samples),
                f"{found['ann']:.1f}",
                f"{found['compile']:.1f}",
                f"{found['compile'] / (6 * found['ann'] + 3):.2f}",
                f"{found['before']:.0f}",
                f"{found['peak']:.0f}",
            )
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
