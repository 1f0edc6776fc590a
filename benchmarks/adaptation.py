"""What layers that choose how they fire gain: `python -m benchmarks.adaptation`.

Every net is converted with Γ = 2 and Γ = 4 everywhere; with a Γ of its own for every layer, within the spikes
of Γ = 2 and within 85 % of those of Γ = 4; and compressed. All on the same test images; *ops* are synaptic
operations, and shares are of Γ = 4 in the same setting. Calibrated on all training images, of which
compression holds half back.
"""

from __future__ import annotations

from typing import Any

import click
from rich.console import Console
from rich.table import Table

import onnx2snn
from benchmarks.nets import NETS, Net
from onnx2snn.analysis.evaluation import evaluate, open_reference

#: Setting → options, for the schedule stream and layer.
SETTINGS: dict[str, dict[str, Any]] = {
    "stream": {"code": "burst"},
    "stream, signed": {"code": "burst", "signed": True},
    "layer, radix, T = 4": {"schedule": "layer", "code": "radix", "timesteps": 4},
    "layer, burst, T = 4": {"schedule": "layer", "code": "burst", "timesteps": 4},
}


def _measure(net: Net, options: dict[str, Any], samples: int) -> dict[str, float]:
    compiled = onnx2snn.compile(net.path, net.train(None), **options)
    session = onnx2snn.SpikingSession(compiled.model)
    reference = open_reference(net.path, session)
    found = evaluate(session, net.test(samples), [session.timesteps], reference)
    figures = ("accuracy", "agreement", "spikes_per_sample", "synaptic_operations_per_sample")
    return {name: found[name][0] for name in figures} | {
        "seconds": sum(
            compiled.report.to_dict()["seconds"].get(name, 0.0) for name in ("adapt", "CorrectBias")
        )
    }


@click.command()
@click.option("--net", "names", multiple=True, default=("resnet20", "resnet8", "vgg8bn"), show_default=True)
@click.option("--setting", "settings", multiple=True, default=tuple(SETTINGS), show_default=True)
@click.option("--only", multiple=True, help="Only rows whose name holds this, beside Γ = 4.")
@click.option("--samples", default=2000, show_default=True, help="Test images.")
@click.option("--max-loss", default=0.3, show_default=True)
def main(
    names: tuple[str, ...], settings: tuple[str, ...], only: tuple[str, ...], samples: int, max_loss: float
) -> None:
    """Print the table."""
    table = Table(box=None, header_style="bold")
    for column in ("net", "setting", "firing"):
        table.add_column(column)
    for column in ("top-1", "agreement", "spikes", "share", "ops", "share", "search s"):
        table.add_column(column, justify="right")
    for name in names:
        for setting in settings:
            options = SETTINGS[setting]
            rows: dict[str, dict[str, Any]] = {"fixed Γ = 4": {}}
            if options["code"] != "radix":
                rows |= {
                    "fixed Γ = 2": {"max_spikes": 2},
                    "auto, spikes of Γ = 2": {"max_spikes": "auto"},
                    "auto, 85 %": {"max_spikes": "auto", "spike_budget": "85%"},
                }
            rows[f"compress, {max_loss} points"] = {"compress": "energy", "max_loss": max_loss}
            found: dict[str, dict[str, float]] = {}
            for row, more in rows.items():
                if found and only and not any(part in row for part in only):
                    continue
                budget = {}
                if row == "auto, spikes of Γ = 2":
                    two, four = (found[f"fixed Γ = {most}"]["spikes_per_sample"] for most in (2, 4))
                    budget = {"spike_budget": f"{100 * two / four:.2f}%"}
                found[row] = _measure(NETS[name], options | more | budget, samples)
                table.add_row(name, setting, row, *_figures(found[row], found["fixed Γ = 4"]))
    Console(width=160).print(table)


def _figures(now: dict[str, float], base: dict[str, float]) -> list[str]:
    spikes, operations = "spikes_per_sample", "synaptic_operations_per_sample"
    return [
        f"{100 * now['accuracy']:.2f}",
        f"{100 * now['agreement']:.2f}",
        f"{now[spikes]:,.0f}",
        f"{100 * now[spikes] / base[spikes]:.1f} %",
        f"{now[operations]:,.0f}",
        f"{100 * now[operations] / base[operations]:.1f} %",
        f"{now['seconds']:.0f}",
    ]


if __name__ == "__main__":
    main()
