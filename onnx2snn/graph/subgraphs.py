"""Control flow without anything read from outside: what a body reads comes in as an input, or lies in it.

    If(c), reading a and b           →  Loop(1, true, c, a, b) { If(c) }, whose one round gives the result
    Loop(n, c, s), reading a         →  Loop(n, c, s, a), which hands a on from round to round
    Scan(s, x), reading a            →  Scan(s, a, x), the same

So the nodes of a graph show all that they depend on, and nobody else has to look into bodies.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

_Constants = Mapping[str, onnx.TensorProto]
_Types = Mapping[str, onnx.TypeProto]
#: Name of the body of a Loop that stands for an If.
CHOICE = "onnx2snn/choice"
CONTROL_FLOW = ("If", "Loop", "Scan")
_ONE, _TRUE = "onnx2snn/one_round", "onnx2snn/always_on"


def make_explicit(model: onnx.ModelProto, *, inside: bool = False) -> None:
    """Rewrite the control flow of a model's main graph so, in place; that within bodies stays.

    Args:
        model: with a name for each node; or what was `inside` a body, where they may be missing or the same.
        inside: whether it is that.
    """
    graph = model.graph
    flows = [node for node in graph.node if is_control_flow(node)]
    if not flows:
        return
    for node in flows if inside else ():
        node.name = next(name for name in node.output if name)
    constants: dict[str, onnx.TensorProto] = {item.name: item for item in graph.initializer}
    constants |= _constants(graph.node)
    for name in [item.name for item in graph.input]:
        constants.pop(name, None)
    taken = {*constants, *(item.name for item in graph.input)}
    taken |= {name for node in graph.node for name in node.output}
    for node in flows:
        for body in bodies(node):
            _set_apart(body, taken)
    types = {item.name: item.type for item in (*graph.input, *graph.value_info, *graph.output)}
    nodes: list[onnx.NodeProto] = []
    for node in graph.node:
        nodes += _explicit(node, constants, types) if is_control_flow(node) else [node]
    copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del graph.node[:]
    graph.node.extend(copies)
    if any(node.op_type == "Loop" for node in copies):
        graph.initializer.append(numpy_helper.from_array(np.asarray(1, np.int64), _ONE))
        graph.initializer.append(numpy_helper.from_array(np.asarray(True), _TRUE))


def is_control_flow(node: onnx.NodeProto) -> bool:
    """Whether a node has bodies."""
    return node.domain in ("", "ai.onnx") and node.op_type in CONTROL_FLOW


def bodies(node: onnx.NodeProto) -> Iterator[onnx.GraphProto]:
    """The graphs within a node."""
    return (item.g for item in node.attribute if item.type == onnx.AttributeProto.GRAPH)


def read_outside(graph: onnx.GraphProto) -> list[str]:
    """What a body, and bodies within it, read that they do not make; in order, each once."""
    own = {item.name for item in graph.input} | {item.name for item in graph.initializer}
    own |= {name for node in graph.node for name in node.output}
    read = [name for node in graph.node for name in reads(node)]
    read += [item.name for item in graph.output]
    return [name for name in dict.fromkeys(read) if name and name not in own]


def reads(node: onnx.NodeProto) -> Iterator[str]:
    """What a node reads, its bodies as well."""
    yield from node.input
    for body in bodies(node):
        yield from read_outside(body)


def inner_nodes(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    """The nodes of a body and of those within it."""
    for node in graph.node:
        yield node
        for body in bodies(node):
            yield from inner_nodes(body)


def _explicit(node: onnx.NodeProto, constants: _Constants, types: _Types) -> list[onnx.NodeProto]:
    """A node of control flow, and what makes its outputs of those that it now has."""
    if node.op_type == "If":
        return _chosen(node, constants, types)
    body = next(bodies(node))
    captured = read_outside(body)
    names = {name: f"{name}/{node.name}/within" for name in captured}
    _rename(body, names)
    body.initializer.extend(_named(constants[name], names[name]) for name in captured if name in constants)
    moved = [name for name in captured if name not in constants]
    loop = node.op_type == "Loop"
    if loop:
        node.input[:] = [*node.input, *[""] * (2 - len(node.input))]
        node.input[1] = node.input[1] or _TRUE
    scanned = 0 if loop else next(item.i for item in node.attribute if item.name == "num_scan_inputs")
    states = len(body.input) - (2 if loop else scanned)
    first, given = (2, 1) if loop else (0, 0)
    _insert(node.input, first + states, moved)
    node.output.extend([""] * (len(body.output) - given - len(node.output)))
    _insert(node.output, states, [f"{names[name]}/last" for name in moved])
    known = [types.get(name) for name in moved]
    after = [f"{names[name]}/next" for name in moved]
    infos = [
        onnx.ValueInfoProto(name=names[name], type=kind) for name, kind in zip(moved, known, strict=True)
    ]
    _insert(body.input, first + states, infos)
    infos = [onnx.ValueInfoProto(name=name, type=kind) for name, kind in zip(after, known, strict=True)]
    _insert(body.output, given + states, infos)
    body.node.extend(
        helper.make_node("Identity", [names[name]], [result], result)
        for name, result in zip(moved, after, strict=True)
    )
    return [node]


def _chosen(node: onnx.NodeProto, constants: _Constants, types: _Types) -> list[onnx.NodeProto]:
    """An If as a Loop of one round, whose scan outputs are its results."""
    inner = onnx.NodeProto()
    inner.CopyFrom(node)
    results = [f"{node.name}/{index}/chosen" for index in range(len(node.output))]
    inner.name, inner.output[:] = f"{node.name}/choice", results
    on, kept = f"{node.name}/on", f"{node.name}/on/next"
    nodes = [inner, helper.make_node("Identity", [on], [kept], kept)]
    inputs = [
        helper.make_tensor_value_info(f"{node.name}/round", onnx.TensorProto.INT64, []),
        helper.make_tensor_value_info(on, onnx.TensorProto.BOOL, []),
    ]
    outputs = [helper.make_tensor_value_info(kept, onnx.TensorProto.BOOL, [])]
    outputs += [onnx.ValueInfoProto(name=name) for name in results]
    body = helper.make_graph(nodes, CHOICE, inputs, outputs)
    rounds = [f"{name}/in_one_round" for name in node.output]
    loop = helper.make_node("Loop", [_ONE, _TRUE], rounds, node.name, body=body)
    axis = f"{node.name}/axis"
    zero = numpy_helper.from_array(np.asarray([0], np.int64))
    squeezed = [
        helper.make_node("Squeeze", [given, axis], [name], f"{name}/result")
        for given, name in zip(rounds, node.output, strict=True)
        if name
    ]
    constant = helper.make_node("Constant", [], [axis], axis, value=zero)
    return [*_explicit(loop, constants, types), constant, *squeezed]


def _set_apart(body: onnx.GraphProto, taken: set[str]) -> None:
    """Give new names to what a body, or one within it, names as something around it is.

    ONNX's version converter numbers what it puts in, in every body from the beginning.
    """
    tensors: list[Any] = [*body.input, *body.initializer]
    own = {item.name for item in tensors} | {name for node in body.node for name in node.output}
    names = {name: f"{name}/inside" for name in sorted(own & taken) if name}
    for item in tensors:
        item.name = names.get(item.name, item.name)
    _rename(body, names)
    for node in body.node:
        node.output[:] = [names.get(name, name) for name in node.output]
        for inner in bodies(node):
            _set_apart(inner, taken | own | set(names.values()))


def _rename(graph: onnx.GraphProto, names: Mapping[str, str]) -> None:
    """Let a body, and those within it, read what comes from outside by other names."""
    for node in graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        for body in bodies(node):
            own = {name for name in names if name not in read_outside(body)}
            _rename(body, {name: new for name, new in names.items() if name not in own})
    for item in graph.output:
        item.name = names.get(item.name, item.name)


def _constants(nodes: Iterable[onnx.NodeProto]) -> dict[str, onnx.TensorProto]:
    return {
        node.output[0]: item.t
        for node in nodes
        if node.op_type == "Constant"
        for item in node.attribute
        if item.name == "value"
    }


def _named(tensor: onnx.TensorProto, name: str) -> onnx.TensorProto:
    copy = onnx.TensorProto()
    copy.CopyFrom(tensor)
    copy.name = name
    return copy


def _insert(items: Any, place: int, new: Sequence[Any]) -> None:
    """Insert into a repeated field, which has no way of its own for it."""
    kept = list(items)
    del items[:]
    items.extend([*kept[:place], *new, *kept[place:]])
