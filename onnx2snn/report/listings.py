"""Tables of nodes and neurons, and what it takes to have all this again."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

import onnx2snn
from onnx2snn.data.preprocessing import Preprocessing
from onnx2snn.passes.coverage import count_roles
from onnx2snn.report.content import Section, Table
from onnx2snn.report.subject import Subject
from onnx2snn.report.words import file_name, shown

#: Rows of a table that is shown at once.
_LONG = 24
#: What decides the figures, beside onnx2snn itself.
_PACKAGES = ("onnx", "onnxruntime", "numpy", "matplotlib", "jinja2")


def neurons_section(subject: Subject) -> Section | None:
    """Every neuron layer with its way of firing."""
    neurons = subject.metadata.neurons
    if not neurons:
        return None
    graded = any(record.exponents is not None for record in neurons.values())
    limits, letter = (("n",), "R") if graded else (("Γ", "levels"), "θ")
    spread = (f"{which} {letter}" for which in ("least", "median", "greatest"))
    columns = ("neuron layer", "type", *limits, "channels", *spread)
    rows = [
        (
            shown(name),
            record.op,
            *(
                f"{value:g}"
                for value in ((record.exponents or 0,) if graded else (record.max_spikes, record.levels))
            ),
            f"{record.channels:g}",
            *(f"{value:.3g}" for value in vars(record.threshold).values()),
        )
        for name, record in neurons.items()
    ]
    table = Table("Neuron layers, as they fire", columns, rows, 2, folded=len(rows) > _LONG)
    return Section("neurons", "Neurons", tables=[table])


def nodes_section(subject: Subject) -> Section | None:
    """What became of every node of the ANN."""
    nodes = subject.metadata.nodes
    if not nodes:
        return None
    listing = ", ".join(f"{number} {role}" for role, number in count_roles(nodes).items() if number)
    rows = [(shown(n.node), shown(n.op), n.role, shown(n.reason)) for n in nodes]
    columns = ("node", "operator", "became", "why")
    table = Table(f"All {len(rows)} nodes of the ANN", columns, rows, 4, folded=len(rows) > _LONG)
    return Section("nodes", "Nodes", [f"Of {len(nodes)} nodes of the ANN: {listing}."], tables=[table])


def repeat_section(subject: Subject) -> Section:
    """The command line, the options of the artifact, versions and hashes."""
    record = subject.metadata
    facts = {"onnx2snn": onnx2snn.__version__}
    if record.version not in (None, onnx2snn.__version__):
        facts["compiled by onnx2snn"] = str(record.version)
    facts |= {"python": platform.python_version()} | {name: version(name) for name in _PACKAGES}
    source = record.source_sha256 or getattr(subject.figures, "source_sha256", None)
    if source:
        facts["SHA-256 of the ANN"] = source
    if record.calibration is not None:
        calibration = record.calibration
        facts["calibrated on"] = f"{calibration.samples:,} samples of {file_name(calibration.source)}"
    if record.preprocessing:
        facts["preprocessing"] = _preprocessing(record.preprocessing)
    tables = [Table("Versions and sources", ("what", "which"), [*facts.items()], 2)]
    if record.options:
        options = [("--" + name.replace("_", "-"), _value(value)) for name, value in record.options.items()]
        tables.append(Table("Options of the conversion", ("option", "value"), options, 2))
    lead = ["Files are named without their folders. The same files, options and versions give the same page."]
    return Section("repeat", "To repeat it", lead, tables=tables, code=subject.line)


def _preprocessing(record: Mapping[str, Any]) -> str:
    default = Preprocessing().to_dict()
    chosen = {name: value for name, value in record.items() if value != default.get(name)}
    return ", ".join(f"{name} {_value(value)}" for name, value in chosen.items()) or "none"


def _value(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(map(_value, value))
    return shown(f"{value:.6g}" if isinstance(value, float) else value)
