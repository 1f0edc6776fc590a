"""Foreign operators → ONNX's own: which there are rules for, and the way through a model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module

import onnx
from onnx import NodeProto

from onnx2snn.lowering.classic import unzip
from onnx2snn.lowering.quantized import MOVES, moves_quantized, write_clip, write_move
from onnx2snn.lowering.writer import Writer
from onnx2snn.model.attributes import check_attributes
from onnx2snn.model.broadcast import BROADCASTING
from onnx2snn.model.domains import MISPLACED, first_opset, own_opset
from onnx2snn.model.file import flatten_model, raise_opset

Rule = Callable[[Writer], None]


def _load(*files: str) -> dict[tuple[str, str], Rule]:
    """The rules of each file, by domain and operator."""
    rules: dict[tuple[str, str], Rule] = {}
    for file in files:
        rules |= import_module(f"onnx2snn.lowering.{file}").RULES
    return rules


#: To add a family of operators: write its file, and add the file's name.
RULES = _load(
    "quantized",
    "layout",
    "qoperators",
    "integers",
    "packed",
    "fused",
    "activations",
    "normalization",
    "attention",
    "trained",
    "classic",
)


@dataclass(frozen=True)
class Written:
    """What became of one node of the user's.

    Attributes:
        node: its name.
        op: its operator.
        reason: what it was written as; or why it could not be.
    """

    node: str
    op: str
    reason: str


@dataclass(frozen=True)
class WrittenOut:
    """A model without the operators that there are rules for, and what was done to which node."""

    model: onnx.ModelProto
    nodes: list[Written]


def write_out(model: onnx.ModelProto) -> WrittenOut:
    """Write foreign operators, and those on integers, in ONNX's own on floats.

    Args:
        model: flattened: every node has a name of its own; not changed.

    Returns:
        The model at the project's opset; as it was given, where there is nothing to do.

    Raises:
        ModelError: it cannot be brought to the project's opset.
    """
    model, done = _unzipped(model)
    if not any(_key(node) in RULES for node in model.graph.node):
        return WrittenOut(model, done)
    raised = raise_opset(model)
    writer = Writer(raised)
    done += [
        Written(writer.node.name, writer.node.op_type, _reason(writer, made))
        for made in writer.rewrite(lambda node: _rule_of(writer, node))
        if writer.remark or [node.op_type for node in made] != [writer.node.op_type]
    ]
    check_attributes(raised, "model")  # those of foreign operators mean something only now
    used = {node.domain for node in raised.graph.node} | {""}
    kept = [item for item in raised.opset_import if item.domain in used]
    del raised.opset_import[:]
    raised.opset_import.extend(kept)
    return WrittenOut(raised, done)


def runnable(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model as it is; at our opset where onnxruntime lacks operators in its own, or gets no tensors."""
    opset, odd = own_opset(model), (*MISPLACED, "ZipMap")
    lacking = any(node.op_type in odd or first_opset(node) > opset for node in model.graph.node)
    if not opset or (opset >= BROADCASTING and not lacking):
        return model
    return raise_opset(write_out(flatten_model(model)).model)


def _unzipped(model: onnx.ModelProto) -> tuple[onnx.ModelProto, list[Written]]:
    """The model with scores in the place of dictionaries of scores, before anything asks for its types."""
    if not any(node.op_type == "ZipMap" for node in model.graph.node):
        return model, []
    plain = onnx.ModelProto()
    plain.CopyFrom(model)
    return plain, [
        Written(node, "ZipMap", "gives its scores as they are, a column a class, without their labels")
        for node in unzip(plain)
    ]


def _key(node: NodeProto) -> tuple[str, str]:
    return "" if node.domain == "ai.onnx" else node.domain, node.op_type


def _rule_of(writer: Writer, node: NodeProto) -> Rule | None:
    if moves_quantized(writer, node):
        return write_move if node.op_type in MOVES else write_clip
    return RULES.get(_key(node))


def _reason(writer: Writer, made: list[NodeProto]) -> str:
    if writer.remark:
        return writer.remark
    moving = (node.op_type for node in made if not all(map(writer.is_fixed, node.output)))
    ops = ", ".join(dict.fromkeys(moving))
    return f"written as {ops}" if ops else "constant: computed while compiling"
