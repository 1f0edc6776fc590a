"""What a compilation, or an inspection, says of what it did."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from onnx2snn.artifact.records import (
    ActivationRecord,
    Adaptation,
    CalibrationRecord,
    NeuronRecord,
    SearchRecord,
    Verdict,
)
from onnx2snn.exits.rule import ExitRule
from onnx2snn.graph.macs import Macs
from onnx2snn.options import CompileOptions
from onnx2snn.passes.coverage import count_roles
from onnx2snn.records import Record


@dataclass(frozen=True)
class Inspection(Record):
    """What a conversion would make of an ANN.

    Attributes:
        nodes: a verdict for each of the user's nodes.
        macs: how many multiply-accumulates a sample there are, and the share that spikes would feed.
    """

    nodes: list[Verdict]
    macs: Macs

    @property
    def roles(self) -> dict[str, int]:
        """Nodes by role."""
        return count_roles(self.nodes)

    def to_dict(self) -> dict[str, Any]:
        """As JSON-able values, `roles` behind the nodes that they count."""
        values = super().to_dict()
        return {"nodes": values.pop("nodes"), "roles": self.roles, **values}


@dataclass(frozen=True)
class CompileReport(Inspection):
    """What a compilation made of an ANN.

    Attributes:
        neurons: neuron layer → how it fires.
        activations: neuron layer → a small histogram of its activations with R and θ.
        options: that were chosen.
        calibration: on what.
        layers: with int8 weights: layer → `integer`, or why it computes in floats.
        adaptation: what a search for ways of firing traded.
        search: what chose the options.
        early_exit: when the file stops by itself.
        seconds: by phase.
        peak_megabytes: of the process until the end of a phase, where the system tells.
        warnings: what cannot be right about the data.
    """

    neurons: dict[str, NeuronRecord]
    activations: dict[str, ActivationRecord]
    options: CompileOptions
    calibration: CalibrationRecord
    layers: dict[str, str] | None = None
    adaptation: Adaptation | None = None
    search: SearchRecord | None = None
    early_exit: ExitRule | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    peak_megabytes: dict[str, float] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
