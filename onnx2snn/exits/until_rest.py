"""Rest: the Loop of a graded network ends at the first timestep in which no neuron sends.

    Loop { timestep; go on while some y_t differs from y_(t-1) }

What a neuron will do depends on what it has sent and on what arrives, so a timestep without a spike repeats
itself for ever: the answer is that of any later timestep, bit for bit. In its first timesteps a neuron may
be silent because it is coarse still, so these are no rest.

All that is added is named `onnx2snn/until_rest/…`, so that `remove_until_rest` gives the plain artifact back.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import onnx
from onnx import helper, numpy_helper

from onnx2snn.exits.in_file import COUNTED, USED, find_loop, keep, loop_body, replace_body
from onnx2snn.ops import CELLS, DOMAIN

_PREFIX = "onnx2snn/until_rest/"
#: Whether some neuron has sent something in a timestep: a bool.
MOVING = f"{_PREFIX}moving"
_STEPS, _GOES_ON, _OTHERWISE = f"{_PREFIX}steps", f"{_PREFIX}goes_on", f"{_PREFIX}otherwise"


def comes_to_rest(cells: Iterable[onnx.NodeProto]) -> bool:
    """Whether neurons send differences, and so nothing more at some time."""
    return any(CELLS[cell.op_type].sums for cell in cells if cell.domain == DOMAIN)


def first_free(cells: Iterable[onnx.NodeProto]) -> int:
    """The timesteps in which some neuron may be silent because it is coarse."""
    coarse = [item.floats for cell in cells for item in cell.attribute if item.name == "coarse"]
    return max((len(factors) - 1 for factors in coarse), default=0)


def with_dead_zone(model: onnx.ModelProto, smallest: int) -> onnx.ModelProto:
    """A timestep whose graded neurons leave small changes alone.

    Args:
        model: with the step's graph. Not changed.
        smallest: power of two: no spike is smaller than so many of a neuron's smallest ones.
    """
    result = onnx.ModelProto()
    result.CopyFrom(model)
    for cell in result.graph.node:
        if cell.domain == DOMAIN and CELLS[cell.op_type].sums:
            kept = [item for item in cell.attribute if item.name != "coarse"]
            if len(kept) < len(cell.attribute):
                del cell.attribute[:]
                cell.attribute.extend([*kept, helper.make_attribute("coarse", [float(smallest)])])
    return result


def tell_rest(cells: Iterable[onnx.NodeProto]) -> list[onnx.NodeProto]:
    """Nodes behind those of a timestep that give `MOVING`."""
    nodes, sums = [], []
    for cell in cells:
        if cell.domain != DOMAIN or not CELLS[cell.op_type].sums:
            continue
        change, total = (f"{_PREFIX}{part}/{cell.name}" for part in ("change", "total"))
        nodes.append(helper.make_node("Sub", [cell.output[0], cell.input[1]], [change], change))
        # Magnitudes: what one neuron takes back must not hide what another sends.
        nodes.append(helper.make_node("ReduceL1", [change], [f"{total}/own"], total, keepdims=0))
        nodes.append(helper.make_node("Cast", [f"{total}/own"], [total], to=onnx.TensorProto.FLOAT))
        sums.append(total)
    name = _PREFIX.__add__
    return [
        *nodes,
        helper.make_node("Sum", sums, [name("all")]),
        helper.make_node("Sub", [name("all"), name("all")], [name("nothing")]),
        helper.make_node("Equal", [name("all"), name("nothing")], [name("silent")]),
        helper.make_node("Not", [name("silent")], [MOVING]),
    ]


def add_until_rest(model: onnx.ModelProto) -> onnx.ModelProto:
    """Let a graded artifact of the schedule `stream` stop at rest; `timesteps_used` becomes an output.

    Args:
        model: the artifact, with an early exit or without: then it stops at what comes first. Not changed.
    """
    result = onnx.ModelProto()
    result.CopyFrom(model)
    graph = result.graph
    _, loop = find_loop(graph)
    body = loop_body(loop)
    cells = [node for node in body.node if node.domain == DOMAIN]
    iteration, going_on = body.input[0].name, body.output[0].name
    for node in body.node:
        node.output[:] = [_OTHERWISE if name == going_on else name for name in node.output]
    body.node.extend(tell_rest(cells))
    body.node.extend(
        [
            helper.make_node("Less", [iteration, f"{_PREFIX}first"], [f"{_PREFIX}waiting"]),
            helper.make_node("Or", [MOVING, f"{_PREFIX}waiting"], [_GOES_ON]),
            helper.make_node("And", [_OTHERWISE, _GOES_ON], [going_on]),
        ]
    )
    first = np.asarray(first_free(cells), np.int64)
    body.initializer.append(numpy_helper.from_array(first, f"{_PREFIX}first"))
    if not any(node.name == COUNTED for node in graph.node):
        _count_timesteps(graph, loop, body, iteration)
    replace_body(loop, body)
    return result


def _count_timesteps(
    graph: onnx.GraphProto, loop: onnx.NodeProto, body: onnx.GraphProto, iteration: str
) -> None:
    """Carry how many timesteps there have been, and give it out."""
    body.initializer.append(numpy_helper.from_array(np.asarray(1, np.int64), f"{_PREFIX}one"))
    body.node.append(helper.make_node("Add", [iteration, f"{_PREFIX}one"], [f"{_STEPS}/out"]))
    body.input.append(helper.make_tensor_value_info(f"{_STEPS}/in", onnx.TensorProto.INT64, []))
    body.output.append(helper.make_tensor_value_info(f"{_STEPS}/out", onnx.TensorProto.INT64, []))
    loop.input.append(_STEPS)
    loop.output.append(f"{_STEPS}/final")
    graph.initializer.append(numpy_helper.from_array(np.asarray(0, np.int64), _STEPS))
    taken = {name for node in graph.node for name in (*node.input, *node.output)}
    used = f"{_PREFIX}{USED}" if USED in taken else USED
    graph.node.append(helper.make_node("Identity", [f"{_STEPS}/final"], [used], f"{_PREFIX}output"))
    graph.output.append(helper.make_tensor_value_info(used, onnx.TensorProto.INT64, []))


def stops_at_rest(model: onnx.ModelProto) -> bool:
    """Whether `add_until_rest` has been at an artifact."""
    loops = [node for node in model.graph.node if node.op_type == "Loop"]
    return any(item.name == f"{_PREFIX}first" for loop in loops for item in loop_body(loop).initializer)


def remove_until_rest(model: onnx.ModelProto) -> onnx.ModelProto:
    """The artifact as it was before `add_until_rest`; the same one where nothing was added."""
    if not stops_at_rest(model):
        return model
    result = onnx.ModelProto()
    result.CopyFrom(model)
    graph = result.graph
    _, loop = find_loop(graph)
    body = loop_body(loop)
    going_on = body.output[0].name
    ours = [node for node in body.node if _is_ours(node, going_on)]
    keep(body.node, [node for node in body.node if node not in ours])
    for node in body.node:
        node.output[:] = [going_on if name == _OTHERWISE else name for name in node.output]
    for items in (body.input, body.output, body.initializer, graph.initializer):
        keep(items, [item for item in items if not item.name.startswith(_PREFIX)])
    replace_body(loop, body)
    for names in (loop.input, loop.output):
        names[:] = [name for name in names if not name.startswith(_PREFIX)]
    for node in [node for node in graph.node if node.name == f"{_PREFIX}output"]:
        keep(graph.output, [item for item in graph.output if item.name != node.output[0]])
        graph.node.remove(node)
    return result


def _is_ours(node: onnx.NodeProto, going_on: str) -> bool:
    name = node.output[0]
    return name == going_on or (name.startswith(_PREFIX) and name != _OTHERWISE)
