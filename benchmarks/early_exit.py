"""What an early exit saves: `python -m benchmarks.early_exit`.

One threshold a timestep is calibrated on all training images; then all test images run with it and without,
batch by batch, interleaved.
"""

from __future__ import annotations

import time
from statistics import median

import click
import numpy as np
from rich.console import Console
from rich.table import Table

import onnx2snn
from benchmarks.nets import NETS
from onnx2snn.compiler.exit_calibration import calibrate_exit
from onnx2snn.runtime.session import Run


@click.command()
@click.option("--net", "names", multiple=True, default=("resnet20",), show_default=True)
@click.option("--timesteps", "lengths", multiple=True, type=int, default=(8, 16), show_default=True)
@click.option("--max-loss", default=0.1, show_default=True)
@click.option("--batch", default=64, show_default=True)
@click.option("--samples", default=2000, show_default=True, help="Test images.")
@click.option("--rounds", default=3, show_default=True)
@click.option("--signed/--no-signed", default=True, show_default=True)
def main(
    names: tuple[str, ...],
    lengths: tuple[int, ...],
    max_loss: float,
    batch: int,
    samples: int,
    rounds: int,
    signed: bool,
) -> None:
    """Print the table."""
    table = Table(box=None, header_style="bold")
    table.add_column("net")
    for column in ("T", "top-1, all", "top-1, early", "mean T", "steps saved", "wall saved", "of that share"):
        table.add_column(column, justify="right")
    for name in names:
        net = NETS[name]
        test = net.test(samples)
        batches = list(test.batches(batch))
        for timesteps in lengths:
            compiled = onnx2snn.compile(
                net.path, net.train(500), timesteps=timesteps, code="burst", signed=signed
            )
            session = onnx2snn.SpikingSession(compiled.model)
            rule = calibrate_exit(session, net.train(None), max_loss)
            output = session.artifact.outputs[0]
            seconds: list[list[float]] = []
            runs: list[list[Run]] = [[], []]
            for number in range(rounds + 1):
                spent = [0.0, 0.0]
                for feeds in batches:
                    for place, exits in enumerate((None, rule)):
                        started = time.perf_counter()
                        run = session.run(feeds, early_exit=exits)
                        spent[place] += time.perf_counter() - started
                        if number == 0:
                            runs[place].append(run)
                if number:  # the first round allocates memory
                    seconds.append(spent)
            answers = [np.concatenate([run.outputs[output].argmax(axis=1) for run in part]) for part in runs]
            right = [100 * float((answer == test.labels).mean()) for answer in answers]
            used = np.concatenate([run.timesteps_used for run in runs[1] if run.timesteps_used is not None])
            steps = 1 - used.mean() / timesteps
            wall = 1 - median(early / whole for whole, early in seconds)
            cells = (
                f"{right[0]:.2f}",
                f"{right[1]:.2f}",
                f"{used.mean():.2f}",
                *map(_percent, (steps, wall)),
            )
            table.add_row(name, str(timesteps), *cells, _percent(wall / steps))
    Console(width=120).print(table)


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


if __name__ == "__main__":
    main()
