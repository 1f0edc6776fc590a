"""Reports as tables that fit 80 columns. Nothing here prints."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from onnx2snn.analysis.energy import format_joules
from onnx2snn.printable import shown
from onnx2snn.report.long_table import LongTable

if TYPE_CHECKING:
    from onnx2snn.analysis.diagnosis.figures import Diagnosis
    from onnx2snn.analysis.early_exit import ExitFigures
    from onnx2snn.analysis.energy import AnnEnergy, Convention, Energy
    from onnx2snn.analysis.evaluation import Evaluation
    from onnx2snn.analysis.sweep import Sweep
    from onnx2snn.artifact.records import Adaptation, LayerAdaptation, NeuronRecord, Verdict
    from onnx2snn.exits.rule import ExitRule
    from onnx2snn.graph.macs import Macs

#: Of a file that stops once its neurons are silent.
REST_LINE = "the file stops at the first timestep without a spike"
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
#: A part of a node's name, with what separates it from the next.
_NAME_PART = re.compile(r"[^/]+/*|/+")


class NodeName:
    """The name of a node or layer: where it is too long for its column it folds behind a slash."""

    def __init__(self, name: str) -> None:
        self.parts = _NAME_PART.findall(shown(name))

    def __rich_measure__(self, _: Console, options: ConsoleOptions) -> Measurement:
        """As wide as its longest part, or as all of them."""
        widths = [cell_len(part) for part in self.parts or [""]]
        return Measurement(max(widths), sum(widths)).with_maximum(options.max_width)

    def __rich_console__(self, _: Console, options: ConsoleOptions) -> Iterator[Text]:
        """As few lines as hold it."""
        line = ""
        for part in self.parts:
            if line and cell_len(line + part) > options.max_width:
                yield Text(line, overflow="fold")
                line = ""
            line += part
        yield Text(line, overflow="fold")


def node_table(nodes: Sequence[Verdict]) -> Table:
    """Every node with its verdict; the nodes of an analog island in one row, where its first stands."""
    table = _headed("node")
    table.add_column("operator", overflow="fold")
    table.add_column("becomes", no_wrap=True)
    table.add_column("why", overflow="fold")
    islands: dict[str, list[str]] = {}
    for node in nodes:
        if node.island:
            islands.setdefault(node.island, []).append(node.op)
    for node in nodes:
        if node.island:
            ops = islands.pop(node.island, None)
            if ops is not None:
                table.add_row(*_island_row(node, ops))
            continue
        reason = f"{node.reason}; {node.remedy}" if node.remedy else node.reason
        role = Text(node.role, _STYLES[node.role])
        table.add_row(NodeName(node.node), Text(node.op), role, Text(reason))
    return table


def _island_row(first: Verdict, ops: Sequence[str]) -> tuple[NodeName, Text, Text, Text]:
    counts = Counter(ops)
    written = ", ".join(op if count == 1 else f"{count} {op}" for op, count in counts.items())
    reason = first.reason if len(ops) == 1 else f"island of {len(ops)} nodes: exact, on running means"
    return NodeName(first.node), Text(written), Text("analog", _STYLES["analog"]), Text(reason)


def macs_line(macs: Macs) -> str:
    """How much of the arithmetic spikes feed, as a sentence."""
    if macs.per_sample is None:
        return "not known, as the model leaves sizes open"
    share = "" if macs.share is None else f", {percent(macs.share)} of them fed by spikes"
    return f"{macs.per_sample:,} multiply-accumulates a sample{share}{_behind_the_first(macs)}"


def _behind_the_first(macs: Macs) -> str:
    """The same of the layers that do not read the inputs, as a clause."""
    if macs.not_fed is None or not macs.fed_by_spikes:
        return ""
    behind = percent(macs.fed_by_spikes / (macs.fed_by_spikes + macs.not_fed))
    left = f", {macs.not_fed:,} are not" if macs.not_fed else ""
    return f"; {behind} of those behind the first layer{left}"


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


def neuron_table(neurons: Mapping[str, NeuronRecord]) -> Table:
    """Every neuron layer with its thresholds."""
    kinds = {neuron.op for neuron in neurons.values()}
    table = _headed("neuron layer" if len(kinds) > 1 else f"{''.join(kinds)} layer")
    if len(kinds) > 1:
        table.add_column("type", overflow="fold")
    graded = any(neuron.exponents is not None for neuron in neurons.values())
    limits, threshold = (("n",), "R") if graded else (("Γ", "levels"), "θ")
    _add_numbers(
        table, *limits, "channels", *(f"{which} {threshold}" for which in ("least", "median", "most"))
    )
    for name, neuron in neurons.items():
        limit = (neuron.exponents,) if graded else (neuron.max_spikes, neuron.levels)
        table.add_row(
            NodeName(name),
            *([NodeName(neuron.op)] if len(kinds) > 1 else []),
            *map(_short, (*limit, neuron.channels)),
            *map(_short, vars(neuron.threshold).values()),
        )
    return table


def evaluation_table(figures: Evaluation) -> Table:
    """Figures of an evaluation, one row for each number of timesteps."""
    table = _headed()
    columns: list[tuple[str, list[str]]] = [
        ("timesteps", [str(steps) for steps in figures.timesteps]),
        ("accuracy", _percentages(figures.accuracy)),
        ("same answer as the ANN", _percentages(figures.agreement)),
        ("spikes a sample", _counts(figures.spikes_per_sample)),
        ("synaptic operations", _counts(figures.synaptic_operations_per_sample)),
        ("energy, ANN = 1", [_ratio(value) for value in figures.energy.ratio]),
        ("samples/s", [f"{value:,.0f}" for value in figures.samples_per_second]),
    ]
    shown = [(title, cells) for title, cells in columns if any(cells)]
    for title, cells in shown:  # titles may wrap, numbers may not
        table.add_column(title, justify="right", min_width=max(map(len, cells)))
    for row in zip(*(cells for _, cells in shown), strict=True):
        table.add_row(*row)
    return table


def energy_table(figures: Evaluation) -> Table:
    """Energy a sample after the last number of timesteps: every convention, and what other models say."""
    energy = figures.energy
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column(f"{energy.model}, T = {figures.timesteps[-1]}", overflow="fold")
    table.add_column("first layers charged", no_wrap=True)
    for column in ("a sample", "ANN = 1"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_row("ANN", "", format_joules(energy.ann_joules_per_sample), _ratio(1))
    single = energy.synaptic_events_per_sample == energy.synaptic_operations_per_sample
    for row in energy.conventions:
        if not (single and row.bursts == "events"):
            table.add_row(*_convention_row("SNN", row))
    for other in energy.models.values():
        table.add_row(*_convention_row(f"{other.model}: SNN", other.conventions[0]), style="dim")
    return table


def bits_line(energy: Energy) -> str:
    """What neurons sent by the last number of timesteps, in bits, as a sentence."""
    return f"{energy.bits_sent_per_sample[-1]:,.0f} a sample ({energy.bits_convention})"


def _convention_row(name: str, row: Convention) -> tuple[str, str, str, str]:
    counted = "each spike counts" if row.bursts == "spikes" else "a burst counts once"
    joules = format_joules(row.snn_joules_per_sample[-1])
    return f"{name}, {counted}", row.first_layer, joules, _ratio(row.ratio[-1])


def energy_line(energy: AnnEnergy) -> str:
    """What an inference of the ANN takes, as a phrase."""
    joules = format_joules(energy.ann_joules_per_sample)
    mac = format_joules(energy.parameters.joules_per_mac)
    return f"{joules} an inference of the ANN ({energy.model}: {mac} a MAC, zero padding counts)"


def exit_table(figures: ExitFigures) -> Table:
    """How many samples stopped at which timestep."""
    table = _headed()
    _add_numbers(table, "stopped at t", "samples")
    table.add_column("")
    most = max(figures.histogram)
    for timestep, count in enumerate(figures.histogram, 1):
        if count:
            table.add_row(str(timestep), f"{count:,}", "█" * max(1, round(_BAR * count / most)))
    return table


def rule_line(rule: ExitRule) -> str:
    """When a sample is decided, as a sentence."""
    shown = ", ".join(f"{value:.3g}" if 0 <= value <= 1 else "never" for value in rule.thresholds)
    sign = "≥" if rule.criterion == "confidence" else "≤"
    return f"decided at {rule.criterion} {sign} {shown}, timestep by timestep; the last stays"


def exit_line(figures: ExitFigures, timesteps: int) -> str:
    """What an early exit gives, as a sentence."""
    shares = [("accuracy", figures.accuracy), ("same answer as the ANN", figures.agreement)]
    reached = "".join(f", {name} {percent(value)}" for name, value in shares if value is not None)
    return (
        f"{figures.mean_timesteps:.2f} of {timesteps} timesteps on average{reached}, "
        f"{figures.synaptic_operations_per_sample:,.0f} synaptic operations, "
        f"{figures.speedup:.1f} × as fast"
    )


def adaptation_table(changes: Mapping[str, LayerAdaptation], neurons: Mapping[str, NeuronRecord]) -> Table:
    """How every neuron layer fires, and how it would have without adaptation."""
    table = _headed("neuron layer")
    graded = any(neurons[name].exponents is not None for name in changes)
    _add_numbers(table, *(("n", "R, before = 1") if graded else ("Γ", "levels", "θ, before = 1")))
    _add_numbers(table, "spikes", "without")
    for name, change in changes.items():
        neuron = neurons[name]
        fires = (neuron.exponents,) if graded else (neuron.max_spikes, neuron.levels)
        cells = (*fires, change.scale)
        table.add_row(NodeName(name), *map(_short, cells), *_counts([change.spikes, change.without]))
    return table


def adaptation_line(adaptation: Adaptation) -> str:
    """What adaptation traded, as a sentence."""
    spikes, fewer = adaptation.spikes_per_sample
    operations, less = adaptation.synaptic_operations_per_sample
    traded = f"{fewer:,.0f} of {spikes:,.0f} spikes and {less:,.0f} of {operations:,.0f} synaptic operations"
    traded += " a sample"
    if operations:  # there are none where no weights stand behind a neuron
        traded += f" ({percent(less / operations)})"
    if adaptation.mode == "timesteps":
        return f"{traded}, with {adaptation.budget:g} timesteps a layer"
    if adaptation.mode == "spike_budget":
        met = "" if adaptation.met else "; NOT within"
        return f"{traded}{met} the budget of {adaptation.budget:,.0f} spikes" if met else traded
    if not adaptation.met:
        bound = f"{adaptation.max_loss:g} points of {adaptation.measure}"
        return f"nothing saved: no thresholds cost at most {bound}"
    lost = f"{adaptation.loss:.2f} points of {adaptation.measure}"
    return f"{traded}, for {lost} on {adaptation.held_back} samples held back"


def sweep_table(figures: Sweep) -> Table:
    """Every point of a sweep by ascending energy; those that no other beats for less are marked."""
    table = _headed("kind")
    table.caption = (
        "n: sizes of a graded spike; energy: the ANN's is 1; loss: points that compression may cost"
    )
    table.caption_justify = "left"
    shares = figures.measure in ("accuracy", "agreement")
    quality = ("accuracy", "agreement") if shares else (figures.compared.name,)
    _add_numbers(table, "T", "Γ, n", "loss", *quality, "spikes", "energy", "ms")
    table.add_column("", no_wrap=True)
    for point in figures.points:
        mark = "← knee" if point.knee else "best" if point.best else ""
        options = point.options
        table.add_row(
            point.name.partition(",")[0],
            _short(options.get("timesteps")),
            _short(options.get("max_spikes", options.get("exponents"))),
            _short(options.get("max_loss")),
            *(
                _percentages([point.accuracy, point.agreement])
                if shares
                else [figures.compared.show(point.value(figures.measure))]
            ),
            *_counts([point.spikes_per_sample]),
            _ratio(point.energy_ratio),
            f"{(spent := point.milliseconds_per_sample):,.{2 if spent < 100 else 0}f}",
            mark,
            style="bold" if point.knee else "" if point.best else "dim",
        )
    return table


#: What the columns of `diagnosis_table` are.
DIAGNOSIS_LEGEND = (
    "Errors in % of the ANN's activation (root mean square), the worst layers first, and what makes them. "
    "before: inherited from the layers before. exact, alone: same answer as the ANN, in %, if this layer "
    "alone were exact, and if it alone sent spikes; of several outputs, or without class scores, by how much "
    "the outputs are off jointly, in %."
)


def diagnosis_table(figures: Diagnosis) -> Table:
    """Every neuron layer with its error, what makes it, and what the layer does to the answers."""
    table = _headed("neuron layer")
    table.padding = (0, 1, 0, 0)  # names need the room
    _add_numbers(table, "error", "weights", "clips", "coarse", "timing", "before", "exact", "alone")
    worst = figures.worst_layers
    for layer in (*worst, *(layer for layer in figures.layers if layer not in worst)):
        shares: list[float | None] = [layer.error, *(layer.components[part] for part in _PARTS)]
        shares += [layer.if_exact, layer.if_only_spiking]
        style = "bold" if layer in worst else ""
        table.add_row(
            NodeName(layer.layer),
            *("" if share is None else f"{100 * share:.1f}" for share in shares),
            style=style,
        )
    return table


#: The parts of an error, in the order of the columns.
_PARTS = ("parameters", "clipping", "quantisation", "timing", "inherited")


def doctor_table(record: Mapping[str, Any]) -> Table:
    """An installation: what it consists of, and what to do about what is missing."""
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, version in record["versions"].items():
        table.add_row(name, version)
    table.add_row("platform", record["platform"])
    native = record["native"]
    if native["library"] is None:
        lacking = f"none ({native['reason']}): standard operators, same results, slower"
        kernels = Text(f"{lacking}; how to get them: docs/runtime.md", "yellow")
    else:
        kernels = Text(native["library"], "green")
    table.add_row("native kernels", kernels)
    table.add_row("providers", ", ".join(record["providers"]))
    for extra, missing in record["extras"].items():
        lacking = f"{', '.join(missing)} missing: pip install 'onnx2snn[{extra}]'"
        table.add_row(f"extra {extra}", Text(lacking, "yellow") if missing else Text("installed", "green"))
    for tool, state in record["tools"].items():
        lacking = f"missing: only onnx2snn {state['for']} needs it; {state['remedy']}"
        table.add_row(tool, Text(state["version"] or lacking, "" if state["version"] else "yellow"))
    return table


def _headed(*names: str) -> Table:
    """An empty table without lines, so that its rows can be searched and copied."""
    table = LongTable(box=None, pad_edge=False, header_style="bold")
    for name in names:
        table.add_column(name, overflow="fold")
    return table


def _add_numbers(table: Table, *titles: str) -> None:
    """Columns that keep their width, whatever has to give way to them."""
    for title in titles:
        table.add_column(title, justify="right", no_wrap=True)


def _counts(values: Sequence[float]) -> list[str]:
    """Large numbers: whole, or all in millions where one has more than eight digits."""
    whole = max(values) < 1e8
    return [f"{value:,.0f}" if whole else f"{value / 1e6:,.1f} M" for value in values]


def _short(value: float | None) -> str:
    """A number in three digits, or whole; nothing for none."""
    return "" if value is None else str(value) if isinstance(value, int) else f"{value:.3g}"


def percent(value: float) -> str:
    """A share as text: 0.9225 → 92.2 % (one decimal, as the field quotes accuracy)."""
    return f"{100 * value:.1f} %"


def _percentages(values: Sequence[float | None]) -> list[str]:
    return ["" if value is None else percent(value) for value in values]


def _ratio(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"
