"""Reports as tables for a terminal. Nothing here prints."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

_STYLES = {"spiking": "green", "linear": "cyan", "analog": "yellow", "folded": "dim", "refused": "bold red"}
_MEANINGS = {
    "spiking": "neurons and spiking pools",
    "linear": "weights, sums and reshapes, as they are",
    "analog": "computed exactly, not by spikes",
    "folded": "gone into other nodes, or constant",
    "refused": "cannot be converted",
}


def node_table(nodes: Sequence[Mapping[str, str]]) -> Table:
    """Every node with its verdict; the nodes of an analog island in one row, where its first stands."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("node", overflow="fold")
    table.add_column("operator", overflow="fold")
    table.add_column("becomes", no_wrap=True)
    table.add_column("why", overflow="fold")
    islands: dict[str, list[str]] = {}
    for node in nodes:
        if node.get("island"):
            islands.setdefault(node["island"], []).append(node["op"])
    for node in nodes:
        if node.get("island"):
            ops = islands.pop(node["island"], None)
            if ops is not None:
                table.add_row(*_island_row(node, ops))
            continue
        reason = f"{node['reason']}; {node['remedy']}" if node["remedy"] else node["reason"]
        table.add_row(Text(node["node"]), node["op"], Text(node["role"], _STYLES[node["role"]]), Text(reason))
    return table


def _island_row(first: Mapping[str, str], ops: Sequence[str]) -> tuple[Text, Text, Text, Text]:
    counts = Counter(ops)
    written = ", ".join(op if count == 1 else f"{count} {op}" for op, count in counts.items())
    reason = first["reason"] if len(ops) == 1 else f"island of {len(ops)} nodes: exact, on running means"
    return Text(first["node"]), Text(written), Text("analog", _STYLES["analog"]), Text(reason)


def macs_line(macs: Mapping[str, Any]) -> str:
    """How much of the arithmetic spikes feed, as a sentence."""
    if macs["per_sample"] is None:
        return "not known, as the model leaves sizes open"
    share = "" if macs["share"] is None else f", {percent(macs['share'])} of them fed by spikes"
    return f"{macs['per_sample']:,} multiply-accumulates a sample{share}"


def role_table(roles: Mapping[str, int]) -> Table:
    """How many nodes there are of each role."""
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(justify="right")
    table.add_column()
    table.add_column(style="dim")
    for role, count in roles.items():
        if count:
            table.add_row(str(count), Text(role, _STYLES[role]), _MEANINGS[role])
    return table


def layers_line(layers: Mapping[str, str]) -> str:
    """How many layers compute in integers, and why others do not, as a sentence."""
    reasons = Counter(reason for reason in layers.values() if reason != "integer")
    whole = len(layers) - reasons.total()
    others = "".join(f"; {count} in floats: {reason}" for reason, count in reasons.items())
    return f"{whole} of {len(layers)} layers behind neurons compute in integers{others}"


def neuron_table(neurons: Mapping[str, Mapping[str, Any]]) -> Table:
    """Every neuron layer with its thresholds."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("neuron layer", overflow="fold")
    table.add_column("type", no_wrap=True)
    for column in ("Γ", "levels", "channels", "least θ", "median θ", "greatest θ"):
        table.add_column(column, justify="right", no_wrap=True)
    for name, neuron in neurons.items():
        theta = neuron["threshold"]
        table.add_row(
            Text(name),
            neuron["op"],
            *(str(neuron[key]) for key in ("max_spikes", "levels", "channels")),
            *(f"{theta[key]:.3g}" for key in ("least", "median", "greatest")),
        )
    return table


def evaluation_table(figures: Mapping[str, Any]) -> Table:
    """Figures of an evaluation, one row for each number of timesteps."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    columns: list[tuple[str, list[str]]] = [
        ("timesteps", [str(steps) for steps in figures["timesteps"]]),
        ("accuracy", _percentages(figures["accuracy"])),
        ("same answer as the ANN", _percentages(figures["agreement"])),
        ("spikes a sample", [f"{value:,.0f}" for value in figures["spikes_per_sample"]]),
        ("synaptic operations", [f"{value:,.0f}" for value in figures["synaptic_operations_per_sample"]]),
        ("energy, ANN = 1", [_ratio(value) for value in figures["energy"]["ratio"]]),
        ("samples/s", [f"{value:,.0f}" for value in figures["samples_per_second"]]),
    ]
    shown = [(title, cells) for title, cells in columns if any(cells)]
    for title, _ in shown:
        table.add_column(title, justify="right")
    for row in zip(*(cells for _, cells in shown), strict=True):
        table.add_row(*row)
    return table


def doctor_table(found: Mapping[str, Any]) -> Table:
    """An installation: what it consists of, and what to do about what is missing."""
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, version in found["versions"].items():
        table.add_row(name, version)
    table.add_row("platform", found["platform"])
    native = found["native"]
    if native["library"] is None:
        said = Text(f"none ({native['reason']}): standard operators, same results, slower", "yellow")
    else:
        said = Text(native["library"], "green")
    table.add_row("native kernels", said)
    table.add_row("providers", ", ".join(found["providers"]))
    for extra, missing in found["extras"].items():
        lacking = f"{', '.join(missing)} missing: pip install 'onnx2snn[{extra}]'"
        table.add_row(f"extra {extra}", Text(lacking, "yellow") if missing else Text("installed", "green"))
    return table


def percent(value: float) -> str:
    """A share as text: 0.9225 → 92.2 % (one decimal, as the field quotes accuracy)."""
    return f"{100 * value:.1f} %"


def _percentages(values: Sequence[float | None]) -> list[str]:
    return ["" if value is None else percent(value) for value in values]


def _ratio(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"
