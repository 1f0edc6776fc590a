"""Count spikes and synaptic operations, exactly and from real shapes.

A *synaptic operation* is one spike arriving over one connection: a spike into a Conv, Gemm or MatMul counts
once for every output that it really reaches (fewer at a border), and once where it reaches a neuron without
weights, over a residual Add. Pooling and reshaping route spikes and cost nothing. A burst of s spikes counts
s times; a spike taken back counts like one sent.

Counting is itself an ONNX graph, so it holds for every geometry: spike counts flow through the net's own
operators, with every weight set to one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import helper, numpy_helper

from onnx2snn.ops import CELLS, DOMAIN
from onnx2snn.runtime.artifact import Artifact, Carried

WEIGHTED = ("Conv", "ConvTranspose", "Gemm", "MatMul")
#: Operators that move counts as they move values.
_ROUTING = frozenset(
    {
        "Concat",
        "DepthToSpace",
        "Expand",
        "Flatten",
        "Gather",
        "Identity",
        "Pad",
        "Reshape",
        "Slice",
        "SpaceToDepth",
        "Split",
        "Squeeze",
        "Tile",
        "Transpose",
        "Unsqueeze",
    }
)
#: Averages: the count of an output is the sum of the counts it averages.
_AVERAGES = {"AveragePool": "LpPool", "GlobalAveragePool": "GlobalLpPool", "ReduceMean": "ReduceSum"}
_SUMS = ("Add", "Sub", "Sum")


@dataclass(frozen=True)
class EventCounter:
    """Counting, ready to load into a backend.

    Attributes:
        step: the artifact's step, which also carries the spike counts of every cell.
        carried: the counts that `step` carries beyond the artifact's own states.
        synapses: spike counts of all cells → synaptic operations per sample, one output a layer.
    """

    step: onnx.ModelProto
    carried: tuple[Carried, ...]
    synapses: onnx.ModelProto


def make_counter(artifact: Artifact) -> EventCounter:
    """Derive the counting graphs of an artifact."""
    step = onnx.ModelProto()
    step.CopyFrom(artifact.step)
    producers = {name: node for node in artifact.step.graph.node for name in node.output}
    carried = []
    for cell in artifact.cells:
        count = Carried(f"{cell.name}/events/in", events(cell), np.zeros((), np.float32))
        step.graph.node.extend(_count_events(cell, producers, count))
        step.graph.input.append(_float(count.before))
        step.graph.output.append(_float(count.after))
        carried.append(count)
    return EventCounter(step, tuple(carried), _synapses(artifact))


def events(cell: onnx.NodeProto) -> str:
    """Name of the tensor with a cell's spikes so far."""
    return f"{cell.name}/events"


def count_dense(model: onnx.ModelProto) -> tuple[onnx.ModelProto, list[str]]:
    """The model with the multiply-accumulates of every weighted layer, per sample, as further outputs.

    Every input of a layer counts as active; zero padding does not. Returns the model and the new outputs.
    """
    counted = onnx.ModelProto()
    counted.CopyFrom(model)
    graph, names = counted.graph, []
    zero, one = "onnx2snn/zero", "onnx2snn/one"
    for name, value in ((zero, 0.0), (one, 1.0)):
        graph.initializer.append(numpy_helper.from_array(np.asarray(value, np.float32), name))
    constants = {item.name for item in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type not in WEIGHTED:
            continue
        active = next(name for name in node.input if name not in constants)
        nothing, ones, name = f"{node.name}/nothing", f"{node.name}/all", f"{node.name}/macs"
        graph.node.append(helper.make_node("Mul", [active, zero], [nothing]))
        graph.node.append(helper.make_node("Add", [nothing, one], [ones]))
        graph.node.extend(_fan_out(node, {active: ones}, name))
        graph.output.append(helper.make_tensor_value_info(name, onnx.TensorProto.DOUBLE, None))
        names.append(name)
    return counted, names


def _count_events(
    cell: onnx.NodeProto, producers: dict[str, onnx.NodeProto], count: Carried
) -> list[onnx.NodeProto]:
    """Add |y|/θ to the counts; for a pool that is not fed by a neuron, one for every non-zero output."""
    source = cell if CELLS[cell.op_type].kind == "neuron" else producers.get(cell.input[0])
    size = f"{cell.name}/size"
    nodes = [helper.make_node("Abs", [cell.output[0]], [size])]
    if source is not None and source.domain == DOMAIN and CELLS[source.op_type].kind == "neuron":
        nodes += [
            helper.make_node("Div", [size, source.input[-1]], [f"{size}/ratio"]),
            helper.make_node("Round", [f"{size}/ratio"], [f"{size}/spikes"]),
        ]
    else:
        nodes.append(helper.make_node("Sign", [size], [f"{size}/spikes"]))
    nodes.append(helper.make_node("Add", [count.before, f"{size}/spikes"], [count.after]))
    return nodes


def _synapses(artifact: Artifact) -> onnx.ModelProto:
    inner, head = artifact.step.graph, artifact.head.graph
    constants = {item.name for item in (*inner.initializer, *head.initializer)}
    counts = {cell.output[0]: events(cell) for cell in artifact.cells}
    nodes: list[onnx.NodeProto] = []
    outputs: list[str] = []
    for node in (*inner.node, *_joined(artifact)):
        carrying = [name for name in node.input if name in counts]
        if node.domain == DOMAIN:
            if carrying and CELLS[node.op_type].kind == "neuron":
                outputs.append(f"{node.name}/synapses")
                nodes += _total(counts[node.input[0]], outputs[-1])
        elif carrying and node.op_type in WEIGHTED:
            outputs.append(f"{node.name}/synapses")
            nodes += _fan_out(node, counts, outputs[-1])
        elif carrying:
            nodes += _route(node, counts, constants)
    used = {name for node in nodes for name in node.input}
    graph = helper.make_graph(
        nodes,
        "synapses",
        [_float(events(cell)) for cell in artifact.cells if events(cell) in used],
        [helper.make_tensor_value_info(name, onnx.TensorProto.DOUBLE, None) for name in outputs],
        [item for item in _unique((*inner.initializer, *head.initializer)) if item.name in used],
    )
    return helper.make_model(
        graph, opset_imports=artifact.step.opset_import, ir_version=artifact.step.ir_version
    )


def _joined(artifact: Artifact) -> list[onnx.NodeProto]:
    """The head's nodes, reading what the body calls by another name; the division by T routes counts."""
    sums = {
        value.before.removesuffix("/in") + "/final": node.input[1]
        for value in artifact.carried
        for node in artifact.step.graph.node
        if node.op_type == "Add" and node.output[0] == value.after and node.input[0] == value.before
    }
    joined = []
    for node in artifact.head.graph.node:
        copy = onnx.NodeProto()
        copy.CopyFrom(node)
        copy.input[:] = [sums.get(name, name) for name in node.input]
        joined.append(copy)
    return joined


def _route(node: onnx.NodeProto, counts: dict[str, str], constants: set[str]) -> list[onnx.NodeProto]:
    """Let counts through an operator without weights; anything unknown ends them."""
    name = f"{node.output[0]}/events"
    carrying = [counts[item] for item in node.input if item in counts]
    if node.op_type in _SUMS:
        counts[node.output[0]] = name
        return [helper.make_node("Sum", carrying, [name])]
    if node.op_type in ("Mul", "Div", "Neg", "BatchNormalization", "Cast"):
        counts[node.output[0]] = carrying[0]
        return []
    copy = onnx.NodeProto()
    copy.CopyFrom(node)
    if node.op_type in _AVERAGES:
        copy.op_type = _AVERAGES[node.op_type]
        del copy.attribute[:]
        copy.attribute.extend(a for a in node.attribute if a.name != "count_include_pad")
        if copy.op_type.endswith("LpPool"):
            copy.attribute.append(helper.make_attribute("p", 1))
    elif node.op_type not in _ROUTING:
        return []
    for index, item in enumerate(node.input):
        if item in counts:
            copy.input[index] = counts[item]
        elif node.op_type == "Concat" and item not in constants:
            return []
    copy.output[:] = [f"{item}/events" for item in node.output]
    for item in node.output:
        counts[item] = f"{item}/events"
    return [copy]


def _fan_out(node: onnx.NodeProto, counts: dict[str, str], result: str) -> list[onnx.NodeProto]:
    """Counts through a weighted layer with all weights one and no bias, summed per sample."""
    nodes: list[onnx.NodeProto] = []
    inputs = []
    for index, name in enumerate(node.input[:2]):
        if name in counts:
            inputs.append(counts[name])
            continue
        shape, ones = f"{result}/shape_{index}", f"{result}/ones_{index}"
        value = numpy_helper.from_array(np.ones(1, np.float32))
        nodes.append(helper.make_node("Shape", [name], [shape]))
        nodes.append(helper.make_node("ConstantOfShape", [shape], [ones], value=value))
        inputs.append(ones)
    copy = helper.make_node(node.op_type, inputs, [f"{result}/map"])
    copy.attribute.extend(a for a in node.attribute if a.name not in ("alpha", "beta"))
    return [*nodes, copy, *_total(f"{result}/map", result)]


def _total(name: str, result: str) -> list[onnx.NodeProto]:
    """Sum per sample in double precision: float32 counts exactly only up to 2^24."""
    flat, wide, axes = f"{result}/flat", f"{result}/wide", f"{result}/axes"
    return [
        helper.make_node("Flatten", [name], [flat], axis=1),
        helper.make_node("Cast", [flat], [wide], to=onnx.TensorProto.DOUBLE),
        helper.make_node("Constant", [], [axes], value_ints=[1]),
        helper.make_node("ReduceSum", [wide, axes], [result], keepdims=0),
    ]


def _unique(tensors: Sequence[onnx.TensorProto]) -> list[onnx.TensorProto]:
    return list({item.name: item for item in tensors}.values())


def _float(name: str) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None)
