"""Accuracy of the converted nets, training-free, on all test images: `python -m benchmarks.accuracy`.

Prints one row a net and setting: top-1 of ANN and SNN, agreement, and what the project demands.
All outputs come from plain onnxruntime sessions; `error` is the relative L2 distance of the logits.
With `--parts 4` every row is the mean over four conversions, each calibrated on its own quarter of the
training images, ± the standard deviation: which images calibrate moves agreement more than most ideas do.
"""

from __future__ import annotations

import time
from typing import Any

import click
import numpy as np
import onnx
import onnxruntime
from rich.console import Console
from rich.table import Table

import onnx2snn
from benchmarks.nets import NETS, Net

_BURST: dict[str, Any] = {"code": "burst"}
_SIGNED: dict[str, Any] = {**_BURST, "signed": True}
_RADIX: dict[str, Any] = {"schedule": "layer", "code": "radix"}
_INT8: dict[str, Any] = {**_RADIX, "weights": "int8"}
_LAYER: dict[str, Any] = {**_BURST, "schedule": "layer"}
#: Net, T, further options, least top-1 and least agreement in percent (None: nothing is demanded).
SETTINGS: tuple[tuple[str, int, dict[str, Any], float | None, float | None], ...] = (
    ("resnet20", 8, _BURST, 91.4, 93.0),
    ("resnet20", 8, _SIGNED, 92.4, 98.0),
    ("resnet20", 4, _SIGNED, 91.8, 95.8),
    ("resnet8", 8, _SIGNED, 86.5, 97.0),
    ("vgg8bn", 8, _SIGNED, 70.5, 96.0),
    ("cnn3", 8, _SIGNED, None, None),
    ("resnet20", 64, _SIGNED, None, 99.0),
    ("resnet8", 64, _SIGNED, None, 99.0),
    ("vgg8bn", 64, _SIGNED, None, 99.0),
    ("cnn3", 64, _SIGNED, None, 99.0),
    ("resnet20", 3, _RADIX, 91.0, 94.5),
    ("resnet20", 4, _RADIX, 92.4, 97.2),
    ("resnet20", 4, _LAYER, 92.3, 97.0),
    ("resnet20", 8, _LAYER, 92.5, 98.3),
    ("resnet20", 4, _INT8, 92.2, 96.8),
    ("resnet8", 4, _RADIX, 86.5, 96.2),
    ("vgg8bn", 4, _RADIX, 70.7, 96.8),
    ("resnet8", 4, _INT8, None, None),
    ("vgg8bn", 4, _INT8, None, None),
)


def scores(model: onnx.ModelProto, net: Net) -> np.ndarray:
    """Outputs of a model on all test samples, from a plain session."""
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return np.concatenate([session.run(None, batch)[0] for batch in net.test().batches(64)])


def spikes(model: onnx.ModelProto, net: Net) -> float:
    """Spikes a sample of a network of the schedule `layer`, the mean over all test samples."""
    session = onnx2snn.SpikingSession(model)
    counts = [session.run_counted(batch, [session.timesteps])[0].spikes for batch in net.test().batches(64)]
    return sum(sum(int(sent.sum()) for sent in part.values()) for part in counts) / len(net.test())


def _describe(options: dict[str, Any]) -> str:
    if "schedule" not in options:
        return "signed" if "signed" in options else "burst"
    return ", ".join(["layer", options["code"], *([options["weights"]] if "weights" in options else [])])


def _figure(mean: float, spread: float) -> str:
    return f"{mean:.2f} ± {spread:.2f}" if spread else f"{mean:.2f}"


@click.command()
@click.option("--samples", default=512, show_default=True, help="Calibration images (train set).")
@click.option("--parts", default=1, show_default=True, help="Calibrate on each of so many parts instead.")
@click.option("--net", "only", multiple=True, help="Only these nets.")
@click.option("--schedule", type=click.Choice(["stream", "layer"]), help="Only this one.")
@click.option("--timesteps", "lengths", multiple=True, type=int, help="Only these simulation lengths.")
def main(
    samples: int, parts: int, only: tuple[str, ...], schedule: str | None, lengths: tuple[int, ...]
) -> None:
    """Print the table; exit 1 if a demand is missed."""
    table = Table(box=None, header_style="bold")
    for column in (
        "net",
        "T",
        "neuron",
        "ANN %",
        "SNN %",
        "≥",
        "agreement %",
        "≥",
        "error",
        "spikes",
        "compile s",
    ):
        table.add_column(column, justify="left" if column in ("net", "neuron") else "right")
    missed = 0
    references: dict[str, np.ndarray] = {}
    for name, timesteps, options, least_top1, least_agreement in SETTINGS:
        layered = options.get("schedule") == "layer"
        if (only and name not in only) or (lengths and timesteps not in lengths):
            continue
        if schedule and schedule != options.get("schedule", "stream"):
            continue
        net = NETS[name]
        if name not in references:
            references[name] = scores(onnx.load(net.path), net)
        ann, labels = references[name], net.test().labels
        runs = []
        for data in [net.train(samples)] if parts == 1 else net.train_parts(parts):
            started = time.perf_counter()
            compiled = onnx2snn.compile(net.path, data, timesteps=timesteps, **options)
            seconds = time.perf_counter() - started
            snn = scores(compiled.model, net)
            runs.append(
                [
                    100 * float((snn.argmax(1) == labels).mean()),
                    100 * float((snn.argmax(1) == ann.argmax(1)).mean()),
                    float(np.linalg.norm(snn - ann) / np.linalg.norm(ann)),
                    spikes(compiled.model, net) if layered else 0.0,
                    seconds,
                ]
            )
        top1, agreement, error, sent, seconds = np.mean(runs, axis=0)
        spread = np.std(runs, axis=0)
        fails = (least_top1 or 0) > top1 or (least_agreement or 0) > agreement
        missed += fails
        table.add_row(
            name,
            str(timesteps),
            _describe(options),
            f"{100 * float((ann.argmax(1) == labels).mean()):.2f}",
            _figure(top1, spread[0]),
            "" if least_top1 is None else f"{least_top1:.1f}",
            _figure(agreement, spread[1]),
            "" if least_agreement is None else f"{least_agreement:.1f}",
            f"{error:.3f}",
            f"{sent:,.0f}" if layered else "",
            f"{seconds:.1f}",
            style="bold red" if fails else None,
        )
    Console(width=120).print(table)
    raise SystemExit(1 if missed else 0)


if __name__ == "__main__":
    main()
