"""The net in stages, each ready to run on its own: a neuron or a pool, and what leads to it from others.

An analog island lies inside a stage. On means over time its entrances and exits change nothing, so there they
are left out; from timestep to timestep they have their state, like the cell at the stage's end.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

from onnx2snn.engine.engines import EngineOptions, OnnxruntimeEngine
from onnx2snn.graph.channels import broadcastable, channel_axis
from onnx2snn.graph.graph import Graph, Node, Tensor, constant, extract, is_cell, operands, producer
from onnx2snn.graph.sections import divide
from onnx2snn.model.file import IR_VERSION
from onnx2snn.model.tap import tap
from onnx2snn.ops import CELLS, DOMAIN, DOMAIN_VERSION, OPSET_VERSION, Cell
from onnx2snn.ops.standard import WEIGHTED
from onnx2snn.thresholds.histogram import Vector

Array = npt.NDArray[Any]

_SHIFT, _CURRENT, _RESULT = "onnx2snn/shift", "onnx2snn/current", "onnx2snn/result"


@dataclass
class Train:
    """A cell's output over all timesteps, small: spikes that carry θ each as integers, the rest as it is.

    Attributes:
        steps: [N, …] for each timestep; int8, or what Γ asks for, for spikes.
        scale: θ, what one spike carries, broadcastable to a step; None where the output is held as it is.
    """

    steps: list[Array]
    scale: Array | None

    def mean(self) -> Array:
        """The output's mean over time, of the net's own float type; added up in float32 at least."""
        dtype = (self.steps[0] if self.scale is None else self.scale).dtype
        total = np.zeros(self.steps[0].shape, _wide(dtype))
        for step in self.steps:
            total += step
        total /= len(self.steps)
        mean: Array = total if self.scale is None else total * self.scale
        return mean.astype(dtype, copy=False)


class Stage:
    """One part of the sweep: the nodes up to one target, and the neuron or pool behind it, if any.

    Without one it either is a joint, whose own values others read, or only gives the mean of its target.
    """

    def __init__(
        self, graph: Graph, target: Tensor, cell: Node | None = None, joints: Collection[str] = ()
    ) -> None:
        self.target, self.cell = target, cell
        self.axis = channel_axis(target)
        self.sources = _sources(target, set(joints) - ({target.name} if cell is None else set()))
        self.yields: str | None = None if cell is None else cell.outputs[0].name
        if cell is None and target.name in joints:
            self.yields = target.name
        self._affine: onnx.ModelProto | None = None
        if target.name not in self.sources:
            self._affine = extract(graph, self.sources, [target.name])
        self._graph = graph

    @cached_property
    def _target_engine(self) -> OnnxruntimeEngine | None:
        return None if self._affine is None else OnnxruntimeEngine(_on_means(self._affine))

    @cached_property
    def _step_engine(self) -> OnnxruntimeEngine:
        model = _step_model(self._graph, self._affine, self.sources, self.target, self.cell)
        return OnnxruntimeEngine(model, EngineOptions(native=True))

    def current(self, feeds: Mapping[str, Array]) -> Array:
        """The target's value from values of the sources."""
        if self._target_engine is None:
            return feeds[self.target.name]
        return self._target_engine.run(feeds)[self.target.name]

    def values(self, names: Sequence[str], feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Any tensors on the way from the sources to the target, from values of the sources."""
        values = {name: feeds[name] for name in names if name in self.sources}
        inner = [name for name in dict.fromkeys(names) if name not in values]
        if inner:
            if tuple(inner) not in self._inner_engines:
                part = tap(_on_means(self._part), inner, only=True)
                self._inner_engines[tuple(inner)] = OnnxruntimeEngine(part)
            values |= self._inner_engines[tuple(inner)].run(feeds)
        return values

    @cached_property
    def _inner_engines(self) -> dict[tuple[str, ...], OnnxruntimeEngine]:
        """For tensors inside the stage, what computes them."""
        return {}

    def layers(self) -> list[onnx.NodeProto]:
        """The weighted nodes whose sum the target is, each with weights that it shares with no other node."""
        if self._affine is None:
            return []
        producers = {name: node for node in self._affine.graph.node for name in node.output}
        readers = Counter(tensor.name for node in self._graph.nodes for tensor in node.inputs)
        layers, pending = [], [self.target.name]
        while pending:
            node = producers.get(pending.pop())
            if node is not None and node.op_type == "Add":
                pending.extend(node.input)
            elif node is not None and node.op_type in WEIGHTED and node.input[1] in self.weights:
                layers += [node] if readers[node.input[1]] == 1 else []
        return layers

    @cached_property
    def weights(self) -> dict[str, Array]:
        """All constants of the stage's linear part."""
        return {item.name: numpy_helper.to_array(item) for item in self._part.graph.initializer}

    def replace_weights(self, weights: Mapping[str, Array]) -> None:
        """Go on with other weights; the graph that the stage was cut from keeps its own."""
        for item in self._part.graph.initializer:
            if item.name in weights:
                item.CopyFrom(numpy_helper.from_array(weights[item.name], item.name))
        for cached in ("weights", "_inner_engines", "_target_engine", "_step_engine"):
            self.__dict__.pop(cached, None)

    @property
    def _part(self) -> onnx.ModelProto:
        assert self._affine is not None, "the target is no source"
        return self._affine

    @property
    def key(self) -> str:
        """What the stage's correction is filed under: the cell's name, or the target's without a cell."""
        return str(self.target.name if self.cell is None else self.cell.name)

    def run(self, feeds: Mapping[str, Train | Array], shift: Vector, timesteps: int) -> Train | Array:
        """What the stage yields at all timesteps, `shift` ([C], or [1] for all) added to a cell's input.

        A joint that reads nothing but what stays the same over time is an array.
        """
        moving = any(isinstance(feeds[name], Train) for name in self.sources)
        if self.cell is None and not moving:
            return self.current({n: feed for n, feed in feeds.items() if not isinstance(feed, Train)})
        dtype = np.dtype(self.target.dtype or np.float32)
        state = _initial_states(self.cell, self._affine, dtype)
        added = broadcastable(shift, self.target, dtype)
        steps = []
        for time in range(timesteps):
            now = {
                name: feed.steps[time] if isinstance(feed, Train) else feed for name, feed in feeds.items()
            }
            results = self._step_engine.run({**now, **state, _SHIFT: added})
            state = {name: results[f"{name}/next"] for name in state}
            steps.append(results[_RESULT])
        units = self.cell is not None and CELLS[self.cell.op].sends_units
        return Train(steps, threshold(self.cell) if self.cell is not None and units else None)


def make_stages(graph: Graph, outputs: Sequence[str]) -> list[Stage]:
    """The graph in stages: every neuron, pool and joint in the order of the graph, then the `outputs`.

    Joints are what the prefix gives to the body, and what a weighted node makes for more than one stage: no
    stage computes these again.
    """
    sections, tensors = divide(graph), graph.tensors()
    cells = [node for node in graph.nodes if is_cell(node) and CELLS[node.op].kind != "rate"]
    bridges = {
        tensor.name
        for node in graph.nodes
        if sections.of[node.name] == "body"
        for tensor in operands(node)
        if (source := producer(tensor)) is not None and sections.of[source.name] == "prefix"
    }
    targets = [cell.inputs[0] for cell in cells] + [tensors[name] for name in outputs]
    needs = Counter(name for target in targets for name in _weighted(target, bridges))
    joints = bridges | {name for name, count in needs.items() if count > 1}
    stages = []
    for node in graph.nodes:
        if any(node is cell for cell in cells):
            stages.append(Stage(graph, node.inputs[0], node, joints))
        stages += [Stage(graph, tensor, None, joints) for tensor in node.outputs if tensor.name in joints]
    return stages + [Stage(graph, tensors[name], None, joints - set(outputs)) for name in outputs]


def _weighted(target: Tensor, bridges: Collection[str]) -> list[str]:
    """What weighted nodes make on the way to a target."""
    return [
        tensor.name
        for tensor in _walk(target, bridges)
        if (node := producer(tensor)) is not None and node.op in WEIGHTED and tensor.name not in bridges
    ]


def threshold(neuron: Node) -> Array:
    """θ of a neuron: the last of its parameters."""
    return np.asarray(constant(neuron.inputs[-1]))


def pool(cell: Node, x: Array) -> Array:
    """What the ANN's pool gives for `x`: the first step from nothing."""
    operator = CELLS[cell.op]
    return operator.step(x, operator.initial_state([]), [], cell.attrs)[0].astype(x.dtype, copy=False)


def _on_means(part: onnx.ModelProto) -> onnx.ModelProto:
    """The part without the entrances and exits of islands, which leave a mean as it is."""
    plain = onnx.ModelProto()
    plain.CopyFrom(part)
    for node in plain.graph.node:
        if node.domain == DOMAIN:
            node.op_type, node.domain = "Identity", ""
    return plain


def _initial_states(
    cell: Node | None, part: onnx.ModelProto | None, dtype: np.dtype[Any]
) -> dict[str, Array]:
    """The states before the first timestep, by their names in the stage, of the cell and of islands."""
    states: dict[str, Array] = {}
    if cell is not None:
        parameters = [np.asarray(constant(tensor)) for tensor in cell.inputs[1:]]
        values = zip(_state_names(CELLS[cell.op]), CELLS[cell.op].initial_state(parameters), strict=True)
        states = {name: value.astype(_wide(dtype)) for name, value in values}
    for node in [] if part is None else part.graph.node:
        if node.domain == DOMAIN:
            names = _state_names(CELLS[node.op_type], node.name)
            initial = CELLS[node.op_type].initial_state([])
            states |= {n: v.astype(_wide(dtype)) for n, v in zip(names, initial, strict=True)}
    return states


def _step_model(
    graph: Graph, affine: onnx.ModelProto | None, sources: Sequence[str], target: Tensor, cell: Node | None
) -> onnx.ModelProto:
    """One timestep of a stage: spikes (or values) of the sources and the cell's state in, its spikes out.

    Without a cell, the target's value comes out.
    """
    dtype = np.dtype(target.dtype or np.float32)
    part = _Part([], [] if affine is None else list(affine.graph.initializer), [], [])
    values = _read_sources(part, graph, sources, dtype)
    used = set() if cell is None else {cell.op}
    for node in [] if affine is None else affine.graph.node:
        copy = onnx.NodeProto()
        copy.CopyFrom(node)
        copy.input[:] = [values.get(name, name) for name in node.input]
        if node.domain == DOMAIN:
            used.add(node.op_type)
            _call_gate(part, copy, dtype)
        else:
            part.nodes.append(copy)
    value = values.get(target.name, target.name)
    if cell is None:
        part.nodes.append(_cast(value, _RESULT, dtype))
        part.outputs.append(_info(_RESULT, dtype))
    else:
        part.inputs.append(_info(_SHIFT, dtype))
        part.nodes.append(helper.make_node("Add", [value, _SHIFT], [_CURRENT]))
        _call_cell(part, cell, dtype)
    made = helper.make_graph(part.nodes, "stage", part.inputs, part.outputs, part.weights)
    opsets = [helper.make_opsetid("", OPSET_VERSION), helper.make_opsetid(DOMAIN, DOMAIN_VERSION)]
    functions = [CELLS[op].function for op in sorted(used)]
    return helper.make_model(made, opset_imports=opsets, ir_version=IR_VERSION, functions=functions)


@dataclass
class _Part:
    """A graph in the making."""

    nodes: list[onnx.NodeProto]
    weights: list[onnx.TensorProto]
    inputs: list[onnx.ValueInfoProto]
    outputs: list[onnx.ValueInfoProto]


def _call_gate(part: _Part, gate: onnx.NodeProto, dtype: np.dtype[Any]) -> None:
    """The entrance or exit of an island, its state in and out; what it hands on keeps its type."""
    wide, result = _wide(dtype), gate.output[0]
    states = _state_names(CELLS[gate.op_type], gate.name)
    part.nodes.append(_cast(gate.input[0], f"{gate.name}/wide", wide))
    gate.input[:] = [f"{gate.name}/wide", *states]
    gate.output[:] = [f"{gate.name}/result", *(f"{name}/next" for name in states)]
    part.nodes += [gate, _cast(gate.output[0], result, dtype)]
    part.inputs += [_info(name, wide) for name in states]
    part.outputs += [_info(f"{name}/next", wide) for name in states]


def _read_sources(part: _Part, graph: Graph, sources: Sequence[str], dtype: np.dtype[Any]) -> dict[str, str]:
    """Take the sources as inputs; returns the names of the values s·θ of those that come as spikes s."""
    tensors = graph.tensors()
    values: dict[str, str] = {}
    for name in sources:
        source = producer(tensors[name])
        if source is None or not is_cell(source) or not CELLS[source.op].sends_units:
            part.inputs.append(_info(name, np.dtype(tensors[name].dtype or dtype)))
            continue
        part.inputs.append(_info(name, _spike_dtype(source)))
        spikes, theta = f"onnx2snn/{name}/spikes", f"onnx2snn/{name}/threshold"
        values[name] = f"onnx2snn/{name}/value"
        part.weights.append(numpy_helper.from_array(threshold(source), theta))
        part.nodes.append(_cast(name, spikes, dtype))
        part.nodes.append(helper.make_node("Mul", [spikes, theta], [values[name]]))
    return values


def _call_cell(part: _Part, cell: Node, dtype: np.dtype[Any]) -> None:
    """From the current to the cell's spikes (a pool's values) and its next state, as outputs.

    A cell computes in float32 at least, as it will in the artifact.
    """
    operator, wide, charge = CELLS[cell.op], _wide(dtype), "onnx2snn/charge"
    states = _state_names(operator)
    parameters = [f"onnx2snn/parameter_{number}" for number in range(len(cell.inputs) - 1)]
    for name, tensor in zip(parameters, cell.inputs[1:], strict=True):
        part.weights.append(numpy_helper.from_array(np.asarray(constant(tensor), wide), name))
    part.nodes.append(_cast(_CURRENT, charge, wide))
    call, results = [charge, *states, *parameters], ["onnx2snn/value", *(f"{name}/next" for name in states)]
    part.nodes.append(helper.make_node(cell.op, call, results, domain=DOMAIN, **cell.attrs))
    counted, result_type = results[0], dtype
    if operator.sends_units:
        counted, result_type = "onnx2snn/whole", _spike_dtype(cell)
        part.nodes.append(helper.make_node("Div", [results[0], parameters[-1]], ["onnx2snn/ratio"]))
        part.nodes.append(helper.make_node("Round", ["onnx2snn/ratio"], [counted]))
    part.nodes.append(_cast(counted, _RESULT, result_type))
    part.inputs += [_info(name, wide) for name in states]
    part.outputs += [_info(_RESULT, result_type), *(_info(name, wide) for name in results[1:])]


def _cast(source: str, result: str, dtype: np.dtype[Any]) -> onnx.NodeProto:
    return helper.make_node("Cast", [source], [result], to=helper.np_dtype_to_tensor_dtype(dtype))


def _info(name: str, dtype: np.dtype[Any]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(dtype), None)


def _state_names(operator: Cell, owner: str = "cell") -> list[str]:
    return [f"onnx2snn/{owner}/{state}" for state in operator.states]


def _wide(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """What adds up values of a type over time: float32 for float16, else the type itself."""
    return np.promote_types(dtype, np.float32)


def _spike_dtype(cell: Node) -> np.dtype[Any]:
    neuron = CELLS[cell.op].neuron
    assert neuron is not None
    most = int(cell.attrs[neuron.limit])
    return np.min_scalar_type(-most - 1)  # -128 fits int8, +128 does not


def _sources(target: Tensor, joints: Collection[str]) -> list[str]:
    """What a tensor is computed from directly: outputs of neurons, pools and joints, and graph inputs."""
    return [tensor.name for tensor in _walk(target, joints) if _is_source(tensor, joints)]


def _walk(target: Tensor, joints: Collection[str]) -> list[Tensor]:
    """The tensors that a target is computed from, itself first, back to the sources and with them."""
    walked: dict[str, Tensor] = {}
    pending = [target]
    while pending:
        tensor = pending.pop()
        if tensor.name in walked or constant(tensor) is not None:
            continue
        walked[tensor.name] = tensor
        node = producer(tensor)
        if node is not None and not _is_source(tensor, joints):
            pending.extend(operands(node))
    return list(walked.values())


def _is_source(tensor: Tensor, joints: Collection[str]) -> bool:
    node = producer(tensor)
    if node is None or tensor.name in joints:
        return True
    return is_cell(node) and CELLS[node.op].kind != "rate"
