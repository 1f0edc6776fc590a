"""Whether `--max-loss` keeps its word on test images, and what it takes: `python -m benchmarks.max_loss`.

One row a net: what the search chose on training images, what that loses on test images with its standard
error, its energy as `evaluate` reports it (the ANN's is 1), and what the search took: passes of the ANN over
the calibration images by its own count, and by time (seconds over those of a pass). With `--fixed` all
settings that the search has tried and found cheaper are compiled on the same images and tested as well: the
cheapest of them that keeps the bound on test images within its standard error is what somebody would take who
knew the answers.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import click
import numpy as np
from rich.console import Console
from rich.table import Table

import onnx2snn
from benchmarks.nets import LITERATURE, NETS, Net
from onnx2snn.data.readers import Dataset
from onnx2snn.engine.engines import make_engine
from onnx2snn.model.file import load_model

#: The trained nets of images; the quick ones first.
SEARCHED = {
    name: net for name, net in NETS.items() if net.images == "cifar10" and name != "cnn3"
} | LITERATURE


@dataclass(frozen=True)
class Answers:
    """Which test samples are answered right.

    Attributes:
        right: a truth value for each.
        seconds: a sample.
    """

    right: np.ndarray[Any, np.dtype[np.bool_]]
    seconds: float

    def loss(self, found: Answers) -> tuple[float, float]:
        """Points that a network loses, and the standard error of the paired difference."""
        lost = self.right.astype(float) - found.right
        return 100 * float(lost.mean()), 100 * float(lost.std() / np.sqrt(len(lost)))


def ann_answers(net: Net, data: Dataset) -> Answers:
    """Those of the ANN."""
    model = load_model(net.path)
    engine, output = make_engine(model), model.graph.output[0].name
    started = time.perf_counter()
    scores = np.concatenate([engine.run(batch)[output] for batch in data.batches(64)])
    seconds = (time.perf_counter() - started) / len(data)
    return Answers(scores.argmax(axis=1) == data.labels, seconds)


def snn_answers(compiled: onnx2snn.CompiledModel, data: Dataset) -> Answers:
    """Those of a network."""
    session = onnx2snn.SpikingSession(compiled.model)
    output = session.artifact.outputs[0]
    started = time.perf_counter()
    parts = [session.run(batch).outputs[output][:count] for batch, count in session.batches(data, 64)]
    seconds = (time.perf_counter() - started) / len(data)
    return Answers(np.concatenate(parts).argmax(axis=1) == data.labels, seconds)


def measure(net: Net, bound: float, samples: int, tests: int, *, fixed: bool) -> list[str]:
    """A row of the table."""
    train, test = net.train(samples), net.test(tests)
    a_pass = ann_answers(net, train).seconds * len(train)
    started = time.perf_counter()
    compiled = onnx2snn.compile(net.path, train, max_loss=bound)
    seconds = time.perf_counter() - started
    found = compiled.report.search
    assert found is not None
    ann = ann_answers(net, test)
    loss, error = ann.loss(snn_answers(compiled, test))
    best = ""
    if fixed:
        best = "none cheaper"
        for trial in sorted(found.trials, key=lambda trial: trial.energy):
            if trial.energy >= found.chosen.energy:
                break
            network = onnx2snn.compile(net.path, train, **trial.options)
            its_loss, its_error = ann.loss(snn_answers(network, test))
            click.echo(
                f"{net.name} {trial.name}: {trial.energy:.3f}, {its_loss:+.2f} ± {its_error:.2f}", err=True
            )
            if its_loss <= bound + its_error:
                best = f"{trial.name}: {trial.energy:.3f}, {its_loss:+.2f}"
                break
    return [
        net.name,
        found.chosen.name + ("" if found.met else " (unmet)"),
        f"{found.chosen.loss or 0:.2f} ± {found.chosen.error or 0:.2f}",
        f"{loss:+.2f} ± {error:.2f}" + ("" if loss <= bound + error else " MISSED"),
        f"{found.chosen.energy:.3f}",
        best,
        f"{found.passes:.0f}",
        f"{seconds / a_pass:.0f}",
        f"{seconds:.0f}",
    ]


@click.command()
@click.option("--net", "names", multiple=True, type=click.Choice([*SEARCHED]), help="Only these.")
@click.option("--max-loss", "bound", default=0.3, show_default=True)
@click.option("--samples", default=1000, show_default=True, help="Training images.")
@click.option("--tests", default=2000, show_default=True, help="Test images.")
@click.option("--fixed", is_flag=True, help="Also test what the search found cheaper.")
def main(names: tuple[str, ...], bound: float, samples: int, tests: int, fixed: bool) -> None:
    """Compile by what may be lost, and see what is lost."""
    table = Table(box=None, header_style="bold")
    for number, column in enumerate(
        (
            "net",
            "chosen",
            "estimate",
            "loss on test",
            "energy",
            "cheapest that keeps",
            "passes",
            "by time",
            "s",
        )
    ):
        table.add_column(column, justify="right" if number > 1 else "left")
    for name in names or SEARCHED:
        row = measure(SEARCHED[name], bound, samples, tests, fixed=fixed)
        click.echo("  ".join(row), err=True)
        table.add_row(*row)
    Console(width=170).print(table)


if __name__ == "__main__":
    main()
