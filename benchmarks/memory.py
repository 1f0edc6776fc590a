"""Peak memory of a stream run against the ANN's: `python -m benchmarks.memory`.

Every figure comes from a process of its own, which prints it: peaks do not go down again. What counts is what
a session and its runs add to a process that has the model and the samples. These are random.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile

import click
import numpy as np
import onnx
import onnxruntime
from rich.console import Console
from rich.table import Table

import onnx2snn
from benchmarks.throughput import load
from onnx2snn.memory import peak_memory


def _measure(path: str, kind: str, batch: int, timesteps: int) -> dict[str, float]:
    """Megabytes that a session and its runs add, and those of its states."""
    model = onnx.load(path)
    (item,) = model.graph.input
    shape = [batch, *(dim.dim_value for dim in item.type.tensor_type.shape.dim[1:])]
    feeds = {item.name: np.random.default_rng(0).standard_normal(shape, np.float32)}
    before = _megabytes()
    if kind == "ANN":
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        for _ in range(3):
            session.run(None, feeds)
        return {"added": _megabytes() - before, "states": 0.0}
    network = onnx2snn.SpikingSession(model, native=kind == "native")
    for _ in range(3):
        network.run(feeds, timesteps)
    added = _megabytes() - before
    neurons = network.run({key: array[:1] for key, array in feeds.items()}, 1, record=True).spikes
    elements = sum(array[0, 0].size for array in neurons.values())
    return {"added": added, "states": elements * batch * np.dtype(np.float32).itemsize / 2**20}


def _megabytes() -> float:
    peak = peak_memory()
    assert peak is not None, "this system does not tell"
    return peak / 2**20


@click.command()
@click.option("--net", default="resnet20", show_default=True)
@click.option("--batch", default=64, show_default=True)
@click.option("--timesteps", "lengths", multiple=True, type=int, default=(8, 32), show_default=True)
@click.option("--one", nargs=3, type=(str, str, int), hidden=True, help="Print one measurement as JSON.")
def main(net: str, batch: int, lengths: tuple[int, ...], one: tuple[str, str, int] | None) -> None:
    """Print the table."""
    if one is not None:
        path, kind, timesteps = one
        Console(width=200).print_json(json.dumps(_measure(path, kind, batch, timesteps)))
        return
    with tempfile.TemporaryDirectory() as folder:
        ann, artifact = f"{folder}/ann.onnx", f"{folder}/stream.onnx"
        model, calibration = load(net, 64)
        onnx.save(model, ann)
        onnx2snn.compile(model, calibration, code="burst").save(artifact)
        rows = [(ann, "ANN", 1)]
        rows += [(artifact, kind, steps) for kind in ("stock", "native") for steps in lengths]
        table = Table(box=None, header_style="bold")
        for column in ("network", "T", "MB added", "states MB", "of 2 × ANN + states"):
            table.add_column(column, justify="left" if column == "network" else "right")
        allowed = 0.0
        for row in rows:
            command = [
                "-m",
                "benchmarks.memory",
                "--net",
                net,
                "--batch",
                str(batch),
                "--one",
                *map(str, row),
            ]
            told = subprocess.run([sys.executable, *command], check=True, capture_output=True, text=True)
            found = json.loads(told.stdout)
            allowed = allowed or 2 * found["added"]
            share = "" if row[1] == "ANN" else f"{found['added'] / (allowed + found['states']):.2f}"
            length = "" if row[1] == "ANN" else str(row[2])
            table.add_row(row[1], length, f"{found['added']:.0f}", f"{found['states']:.0f}", share)
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
