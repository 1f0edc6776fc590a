"""`onnx2snn inspect` and `onnx2snn doctor`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args

import click
from rich.console import Console

import onnx2snn
from onnx2snn.cli.commands import Command
from onnx2snn.cli.files import ANY_FILE, ONNX_FILE
from onnx2snn.cli.options import DEFAULTS, energy_option
from onnx2snn.cli.terminal import check_outputs, console_for, json_path, progress_bar, say, write_json
from onnx2snn.model.file import load_model
from onnx2snn.options import Code
from onnx2snn.report import tables

if TYPE_CHECKING:
    from onnx2snn.artifact.records import Metadata

# What takes long to import is imported by the commands themselves: help and completion answer at once.


@click.command(
    cls=Command,
    examples=["onnx2snn inspect model.onnx", "onnx2snn inspect model.snn.onnx --json - | jq .neurons"],
)
@click.argument("model", type=ONNX_FILE, metavar="ANY.onnx")
@click.option("--strict", is_flag=True, help="Judge as compile --strict does.")
@click.option(
    "--code",
    type=click.Choice(get_args(Code)),
    default=DEFAULTS.code,
    show_default=True,
    help="Of an ANN: judge as compile --code does.",
)
@click.option(
    "--json", "json_file", type=ANY_FILE, metavar="FILE|-", help="Write the report as JSON; - for stdout."
)
@energy_option
def inspect(model: str, strict: bool, code: Code, json_file: str | None, energy_model: str | None) -> None:
    """Say what becomes of every node, and why.

    Of an ANN: what each node would become. Of a compiled network: what became of the ANN's nodes, and its
    neurons.
    """
    from onnx2snn.analysis.energy import estimate_from_shapes, load_energy_model
    from onnx2snn.artifact.artifact import is_artifact, take_apart
    from onnx2snn.artifact.records import Metadata
    from onnx2snn.emit.metadata import read_metadata
    from onnx2snn.passes.coverage import count_roles

    check_outputs([model, energy_model], {"--json": json_path(json_file)})
    prices = load_energy_model(energy_model)
    with progress_bar() as advance:
        loaded = load_model(model, weights=False)
        advance("inspect", 0.0)
        compiled = is_artifact(loaded)
        if compiled:
            record = take_apart(loaded, model).record
            report: dict[str, Any] = {"kind": "snn", "roles": count_roles(record.nodes)}
            report |= read_metadata(loaded)
        else:
            report = {"kind": "ann", **onnx2snn.inspect(loaded, strict=strict, code=code).to_dict()}
            record = Metadata.from_dict(report)
    macs = None if record.macs is None else record.macs.per_sample
    energy = None if macs is None else estimate_from_shapes(macs, prices)
    out = console_for(json_file)
    out.print(tables.node_table(record.nodes))
    out.print()
    if compiled:
        _print_network(out, record)
    roles = count_roles(record.nodes)
    out.print(tables.role_table(roles))
    if record.macs is not None:
        say(out, "work", tables.macs_line(record.macs))
    if energy is not None and macs:
        say(out, "energy", tables.energy_line(energy))
    if compiled and not record.nodes:
        say(out, "note", "its metadata does not say what became of the ANN: another tool may have dropped it")
    elif not roles["spiking"] and not roles["refused"]:
        other = (
            "or an activation or weights before weights"
            if code == "graded"
            else "unless --code graded finds other activations"
        )
        say(out, "note", f"no neurons: compile refuses a net without a ReLU, {other}")
    write_json(json_file, report if energy is None else report | {"energy": energy.to_dict()})


def _print_network(out: Console, record: Metadata) -> None:
    """What a compiled network says of itself."""
    out.print(tables.neuron_table(record.neurons))
    out.print()
    options = record.options
    layered = record.schedule == "layer"
    limit, most = ("n", "exponents") if "exponents" in options else ("Γ", "max_spikes")
    known = {name: options.get(name, "unknown") for name in (most, "code", "timesteps")}
    spikes = f"{limit} by layer" if record.adaptation is not None else f"{limit} = {known[most]}"
    code = f"schedule layer, code {known['code']}"
    schedule = f"{code}, {spikes}" if layered and limit == "n" else code if layered else spikes
    version = record.version or "of an unknown version"
    say(out, "compiled", f"by onnx2snn {version}, T = {known['timesteps']}, {schedule}")
    if record.adaptation is not None:
        say(out, "adapted", tables.adaptation_line(record.adaptation))
    if record.early_exit is not None:
        say(out, "early exit", tables.rule_line(record.early_exit))
    if options.get("until_rest"):
        say(out, "rest", tables.REST_LINE)


@click.command(cls=Command, examples=["onnx2snn doctor", "onnx2snn doctor --json -"])
@click.option(
    "--json", "json_file", type=ANY_FILE, metavar="FILE|-", help="Write what was found as JSON; - for stdout."
)
def doctor(json_file: str | None) -> None:
    """Show what is installed, and what to do about the rest.

    Versions, the native kernels, what onnxruntime runs on, the extras, and npm.
    """
    from onnx2snn.cli.doctor import examine

    check_outputs([], {"--json": json_path(json_file)})
    record = examine()
    console_for(json_file).print(tables.doctor_table(record))
    write_json(json_file, record)
