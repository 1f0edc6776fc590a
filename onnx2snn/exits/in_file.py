"""Early exit in the file itself: the Loop ends once every sample of the batch has been decided.

    Loop { timestep; scores = head(sums / t); decided |= rule(scores); go on while not all decided }

All that is added is named `onnx2snn/early_exit/…`, so that `remove_early_exit` gives the plain artifact back.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from onnx2snn.errors import OptionError
from onnx2snn.exits.rule import ExitRule
from onnx2snn.ops.names import DIVISOR, LOOP

#: The output that says how many timesteps a run took, where the graph leaves the name free.
USED = "timesteps_used"

_PREFIX = "onnx2snn/early_exit/"
#: How the names of what is repeated inside the loop begin.
_USERS = f"{_PREFIX}of/"
_USED, _DECIDED = f"{_PREFIX}used", f"{_PREFIX}decided"
#: Name of the node that gives `USED` out.
COUNTED = f"{_PREFIX}output"


def add_early_exit(model: onnx.ModelProto, rule: ExitRule) -> onnx.ModelProto:
    """Let an artifact of the schedule `stream` stop by itself; `timesteps_used` becomes an output.

    Args:
        model: the artifact. Not changed.
        rule: when a sample is decided, by the output that it names, or the first, which has class scores.
    """
    result = onnx.ModelProto()
    result.CopyFrom(model)
    graph = result.graph
    position, loop = find_loop(graph)
    body = loop_body(loop)
    iteration, going_on = body.input[0].name, body.output[0].name
    nodes = [node for node in body.node if node.output[0] != going_on]
    # What the head reads behind the loop, it can read in any timestep: T is then the timesteps so far.
    known = dict(zip(loop.output, (item.name for item in body.output[1:]), strict=True))
    known[loop.input[0]] = f"{_USED}/out"
    scores = rule.output or graph.output[0].name
    nodes.append(_node("Add", [iteration, f"{_PREFIX}one"], f"{_USED}/out"))
    nodes += _again(graph.node[position + 1 :], known, scores)
    if scores not in known:
        raise OptionError(
            f"early exit: expected class scores that follow the spikes, found '{scores}', which no "
            "neuron reaches; name another with --answer, or leave --early-exit out"
        )
    nodes += _decide(rule, known[scores], iteration, going_on)
    del body.node[:]
    body.node.extend(nodes)
    body.initializer.extend(_constants(rule))
    for name, element, dims in (
        (_USED, onnx.TensorProto.INT64, []),
        (_DECIDED, onnx.TensorProto.BOOL, [None]),
    ):
        body.input.append(helper.make_tensor_value_info(f"{name}/in", element, dims))
        body.output.append(helper.make_tensor_value_info(f"{name}/out", element, dims))
        loop.input.append(name)
        loop.output.append(f"{name}/final")
    replace_body(loop, body)
    graph.initializer.append(numpy_helper.from_array(np.asarray(0, np.int64), _USED))
    graph.initializer.append(numpy_helper.from_array(np.zeros(1, bool), _DECIDED))
    _divide_by(graph, position, f"{_USED}/final")
    taken = {name for node in graph.node for name in (*node.input, *node.output)}
    used = f"{_PREFIX}{USED}" if USED in taken else USED
    graph.node.append(helper.make_node("Identity", [f"{_USED}/final"], [used], COUNTED))
    graph.output.append(helper.make_tensor_value_info(used, onnx.TensorProto.INT64, []))
    return result


def remove_early_exit(model: onnx.ModelProto) -> onnx.ModelProto:
    """The artifact as it was before `add_early_exit`; the same one where nothing was added."""
    if not any(node.name == COUNTED for node in model.graph.node):
        return model
    result = onnx.ModelProto()
    result.CopyFrom(model)
    graph = result.graph
    position, loop = find_loop(graph)
    body = loop_body(loop)
    for items in (body.input, body.output, body.initializer, graph.initializer):
        keep(items, [item for item in items if not item.name.startswith(_PREFIX)])
    going_on = body.output[0].name
    keep(body.node, [n for n in body.node if not n.output[0].startswith(_PREFIX) and n.output[0] != going_on])
    condition = body.input[1].name
    body.node.append(helper.make_node("Identity", [condition], [going_on], condition))
    replace_body(loop, body)
    for names in (loop.input, loop.output):
        names[:] = [name for name in names if not name.startswith(_PREFIX)]
    _divide_by(graph, position, loop.input[0])
    (last,) = (node for node in graph.node if node.name == COUNTED)
    keep(graph.output, [item for item in graph.output if item.name != last.output[0]])
    graph.node.remove(last)
    return result


def _again(head: Sequence[onnx.NodeProto], known: dict[str, str], wanted: str) -> list[onnx.NodeProto]:
    """What makes `wanted` behind the loop, inside it; `known` learns what tensors are called there."""
    needed, chosen = {wanted}, []
    for node in reversed(head):
        if needed.intersection(node.output):
            needed.update(node.input)
            chosen.append(node)
    copies = []
    for node in reversed(chosen):
        copy = onnx.NodeProto()
        copy.CopyFrom(node)
        copy.input[:] = [known.get(name, name) for name in node.input]
        known |= {name: f"{_USERS}{name}" for name in node.output if name}
        copy.output[:] = [known.get(name, name) for name in node.output]
        copy.name = f"{_USERS}{node.name}"
        copies.append(copy)
    return copies


def _decide(rule: ExitRule, scores: str, iteration: str, going_on: str) -> list[onnx.NodeProto]:
    """From scores [N, classes] to the samples decided so far, and whether the loop goes on."""
    name = _PREFIX.__add__
    nodes = [_node("Cast", [scores], name("wide"), to=onnx.TensorProto.FLOAT)]
    nodes.append(_node("Identity" if rule.probabilities else "Softmax", [name("wide")], name("p")))
    if rule.criterion == "confidence":
        nodes.append(_node("ReduceMax", [name("p"), name("classes")], name("value"), keepdims=0))
    else:
        nodes += [
            _node("Max", [name("p"), name("tiny")], name("positive")),
            _node("Log", [name("positive")], name("logs")),
            _node("Mul", [name("p"), name("logs")], name("terms")),
            _node("ReduceSum", [name("terms"), name("classes")], name("sum"), keepdims=0),
            _node("Shape", [name("p")], name("size"), start=1),
            _node("Cast", [name("size")], name("many"), to=onnx.TensorProto.FLOAT),
            _node("Log", [name("many")], name("most")),
            _node("Div", [name("sum"), name("most")], name("share")),
            _node("Neg", [name("share")], name("value")),
        ]
    sure = "GreaterOrEqual" if rule.criterion == "confidence" else "LessOrEqual"
    return [
        *nodes,
        _node("Min", [iteration, name("last")], name("index")),
        _node("Gather", [name("thresholds"), name("index")], name("threshold")),
        _node(sure, [name("value"), name("threshold")], name("now")),
        _node("Or", [f"{_DECIDED}/in", name("now")], f"{_DECIDED}/out"),
        _node("Not", [f"{_DECIDED}/out"], name("open")),
        _node("Cast", [name("open")], name("counted"), to=onnx.TensorProto.INT32),
        _node("ReduceMax", [name("counted")], name("left"), keepdims=0),
        _node("Cast", [name("left")], going_on, to=onnx.TensorProto.BOOL),
    ]


def _constants(rule: ExitRule) -> list[onnx.TensorProto]:
    values: dict[str, Any] = {
        "one": np.asarray(1, np.int64),
        "classes": np.asarray([1], np.int64),
        "thresholds": np.asarray(rule.thresholds, np.float32),
        "last": np.asarray(len(rule.thresholds) - 1, np.int64),
    }
    if rule.criterion == "entropy":
        values["tiny"] = np.asarray(np.finfo(np.float32).tiny)
    return [numpy_helper.from_array(value, f"{_PREFIX}{name}") for name, value in values.items()]


def _node(op: str, inputs: list[str], output: str, **attributes: Any) -> onnx.NodeProto:
    return helper.make_node(op, inputs, [output], output, **attributes)


def find_loop(graph: onnx.GraphProto) -> tuple[int, onnx.NodeProto]:
    """The Loop over timesteps of an artifact, and its place."""
    return next((place, node) for place, node in enumerate(graph.node) if node.name == LOOP)


def loop_body(loop: onnx.NodeProto) -> onnx.GraphProto:
    """A copy of its body."""
    copy = onnx.GraphProto()
    copy.CopyFrom(helper.get_node_attr_value(loop, "body"))
    return copy


def replace_body(loop: onnx.NodeProto, body: onnx.GraphProto) -> None:
    """Give a loop another body."""
    (attribute,) = (item for item in loop.attribute if item.name == "body")
    attribute.g.CopyFrom(body)


def _divide_by(graph: onnx.GraphProto, position: int, timesteps: str) -> None:
    """By what the sums over time are divided behind the loop."""
    for node in graph.node[position + 1 :]:
        if node.output[0].startswith(DIVISOR):
            node.input[0] = timesteps


def keep(items: Any, kept: list[Any]) -> None:
    """Leave only these in a repeated field."""
    copies = [type(item).FromString(item.SerializeToString()) for item in kept]
    del items[:]
    items.extend(copies)
