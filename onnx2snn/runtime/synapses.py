"""Count spikes and synaptic operations, exactly and from real shapes.

A *synaptic operation* is one spike arriving over one connection: a spike into a Conv, Gemm or MatMul counts
once for every output that it really reaches (fewer at a border), and once where it reaches a neuron without
weights, over a residual Add. Pooling and reshaping route spikes and cost nothing. A burst of s spikes counts
s times; a spike taken back counts like one sent.

Counting is itself an ONNX graph, so it holds for every geometry: spike counts flow through the net's own
operators, with every weight set to one. Where they cannot be followed exactly, through a ReduceMax, say,
nothing is guessed: the layers behind are listed as not counted.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import onnx
from onnx import helper, numpy_helper

from onnx2snn.emit.stream import DIVISOR, TIMESTEPS
from onnx2snn.ops import CELLS, DOMAIN, LI_POOL
from onnx2snn.runtime.artifact import Artifact, Carried, final_name
from onnx2snn.sections import SHAPE_OPS

WEIGHTED = ("Conv", "ConvTranspose", "Gemm", "MatMul", "QLinearConv", "MatMulInteger")
#: Layers of integers: the same in floats, and which inputs that has.
_IN_FLOATS = {"QLinearConv": ("Conv", (0, 3)), "MatMulInteger": ("MatMul", (0, 1))}
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
        "ReduceSum",
        "Reshape",
        "Resize",
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
_AVERAGES = {"AveragePool": "LpPool", "ReduceMean": "ReduceSum"}
_SUMS = ("Add", "Mean", "Sub", "Sum")


@dataclass(frozen=True)
class EventCounter:
    """Counting, ready to load into a backend.

    Attributes:
        step: the artifact's step, which also carries the spike counts of every cell.
        carried: the counts that `step` carries beyond the artifact's own states.
        synapses: spike counts of all cells, and what the step and the head read of the inputs and the prefix
            → synaptic operations per sample, one output a layer.
        uncounted: weighted layers and neurons that are not among these outputs although values that change
            over time reach them: over an operator that cannot be followed, or, for weighted layers, from
            another weighted layer with no neuron between.
    """

    step: onnx.ModelProto
    carried: tuple[Carried, ...]
    synapses: onnx.ModelProto
    uncounted: tuple[str, ...]


def make_counter(artifact: Artifact) -> EventCounter:
    """Derive the counting graphs of an artifact."""
    step = onnx.ModelProto()
    step.CopyFrom(artifact.step)
    producers = {name: node for node in artifact.step.graph.node for name in node.output}
    carried = []
    for cell in artifact.spiking:
        count = Carried(f"{events(cell)}/in", events(cell), np.zeros((), np.float32))
        step.graph.node.extend(_count_events(cell, producers, count))
        step.graph.input.append(_float(count.before))
        step.graph.output.append(_float(count.after))
        carried.append(count)
    return EventCounter(step, tuple(carried), *_synapses(artifact))


def events(cell: onnx.NodeProto) -> str:
    """Name of the tensor with a cell's spikes so far."""
    return f"onnx2snn/{cell.name}/events"  # a tensor may have the neuron's name


def count_dense(model: onnx.ModelProto) -> tuple[onnx.ModelProto, list[str]]:
    """The model with the multiply-accumulates of every weighted layer, per sample, as further outputs.

    Every input of a layer counts as active; zero padding does not. What depends on no input of the model is
    not computed for a sample and does not count. Returns the model and the new outputs.
    """
    counted = onnx.ModelProto()
    counted.CopyFrom(model)
    graph, names = counted.graph, []
    computed = {item.name for item in model.graph.input}  # from the inputs, not from constants alone
    for node in model.graph.node:
        if computed.isdisjoint(node.input):
            continue
        computed.update(node.output)
        if node.op_type not in WEIGHTED:
            continue
        name = f"{node.name}/macs"
        graph.node.extend(_fan_out(node, {}, name))
        graph.output.append(helper.make_tensor_value_info(name, onnx.TensorProto.DOUBLE, None))
        names.append(name)
    return counted, names


def _count_events(
    cell: onnx.NodeProto, producers: dict[str, onnx.NodeProto], count: Carried
) -> list[onnx.NodeProto]:
    """Add the step's spikes to the counts.

    They are |y|/θ, or the change of what a neuron has sent in all where not every spike carries θ; for a pool
    that is not fed by such a neuron or mixes channels, one for every non-zero output.
    """
    if cell.domain and CELLS[cell.op_type].graded and CELLS[cell.op_type].states:
        size, place = f"onnx2snn/{cell.name}/size", 1 + CELLS[cell.op_type].states.index("sent")
        return [
            helper.make_node("Sub", [cell.output[place], cell.input[place]], [f"{size}/signed"]),
            helper.make_node("Abs", [f"{size}/signed"], [size]),
            helper.make_node("Cast", [size], [f"{size}/float"], to=onnx.TensorProto.FLOAT),
            helper.make_node("Add", [count.before, f"{size}/float"], [count.after]),
        ]
    source: onnx.NodeProto | None = cell
    if not cell.domain or CELLS[cell.op_type].kind != "neuron":
        source = producers.get(cell.input[0])
        while source is not None and source.op_type == "Cast":
            source = producers.get(source.input[0])
        source = source if cell.op_type in (LI_POOL.op, "MaxPool") else None
    size = f"onnx2snn/{cell.name}/size"
    if source is not None and source.domain == DOMAIN and not CELLS[source.op_type].states:
        return _count_code(cell, source, count)
    nodes = [helper.make_node("Abs", [cell.output[0]], [size])]
    if source is not None and source.domain == DOMAIN and CELLS[source.op_type].sends_units:
        nodes += [
            helper.make_node("Div", [size, source.input[-1]], [f"{size}/ratio"]),
            helper.make_node("Round", [f"{size}/ratio"], [f"{size}/spikes"]),
        ]
    else:
        nodes.append(helper.make_node("Sign", [size], [f"{size}/spikes"]))
    nodes.append(helper.make_node("Cast", [f"{size}/spikes"], [f"{size}/float"], to=onnx.TensorProto.FLOAT))
    nodes.append(helper.make_node("Add", [count.before, f"{size}/float"], [count.after]))
    return nodes


def _count_code(cell: onnx.NodeProto, neuron: onnx.NodeProto, count: Carried) -> list[onnx.NodeProto]:
    """The spikes of a neuron of the schedule `layer`, or of a pool behind it: all |k|, or |k|'s one-bits."""
    attributes = {item.name: helper.get_attribute_value(item) for item in neuron.attribute}
    levels, name = attributes["levels"], f"onnx2snn/{cell.name}/levels"
    if len(neuron.input) == 1:  # of integers: what it and its pools send is k
        nodes = [helper.make_node("Cast", [cell.output[0]], [f"{name}/0"], to=onnx.TensorProto.FLOAT)]
    else:
        nodes = _count_levels(cell, neuron, levels, attributes["potential"], name)
    total = f"{name}/0"
    # k has k - Σ_{i≥1} floor(k/2^i) one-bits.
    for bit in range(1, levels.bit_length()) if attributes["code"] == b"radix" else ():
        nodes += [
            helper.make_node("Constant", [], [f"{name}/{bit}/weight"], value_float=0.5**bit),
            helper.make_node("Mul", [f"{name}/0", f"{name}/{bit}/weight"], [f"{name}/{bit}/share"]),
            helper.make_node("Floor", [f"{name}/{bit}/share"], [f"{name}/{bit}/floor"]),
            helper.make_node("Sub", [total, f"{name}/{bit}/floor"], [f"{name}/{bit}"]),
        ]
        total = f"{name}/{bit}"
    return [*nodes, helper.make_node("Add", [count.before, total], [count.after])]


def _count_levels(
    cell: onnx.NodeProto, neuron: onnx.NodeProto, levels: int, potential: float, name: str
) -> list[onnx.NodeProto]:
    """|k| of a neuron of floats, or of a pool behind it, as `{name}/0`."""
    # A pool's output is k·θ as well; a neuron's own is not below zero, where it is leaky.
    source, start = (cell.input[0], potential) if cell is neuron else (cell.output[0], 0.5)
    least = -levels if len(neuron.input) > 2 else 0
    threshold = neuron.input[-1]
    return [
        # In the type of the neuron, whatever its pool's is: at a tie every bit counts.
        helper.make_node("CastLike", [source, threshold], [f"{name}/value"]),
        helper.make_node("Div", [f"{name}/value", threshold], [f"{name}/ratio"]),
        helper.make_node("Constant", [], [f"{name}/start"], value_float=start),
        helper.make_node("CastLike", [f"{name}/start", threshold], [f"{name}/shift"]),
        helper.make_node("Add", [f"{name}/ratio", f"{name}/shift"], [f"{name}/shifted"]),
        helper.make_node("Floor", [f"{name}/shifted"], [f"{name}/floor"]),
        helper.make_node("Cast", [f"{name}/floor"], [f"{name}/whole"], to=onnx.TensorProto.FLOAT),
        helper.make_node("Constant", [], [f"{name}/least"], value_float=float(least)),
        helper.make_node("Constant", [], [f"{name}/most"], value_float=float(levels)),
        helper.make_node("Clip", [f"{name}/whole", f"{name}/least", f"{name}/most"], [f"{name}/signed"]),
        helper.make_node("Abs", [f"{name}/signed"], [f"{name}/0"]),
    ]


def _synapses(artifact: Artifact) -> tuple[onnx.ModelProto, tuple[str, ...]]:
    """The graph from spike counts to synaptic operations, and the layers that it cannot count."""
    inner, head = artifact.step.graph, artifact.head.graph
    weights = {item.name: item for graph in (inner, head) for item in graph.initializer}
    changing = {TIMESTEPS, *(value.before for value in artifact.carried)}
    changing |= {final_name(value) for value in artifact.carried}
    fed = {item.name: item for graph in (inner, head) for item in graph.input if item.name not in changing}
    tracer = _Tracer(
        # What counting may read beside counts: weights, the prefix, and shape arithmetic on either.
        still={*weights, *fed},
        counts={cell.output[0]: events(cell) for cell in artifact.spiking},
    )
    for node in (*inner.node, *_joined(artifact)):
        tracer.follow(node)
    nodes, outputs = tracer.nodes, tracer.outputs
    if not nodes:  # onnxruntime loads no empty graph
        nodes.append(helper.make_node("Identity", [events(artifact.spiking[0])], ["onnx2snn/nothing"]))
    for node in nodes:
        node.name = ""  # body and head may hold the same shape arithmetic under the same name
    used = {name for node in nodes for name in node.input}
    graph = helper.make_graph(
        nodes,
        "synapses",
        [
            *(_float(events(cell)) for cell in artifact.spiking if events(cell) in used),
            *(item for name, item in fed.items() if name in used),
        ],
        [helper.make_tensor_value_info(name, onnx.TensorProto.DOUBLE, None) for name in outputs],
        [item for name, item in weights.items() if name in used],
    )
    model = helper.make_model(
        graph, opset_imports=artifact.step.opset_import, ir_version=artifact.step.ir_version
    )
    return model, tuple(tracer.uncounted)


@dataclass
class _Tracer:
    """Follows spike counts from cell to layer, node by node.

    Attributes:
        still: tensors at hand that do not change over time.
        counts: tensor → the tensor with its spike counts.
        currents: tensors with what weighted layers made of spikes, which are no spikes.
        lost: tensors with spikes whose counts are not known.
        nodes: the counting graph.
        outputs: its outputs.
        uncounted: see `EventCounter`.
    """

    still: set[str]
    counts: dict[str, str]
    currents: set[str] = field(default_factory=set)
    lost: set[str] = field(default_factory=set)
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    uncounted: list[str] = field(default_factory=list)

    def follow(self, node: onnx.NodeProto) -> None:
        """Take in the next node in topological order."""
        if not node.domain and node.output[0] in self.counts:  # a pool of the schedule `layer`
            return
        moving = [n for n in node.input if n in self.counts or n in self.currents or n in self.lost]
        if node.domain == DOMAIN:
            self._enter_cell(node)
        elif not moving or node.op_type in SHAPE_OPS:
            if all(name in self.still or name in self.counts for name in node.input if name):
                self.nodes.append(_reading_counts(node, self.counts))
                self.still.update(node.output)
        elif node.op_type in WEIGHTED:
            self._enter_weights(node, moving)
        else:
            self._pass_on(node, moving)

    def _enter_cell(self, cell: onnx.NodeProto) -> None:
        source, kind = cell.input[0], CELLS[cell.op_type].kind
        if kind == "rate":
            self.currents.update(cell.output)  # values that change over time, but no spikes
        if kind != "neuron":
            return
        if source in self.lost:
            self.uncounted.append(cell.name)
        elif source in self.counts:
            self.outputs.append(f"{cell.name}/synapses")
            self.nodes += _total(self.counts[source], self.outputs[-1])

    def _enter_weights(self, node: onnx.NodeProto, moving: list[str]) -> None:
        self.currents.update(node.output)
        (source, *others) = moving
        operands = [node.input[index] for index in _in_floats(node)[1]]
        if others or source in self.currents | self.lost or source not in operands:
            self.uncounted.append(node.name)
            return
        self.outputs.append(f"{node.name}/synapses")
        self.nodes += _fan_out(node, self.counts, self.outputs[-1])

    def _pass_on(self, node: onnx.NodeProto, moving: list[str]) -> None:
        if not self.currents.isdisjoint(moving):
            self.currents.update(node.output)
        routed = None
        if self.lost.isdisjoint(moving):
            if self.counts.keys().isdisjoint(moving):
                return
            routed = _route(node, self.counts, self.still)
        if routed is None:
            self.lost.update(node.output)
        else:
            self.nodes += routed


def _joined(artifact: Artifact) -> list[onnx.NodeProto]:
    """The head's nodes, reading what the body calls by another name; the division by T routes counts."""
    sums = {
        final_name(value): node.input[1]
        for value in artifact.carried
        for node in artifact.step.graph.node
        if node.op_type == "Add" and node.output[0] == value.after and node.input[0] == value.before
    }
    whole = {final_name(value): value.after for value in artifact.carried}  # of the schedule `layer`
    return [_reading_counts(node, whole | sums) for node in artifact.head.graph.node]


def _route(node: onnx.NodeProto, counts: dict[str, str], still: set[str]) -> list[onnx.NodeProto] | None:
    """Let counts through an operator without weights; None for one that they cannot be followed through."""
    name = f"{node.output[0]}/events"
    carrying = [counts[item] for item in node.input if item in counts]
    if node.op_type in _SUMS:
        counts[node.output[0]] = name
        return [helper.make_node("Sum", carrying, [name])]
    if node.op_type in ("Neg", "BatchNormalization", "Cast", "QuantizeLinear"):
        counts[node.output[0]] = carrying[0]
        return []
    if node.op_type in ("Mul", "Div"):
        return _scale(node, counts, still)
    if any(item and item not in counts and item not in still for item in node.input):
        return None
    if node.op_type == "GlobalAveragePool":
        counts[node.output[0]] = name
        return _spatial_sum(carrying[0], name)
    copy = _reading_counts(node, counts)
    zeros: list[onnx.NodeProto] = []
    if node.op_type in _AVERAGES:
        copy.op_type = _AVERAGES[node.op_type]
        del copy.attribute[:]
        copy.attribute.extend(a for a in node.attribute if a.name != "count_include_pad")
        if copy.op_type == "LpPool":
            copy.attribute.append(helper.make_attribute("p", 1))
    elif node.op_type not in _ROUTING or not _moves_whole_spikes(node):
        return None
    elif node.op_type == "Concat":
        for index, item in enumerate(node.input):
            if item not in counts:  # analog values or constants: no spikes
                copy.input[index] = f"{name}/zeros_{index}"
                zeros += _filled_like(item, copy.input[index], 0.0)
    elif node.op_type == "Pad" and len(node.input) > 2:
        copy.input[2] = ""  # counts are padded with no spikes, whatever values are padded with
    copy.output[:] = [f"{item}/events" for item in node.output]
    for item in node.output:
        counts[item] = f"{item}/events"
    return [*zeros, copy]


def _scale(node: onnx.NodeProto, counts: dict[str, str], still: set[str]) -> list[onnx.NodeProto] | None:
    """A factor changes no counts, but it may broadcast them; the division by T does not even that."""
    source, factor = node.input if node.input[0] in counts else reversed(node.input)
    if node.op_type == "Div" and node.input[0] not in counts:
        return None
    if factor.startswith(DIVISOR):
        counts[node.output[0]] = counts[source]
        return []
    if factor not in still:
        return None
    name, ones = f"{node.output[0]}/events", f"{node.output[0]}/events/ones"
    counts[node.output[0]] = name
    return [*_filled_like(factor, ones, 1.0), helper.make_node("Mul", [counts[source], ones], [name])]


def _moves_whole_spikes(node: onnx.NodeProto) -> bool:
    modes = [helper.get_attribute_value(a) for a in node.attribute if a.name == "mode"]
    return node.op_type != "Resize" or modes in ([], [b"nearest"])


def _spatial_sum(name: str, result: str) -> list[onnx.NodeProto]:
    """The sum over all axes behind the channels; for counts, GlobalLpPool (ONNX's reference lacks it)."""
    shape, dims, axes = f"{result}/shape", f"{result}/rank", f"{result}/axes"
    first, step = f"{result}/two", f"{result}/one"
    return [
        helper.make_node("Shape", [name], [shape]),
        helper.make_node("Size", [shape], [dims]),
        helper.make_node("Constant", [], [first], value_int=2),
        helper.make_node("Constant", [], [step], value_int=1),
        helper.make_node("Range", [first, dims, step], [axes]),
        helper.make_node("ReduceSum", [name, axes], [result], keepdims=1),
    ]


def _reading_counts(node: onnx.NodeProto, counts: dict[str, str]) -> onnx.NodeProto:
    """A copy of the node that reads counts where it read values."""
    copy = onnx.NodeProto()
    copy.CopyFrom(node)
    copy.input[:] = [counts.get(name, name) for name in node.input]
    return copy


def _fan_out(node: onnx.NodeProto, counts: dict[str, str], result: str) -> list[onnx.NodeProto]:
    """Counts through a weighted layer with all weights one and no bias, summed per sample."""
    nodes: list[onnx.NodeProto] = []
    inputs = []
    op, operands = _in_floats(node)
    for index, name in enumerate(node.input[place] for place in operands):
        if name in counts:
            inputs.append(counts[name])
            continue
        inputs.append(f"{result}/ones_{index}")
        nodes += _filled_like(name, inputs[-1], 1.0)
    copy = helper.make_node(op, inputs, [f"{result}/map"])
    copy.attribute.extend(a for a in node.attribute if a.name not in ("alpha", "beta"))
    return [*nodes, copy, *_total(f"{result}/map", result)]


def _in_floats(node: onnx.NodeProto) -> tuple[str, tuple[int, int]]:
    """The operator of floats that a weighted layer is, and which inputs are its data and its weights."""
    return _IN_FLOATS.get(node.op_type, (node.op_type, (0, 1)))


def _filled_like(name: str, result: str, value: float) -> list[onnx.NodeProto]:
    """A float32 tensor of the same shape, filled with one value."""
    filling = numpy_helper.from_array(np.full(1, value, np.float32))
    return [
        helper.make_node("Shape", [name], [f"{result}/shape"]),
        helper.make_node("ConstantOfShape", [f"{result}/shape"], [result], value=filling),
    ]


def _total(name: str, result: str) -> list[onnx.NodeProto]:
    """Sum per sample in double precision: float32 counts exactly only up to 2^24."""
    flat, wide, axes = f"{result}/flat", f"{result}/wide", f"{result}/axes"
    return [
        helper.make_node("Flatten", [name], [flat], axis=1),
        helper.make_node("Cast", [flat], [wide], to=onnx.TensorProto.DOUBLE),
        helper.make_node("Constant", [], [axes], value_ints=[1]),
        helper.make_node("ReduceSum", [wide, axes], [result], keepdims=0),
    ]


def _float(name: str) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None)
