"""What decides the way of control flow: how often a Loop turns, which branch is taken."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

import numpy as np
import onnx
from onnx import helper

from onnx2snn.engine.engines import OnnxruntimeEngine
from onnx2snn.graph.graph import Node, constant
from onnx2snn.graph.subgraphs import CHOICE, CONTROL_FLOW, bodies, read_outside, reads
from onnx2snn.ops import OPSET_VERSION
from onnx2snn.ops.standard import SHAPE_OPS, standard


def decided_by(node: Node) -> list[int]:
    """The inputs that decide the way which a node takes: those of a Scan do by their shape alone."""
    if node.op != "Loop":
        return []
    body: onnx.GraphProto = node.attrs["body"]
    names = [item.name for item in body.input]
    if body.name == CHOICE:
        condition = next(inner.input[0] for inner in body.node if inner.op_type == "If")
        return [names.index(condition)] if condition in names else []
    return [0, 1, *(index for index in range(2, len(names)) if names[index] in _slice(body))]


def depends_on_data(node: Node, changing: Collection[str]) -> bool:
    """Whether tensors that change decide the way of a node, or a shape within it."""
    shaped = (inner for inner in _moved_within(node) if standard(inner.op_type).value_shaped)
    return data_decide(node, changing) or any(True for _ in shaped)


def data_decide(node: Node, changing: Collection[str]) -> bool:
    """Whether tensors that change decide the way of a node, or that of control flow within it."""
    if any(index < len(node.inputs) and node.inputs[index].name in changing for index in decided_by(node)):
        return True
    return any(inner.op_type in CONTROL_FLOW for inner in _moved_within(node))


def _moved_within(node: Node) -> Iterator[onnx.NodeProto]:
    """The nodes in the bodies of a node whose values may change with what comes in."""
    body: onnx.GraphProto = node.attrs["body"]
    if body.name != CHOICE:
        yield from _moved(body, turns=node.op == "Loop")
        return
    for inner in body.node:
        for branch in bodies(inner):
            yield from _moved(branch, turns=False)


def _moved(body: onnx.GraphProto, *, turns: bool) -> Iterator[onnx.NodeProto]:
    """The nodes of a body, and of those within it, whose values may change with what comes in."""
    known = _slice(body) | {item.name for item in body.input[:1]} if turns else set()
    moving = ({item.name for item in body.input} | set(read_outside(body))) - known
    for node in body.node:
        if node.op_type in SHAPE_OPS or moving.isdisjoint(reads(node)):
            continue
        moving.update(node.output)
        yield node


def count_rounds(node: Node, most: int) -> int | None:
    """How often a Loop or Scan turns, where constants alone say it, and it is not more often than `most`."""
    if node.op == "Scan":
        place = len(node.inputs) - scan_inputs(node)
        axis, shape = (node.attrs.get("scan_input_axes") or [0])[0], node.inputs[place].shape
        size = None if shape is None else shape[axis]
        return size if isinstance(size, int) and size <= most else None
    body: onnx.GraphProto = node.attrs["body"]
    given = [_value(node, index) for index in decided_by(node)]
    if any(value is None for value in given):
        return None
    if any(inner.op_type in CONTROL_FLOW and _slice(body).intersection(inner.output) for inner in body.node):
        return None  # nobody knows whether it ends
    trips, on, *values = given
    state: dict[str, Any] = dict(
        zip((body.input[index].name for index in decided_by(node)[2:]), values, strict=True)
    )
    part = _condition(body, state)
    rounds = 0
    while bool(on) and rounds < trips:
        if rounds == most:
            return None
        fed = {body.input[0].name: np.asarray(rounds, np.int64), body.input[1].name: np.asarray(bool(on))}
        made = list(part.run({**fed, **state}).values())
        on, state, rounds = made[0], dict(zip(state, made[1:], strict=True)), rounds + 1
    return rounds


def scan_inputs(node: Node) -> int:
    """How many inputs a Scan goes along."""
    return int(node.attrs["num_scan_inputs"])


def _value(node: Node, index: int) -> Any:
    tensor = node.inputs[index] if index < len(node.inputs) else None
    if tensor is None or tensor.is_empty():  # no number of rounds, or no condition
        return np.asarray((np.iinfo(np.int64).max, True)[index])
    value = constant(tensor)
    return value.reshape(()) if value is not None and index <= 1 else value


def _slice(body: onnx.GraphProto) -> set[str]:
    """The names in a Loop's body that its condition depends on, over any number of rounds."""
    makers = {name: node for node in body.node for name in node.output}
    follows = {item.name: body.output[index - 1].name for index, item in enumerate(body.input) if index > 1}
    needed: set[str] = set()
    pending = [body.output[0].name]
    while pending:
        name = pending.pop()
        if not name or name in needed:
            continue
        needed.add(name)
        pending += [follows[name]] if name in follows else []
        pending += reads(makers[name]) if name in makers else []
    return needed


def _condition(body: onnx.GraphProto, state: dict[str, Any]) -> OnnxruntimeEngine:
    """The part of a Loop's body that computes its condition, and what that is computed from."""
    needed = _slice(body)
    names = [item.name for item in body.input]
    outputs = [body.output[0].name, *(body.output[names.index(name) - 1].name for name in state)]
    # An output that is an input, or twice there, needs a name of its own.
    ends = [helper.make_node("Identity", [name], [f"{name}/{place}"]) for place, name in enumerate(outputs)]
    nodes = [node for node in body.node if needed.intersection(node.output)]
    inputs = [
        helper.make_tensor_value_info(names[0], onnx.TensorProto.INT64, []),
        helper.make_tensor_value_info(names[1], onnx.TensorProto.BOOL, []),
        *(
            helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(value.dtype), None)
            for name, value in state.items()
        ),
    ]
    results = [onnx.ValueInfoProto(name=end.output[0]) for end in ends]
    graph = helper.make_graph([*nodes, *ends], "condition", inputs, results, body.initializer)
    return OnnxruntimeEngine(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET_VERSION)], ir_version=10)
    )
