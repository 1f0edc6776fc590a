"""Account for every node of the user's graph: spiking, linear, analog, folded or refused, and why."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Literal

import onnx

from onnx2snn.errors import Refusal
from onnx2snn.graph import Graph, Node, Tensor, is_output, static_dims
from onnx2snn.linear import LINEAR_RULES, why_not_linear
from onnx2snn.sections import SHAPE_OPS, Section, Sections, divide

Role = Literal["spiking", "linear", "analog", "folded", "refused"]
ROLES: tuple[Role, ...] = ("spiking", "linear", "analog", "folded", "refused")

_ACTIVATIONS = frozenset(
    {
        "Celu",
        "Elu",
        "Gelu",
        "HardSigmoid",
        "HardSwish",
        "LeakyRelu",
        "Mish",
        "PRelu",
        "Selu",
        "Sigmoid",
        "Softplus",
        "Softsign",
        "Tanh",
        "ThresholdedRelu",
    }
)

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

    A node that ONNX's version converter has put in gets one too, where it is not linear.

    Args:
        model: the user's model, flattened.
        graph: what the preparing passes (or all) made of it.
        reasons: node name → what a pass did to it (of nodes that are no longer there, or are cells now).
        strict: refuse analog nodes.
    """
    sections = divide(graph)
    present = {node.name: node for node in graph.nodes}
    verdicts = []
    for node in model.graph.node:
        found = present.pop(node.name, None)
        if found is None:
            reason = reasons.get(node.name, "constant or unused: computed while compiling")
            verdicts.append(Verdict(node.name, node.op_type, "folded", reason))
        else:
            verdict = _judge_node(graph, found, sections, reasons.get(node.name, ""))
            verdicts.append(replace(verdict, op=node.op_type))
    added = [_judge_node(graph, node, sections, "") for node in present.values()]
    verdicts += [verdict for verdict in added if verdict.role != "linear"]
    return [_strictly(verdict) for verdict in verdicts] if strict else verdicts


def _strictly(verdict: Verdict) -> Verdict:
    if verdict.role != "analog":
        return verdict
    remedy = "compile without --strict, or replace the operator in the model"
    return replace(verdict, role="refused", reason=f"analog ({verdict.reason}), and --strict", remedy=remedy)


def refusals(verdicts: Iterable[Verdict]) -> list[Refusal]:
    """The refused nodes as an error wants them."""
    return [Refusal(v.node, v.op, v.reason, v.remedy) for v in verdicts if v.role == "refused"]


def count_roles(verdicts: Sequence[Verdict]) -> dict[str, int]:
    """Nodes by role, every role named."""
    return {role: sum(verdict.role == role for verdict in verdicts) for role in ROLES}


def _judge_node(graph: Graph, node: Node, sections: Sections, said: str) -> Verdict:
    section = sections.of[node.name]
    if node.name in sections.cells:
        if node.op == "MaxPool" and len(node.outputs) > 1 and _is_read(graph, node.outputs[1]):
            return _refused(
                node, "its indices are used, and spikes have none", "use MaxPool without its indices"
            )
        if node.op == "GlobalMaxPool" and static_dims(node.inputs[0], 2) is None:
            return _refused(node, "its input's size is not known", "export the model with a fixed size")
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
    return _refused(node, f"{reason}, and stands between neurons", _remedy(node))


def _remedy(node: Node) -> str:
    if node.op in LINEAR_RULES:
        return "make one operand constant"
    if node.op in _ACTIVATIONS:
        return "train the model with ReLU instead"
    return "replace it by linear operators and ReLU, or move it before the first or after the last ReLU"


def _is_read(graph: Graph, tensor: Tensor) -> bool:
    return bool(tensor.outputs) or is_output(graph, tensor)


def _refused(node: Node, reason: str, remedy: str) -> Verdict:
    return Verdict(node.name, node.op, "refused", reason, remedy)
