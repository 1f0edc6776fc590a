"""`onnx2snn inspect` and `onnx2snn doctor`."""

from __future__ import annotations

from typing import Any

import click

import onnx2snn
from onnx2snn import tables
from onnx2snn.analysis.coverage import count_roles
from onnx2snn.doctor import examine
from onnx2snn.model_file import load_model
from onnx2snn.runtime.artifact import is_artifact, take_apart
from onnx2snn.terminal import check_outputs, console_for, json_path, say, write_json


@click.command()
@click.argument("model", metavar="ANY.onnx")
@click.option("--strict", is_flag=True, help="Judge as compile --strict does.")
@click.option("--json", "json_file", metavar="FILE|-", help="Write the report as JSON; - for stdout.")
def inspect(model: str, strict: bool, json_file: str | None) -> None:
    """Say what becomes of every node, and why.

    Of an ANN: what each node would become. Of a compiled network: what became of the ANN's nodes, and its
    neurons.
    """
    check_outputs([model], {"--json": json_path(json_file)})
    loaded = load_model(model, weights=False)
    report: dict[str, Any]
    if is_artifact(loaded):
        artifact = take_apart(loaded)
        nodes = artifact.metadata.get("nodes", [])
        report = {"kind": "snn", "roles": count_roles(nodes), **artifact.metadata}
    else:
        report = {"kind": "ann", **onnx2snn.inspect(loaded, strict=strict).to_dict()}
    out = console_for(json_file)
    out.print(tables.node_table(report["nodes"]))
    out.print()
    if report["kind"] == "snn":
        out.print(tables.neuron_table(report["neurons"]))
        out.print()
        options = report["options"]
        layered = report["schedule"] == "layer"
        spikes = "Γ by layer" if "adaptation" in report else f"Γ = {options['max_spikes']}"
        schedule = f"schedule layer, code {options['code']}" if layered else spikes
        say(out, "compiled", f"by onnx2snn {report['version']}, T = {options['timesteps']}, {schedule}")
    if "adaptation" in report:
        say(out, "adapted", tables.adaptation_line(report["adaptation"]))
    if "early_exit" in report:
        say(out, "early exit", tables.rule_line(report["early_exit"]))
    out.print(tables.role_table(report["roles"]))
    if "macs" in report:
        say(out, "work", tables.macs_line(report["macs"]))
    if not report["roles"]["spiking"] and not report["roles"]["refused"]:
        say(
            out,
            "note",
            "no neurons: compile refuses a net without a ReLU, unless --approximate relu-sum finds some",
        )
    write_json(json_file, report)


@click.command()
@click.option("--json", "json_file", metavar="FILE|-", help="Write what was found as JSON; - for stdout.")
def doctor(json_file: str | None) -> None:
    """Show what is installed.

    Versions, the native kernels, what onnxruntime runs on, and the extras.
    """
    check_outputs([], {"--json": json_path(json_file)})
    found = examine()
    console_for(json_file).print(tables.doctor_table(found))
    write_json(json_file, found)
