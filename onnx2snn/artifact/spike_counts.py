"""Count what a cell sends, within its step graph: spikes, and events, which are bursts of any size."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

from onnx2snn.artifact.artifact import Artifact, Carried
from onnx2snn.artifact.pools import neuron_before, standard_op
from onnx2snn.artifact.sums import Words, spike_size
from onnx2snn.emit.cells import functions_of
from onnx2snn.model.weights import values_of
from onnx2snn.ops import CELLS, DOMAIN
from onnx2snn.ops.standard import having

Array = npt.NDArray[Any]
Nodes = list[onnx.NodeProto]

#: Operators that move values as they are, but not each within its channel.
_MOVING = having(moves=True)


def spike_count(cell: onnx.NodeProto) -> str:
    """Name of the tensor with a cell's spikes so far."""
    return f"onnx2snn/{cell.name}/spikes_sent"  # a tensor may have the neuron's name


def event_count(cell: onnx.NodeProto) -> str:
    """Name of the tensor with the number of timesteps in which a cell has sent spikes so far."""
    return f"onnx2snn/{cell.name}/events_sent"


def count_cells(artifact: Artifact) -> tuple[onnx.ModelProto, tuple[Carried, ...]]:
    """The artifact's step, which also carries spikes and events of every cell; and what it carries more."""
    step = onnx.ModelProto()
    step.CopyFrom(artifact.step)
    counter = _CellCounter(artifact)
    carried = []
    for cell in artifact.spiking:
        nodes, spikes, events = counter.count(cell)
        step.graph.node.extend(nodes)
        for name, sent in ((spike_count(cell), spikes), (event_count(cell), events)):
            value = Carried(f"{name}/in", name, np.zeros((), np.float32))
            step.graph.node.append(helper.make_node("Add", [value.before, sent], [value.after]))
            step.graph.input.append(_float(value.before))
            step.graph.output.append(_float(value.after))
            carried.append(value)
    known = {function.name for function in step.functions}
    step.functions.extend(f for f in functions_of(step.graph.node) if f.name not in known)
    return step, tuple(carried)


class _CellCounter:
    """Finds what a cell sends in a step; in the schedule `layer` a step is the whole run."""

    def __init__(self, artifact: Artifact) -> None:
        self._timesteps = artifact.timesteps
        self._producers = {name: node for node in artifact.step.graph.node for name in node.output}
        self._weights = {item.name: item for item in artifact.step.graph.initializer}
        self._sums = artifact.sums
        layered = artifact.schedule == "layer"
        self._words = Words(artifact.step.graph.node, artifact.timesteps if layered else 1)

    def _count_changes(self, cell: onnx.NodeProto, size: str) -> tuple[Nodes, str, str]:
        """One spike wherever a sum has changed: of a graded neuron, or of a pool behind some."""
        count = CELLS[cell.op_type].count if cell.domain else None
        nodes = self._words.count(cell, size) if count is None else count(cell, size)
        return nodes, size, size

    def count(self, cell: onnx.NodeProto) -> tuple[Nodes, str, str]:
        """The nodes that count, and the names of the spikes and the events of the step.

        Spikes are |y|/θ, or the change of what a neuron has sent in all where not every spike carries θ; for
        a pool of what has no one unit, one for every non-zero output.
        """
        size = spike_size(cell)
        if self._sums:
            return self._count_changes(cell, size)
        if cell.domain and CELLS[cell.op_type].uneven and CELLS[cell.op_type].states:
            place = 1 + CELLS[cell.op_type].states.index("sent")
            change = helper.make_node("Sub", [cell.output[place], cell.input[place]], [f"{size}/change"])
            return _with_events([change, *_magnitude(f"{size}/change", size)], size)
        before = neuron_before(cell, self._producers, self._weights)
        if before is not None and not CELLS[before[0].op_type].states:
            return self._count_code(cell, *before)
        nodes: Nodes = []
        if before is not None and before[0] is cell and CELLS[cell.op_type].sends_units:
            divisor, unit = cell.input[-1], self._constant(cell.input[-1])
        else:
            divisor, unit = f"{size}/units", self._unit(cell.output[0])
            if unit is None:
                sign = helper.make_node("Sign", [cell.output[0]], [f"{size}/sign"])
                return [sign, *_magnitude(f"{size}/sign", size)], size, size
            units = numpy_helper.from_array(unit)
            nodes.append(helper.make_node("Constant", [], [divisor], value=units))
        if unit is not None and (unit == 1).all():
            neuron = CELLS[cell.op_type].neuron if cell.domain else None
            never_negative = neuron is not None and not neuron.takes_back
            sent = [_as_float(cell.output[0], size)] if never_negative else _magnitude(cell.output[0], size)
            return _with_events(sent, size)
        nodes += [
            *_divided(cell.output[0], divisor, f"{size}/ratio"),
            helper.make_node("Round", [f"{size}/ratio"], [f"{size}/whole"]),
            *_magnitude(f"{size}/whole", size),
        ]
        return _with_events(nodes, size)

    def _constant(self, name: str) -> Array | None:
        return values_of(self._weights[name]) if name in self._weights else None

    def _unit(self, name: str) -> Array | None:
        """What one spike in a tensor is worth, a number or one a channel [C, 1, …]; None if that differs.

        Neurons send it, products scale it, pools and what moves spikes leave it.
        """
        node = self._producers.get(name)
        if node is None:
            return None
        if node.domain == DOMAIN and CELLS[node.op_type].kind == "neuron":
            return _by_channel(self._constant(node.input[-1])) if CELLS[node.op_type].sends_units else None
        if node.op_type == "Mul":
            source, factor = node.input if node.input[1] in self._weights else reversed(node.input)
            unit, times = self._unit(source), _by_channel(self._constant(factor))
            product = None if unit is None or times is None else np.asarray(unit * times)
            return product if product is not None and (product > 0).all() else None
        if node.op_type == "Concat":
            return _joined([self._unit(item) for item in node.input], node)
        pools = node.domain == DOMAIN and CELLS[node.op_type].kind == "pool"
        if node.op_type not in (*_MOVING, "Cast") and not pools:
            return None
        unit = self._unit(node.input[0])
        if unit is None or unit.size == 1 or node.op_type == "Cast":
            return unit
        windows = pools and standard_op(node) == "MaxPool"
        pooled = len(helper.get_node_attr_value(node, "kernel_shape")) if windows else 0
        return unit if unit.ndim == 1 + pooled else None  # a place of its own for every channel

    def _count_code(
        self, cell: onnx.NodeProto, neuron: onnx.NodeProto, factors: list[str]
    ) -> tuple[Nodes, str, str]:
        """A neuron of the schedule `layer`, or a pool behind it: |k| spikes in bursts, or |k|'s one-bits."""
        attributes = {item.name: helper.get_attribute_value(item) for item in neuron.attribute}
        levels, name = attributes["levels"], f"onnx2snn/{cell.name}/levels"
        nodes, source = [], cell.output[0]
        for number, factor in enumerate(factors):
            nodes += _divided(source, factor, f"{name}/{number}/unscaled")
            source = f"{name}/{number}/unscaled"
        if len(neuron.input) == 1:  # of integers: what it and its pools send is k
            nodes += [_as_float(source, f"{name}/sent"), helper.make_node("Round", [f"{name}/sent"], [name])]
        elif cell is neuron:  # its own output is not k·θ below zero, where it is leaky
            nodes += _count_levels(cell.input[0], attributes["potential"], neuron, levels, name)
        else:
            nodes += _count_levels(source, 0.5, neuron, levels, name)
        if attributes["code"] == b"radix":
            bits, ones = _count_bits(name, levels)
            return [*nodes, *bits], ones, ones
        # Full bursts of ⌈N/T⌉ spikes first, and the rest in one more.
        burst = -(-levels // self._timesteps)
        nodes += [
            helper.make_node("Constant", [], [f"{name}/burst"], value_float=float(burst)),
            helper.make_node("Div", [name, f"{name}/burst"], [f"{name}/share"]),
            helper.make_node("Ceil", [f"{name}/share"], [f"{name}/events"]),
        ]
        return nodes, name, f"{name}/events"


def _count_bits(name: str, levels: int) -> tuple[Nodes, str]:
    """The one-bits of whole numbers up to `levels`: k has k - Σ_{i≥1} floor(k/2^i)."""
    nodes, ones = [], name
    for bit in range(1, levels.bit_length()):
        nodes += [
            helper.make_node("Constant", [], [f"{name}/{bit}/weight"], value_float=0.5**bit),
            helper.make_node("Mul", [name, f"{name}/{bit}/weight"], [f"{name}/{bit}/share"]),
            helper.make_node("Floor", [f"{name}/{bit}/share"], [f"{name}/{bit}/floor"]),
            helper.make_node("Sub", [ones, f"{name}/{bit}/floor"], [f"{name}/{bit}"]),
        ]
        ones = f"{name}/{bit}"
    return nodes, ones


def _divided(name: str, divisor: str, result: str) -> Nodes:
    """A tensor divided by a constant, in its own type."""
    return [
        helper.make_node("CastLike", [divisor, name], [f"{result}/by"]),
        helper.make_node("Div", [name, f"{result}/by"], [result]),
    ]


def _by_channel(value: Array | None) -> Array | None:
    """A constant as a number or as one a channel [C, 1, …]; None if it differs from place to place."""
    if value is None or value.size == 1:
        return None if value is None else value.reshape(())
    while value.shape[0] == 1:
        value = value[0]
    return value if value.size == len(value) and value.ndim > 1 else None


def _joined(units: list[Array | None], concat: onnx.NodeProto) -> Array | None:
    """The units of channels one behind the other."""
    known = [unit for unit in units if unit is not None]
    if len(known) < len(units):
        return None
    if all(unit.size == 1 for unit in known) and len({float(unit) for unit in known}) == 1:
        return known[0]
    along = helper.get_node_attr_value(concat, "axis")
    apart = along == 1 and len({unit.shape[1:] for unit in known}) == 1 and known[0].ndim > 1
    return np.concatenate(known) if apart else None


def _count_levels(source: str, start: float, neuron: onnx.NodeProto, levels: int, name: str) -> Nodes:
    """|k| = |clip(floor(source/θ + start), least, N)| of a neuron of floats, as `name`."""
    threshold, least = neuron.input[-1], -levels if len(neuron.input) > 2 else 0
    return [
        # In the type of the neuron, whatever its pool's is: at a tie every bit counts.
        helper.make_node("CastLike", [source, threshold], [f"{name}/value"]),
        helper.make_node("Div", [f"{name}/value", threshold], [f"{name}/ratio"]),
        helper.make_node("Constant", [], [f"{name}/start"], value_float=start),
        helper.make_node("CastLike", [f"{name}/start", threshold], [f"{name}/shift"]),
        helper.make_node("Add", [f"{name}/ratio", f"{name}/shift"], [f"{name}/shifted"]),
        helper.make_node("Floor", [f"{name}/shifted"], [f"{name}/floor"]),
        _as_float(f"{name}/floor", f"{name}/whole"),
        helper.make_node("Constant", [], [f"{name}/least"], value_float=float(least)),
        helper.make_node("Constant", [], [f"{name}/most"], value_float=float(levels)),
        helper.make_node("Clip", [f"{name}/whole", f"{name}/least", f"{name}/most"], [f"{name}/signed"]),
        helper.make_node("Abs", [f"{name}/signed"], [name]),
    ]


def _with_events(nodes: Nodes, size: str) -> tuple[Nodes, str, str]:
    """Spikes of which there are none or more, and one event where there are some."""
    return [*nodes, helper.make_node("Sign", [size], [f"{size}/events"])], size, f"{size}/events"


def _magnitude(name: str, result: str) -> Nodes:
    return [helper.make_node("Abs", [name], [f"{result}/absolute"]), _as_float(f"{result}/absolute", result)]


def _as_float(name: str, result: str) -> onnx.NodeProto:
    return helper.make_node("Cast", [name], [result], to=onnx.TensorProto.FLOAT)


def _float(name: str) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None)
