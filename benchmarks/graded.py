"""Graded spikes on real nets, training-free, against what the project demands: `python -m benchmarks.graded`.

One row a net, schedule and T: agreement with the ANN, loss of top-1 in points, energy as `evaluate` reports
it (45 nm, every spike one AC, the first layer once, ANN = 1) and spikes a sample. `--rest` instead lets the
nets come to rest: agreement there, the timesteps it takes one sample and a batch, and whether more timesteps
send anything. Which images calibrate moves agreement by a few tenths: `--parts 2` is the mean over two halves
of the training images, each a calibration of its own.
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
from onnx2snn.analysis.evaluation import Evaluation, evaluate, open_reference
from onnx2snn.data.readers import Dataset
from onnx2snn.options import EXPONENTS


@dataclass(frozen=True)
class Demand:
    """A setting and what is asked of it.

    Attributes:
        schedule, timesteps: the setting.
        agreement: least, in percent.
        loss: most, in points of top-1.
        energy: most; None where nothing is asked.
        options: further options.
    """

    schedule: str
    timesteps: int
    agreement: float
    loss: float
    energy: float | None = None
    options: tuple[tuple[str, Any], ...] = ()

    @property
    def name(self) -> str:
        """What the row is called: `layer-2`, or `layer-2-auto`."""
        return f"{self.schedule}-{self.timesteps}{'-auto' if self.exponents == 'auto' else ''}"

    @property
    def exponents(self) -> int | str:
        """n, or `auto`."""
        return dict(self.options).get("exponents", EXPONENTS)


def _rows(*cells: tuple[float, ...], n: dict[int, int] | None = None) -> tuple[Demand, ...]:
    """The four settings of a net; `n` has the exponents of those in `layer` that ask for less energy."""
    settings = (("layer", 2), ("layer", 3), ("stream", 3), ("stream", 4))
    fewer = {("layer", timesteps): (("exponents", count),) for timesteps, count in (n or {}).items()}
    return tuple(
        Demand(*setting, *cell, options=fewer.get(setting, ()))
        for setting, cell in zip(settings, cells, strict=False)
    )


DEMANDS: dict[str, tuple[Demand, ...]] = {
    "resnet20": (
        *_rows((98.3, 0.3, 0.20), (99.3, 0.1, 0.22), (98.6, 0.2, 0.27), (99.4, 0.1, 0.30)),
        Demand("layer", 2, 96.8, 100, None, (("exponents", "auto"), ("spike_budget", 125_000))),
    ),
    "resnet8": _rows((97.5, 0.3), (99.0, 0.2), (98.0, 0.3), (99.0, 0.2)),
    "vgg8bn": _rows((97.5, 0.4), (99.0, 0.2), (98.5, 0.3), (99.2, 0.2)),
    "vgg16_cifar10": _rows((99.0, 0.1, 0.12), (99.5, 0.1, 0.14), (99.4, 0.1, 0.18), n={2: 6, 3: 7}),
    "resnet18_cifar100": _rows(
        (97.8, 0.2, 0.14), (98.8, 0.1, 0.15), (98.0, 0.2, 0.20), (99.0, 0.1, 0.22), n={3: 7}
    ),
    "resnet20_cifar100": _rows(
        (90, 1.0, 0.20), (96.5, 0.3, 0.22), (91, 0.8, 0.28), (95.0, 0.3, 0.30), n={3: 7}
    ),
    "mobilenet_v2_cifar10": _rows((97.0, 0.4, 0.30), (99.2, 0.2, 0.35), (97.5, 0.4, 0.40), (99.0, 0.2, 0.45)),
}
#: T of a net that is to come to rest, and the agreement demanded there.
_RESTING, _AT_REST = 32, 99.5


def measure(
    net: Net, data: Dataset, test: Dataset, points: list[int], **options: Any
) -> tuple[onnx2snn.SpikingSession, Evaluation, float]:
    """Compile, evaluate after so many timesteps, and how many seconds the first took."""
    started = time.perf_counter()
    session = onnx2snn.SpikingSession(onnx2snn.compile(net.path, data, code="graded", **options).model)
    seconds = time.perf_counter() - started
    return session, evaluate(session, test, points, open_reference(net.path, session)), seconds


def _table(*columns: str) -> Table:
    table = Table(box=None, header_style="bold")
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if number else "left")
    return table


def demanded(nets: dict[str, Net], samples: int, parts: int, tests: int, settings: tuple[str, ...]) -> Table:
    """The table of the demands; what misses one is red."""
    table = _table(
        "net", "schedule", "T", "n", "agreement %", "≥", "loss", "≤", "energy", "≤", "spikes", "compile s"
    )
    for name, net in nets.items():
        test = net.test(tests)
        for demand in DEMANDS[name]:
            if settings and demand.name not in settings:
                continue
            found = []
            for data in [net.train(samples)] if parts == 1 else net.train_parts(parts):
                options = {"schedule": demand.schedule, "timesteps": demand.timesteps, **dict(demand.options)}
                _, figures, seconds = measure(net, data, test, [demand.timesteps], **options)
                loss = float(figures.reference_accuracy or 0) - float(figures.accuracy[0] or 0)
                agreement, energy = figures.agreement[0], figures.energy.ratio[0]
                found.append([100 * agreement, 100 * loss, energy, figures.spikes_per_sample[0], seconds])
            agreement, loss, energy, spikes, seconds = np.mean(found, axis=0)
            click.echo(f"{name} {demand.schedule} T={demand.timesteps}: {agreement:.2f} %", err=True)
            missed = agreement < demand.agreement or loss > demand.loss or energy > (demand.energy or np.inf)
            table.add_row(
                name,
                demand.schedule,
                str(demand.timesteps),
                str(demand.exponents),
                f"{agreement:.2f}",
                f"{demand.agreement:.1f}",
                f"{loss:+.2f}",
                "" if demand.loss == 100 else f"{demand.loss:.1f}",
                f"{energy:.3f}",
                "" if demand.energy is None else f"{demand.energy:.2f}",
                f"{spikes:,.0f}",
                f"{seconds:.0f}",
                style="bold red" if missed else None,
            )
    return table


def at_rest(nets: dict[str, Net], samples: int, tests: int) -> Table:
    """What the nets answer once they have come to rest, and when that is."""
    table = _table(
        "net", "agreement %", "≥", "spikes at rest", "spikes at T = 32", "timesteps, batch 1", "of 64"
    )
    for name, net in nets.items():
        session, figures, _ = measure(
            net, net.train(samples), net.test(tests), [_RESTING], timesteps=_RESTING, until_rest=True
        )
        batch = next(net.test(64).batches(64))
        used = [
            int(session.run({k: v[i : i + 1] for k, v in batch.items()}).timesteps_used[0]) for i in range(64)
        ]
        together = int(session.run(batch).timesteps_used.max())
        points = session.run_counted(batch, [together, _RESTING])
        resting, later = (sum(int(sent.sum()) for sent in point.spikes.values()) / 64 for point in points)
        table.add_row(
            name,
            f"{100 * figures.agreement[0]:.2f}",
            f"{_AT_REST:.1f}",
            f"{resting:,.0f}",
            f"{later:,.0f}",
            f"{np.mean(used):.1f}, at most {max(used)}",
            str(together),
            style="bold red" if 100 * figures.agreement[0] < _AT_REST or resting != later else None,
        )
    return table


@click.command()
@click.option("--net", "only", multiple=True, type=click.Choice(list(DEMANDS)), help="Only these nets.")
@click.option("--samples", default=1000, show_default=True, help="Calibration images (train set).")
@click.option("--parts", default=1, show_default=True, help="Calibrate on each of so many parts instead.")
@click.option("--test", "tests", default=2000, show_default=True, help="Test images.")
@click.option("--setting", "settings", multiple=True, help="Only these rows, such as layer-2.")
@click.option("--rest", is_flag=True, help="Come to rest instead.")
def main(
    only: tuple[str, ...], samples: int, parts: int, tests: int, settings: tuple[str, ...], rest: bool
) -> None:
    """Print the table."""
    known = NETS | LITERATURE
    for name in DEMANDS:
        if not only or name in only:
            nets = {name: known[name]}
            table = at_rest(nets, samples, tests) if rest else demanded(nets, samples, parts, tests, settings)
            Console(width=120).print(table)


if __name__ == "__main__":
    main()
