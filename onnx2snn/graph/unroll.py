"""Control flow whose way is known → the nodes that it runs, without it.

An If on a constant becomes its branch; a Loop or Scan of few rounds, whose number constants alone decide,
becomes its rounds one behind the other, so that what spikes in them are neurons like any other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import onnx
from onnx import helper

from onnx2snn.graph.control import count_rounds, scan_inputs
from onnx2snn.graph.graph import (
    Constant,
    Graph,
    Node,
    Tensor,
    Variable,
    constant,
    import_explicit,
    reroute,
    unique_name,
)
from onnx2snn.graph.subgraphs import CHOICE

#: Most rounds of what is unrolled, and most nodes that a graph may then have; what has more stays a node.
ROUNDS, NODES = 64, 8192


def unroll(graph: Graph) -> bool:
    """Do so with every node of a graph that allows it; whether there was one."""
    changed = False
    for node in list(graph.nodes):
        if node.domain or node.op not in ("Loop", "Scan"):
            continue
        choice = node.attrs["body"].name == CHOICE
        results = _choose(graph, node) if choice else _repeat(graph, node)
        if results is None:
            continue
        changed = True
        for old, new in zip(node.outputs[-len(results) :], results, strict=True):
            if choice and old.outputs:  # the row of its one round, which a Squeeze reads
                reroute(graph, old.outputs[0].outputs[0], new)
            elif not choice and not old.is_empty():
                reroute(graph, old, new)
        node.outputs.clear()
        node.inputs.clear()
    return changed


def _choose(graph: Graph, node: Node) -> list[Tensor] | None:
    """The results of a Loop that stands for an If, where its condition is known."""
    body = node.attrs["body"]
    choice = next(inner for inner in body.node if inner.op_type == "If")
    fed = dict(zip((item.name for item in body.input[2:]), node.inputs[2:], strict=True))
    weights = {item.name: item for item in body.initializer}
    held = weights.get(choice.input[0])
    known = constant(fed[choice.input[0]]) if held is None else onnx.numpy_helper.to_array(held)
    if known is None:
        return None
    wanted = "then_branch" if bool(known.item()) else "else_branch"
    branch = onnx.GraphProto()
    branch.CopyFrom(next(item.g for item in choice.attribute if item.name == wanted))
    branch.initializer.extend(body.initializer)
    return _splice(graph, branch, fed, node.name)


def _repeat(graph: Graph, node: Node) -> list[Tensor] | None:
    """The outputs of a Loop or Scan of few rounds; None for any other."""
    body: onnx.GraphProto = node.attrs["body"]
    loop = node.op == "Loop"
    rounds = count_rounds(node, ROUNDS)
    if rounds is None or len(graph.nodes) + rounds * len(body.node) > NODES:
        return None
    scanned = 0 if loop else scan_inputs(node)
    first = 2 if loop else 0
    states = list(node.inputs[first : len(node.inputs) - scanned])
    names = [item.name for item in body.input]
    given = 1 if loop else 0
    rows: list[list[Tensor]] = [[] for _ in range(len(body.output) - given - len(states))]
    if rows and not rounds:
        return None  # what there is of no round has no tensor to be made of
    for number in range(rounds):
        fed = dict(zip(names[first:], states, strict=False))
        if loop:
            values = (np.asarray(number, np.int64), np.asarray(True))
            fed |= {
                name: Constant(unique_name(graph, f"{node.name}/{number}/{index}"), value)
                for index, (name, value) in enumerate(zip(names, values, strict=False))
            }
        for index in range(scanned):
            place = len(names) - scanned + index
            fed[names[place]] = _slice(graph, node, place, index, number, rounds)
        made = _splice(graph, body, fed, f"{node.name}/{number}")
        states = made[given : given + len(states)]
        for one, tensor in zip(rows, made[given + len(states) :], strict=True):
            one.append(tensor)
    return [*states, *(_stack(graph, node, index, one) for index, one in enumerate(rows))]


def _slice(graph: Graph, node: Node, place: int, index: int, number: int, rounds: int) -> Tensor:
    """What a Scan takes of one input in one round."""
    axis = (node.attrs.get("scan_input_axes") or [0] * (index + 1))[index]
    backwards = (node.attrs.get("scan_input_directions") or [0] * (index + 1))[index]
    row = rounds - 1 - number if backwards else number
    which = Constant(unique_name(graph, f"{node.name}/{number}/row_{index}"), np.asarray(row, np.int64))
    return _apply(graph, "Gather", [node.inputs[place], which], f"{node.name}/{number}/scanned", axis=axis)


def _stack(graph: Graph, node: Node, index: int, rows: Sequence[Tensor]) -> Tensor:
    """What every round gave, as one tensor."""
    axis = (node.attrs.get("scan_output_axes") or [0] * (index + 1))[index]
    backwards = (node.attrs.get("scan_output_directions") or [0] * (index + 1))[index]
    at = Constant(unique_name(graph, f"{node.name}/axis_{index}"), np.asarray([axis], np.int64))
    apart = [_apply(graph, "Unsqueeze", [row, at], f"{node.name}/row_{index}") for row in rows]
    ordered = apart[::-1] if backwards else apart
    return _apply(graph, "Concat", ordered, f"{node.name}/rows_{index}", axis=axis)


def _apply(graph: Graph, op: str, inputs: list[Tensor], name: str, **attributes: object) -> Tensor:
    result = Variable(unique_name(graph, name))
    graph.nodes.append(Node(op, result.name, attributes, inputs, [result]))
    return result


def _splice(graph: Graph, body: onnx.GraphProto, fed: Mapping[str, Tensor], prefix: str) -> list[Tensor]:
    """The nodes of a body in the graph, under names of their own; what the body gives."""
    inputs = [onnx.ValueInfoProto(name=name) for name in fed]
    outputs = [onnx.ValueInfoProto(name=item.name) for item in body.output]
    part = helper.make_graph(body.node, "part", inputs, [], body.initializer)
    model = helper.make_model(part, opset_imports=[helper.make_opsetid("", graph.opset)])
    inner = import_explicit(model, inside=True)
    tensors = inner.tensors()
    stands_for: dict[str, Tensor] = dict(fed)
    for name, tensor in tensors.items():
        if name in fed:
            for reader in list(tensor.outputs):
                reader.inputs = [fed[name] if read is tensor else read for read in reader.inputs]
            continue
        tensor.name = f"{prefix}/{name}"
        stands_for[name] = tensor
    for node in inner.nodes:
        node.name = next(tensor.name for tensor in node.outputs if not tensor.is_empty())
        graph.nodes.append(node)
    return [stands_for[item.name] for item in outputs]
