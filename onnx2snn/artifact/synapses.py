"""Count synaptic operations, exactly and from real shapes.

A *synaptic operation* is one spike arriving over one connection: a spike into a Conv, Gemm or MatMul counts
once for every output that it really reaches (fewer at a border), and once where it reaches a neuron without
weights, over a residual Add. Pooling and reshaping route spikes and cost nothing. A product of two sums of
spikes (attention, a gate) changes by Δa·b + a·Δb: an event of either counts once for each product it is in.
A burst of s spikes counts s times; a spike taken back counts like one sent. A *synaptic event* is the same of
a burst of any size.

Counting is itself an ONNX graph, so it holds for every geometry: counts flow through the net's own operators,
with every weight set to one. Where they cannot be followed exactly, through a ReduceMax, say, nothing is
guessed: the layers behind are listed as not counted.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import onnx
from onnx import helper

from onnx2snn.artifact.artifact import Artifact, Carried, final_name
from onnx2snn.artifact.fan_out import LAYERS, Weights, fan_out, filled_like, in_floats, total
from onnx2snn.artifact.layouts import Layout, find_layouts
from onnx2snn.artifact.spike_counts import count_cells, spike_count
from onnx2snn.artifact.sums import hands_on
from onnx2snn.ops import CELLS, DOMAIN
from onnx2snn.ops.names import DIVISOR, TIMESTEPS
from onnx2snn.ops.standard import SHAPE_OPS, standard

#: Averages: the count of an output is the sum of the counts it averages.
_AVERAGES = {"AveragePool": "LpPool", "ReduceMean": "ReduceSum"}


@dataclass(frozen=True)
class EventCounter:
    """Counting, ready to load into a backend.

    Attributes:
        step: the artifact's step, which also carries spikes and events of every cell.
        carried: the counts that `step` carries beyond the artifact's own states.
        synapses: counts of all cells, and what the step and the head read of the inputs and the prefix
            → synaptic operations by rows, one output a layer, in the order of `layers`.
        layers: output of `synapses` → the layer or neuron that it counts.
        layouts: outputs of `synapses`, and what cells give → where the samples are there.
        still: like `synapses`, but counts the connections over which values of the prefix arrive beside
            spikes, whatever the spikes are; None where there are none.
        uncounted: weighted layers and neurons that are not among these although values that change over time
            reach them: over an operator that cannot be followed, or, for weighted layers, from another
            weighted layer with no neuron between.
    """

    step: onnx.ModelProto
    carried: tuple[Carried, ...]
    synapses: onnx.ModelProto
    layers: dict[str, str]
    layouts: dict[str, Layout]
    still: onnx.ModelProto | None
    uncounted: tuple[str, ...]


def make_counter(artifact: Artifact) -> EventCounter:
    """Derive the counting graphs of an artifact."""
    step, carried = count_cells(artifact)
    layouts = find_layouts(artifact)
    moving, mixed = (_trace(artifact, layouts, analog=analog) for analog in (False, True))
    cells = {cell.output[0]: layouts.get(cell.output[0]) for cell in artifact.spiking}
    return EventCounter(
        step,
        carried,
        _graph(artifact, moving),
        moving.outputs,
        cells | moving.rows,
        _graph(artifact, mixed) if mixed.joined else None,
        tuple(moving.uncounted),
    )


def _trace(artifact: Artifact, layouts: Mapping[str, Layout], *, analog: bool) -> Tracer:
    """Follow spikes from cell to layer, or the values of the prefix that join them."""
    weights, fed = _weights(artifact), _fed(artifact)
    changing = _depending_on_inputs(artifact.prefix, fed)
    tracer = Tracer(
        # What counting may read beside counts: weights, the prefix, and shape arithmetic on either.
        still={*weights, *fed},
        counts={cell.output[0]: spike_count(cell) for cell in artifact.spiking},
        weights=weights,
        constant={*weights, *fed} - changing,
        layouts=layouts,
        analog=analog,
        sums=artifact.sums,
    )
    for node in (*artifact.step.graph.node, *_joined(artifact)):
        tracer.follow(node)
    return tracer


def _graph(artifact: Artifact, tracer: Tracer) -> onnx.ModelProto:
    """The graph from counts to synaptic operations."""
    nodes = list(tracer.nodes)
    if not nodes:  # onnxruntime loads no empty graph
        nodes.append(helper.make_node("Identity", [spike_count(artifact.spiking[0])], ["onnx2snn/nothing"]))
    for node in nodes:
        node.name = ""  # body and head may hold the same shape arithmetic under the same name
    used = {name for node in nodes for name in node.input}
    counts = map(spike_count, artifact.spiking)
    graph = helper.make_graph(
        nodes,
        "synapses",
        [
            *(helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, None) for n in counts if n in used),
            *(item for name, item in _fed(artifact).items() if name in used),
        ],
        [helper.make_tensor_value_info(name, onnx.TensorProto.DOUBLE, None) for name in tracer.outputs],
        [item for name, item in _weights(artifact).items() if name in used],
    )
    return helper.make_model(
        graph, opset_imports=artifact.step.opset_import, ir_version=artifact.step.ir_version
    )


def _weights(artifact: Artifact) -> dict[str, onnx.TensorProto]:
    return {i.name: i for part in (artifact.step, artifact.head) for i in part.graph.initializer}


def _fed(artifact: Artifact) -> dict[str, onnx.ValueInfoProto]:
    """What the step and the head read of the inputs and the prefix."""
    changing = {TIMESTEPS, *(value.before for value in artifact.carried)}
    changing |= {final_name(value) for value in artifact.carried}
    parts = (artifact.step, artifact.head)
    return {item.name: item for part in parts for item in part.graph.input if item.name not in changing}


def _depending_on_inputs(prefix: onnx.ModelProto | None, fed: Iterable[str]) -> set[str]:
    """The tensors of the prefix that the values of the inputs change, not their shapes alone."""
    if prefix is None:
        return set(fed)
    names = {item.name for item in prefix.graph.input}
    for node in prefix.graph.node:
        if node.op_type not in SHAPE_OPS and not names.isdisjoint(node.input):
            names.update(node.output)
    return names


@dataclass
class Tracer:
    """Follows spike counts from cell to layer, node by node.

    Attributes:
        still: tensors at hand that do not change over time.
        counts: tensor → the tensor with its spike counts.
        weights: initializers.
        constant: those of `still` that are the same for all samples of a shape.
        layouts: tensor → where the samples are there.
        analog: whether to follow the prefix's values among the spikes, in their place.
        sums: whether neurons give sums: what is computed from sums is no spikes, until neurons stand behind.
        joined: whether there were any.
        currents: tensors with what weighted layers made of spikes, which are no spikes.
        lost: tensors with spikes whose counts are not known.
        nodes: the counting graph.
        outputs: its outputs, and the layers or neurons that they count.
        rows: its outputs, and where the samples are in what these count.
        uncounted: see `EventCounter`.
        origins: tensor → the one that it is a function of, elementwise.
    """

    still: set[str]
    counts: dict[str, str]
    weights: Weights
    constant: set[str]
    layouts: Mapping[str, Layout]
    analog: bool
    sums: bool = False
    joined: bool = False
    currents: set[str] = field(default_factory=set)
    lost: set[str] = field(default_factory=set)
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    outputs: dict[str, str] = field(default_factory=dict)
    rows: dict[str, Layout] = field(default_factory=dict)
    uncounted: list[str] = field(default_factory=list)
    origins: dict[str, str] = field(default_factory=dict)

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
                if node.op_type in SHAPE_OPS or self.constant.issuperset(filter(None, node.input)):
                    self.constant.update(node.output)
        elif node.op_type in LAYERS:
            self._enter_weights(node, moving)
        else:
            self._pass_on(node, moving)

    def _enter_cell(self, cell: onnx.NodeProto) -> None:
        source, kind = cell.input[0], CELLS[cell.op_type].kind
        if kind == "neuron":
            if source in self.lost:
                self.uncounted.append(cell.name)
            elif source in self.counts:
                name = self._output(cell)
                self.nodes += total(self.counts[source], name, self.rows[name])
        elif kind == "rate" or source in self.currents | self.lost:
            # Values that change over time, but no spikes: a pool of those gives the like.
            (self.lost if source in self.lost else self.currents).update(cell.output)
            self.counts.pop(cell.output[0], None)

    def _enter_weights(self, node: onnx.NodeProto, moving: list[str]) -> None:
        self.currents.update(node.output)
        (source, *others) = moving
        if self.sums and others and self.counts.keys() >= set(moving):
            self._multiply(node)
            return
        if others or source in self.currents | self.lost or source not in in_floats(node)[1]:
            self.uncounted.append(node.name)
            return
        counts = self.counts
        if self.analog:  # a mean over several values arrives as one
            counts = {source: f"{self.counts[source]}/any"}
            self.nodes.append(helper.make_node("Sign", [self.counts[source]], [counts[source]]))
        name = self._output(node)
        self.nodes += fan_out(node, counts, self.weights, name, self.rows[name])

    def _multiply(self, node: onnx.NodeProto) -> None:
        """A product of two sums of spikes is updated by Δa·b + a·Δb: an event meets all that is opposite."""
        self.currents.update(node.output)
        if self.analog:
            return
        name = self._output(node)
        counts = [self.counts[factor] for factor in in_floats(node)[1]]
        parts = [f"{name}/of_{index}" for index in range(2)]
        for index, part in enumerate(parts):
            factors = list(counts)
            factors[1 - index] = f"{part}/opposite"
            self.nodes += filled_like(counts[1 - index], factors[1 - index], 1.0)
            product = _reading_counts(node, {})
            product.input[:] = factors
            if node.op_type in LAYERS:
                known = {factor: factor for factor in factors}
                self.nodes += fan_out(product, known, self.weights, part, self.rows[name])
            else:
                product.output[:] = [f"{part}/map"]
                self.nodes += [product, *total(f"{part}/map", part, self.rows[name])]
        self.nodes.append(helper.make_node("Add", parts, [name]))

    def _one_function(self, node: onnx.NodeProto, moving: list[str]) -> bool:
        """Note where a function of one tensor goes on; whether the node joins two parts of such a function.

        A neuron computes it on its own potential: no product of two, and one arrival.
        """
        origins = {self.origins.get(name, name) for name in moving}
        others = [self.weights.get(name) for name in node.input if name and name not in moving]
        scalars = all(item is not None and math.prod(item.dims) == 1 for item in others)
        if not (self.sums and standard(node.op_type).univariate and len(origins) == 1 and scalars):
            return False
        (origin,) = origins
        self.origins[node.output[0]] = origin
        if len(moving) == 1 or origin not in self.counts:
            return False
        self.counts[node.output[0]] = self.counts[origin]
        return True

    def _output(self, node: onnx.NodeProto) -> str:
        name = f"{node.name}/synapses"
        self.outputs[name] = node.name
        self.rows[name] = self.layouts.get(node.output[0])
        return name

    def _pass_on(self, node: onnx.NodeProto, moving: list[str]) -> None:
        if self._one_function(node, moving):
            return
        if self.sums and node.op_type == "Mul" and self.counts.keys() >= set(node.input):
            self._multiply(node)
            return
        if not self.currents.isdisjoint(moving):
            self.currents.update(node.output)
        routed = None
        if self.lost.isdisjoint(moving):
            if self.counts.keys().isdisjoint(moving):
                return
            routed = self._route(node)
        if routed is None:
            (self.currents if self.sums else self.lost).update(node.output)
        else:
            self.nodes += routed

    def _route(self, node: onnx.NodeProto) -> list[onnx.NodeProto] | None:
        """Let counts through an operator without weights; None where they cannot be followed."""
        name = f"{node.output[0]}/counts"
        carrying = [self.counts[item] for item in node.input if item in self.counts]
        how = standard(node.op_type).counts
        if self.sums and len(carrying) == 1 and standard(node.op_type).univariate and not how:
            how = "alike"  # a function of a sum changes where the sum does
        if how == "sum":
            filled, others = self._join(node, name)
            self.counts[node.output[0]] = name
            return [*filled, helper.make_node("Sum", [*carrying, *others.values()], [name])]
        if how == "alike":
            self.counts[node.output[0]] = carrying[0]
            return []
        if how == "scaled":
            return _scale(node, self.counts, self.still)
        if any(item and item not in self.counts and item not in self.still for item in node.input):
            return None
        if node.op_type == "GlobalAveragePool":
            self.counts[node.output[0]] = name
            return _spatial_sum(carrying[0], name)
        copy = _reading_counts(node, self.counts)
        filled = []
        if node.op_type in _AVERAGES:
            copy.op_type = _AVERAGES[node.op_type]
            del copy.attribute[:]
            copy.attribute.extend(a for a in node.attribute if a.name != "count_include_pad")
            if copy.op_type == "LpPool":
                copy.attribute.append(helper.make_attribute("p", 1))
        elif how != "routed" or not hands_on(node, self.counts):
            return None
        elif node.op_type == "Concat":
            filled, others = self._join(node, name)
            copy.input[:] = [others.get(item, self.counts.get(item, "")) for item in node.input]
        elif node.op_type == "Pad" and len(node.input) > 2:
            copy.input[2] = ""  # counts are padded with no spikes, whatever values are padded with
        copy.output[:] = [f"{item}/counts" for item in node.output]
        for item in node.output:
            self.counts[item] = f"{item}/counts"
        return [*filled, copy]

    def _join(self, node: onnx.NodeProto, name: str) -> tuple[list[onnx.NodeProto], dict[str, str]]:
        """Counts in the place of what joins the spikes and never changes: 0, or in `analog` 1 a value."""
        nodes: list[onnx.NodeProto] = []
        others: dict[str, str] = {}
        for index, item in enumerate(node.input):
            if item in self.counts or item not in self.still:
                continue
            fed = item not in self.constant
            self.joined |= fed
            others[item] = f"{name}/others_{index}"
            nodes += filled_like(item, others[item], float(self.analog and fed))
        return nodes, others


def _joined(artifact: Artifact) -> list[onnx.NodeProto]:
    """The head's nodes, reading what the body calls by another name; the division by T routes counts."""
    sums = {
        final_name(value): node.input[-1]
        for value in artifact.carried
        for node in artifact.step.graph.node
        if node.output[0] == value.after and (artifact.sums or value.before == node.input[0])
        if node.op_type in ("Add", "Cast")
    }
    whole = {final_name(value): value.after for value in artifact.carried}  # of the schedule `layer`
    return [_reading_counts(node, whole | sums) for node in artifact.head.graph.node]


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
    name, ones = f"{node.output[0]}/counts", f"{node.output[0]}/counts/ones"
    counts[node.output[0]] = name
    return [*filled_like(factor, ones, 1.0), helper.make_node("Mul", [counts[source], ones], [name])]


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
