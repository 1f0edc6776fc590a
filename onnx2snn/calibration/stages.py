"""The net in stages, each ready to run on its own: what lies between cells, and the cell behind it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

from onnx2snn.calibration.histogram import Vector
from onnx2snn.channels import broadcastable, channel_axis
from onnx2snn.graph import Graph, Node, Tensor, constant, extract, is_cell, operands, producer
from onnx2snn.model_file import IR_VERSION
from onnx2snn.ops import CELLS, DOMAIN, DOMAIN_VERSION, OPSET_VERSION
from onnx2snn.runtime.engines import OnnxruntimeEngine
from onnx2snn.sections import is_neuron

Array = npt.NDArray[Any]

_SHIFT, _RESULT = "onnx2snn/shift", "onnx2snn/result"


@dataclass
class Train:
    """A cell's output over all timesteps, small: a neuron's spikes as integers, a pool's output as it is.

    Attributes:
        steps: [N, …] for each timestep; int8, or what Γ asks for, for spikes.
        scale: θ, what one spike carries, broadcastable to a step; None for a pool.
    """

    steps: list[Array]
    scale: Array | None

    def mean(self) -> Array:
        """The output's mean over time, float32."""
        total = np.zeros(self.steps[0].shape, dtype=np.float32)
        for step in self.steps:
            total += step
        total /= np.float32(len(self.steps))
        return total if self.scale is None else total * self.scale


class Stage:
    """One part of the sweep: the stateless nodes up to one target, and the cell behind it, if any."""

    def __init__(self, graph: Graph, target: Tensor, cell: Node | None) -> None:
        self.target, self.cell = target, cell
        self.axis = channel_axis(target)
        self.sources = _sources(target)
        self._affine: onnx.ModelProto | None = None
        if target.name not in self.sources:
            self._affine = extract(graph, self.sources, [target.name])
        self._graph = graph

    @cached_property
    def _target_engine(self) -> OnnxruntimeEngine | None:
        return None if self._affine is None else OnnxruntimeEngine(self._affine)

    @cached_property
    def _step_engine(self) -> OnnxruntimeEngine:
        assert self.cell is not None
        return OnnxruntimeEngine(_step_model(self._graph, self._affine, self.sources, self.target, self.cell))

    def current(self, feeds: Mapping[str, Array]) -> Array:
        """The target's value from values of the sources."""
        if self._target_engine is None:
            return feeds[self.target.name]
        return self._target_engine.run(feeds)[self.target.name]

    @property
    def key(self) -> str:
        """What the stage's correction is filed under: the cell's name, or the target's without a cell."""
        return str(self.target.name if self.cell is None else self.cell.name)

    def run(self, feeds: Mapping[str, Train | Array], shift: Vector, timesteps: int) -> Train:
        """The cell's output for all timesteps, `shift` ([C], or [1] for all) added to its input."""
        assert self.cell is not None
        operator, dtype = CELLS[self.cell.op], self.target.dtype or np.float32
        parameters = [np.asarray(constant(tensor)) for tensor in self.cell.inputs[1:]]
        initial = [value.astype(dtype) for value in operator.initial_state(parameters)]
        state = dict(zip(operator.states, initial, strict=True))
        added = broadcastable(shift, self.target, dtype)
        steps = []
        for time in range(timesteps):
            now = {
                name: feed.steps[time] if isinstance(feed, Train) else feed for name, feed in feeds.items()
            }
            results = self._step_engine.run({**now, **state, _SHIFT: added})
            state = {name: results[f"{name}/next"] for name in operator.states}
            steps.append(results[_RESULT])
        return Train(steps, constant(self.cell.inputs[1]) if operator.kind == "neuron" else None)


def _step_model(
    graph: Graph, affine: onnx.ModelProto | None, sources: Sequence[str], target: Tensor, cell: Node
) -> onnx.ModelProto:
    """One timestep of a stage: spikes (or values) of the sources and the cell's state in, its spikes out."""
    operator, dtype = CELLS[cell.op], target.dtype or np.dtype(np.float32)
    float_type = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    tensors = graph.tensors()
    weights: list[onnx.TensorProto] = [] if affine is None else list(affine.graph.initializer)
    nodes: list[onnx.NodeProto] = []
    inputs = [_SHIFT, *operator.states]
    types = dict.fromkeys(inputs, float_type)
    renamed: dict[str, str] = {}
    for name in sources:
        source = producer(tensors[name])
        inputs.append(name)
        types[name] = helper.np_dtype_to_tensor_dtype(np.dtype(tensors[name].dtype or dtype))
        if source is None or not is_neuron(source):
            continue
        types[name] = helper.np_dtype_to_tensor_dtype(_spike_dtype(source))
        renamed[name] = f"{name}/value"
        weights.append(numpy_helper.from_array(np.asarray(constant(source.inputs[1])), f"{name}/threshold"))
        nodes.append(helper.make_node("Cast", [name], [f"{name}/float"], to=float_type))
        nodes.append(helper.make_node("Mul", [f"{name}/float", f"{name}/threshold"], [renamed[name]]))
    for node in [] if affine is None else affine.graph.node:
        copy = onnx.NodeProto()
        copy.CopyFrom(node)
        copy.input[:] = [renamed.get(name, name) for name in node.input]
        nodes.append(copy)
    read = renamed.get(target.name, target.name)
    nodes.append(helper.make_node("Add", [read, _SHIFT], ["onnx2snn/shifted"]))
    parameters = [f"onnx2snn/parameter_{number}" for number in range(len(cell.inputs) - 1)]
    for name, tensor in zip(parameters, cell.inputs[1:], strict=True):
        weights.append(numpy_helper.from_array(np.asarray(constant(tensor)), name))
    outputs = [_RESULT, *(f"{name}/next" for name in operator.states)]
    spiking = operator.kind == "neuron"
    results = ["onnx2snn/value" if spiking else _RESULT, *outputs[1:]]
    call = ["onnx2snn/shifted", *operator.states, *parameters]
    nodes.append(helper.make_node(cell.op, call, results, domain=DOMAIN, **cell.attrs))
    result_type = float_type
    if spiking:
        result_type = helper.np_dtype_to_tensor_dtype(_spike_dtype(cell))
        nodes.append(helper.make_node("Div", [results[0], parameters[0]], ["onnx2snn/ratio"]))
        nodes.append(helper.make_node("Round", ["onnx2snn/ratio"], ["onnx2snn/whole"]))
        nodes.append(helper.make_node("Cast", ["onnx2snn/whole"], [_RESULT], to=result_type))
    made = helper.make_graph(
        nodes,
        "stage",
        [helper.make_tensor_value_info(name, types[name], None) for name in inputs],
        [
            helper.make_tensor_value_info(name, result_type if name == _RESULT else float_type, None)
            for name in outputs
        ],
        weights,
    )
    opsets = [helper.make_opsetid("", OPSET_VERSION), helper.make_opsetid(DOMAIN, DOMAIN_VERSION)]
    return helper.make_model(made, opset_imports=opsets, ir_version=IR_VERSION, functions=[operator.function])


def _spike_dtype(cell: Node) -> np.dtype[Any]:
    return np.min_scalar_type(-int(cell.attrs["max_spikes"]) - 1)  # -128 fits int8, +128 does not


def _sources(target: Tensor) -> list[str]:
    """The cell outputs and graph inputs that a tensor is computed from without passing another cell."""
    found: dict[str, None] = {}
    visited: set[str] = set()
    pending = [target]
    while pending:
        tensor = pending.pop()
        if tensor.name in visited or constant(tensor) is not None:
            continue
        visited.add(tensor.name)
        node = producer(tensor)
        if node is None or is_cell(node):
            found[tensor.name] = None
        else:
            pending.extend(operands(node))
    return list(found)
