"""Few timesteps, spent where they count: `python -m benchmarks.fine`.

One row a net and setting: the code radix with one T for all layers and with a T for each; graded spikes with
one n and with one for each layer, within a budget. Energy as `evaluate` reports it (45 nm, the first layer
once, the ANN's = 1). *T* is the mean over the layers that `--timesteps` bounds, and over all neurons, so with
the shortcuts' own.
"""

from __future__ import annotations

import time
from typing import Any

import click
import numpy as np
from rich.console import Console
from rich.table import Table

import onnx2snn
from benchmarks.nets import LITERATURE, NETS, Net
from onnx2snn.analysis.evaluation import evaluate, open_reference

_RADIX: dict[str, Any] = {"schedule": "layer", "code": "radix", "timesteps": 4}
_GRADED: dict[str, Any] = {"schedule": "layer", "code": "graded", "timesteps": 3}
SETTINGS: dict[str, dict[str, Any]] = {
    "radix": _RADIX,
    "radix-auto": {**_RADIX, "levels": "auto"},
    "graded-7": {**_GRADED, "exponents": 7},
    "graded-8": {**_GRADED, "exponents": 8},
    "graded-auto": {**_GRADED, "exponents": "auto", "spike_budget": "93%"},
}
#: Net and setting → least agreement in percent, most energy, and most energy in that of `radix`.
DEMANDS: dict[tuple[str, str], tuple[float, float | None, float | None]] = {
    ("resnet20_cifar100", "radix-auto"): (92.0, None, 1.1),
    ("mobilenet_v2_cifar10", "radix-auto"): (97.5, None, None),
    ("resnet20_cifar100", "graded-auto"): (96.5, 0.22, None),
}


def measure(net: Net, options: dict[str, Any], samples: int, tests: int) -> tuple[dict[str, float], str]:
    """Figures of one setting, and its T."""
    started = time.perf_counter()
    compiled = onnx2snn.compile(net.path, net.train(samples), **options)
    seconds = time.perf_counter() - started
    session = onnx2snn.SpikingSession(compiled.model)
    found = evaluate(session, net.test(tests), [session.timesteps], open_reference(net.path, session))
    lengths = str(options["timesteps"])
    if options.get("levels") == "auto" and compiled.report.adaptation is not None:
        bits = [int(record.levels).bit_length() for record in compiled.report.neurons.values()]
        lengths = f"{compiled.report.adaptation.budget:.2f}, {np.mean(bits):.2f}"
    figures = {
        "agreement": 100 * found.agreement[0],
        "loss": 100 * (float(found.reference_accuracy or 0) - float(found.accuracy[0] or 0)),
        "energy": float(found.energy.ratio[0] or 0),
        "spikes": found.spikes_per_sample[0],
        "seconds": seconds,
    }
    return figures, lengths


@click.command()
@click.option("--net", "names", multiple=True, default=("resnet20_cifar100",), show_default=True)
@click.option("--setting", "settings", multiple=True, type=click.Choice(list(SETTINGS)), help="Only these.")
@click.option("--samples", default=1000, show_default=True, help="Calibration images (train set).")
@click.option("--test", "tests", default=2000, show_default=True, help="Test images.")
def main(names: tuple[str, ...], settings: tuple[str, ...], samples: int, tests: int) -> None:
    """Print the table; what misses a demand is red."""
    table = Table(box=None, header_style="bold")
    for column in ("net", "setting"):
        table.add_column(column)
    for column in ("T", "agreement %", "≥", "loss", "energy", "of radix", "spikes", "compile s"):
        table.add_column(column, justify="right")
    for name in names:
        plain: float | None = None
        for setting in settings or SETTINGS:
            found, lengths = measure((NETS | LITERATURE)[name], SETTINGS[setting], samples, tests)
            plain = found["energy"] if setting == "radix" else plain
            least, most, times = DEMANDS.get((name, setting), (0.0, None, None))
            share = found["energy"] / plain if plain else None
            missed = (
                found["agreement"] < least
                or (most is not None and found["energy"] > most)
                or (times is not None and share is not None and share > times)
            )
            click.echo(f"{name} {setting}: {found['agreement']:.2f} %", err=True)
            table.add_row(
                name,
                setting,
                lengths,
                f"{found['agreement']:.2f}",
                f"{least:.1f}" if least else "",
                f"{found['loss']:+.2f}",
                f"{found['energy']:.4f}",
                "" if share is None else f"{share:.3f}",
                f"{found['spikes']:,.0f}",
                f"{found['seconds']:.0f}",
                style="bold red" if missed else None,
            )
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
