"""Accuracy of the converted nets, training-free, on all test images: `python -m benchmarks.accuracy`.

Prints one row a net and setting: top-1 of ANN and SNN, agreement, and what the project demands.
All outputs come from plain onnxruntime sessions; `error` is the relative L2 distance of the logits.
"""

from __future__ import annotations

import time

import click
import numpy as np
import onnx
import onnxruntime
from rich.console import Console
from rich.table import Table

import onnx2snn
from benchmarks.nets import NETS, Net

#: Net, T, Γ, signed, least top-1 and least agreement in percent (None: nothing is demanded).
SETTINGS: tuple[tuple[str, int, int, bool, float | None, float | None], ...] = (
    ("resnet20", 8, 4, False, 91.4, 93.0),
    ("resnet20", 8, 4, True, 92.4, 98.0),
    ("resnet20", 4, 4, True, 91.8, 95.8),
    ("resnet8", 8, 4, True, 86.5, 97.0),
    ("vgg8bn", 8, 4, True, 70.5, 96.0),
    ("cnn3", 8, 4, True, None, None),
    ("resnet20", 64, 4, True, None, 99.0),
    ("resnet8", 64, 4, True, None, 99.0),
    ("vgg8bn", 64, 4, True, None, 99.0),
    ("cnn3", 64, 4, True, None, 99.0),
)


def scores(model: onnx.ModelProto, net: Net) -> np.ndarray:
    """Outputs of a model on all test samples, from a plain session."""
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return np.concatenate([session.run(None, batch)[0] for batch in net.test().batches(64)])


@click.command()
@click.option("--samples", default=512, show_default=True, help="Calibration images (train set).")
@click.option("--net", "only", multiple=True, help="Only these nets.")
@click.option("--timesteps", "lengths", multiple=True, type=int, help="Only these simulation lengths.")
def main(samples: int, only: tuple[str, ...], lengths: tuple[int, ...]) -> None:
    """Print the table; exit 1 if a demand is missed."""
    table = Table(box=None, header_style="bold")
    for column in (
        "net",
        "T",
        "Γ",
        "neuron",
        "ANN %",
        "SNN %",
        "≥",
        "agreement %",
        "≥",
        "error",
        "compile s",
    ):
        table.add_column(column, justify="left" if column in ("net", "neuron") else "right")
    missed = 0
    references: dict[str, np.ndarray] = {}
    for name, timesteps, max_spikes, signed, least_top1, least_agreement in SETTINGS:
        if (only and name not in only) or (lengths and timesteps not in lengths):
            continue
        net = NETS[name]
        if name not in references:
            references[name] = scores(onnx.load(net.path), net)
        started = time.perf_counter()
        compiled = onnx2snn.compile(
            net.path, net.train(samples), timesteps=timesteps, max_spikes=max_spikes, signed=signed
        )
        seconds = time.perf_counter() - started
        ann, snn, labels = references[name], scores(compiled.model, net), net.test().labels
        top1 = 100 * float((snn.argmax(1) == labels).mean())
        agreement = 100 * float((snn.argmax(1) == ann.argmax(1)).mean())
        fails = (least_top1 or 0) > top1 or (least_agreement or 0) > agreement
        missed += fails
        table.add_row(
            name,
            str(timesteps),
            str(max_spikes),
            "signed" if signed else "burst",
            f"{100 * float((ann.argmax(1) == labels).mean()):.2f}",
            f"{top1:.2f}",
            "" if least_top1 is None else f"{least_top1:.1f}",
            f"{agreement:.2f}",
            "" if least_agreement is None else f"{least_agreement:.1f}",
            f"{np.linalg.norm(snn - ann) / np.linalg.norm(ann):.3f}",
            f"{seconds:.1f}",
            style="bold red" if fails else None,
        )
    Console(width=120).print(table)
    raise SystemExit(1 if missed else 0)


if __name__ == "__main__":
    main()
