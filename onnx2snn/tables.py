"""Reports as tables for a terminal. Nothing here prints."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

_STYLES = {"spiking": "green", "linear": "cyan", "analog": "yellow", "folded": "dim", "refused": "bold red"}
#: Characters of the longest bar.
_BAR = 40
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


def exit_table(figures: Mapping[str, Any]) -> Table:
    """How many samples stopped at which timestep."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("stopped at t", justify="right", no_wrap=True)
    table.add_column("samples", justify="right", no_wrap=True)
    table.add_column("")
    most = max(figures["histogram"])
    for timestep, count in enumerate(figures["histogram"], 1):
        if count:
            table.add_row(str(timestep), f"{count:,}", "█" * max(1, round(_BAR * count / most)))
    return table


def rule_line(rule: Mapping[str, Any]) -> str:
    """When a sample is decided, as a sentence."""
    shown = ", ".join(f"{value:.3g}" if value <= 1 else "never" for value in rule["thresholds"])
    sign = "≥" if rule["criterion"] == "confidence" else "≤"
    return f"decided at {rule['criterion']} {sign} {shown}, timestep by timestep; the last stays"


def exit_line(figures: Mapping[str, Any], timesteps: int) -> str:
    """What an early exit gives, as a sentence."""
    shares = [("accuracy", figures["accuracy"]), ("same answer as the ANN", figures["agreement"])]
    told = "".join(f", {name} {percent(value)}" for name, value in shares if value is not None)
    return (
        f"{figures['mean_timesteps']:.2f} of {timesteps} timesteps on average{told}, "
        f"{figures['synaptic_operations_per_sample']:,.0f} synaptic operations, "
        f"{figures['speedup']:.1f} × as fast"
    )


def adaptation_table(
    before: Mapping[str, Mapping[str, Any]], neurons: Mapping[str, Mapping[str, Any]]
) -> Table:
    """How every neuron layer fires, and how it would have without adaptation."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("neuron layer", overflow="fold")
    for column in ("Γ", "levels", "median θ, before = 1", "spikes a sample", "without"):
        table.add_column(column, justify="right")
    for name, said in before.items():
        neuron = neurons[name]
        cells = (neuron["max_spikes"], f"{neuron['levels']:g}", f"{said['scale']:g}")
        table.add_row(Text(name), *map(str, cells), *(f"{said[key]:,.0f}" for key in ("spikes", "without")))
    return table


def adaptation_line(said: Mapping[str, Any]) -> str:
    """What adaptation traded, as a sentence."""
    (spikes, fewer), (operations, less) = said["spikes_per_sample"], said["synaptic_operations_per_sample"]
    told = (
        f"{fewer:,.0f} of {spikes:,.0f} spikes and {less:,.0f} of {operations:,.0f} synaptic operations a "
        f"sample ({percent(less / operations)})"
    )
    if said["mode"] == "spike_budget":
        met = "" if said["met"] else "; NOT within"
        return f"{told}{met} the budget of {said['budget']:,.0f} spikes" if met else told
    if not said["met"]:
        return f"nothing saved: no thresholds cost at most {said['max_loss']:g} points of {said['measure']}"
    return (
        f"{told}, for {said['loss']:.2f} points of {said['measure']} on {said['held_back']} samples held back"
    )


def sweep_table(found: Mapping[str, Any]) -> Table:
    """Every point of a sweep by ascending energy; those that no other beats for less are marked."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("conversion", no_wrap=True)
    for column in ("accuracy", "agreement", "spikes", "operations", "ANN = 1", "ms"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for point in found["points"]:
        mark = "← knee" if point["knee"] else "best" if point["best"] else ""
        table.add_row(
            point["name"],
            *_percentages([point["accuracy"], point["agreement"]]),
            f"{point['spikes_per_sample']:,.0f}",
            f"{point['synaptic_operations_per_sample']:,.0f}",
            _ratio(point["energy_ratio"]),
            f"{point['milliseconds_per_sample']:.2f}",
            mark,
            style="bold" if point["knee"] else "" if point["best"] else "dim",
        )
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
