"""What a pass is: it requires, does and ensures something, and says what it did to which node."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar, Literal

import onnx

from onnx2snn.artifact.records import ActivationRecord, NeuronRecord
from onnx2snn.calibration.statistics import Statistics, ignore
from onnx2snn.data.readers import Dataset
from onnx2snn.graph.firing import Firing
from onnx2snn.graph.graph import Graph, Node, tidy
from onnx2snn.graph.rectifiers import Rectifier
from onnx2snn.options import CompileOptions
from onnx2snn.thresholds.histogram import Vector

logger = logging.getLogger(__name__)

Outcome = Literal["folded", "kept", "spiking"]


@dataclass(frozen=True)
class Note:
    """What a pass did to one node, or why it left the node alone (`kept`)."""

    node: str
    op: str
    outcome: Outcome
    reason: str


@dataclass
class Context:
    """What the passes share: the user's choices and data in, statistics and notes out.

    Attributes:
        options: the user's choices.
        model: the user's model, flattened: every node has a name of its own.
        dataset: calibration samples.
        statistics: what calibration measured on the ANN; set by `Calibrate`.
        neurons: per neuron node: what the artifact's metadata says of it; set by `ReplaceRelu`.
        rectifiers: per neuron node: the activation that it stands for; set by `ReplaceRelu`.
        activations: per neuron node: a small histogram of its activations, with R and θ; set by
            `DescribeActivations`.
        firing: per neuron node: how it fires instead of what calibration gave it.
        corrections: what was added to each neuron's input, per channel; set by `CorrectBias`.
        steps: per layer: what the integers of its int8 weights stand for, per channel; set by `RoundWeights`.
        layers: per layer behind a neuron: `integer`, or why it computes in floats; set by `UseIntegers`.
        notes: per node, in the order in which the passes spoke of them.
        established: properties of the graph that passes have ensured.
        advance: called by long passes with the share of their work that is done.
    """

    options: CompileOptions
    model: onnx.ModelProto = field(default_factory=onnx.ModelProto)
    dataset: Dataset | None = None
    statistics: Statistics | None = None
    neurons: dict[str, NeuronRecord] = field(default_factory=dict)
    rectifiers: dict[str, Rectifier] = field(default_factory=dict)
    activations: dict[str, ActivationRecord] = field(default_factory=dict)
    firing: Mapping[str, Firing] = field(default_factory=dict)
    corrections: dict[str, Vector] = field(default_factory=dict)
    steps: dict[str, Vector] = field(default_factory=dict)
    layers: dict[str, str] | None = None
    notes: list[Note] = field(default_factory=list)
    established: set[str] = field(default_factory=set)
    advance: Callable[[float], None] = ignore

    def __post_init__(self) -> None:
        #: What was said already, as a list of thousands is slow to look through.
        self._noted = set(self.notes)

    def batch(self, copies: int, most: int | None = None) -> int:
        """Samples that may go through the whole net together where each holds its activations so often."""
        sample = copies * (0 if self.statistics is None else self.statistics.total)
        return self.options.memory_bound.batch(sample, most or self.options.batch_size)

    @property
    def last_notes(self) -> dict[str, Note]:
        """Per node, its last note."""
        return {note.node: note for note in self.notes}

    def fork(self, firing: Mapping[str, Firing]) -> Context:
        """A context for one of several completions of the same graph, in which neurons fire so."""
        return replace(
            self,
            firing=firing,
            neurons=dict(self.neurons),
            notes=list(self.notes),
            activations={},
            corrections={},
            steps={},
            layers=None,
            established=set(self.established),
        )

    def note(self, node: str, op: str, outcome: Outcome, reason: str) -> None:
        """Record a note once: passes run again say nothing new."""
        entry = Note(node, op, outcome, reason)
        logger.debug("%s '%s' %s: %s", op, node, outcome, reason)
        if entry not in self._noted:
            self._noted.add(entry)
            self.notes.append(entry)


class Pass(ABC):
    """One rewriting of the graph; its class is named after what it does, its file after its class.

    Attributes:
        requires: properties (see `onnx2snn.passes.properties`) without which it cannot run.
        ensures: properties that hold once it has run; it is not run where all of them do already.
        invalidates: properties that may no longer hold.
    """

    requires: ClassVar[frozenset[str]] = frozenset()
    ensures: ClassVar[frozenset[str]] = frozenset()
    invalidates: ClassVar[frozenset[str]] = frozenset()

    @property
    def name(self) -> str:
        """As it stands in the pipeline, the report and the log."""
        return type(self).__name__

    @abstractmethod
    def run(self, graph: Graph, context: Context) -> bool:
        """Rewrite the graph in place; return whether anything changed. A second run changes nothing."""


def fold_each(
    graph: Graph, context: Context, op: str, fold: Callable[[Graph, Node], str | None], where: str
) -> bool:
    """Try to fold every node of one operator; note where it went, or why `fold` kept it."""
    changed = False
    for node in [node for node in graph.nodes if node.op == op]:
        reason = fold(graph, node)
        context.note(node.name, op, "folded" if reason is None else "kept", reason or where)
        changed |= reason is None
    if changed:
        tidy(graph)
    return changed
