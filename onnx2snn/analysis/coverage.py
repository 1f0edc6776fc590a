"""Account for every node of the user's graph: spiking, linear, analog, folded or refused, and why."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

import onnx

from onnx2snn.errors import Refusal
from onnx2snn.graph import Graph, Node, Tensor, is_cell, is_output
from onnx2snn.linear import LINEAR_RULES, why_not_linear
from onnx2snn.sections import SHAPE_OPS, Section, Sections, divide

Role = Literal["spiking", "linear", "analog", "folded", "refused"]
ROLES: tuple[Role, ...] = ("spiking", "linear", "analog", "folded", "refused")

_PLACES: dict[Section, str] = {
    "prefix": "before the first neuron: computed once",
    "head": "after the last neuron: applied once, to the mean",
    "body": "acts on every timestep as it is",
}


@dataclass(frozen=True)
class Verdict:
    """What one node is or becomes.

    Attributes:
        node: its name in the user's graph.
        op: its operator there.
        role: see `ROLES`.
        reason: one phrase.
        remedy: for refused nodes, what the user can do; else empty.
    """

    node: str
    op: str
    role: Role
    reason: str
    remedy: str = ""

    def to_dict(self) -> dict[str, str]:
        """The verdict as JSON-able values."""
        return asdict(self)


def judge(
    model: onnx.ModelProto, graph: Graph, reasons: Mapping[str, str], *, strict: bool = False
) -> list[Verdict]:
    """A verdict for every node of the user's model, in its order.

    Args:
        model: the user's model.
        graph: what the preparing passes (or all) made of it.
        reasons: node name → what a pass did to it (of nodes that are no longer there, or are cells now).
        strict: refuse analog nodes.
    """
    sections = divide(graph)
    present = {node.name: node for node in graph.nodes}
    verdicts = []
    for node in model.graph.node:
        name = node.name or next((output for output in node.output if output), node.op_type)
        found = present.get(name)
        if found is None:
            reason = reasons.get(name, "constant or unused: computed while compiling")
            verdicts.append(Verdict(name, node.op_type, "folded", reason))
            continue
        verdict = _judge_node(graph, found, sections, reasons.get(name, ""))
        if strict and verdict.role == "analog":
            remedy = "compile without --strict, or replace the operator in the model"
            verdict = Verdict(name, found.op, "refused", f"analog ({verdict.reason}), and --strict", remedy)
        verdicts.append(Verdict(name, node.op_type, verdict.role, verdict.reason, verdict.remedy))
    return verdicts


def refusals(verdicts: Iterable[Verdict]) -> list[Refusal]:
    """The refused nodes as an error wants them."""
    return [Refusal(v.node, v.op, v.reason, v.remedy) for v in verdicts if v.role == "refused"]


def count_roles(verdicts: Sequence[Verdict]) -> dict[str, int]:
    """Nodes by role, every role named."""
    return {role: sum(verdict.role == role for verdict in verdicts) for role in ROLES}


def _judge_node(graph: Graph, node: Node, sections: Sections, said: str) -> Verdict:
    section = sections.of[node.name]
    if node.domain not in (None, "", "ai.onnx") and not is_cell(node):
        return _refused(
            node, f"operator of the unknown domain '{node.domain}'", "export with ONNX's own operators"
        )
    if node.name in sections.cells:
        if node.op == "MaxPool" and len(node.outputs) > 1 and _is_read(graph, node.outputs[1]):
            return _refused(
                node, "its indices are used, and spikes have none", "use MaxPool without its indices"
            )
        becomes = "lateral inhibition pooling" if "Pool" in node.op else "burst integrate-and-fire neuron"
        return Verdict(node.name, node.op, "spiking", said or becomes)
    reason = why_not_linear(node, sections.temporal)
    if reason is None:
        return Verdict(node.name, node.op, "linear", said or _PLACES[section])
    changes = any(tensor.name in sections.temporal for tensor in node.outputs)
    if node.op in SHAPE_OPS or (section != "prefix" and not changes):
        return Verdict(node.name, node.op, "linear", "shape arithmetic")
    if section != "body":
        return Verdict(node.name, node.op, "analog", _PLACES[section])
    if node.op in ("Clip", "Min", "Max"):
        return _refused(node, "its bounds are not 0 below and a constant above", "use ReLU, or Clip(0, c)")
    remedy = "use ReLU instead" if node.op not in LINEAR_RULES else "make one operand constant"
    return _refused(node, f"{reason}, and stands between neurons", remedy)


def _is_read(graph: Graph, tensor: Tensor) -> bool:
    return bool(tensor.outputs) or is_output(graph, tensor)


def _refused(node: Node, reason: str, remedy: str) -> Verdict:
    return Verdict(node.name, node.op, "refused", reason, remedy)
