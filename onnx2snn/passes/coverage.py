"""Account for every node of the user's graph: spiking, linear, analog, folded or refused, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace

import onnx

from onnx2snn.artifact.records import ROLES, Role, Verdict
from onnx2snn.errors import Refusal
from onnx2snn.graph.control import data_decide, depends_on_data
from onnx2snn.graph.graph import (
    Graph,
    Node,
    Tensor,
    has_layers,
    is_cell,
    is_float,
    is_flow,
    is_output,
    operands,
    producer,
)
from onnx2snn.graph.islands import find_islands
from onnx2snn.graph.linear import before_weights, why_not_linear
from onnx2snn.graph.rectifiers import rectifier
from onnx2snn.graph.sections import Section, Sections, divide, is_neuron
from onnx2snn.graph.subgraphs import CONTROL_FLOW
from onnx2snn.graph.tail import find_tail
from onnx2snn.graph.unsupported import TRACE, why_unsupported
from onnx2snn.model.domains import FOREIGN
from onnx2snn.model.newer import NEWER
from onnx2snn.ops import CELLS
from onnx2snn.ops.standard import SHAPE_OPS
from onnx2snn.passes.base import Note

_PLACES: dict[Section, str] = {
    "prefix": "before the first neuron: computed once",
    "head": "after the last neuron: applied once, to the mean",
    "body": "acts on every timestep as it is",
}
#: What is different where neurons give the sum of what they have sent.
_PLACES_OF_SUMS: dict[Section, str] = {**_PLACES, "head": "after the last neuron: applied once, to the sum"}

_UNROLLED = "its way is known: what it runs stands in its place"


def judge(
    model: onnx.ModelProto,
    graph: Graph,
    notes: Mapping[str, Note],
    *,
    strict: bool = False,
) -> list[Verdict]:
    """A verdict for every node of the user's model, in its order.

    A node that ONNX's version converter or a pass has put in gets one too, where it is not linear.

    Args:
        model: the user's model, flattened.
        graph: what the preparing passes (or all) made of it.
        notes: node name → what a pass said of it last.
        strict: refuse analog nodes.
    """
    surroundings = _Surroundings(graph)
    present = {node.name: node for node in graph.nodes}
    verdicts = []
    for node in model.graph.node:
        kept, note = present.pop(node.name, None), notes.get(node.name)
        op = node.op_type if node.domain in ("", NEWER, FOREIGN) else f"{node.domain}.{node.op_type}"
        if kept is not None and not is_cell(kept) and _spikes(kept.name, notes):
            verdicts.append(Verdict(node.name, op, "spiking", notes[node.name].reason))
        elif kept is not None:
            verdict = surroundings.judge(kept, "" if note is None else note.reason)
            verdicts.append(replace(verdict, op=op))
        elif note is not None:
            role: Role = "spiking" if note.outcome == "spiking" else "folded"
            verdicts.append(Verdict(node.name, op, role, note.reason))
        else:
            flows = node.op_type in CONTROL_FLOW
            reason = _UNROLLED if flows else "constant or unused: computed while compiling"
            verdicts.append(Verdict(node.name, op, "folded", reason))
    for extra in present.values():
        if not is_cell(extra) and _spikes(extra.name, notes):
            verdicts.append(Verdict(extra.name, extra.op, "spiking", notes[extra.name].reason))
            continue
        before = producer(extra.inputs[0]) if is_cell(extra) else None
        if is_cell(extra) and CELLS[extra.op].sums and before is not None and _spikes(before.name, notes):
            continue  # the activation before it has its verdict
        if not (is_cell(extra) and CELLS[extra.op].kind == "rate"):
            note = notes.get(extra.name)
            verdict = surroundings.judge(extra, "" if note is None else note.reason)
            verdicts += [verdict] if verdict.role != "linear" else []
    return [_strictly(verdict) for verdict in verdicts] if strict else verdicts


def _spikes(name: str, notes: Mapping[str, Note]) -> bool:
    """Whether a pass has said of a node that it spikes."""
    return name in notes and notes[name].outcome == "spiking"


def _strictly(verdict: Verdict) -> Verdict:
    if verdict.role != "analog":
        return verdict
    remedy = "compile without --strict, or replace the operator in the model"
    return replace(verdict, role="refused", reason=f"analog ({verdict.reason}), and --strict", remedy=remedy)


def refusals(verdicts: Iterable[Verdict]) -> list[Refusal]:
    """The refused nodes as an error wants them."""
    return [Refusal(v.node, v.op, v.reason, v.remedy) for v in verdicts if v.role == "refused"]


def count_roles(verdicts: Iterable[Verdict]) -> dict[str, int]:
    """Nodes by role, every role named."""
    counts = Counter(verdict.role for verdict in verdicts)
    return {role: counts[role] for role in ROLES}


class _Surroundings:
    """The graph that nodes are judged in."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.sections: Sections = divide(graph)
        self.islands = find_islands(graph, self.sections)
        self._fed, self._tail = _depending(graph), find_tail(graph)
        self._weighty = before_weights(graph)
        self._sums = any(is_cell(node) and CELLS[node.op].sums for node in graph.nodes)
        self._places = _PLACES_OF_SUMS if self._sums else _PLACES
        self._read = "sums" if self._sums else "running means"

    def judge(self, node: Node, reason: str) -> Verdict:
        """The verdict on one node of the graph; `said` is what a pass has said of it, if any."""
        section, temporal = self.sections.of[node.name], self.sections.temporal
        unsupported = why_unsupported(node)
        if unsupported is not None:
            why, remedy = unsupported
            return _refused(node, f"{why}: {reason}" if reason else why, remedy)
        if self._goes_by_data(node):
            return _refused(node, "control flow that data decide", TRACE)
        if node.name in self.sections.cells:
            return Verdict(node.name, node.op, "spiking", reason or self._what_it_is(node))
        if node.name in self.islands:
            return self._judge_analog(node)
        changes = any(tensor.name in temporal for tensor in node.outputs)
        integral = all(is_float(tensor) is False for tensor in node.outputs)
        if node.op in SHAPE_OPS or (not changes and (section != "prefix" or integral)):
            return Verdict(node.name, node.op, "linear", "shape arithmetic")
        # Before the first neuron nothing changes over time: there, what counts is what the inputs change.
        if why_not_linear(node, self._fed if section == "prefix" else temporal) is None:
            return Verdict(node.name, node.op, "linear", reason or self._places[section])
        return Verdict(node.name, node.op, "analog", self._tailed(node) or self._places[section])

    def _goes_by_data(self, node: Node) -> bool:
        """Whether data decide its way; that of decoding they may, where no layers are in it or behind it."""
        if not is_flow(node) or not depends_on_data(node, self._fed):
            return False
        sources = [producer(tensor) for tensor in operands(node)]
        decodes = any(source is not None and source.name in self._tail for source in sources)
        layers = has_layers(node) or any(tensor.name in self._weighty for tensor in node.outputs)
        return layers or (data_decide(node, self._fed) and not decodes)

    def _tailed(self, node: Node) -> str:
        """Where an activation stands that is none of a neuron's; empty for any other node."""
        if node.name not in self._tail or rectifier(node) is None:
            return ""
        return f"behind operators whose shape depends on activations; {self._places['head']}"

    def _what_it_is(self, node: Node) -> str:
        """What a cell is where no pass has said so."""
        if not is_neuron(node):
            return "sends where the largest sum changes" if self._sums else "lateral inhibition pooling"
        return "graded neuron, its own target" if self._sums else "burst integrate-and-fire neuron"

    def _judge_analog(self, node: Node) -> Verdict:
        """The verdict on a node of an island."""
        reason = why_not_linear(node, self.sections.temporal)
        if any(self._leaves(tensor) for tensor in node.outputs if is_float(tensor) is False):
            return _refused(
                node,
                "its result is not of a float type, and is read where spikes arrive or given out",
                "use it only after the last ReLU, or for computing floats",
            )
        exact = f"computed exactly, on {self._read}"
        why = exact if reason is None else f"{reason}: exact, on {self._read}"
        return Verdict(node.name, node.op, "analog", why, island=self.islands[node.name])

    def _leaves(self, tensor: Tensor) -> bool:
        return is_output(self.graph, tensor) or any(
            reader.name not in self.islands and reader.op not in SHAPE_OPS for reader in tensor.outputs
        )


def _depending(graph: Graph) -> frozenset[str]:
    """Names of the tensors whose values depend on the graph's inputs."""
    names = {tensor.name for tensor in graph.inputs}
    for node in graph.nodes:
        if node.op not in SHAPE_OPS and any(tensor.name in names for tensor in operands(node)):
            names.update(tensor.name for tensor in node.outputs)
    return frozenset(names)


def _refused(node: Node, reason: str, remedy: str) -> Verdict:
    return Verdict(node.name, node.op, "refused", reason, remedy)
