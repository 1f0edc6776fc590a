"""Step graphs of an artifact, changed: neurons that are listened to, told what to send, or exact."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import helper, numpy_helper

from onnx2snn.artifact.artifact import Artifact, Carried
from onnx2snn.engine.engines import Array
from onnx2snn.graph.rectifiers import IDENTITY, Rectifier
from onnx2snn.model.tap import tap
from onnx2snn.ops import CELLS, DOMAIN, QUANTIZED_RELU, body_of
from onnx2snn.ops.increment import CELL as INCREMENT
from onnx2snn.ops.running_mean import CELL as RUNNING_MEAN

Values = Mapping[str, Array]

#: Input of a tail: what is added to the current of its exact neuron, in the artifact's units.
SHIFT = "onnx2snn/probe/shift"


@dataclass(frozen=True)
class ExactNeuron:
    """A stand-in that sends, on average, the activation of the mean of its current, whatever its size.

    Attributes:
        name: the neuron that it stands for.
        kind: the activation.
        unit: what 1 of the artifact's current and spikes stands for in the ANN, broadcastable.
    """

    name: str
    kind: Rectifier
    unit: Array


def _name(neuron: onnx.NodeProto, what: str) -> str:
    return f"onnx2snn/probe/{neuron.name}/{what}"


def before(neuron: onnx.NodeProto, what: str) -> str:
    """Name of what is carried beside a neuron, before a timestep."""
    return f"{_name(neuron, what)}/in"


def after(neuron: onnx.NodeProto, what: str) -> str:
    """The same after it."""
    return f"{_name(neuron, what)}/out"


def dtype_of(artifact: Artifact, neuron: onnx.NodeProto) -> np.dtype[np.floating]:
    """The float type that a neuron computes in."""
    return artifact.threshold(neuron).dtype


def recording(artifact: Artifact) -> tuple[onnx.ModelProto, tuple[Carried, ...]]:
    """The step, which also adds up what enters and leaves each neuron; of sums it keeps the last."""
    model = onnx.ModelProto()
    model.CopyFrom(artifact.step)
    graph, carried = model.graph, list(artifact.carried)
    for neuron in artifact.neurons:
        dtype = dtype_of(artifact, neuron)
        size = f"{_name(neuron, 'activity')}/size"
        graph.node.append(helper.make_node("Abs", [neuron.output[0]], [size]))
        read = {"current": neuron.input[0], "sent": neuron.output[0], "activity": size}
        for what, tensor in read.items():
            value = Carried(before(neuron, what), after(neuron, what), np.zeros((), dtype))
            if CELLS[neuron.op_type].sums and what != "activity":
                graph.node.append(helper.make_node("Identity", [tensor], [value.after]))
            else:
                graph.node.append(helper.make_node("Add", [value.before, tensor], [value.after]))
            graph.input.append(_info(value.before, dtype))
            graph.output.append(_info(value.after, dtype))
            carried.append(value)
    return model, tuple(carried)


def taught(
    artifact: Artifact, teaching: Sequence[str], exact: Sequence[ExactNeuron]
) -> tuple[onnx.ModelProto, tuple[Carried, ...]]:
    """The step with the outputs of neurons as inputs; and the states that it still has."""
    stand_ins = {neuron.name: neuron for neuron in exact}
    model = onnx.ModelProto()
    model.CopyFrom(artifact.step)
    graph, neurons = model.graph, {neuron.output[0] for neuron in artifact.neurons}
    del graph.node[:]
    gone = {name for neuron in artifact.neurons for name in neuron.output}
    carried = tuple(value for value in artifact.carried if value.after not in gone)
    lost = {value.before for value in artifact.carried} - {value.before for value in carried}
    for items, left_out in ((graph.input, lost), (graph.output, gone)):
        kept = [item for item in items if item.name not in left_out]
        del items[:]
        items.extend(kept)
    for node in artifact.step.graph.node:
        if node.output[0] not in neurons:
            graph.node.append(node)
            continue
        dtype = dtype_of(artifact, node)
        graph.node.append(helper.make_node("Identity", [node.input[0]], [after(node, "current")]))
        graph.output.append(_info(after(node, "current"), dtype))
        if node.name in teaching:
            graph.input.append(_info(node.output[0], dtype))
        else:
            graph.node.append(_half_less(node, dtype, model))
            graph.node.extend(_activation(stand_ins[node.name], _half(node), node.output[0], dtype, model))
            if any(value.after == node.output[0] for value in artifact.carried):
                graph.output.append(_info(node.output[0], dtype))
    if any(neuron.kind.step is not None for neuron in exact):
        model.functions.append(QUANTIZED_RELU)
    return model, carried


@dataclass(frozen=True)
class Tail:
    """All of a step that an exact neuron changes.

    Attributes:
        nodes: in topological order.
        weights: initializers of its own.
        reads: what it takes from the step before it, beside the inputs and weights.
        carried: its states.
    """

    artifact: Artifact
    nodes: list[onnx.NodeProto]
    weights: list[onnx.TensorProto]
    reads: frozenset[str]
    carried: tuple[Carried, ...]

    def model(self, given: Values) -> tuple[onnx.ModelProto, tuple[Carried, ...]]:
        """The tail as a model; `given` has values of all that it reads, for their types."""
        step = self.artifact.step
        read = dict.fromkeys(name for node in self.nodes for name in node.input)
        weights = [item for item in step.graph.initializer if item.name in read]
        initial = {value.before: value.initial for value in self.carried}
        made = {name for node in self.nodes for name in node.output}
        inputs = [
            _info(name, (initial[name] if name in initial else given[name]).dtype)
            for name in read
            if name and name not in made and name not in {item.name for item in (*weights, *self.weights)}
        ]
        outputs = [helper.make_empty_tensor_value_info(value.after) for value in self.carried]
        graph = helper.make_graph(self.nodes, "tail", inputs, outputs, [*weights, *self.weights])
        used = {node.op_type for node in self.nodes if node.domain == DOMAIN}
        functions = [body_of(op) for op in sorted(used)]
        model = helper.make_model(
            graph, opset_imports=step.opset_import, ir_version=step.ir_version, functions=functions
        )
        return model, self.carried


def find_tail(artifact: Artifact, exact: ExactNeuron) -> Tail:
    """In `stream` the exact neuron is an activation of the mean so far, as an island has it; or of sums."""
    model = onnx.ModelProto()
    nodes: list[onnx.NodeProto] = []
    changed: set[str] = set()
    carried: list[Carried] = []
    for node in artifact.step.graph.node:
        if node.name == exact.name and node.domain == DOMAIN:
            own, carried = _stand_in(artifact, exact, node, model)
            nodes += own
            changed.add(node.output[0])
        elif not changed.isdisjoint(node.input):
            nodes.append(node)
            changed.update(node.output)
    states = {value.before: value for value in artifact.carried if value.after in changed}
    read = {name for node in nodes for name in node.input}
    made = {name for node in nodes for name in node.output}
    above = {name for node in artifact.step.graph.node for name in node.output} - made
    return Tail(
        artifact,
        nodes,
        list(model.graph.initializer),
        frozenset(read & above),
        (*states.values(), *carried),
    )


def _stand_in(
    artifact: Artifact, exact: ExactNeuron, node: onnx.NodeProto, model: onnx.ModelProto
) -> tuple[list[onnx.NodeProto], list[Carried]]:
    """The nodes in the place of a neuron, whose weights go into `model`, and their states."""
    dtype, moved, result = dtype_of(artifact, node), _name(node, "moved"), _name(node, "activation")

    def state(name: str) -> Carried:
        return Carried(before(node, name), after(node, name), np.zeros((), dtype))

    nodes = [
        _half_less(node, dtype, model),
        helper.make_node("CastLike", [SHIFT, _half(node)], [_name(node, "shift")]),
        helper.make_node("Add", [_half(node), _name(node, "shift")], [moved]),
    ]
    if artifact.schedule == "layer" or artifact.sums:
        return nodes + _activation(exact, moved, node.output[0], dtype, model), []
    if exact.kind.step is None and np.isinf(exact.kind.ceiling):
        # f(t·x) = t·f(x): the sum will do, and need not be divided by t.
        total, reached = state("total"), state("reached")
        nodes.append(helper.make_node("Add", [total.before, moved], [total.after]))
        nodes += _activation(exact, total.after, reached.after, dtype, model)
        nodes.append(helper.make_node("Sub", [reached.after, reached.before], [node.output[0]]))
        return nodes, [total, reached]
    carried: list[Carried] = []
    mean = _name(node, "mean")
    for cell, read, gives in ((RUNNING_MEAN, moved, mean), (INCREMENT, result, node.output[0])):
        states = [state(f"{cell.op}/{name}") for name in cell.states]
        inputs, outputs = [value.before for value in states], [value.after for value in states]
        nodes.append(helper.make_node(cell.op, [read, *inputs], [gives, *outputs], domain=DOMAIN))
        if cell is RUNNING_MEAN:
            nodes += _activation(exact, mean, result, dtype, model)
        carried += states
    return nodes, carried


def showing(artifact: Artifact, names: Collection[str]) -> tuple[onnx.ModelProto, tuple[Carried, ...]]:
    """The step, which also gives some of its tensors."""
    model = onnx.ModelProto()
    model.CopyFrom(artifact.step)
    return tap(model, sorted(names)), artifact.carried


def _half(neuron: onnx.NodeProto) -> str:
    return _name(neuron, "plain")


def _half_less(
    neuron: onnx.NodeProto, dtype: np.dtype[np.floating], model: onnx.ModelProto
) -> onnx.NodeProto:
    """The current without the 1/2 that the bias before an accumulate-and-fire neuron may hold."""
    if not holds_half(neuron):
        return helper.make_node("Identity", [neuron.input[0]], [_half(neuron)])
    half = f"{_half(neuron)}/half"
    model.graph.initializer.append(numpy_helper.from_array(np.asarray(0.5, dtype), half))
    return helper.make_node("Sub", [neuron.input[0], half], [_half(neuron)])


def holds_half(neuron: onnx.NodeProto) -> bool:
    """Whether a neuron's current has the 1/2 in it that rounds."""
    values = {item.name: helper.get_attribute_value(item) for item in neuron.attribute}
    return bool(values.get("potential") == 0)


def _activation(
    exact: ExactNeuron, source: str, result: str, dtype: np.dtype[np.floating], model: onnx.ModelProto
) -> list[onnx.NodeProto]:
    """kind(unit·source)/unit."""
    name, kind = f"onnx2snn/probe/{exact.name}/exact", exact.kind

    def constant(what: str, value: Array | float) -> str:
        model.graph.initializer.append(numpy_helper.from_array(np.asarray(value, dtype), f"{name}/{what}"))
        return f"{name}/{what}"

    if kind is IDENTITY:
        return [helper.make_node("Identity", [source], [result])]
    if kind.step is None and np.isinf(kind.ceiling):  # f(unit·x) = unit·f(x)
        if kind.slope is None:
            return [helper.make_node("Relu", [source], [result])]
        return [helper.make_node("PRelu", [source, constant("slope", kind.slope)], [result])]
    unit, value, rectified = constant("unit", exact.unit), f"{name}/value", f"{name}/rectified"
    if kind.step is None:
        bounds = [constant("least", 0.0), constant("most", kind.ceiling)]
        node = helper.make_node("Clip", [value, *bounds], [rectified])
    else:
        inputs = [value, constant("step", kind.step)]
        node = helper.make_node(QUANTIZED_RELU.name, inputs, [rectified], domain=DOMAIN, levels=kind.levels)
    return [
        helper.make_node("Mul", [source, unit], [value]),
        node,
        helper.make_node("Div", [rectified, unit], [result]),
    ]


def _info(name: str, dtype: np.dtype[np.floating]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(dtype), None)
