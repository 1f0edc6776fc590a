"""One timestep of a stage as a graph of its own: spikes of its sources in, what it yields out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

from onnx2snn.graph.graph import Node, Tensor, constant, is_cell, producer
from onnx2snn.model.file import IR_VERSION
from onnx2snn.ops import CELLS, DOMAIN, DOMAIN_VERSION, OPSET_VERSION, Cell

Array = npt.NDArray[Any]

SHIFT, RESULT = "onnx2snn/shift", "onnx2snn/result"
_CURRENT = "onnx2snn/current"


def threshold(neuron: Node) -> Array:
    """θ of a neuron: the last of its parameters."""
    return np.asarray(constant(neuron.inputs[-1]))


def initial_states(cell: Node | None, part: onnx.ModelProto | None, dtype: np.dtype[Any]) -> dict[str, Array]:
    """The states before the first timestep, by their names in the stage, of the cell and of islands."""
    states: dict[str, Array] = {}
    if cell is not None:
        parameters = [np.asarray(constant(tensor)) for tensor in cell.inputs[1:]]
        values = zip(_state_names(CELLS[cell.op]), CELLS[cell.op].initial_state(parameters), strict=True)
        states = {name: value.astype(widened(dtype)) for name, value in values}
    for node in [] if part is None else part.graph.node:
        if node.domain == DOMAIN:
            names = _state_names(CELLS[node.op_type], node.name)
            initial = CELLS[node.op_type].initial_state([])
            states |= {n: v.astype(widened(dtype)) for n, v in zip(names, initial, strict=True)}
    return states


def step_model(
    sources: Sequence[Tensor],
    affine: onnx.ModelProto | None,
    target: Tensor,
    cell: Node | None,
    activation: onnx.ModelProto | None,
) -> onnx.ModelProto:
    """One timestep of a stage: spikes (or values) of the sources and the cell's state in, its spikes out.

    Without a cell, the target's value comes out.
    """
    dtype = np.dtype(target.dtype or np.float32)
    part = _Part([], [] if affine is None else list(affine.graph.initializer), [], [])
    values = _read_sources(part, sources, dtype)
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
        part.nodes.append(_cast(value, RESULT, dtype))
        part.outputs.append(_info(RESULT, dtype))
    else:
        part.inputs.append(_info(SHIFT, dtype))
        part.nodes.append(helper.make_node("Add", [value, SHIFT], [_CURRENT]))
        _call_cell(part, cell, dtype, _CURRENT if activation is None else _activate(part, activation))
    made = helper.make_graph(part.nodes, "stage", part.inputs, part.outputs, part.weights)
    opsets = [helper.make_opsetid("", OPSET_VERSION), helper.make_opsetid(DOMAIN, DOMAIN_VERSION)]
    functions = [CELLS[op].function for op in sorted(used)]
    functions += [] if activation is None else activation.functions
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
    wide, result = widened(dtype), gate.output[0]
    states = _state_names(CELLS[gate.op_type], gate.name)
    part.nodes.append(_cast(gate.input[0], f"{gate.name}/wide", wide))
    gate.input[:] = [f"{gate.name}/wide", *states]
    gate.output[:] = [f"{gate.name}/result", *(f"{name}/next" for name in states)]
    part.nodes += [gate, _cast(gate.output[0], result, dtype)]
    part.inputs += [_info(name, wide) for name in states]
    part.outputs += [_info(f"{name}/next", wide) for name in states]


def _read_sources(part: _Part, sources: Sequence[Tensor], dtype: np.dtype[Any]) -> dict[str, str]:
    """Take the sources as inputs; returns the names of the values s·θ of those that come as spikes s."""
    values: dict[str, str] = {}
    for tensor in sources:
        name, source = tensor.name, producer(tensor)
        if source is None or not is_cell(source) or not CELLS[source.op].sends_units:
            part.inputs.append(_info(name, np.dtype(tensor.dtype or dtype)))
            continue
        part.inputs.append(_info(name, _spike_dtype(source)))
        spikes, theta = f"onnx2snn/{name}/spikes", f"onnx2snn/{name}/threshold"
        values[name] = f"onnx2snn/{name}/value"
        part.weights.append(numpy_helper.from_array(threshold(source), theta))
        part.nodes.append(_cast(name, spikes, dtype))
        part.nodes.append(helper.make_node("Mul", [spikes, theta], [values[name]]))
    return values


def _activate(part: _Part, activation: onnx.ModelProto) -> str:
    """The activation of the current; returns its name."""
    (source,), (result,) = activation.graph.input, activation.graph.output
    names = {source.name: _CURRENT}
    for node in activation.graph.node:
        names |= {name: f"onnx2snn/activated/{name}" for name in node.output}
        copy = onnx.NodeProto()
        copy.CopyFrom(node)
        copy.input[:] = [names.get(name, name) for name in node.input]
        copy.output[:] = [names[name] for name in node.output]
        part.nodes.append(copy)
    known = {item.name for item in part.weights}
    part.weights += [item for item in activation.graph.initializer if item.name not in known]
    return names[result.name]


def _call_cell(part: _Part, cell: Node, dtype: np.dtype[Any], current: str) -> None:
    """From the current to the cell's spikes (a pool's values) and its next state, as outputs.

    A cell computes in float32 at least, as it will in the artifact.
    """
    operator, wide, charge = CELLS[cell.op], widened(dtype), "onnx2snn/charge"
    states = _state_names(operator)
    parameters = [f"onnx2snn/parameter_{number}" for number in range(len(cell.inputs) - 1)]
    for name, tensor in zip(parameters, cell.inputs[1:], strict=True):
        part.weights.append(numpy_helper.from_array(np.asarray(constant(tensor), wide), name))
    part.nodes.append(_cast(current, charge, wide))
    call, results = [charge, *states, *parameters], ["onnx2snn/value", *(f"{name}/next" for name in states)]
    part.nodes.append(helper.make_node(cell.op, call, results, domain=DOMAIN, **cell.attrs))
    counted, result_type = results[0], dtype
    if operator.sends_units:
        counted, result_type = "onnx2snn/whole", _spike_dtype(cell)
        part.nodes.append(helper.make_node("Div", [results[0], parameters[-1]], ["onnx2snn/ratio"]))
        part.nodes.append(helper.make_node("Round", ["onnx2snn/ratio"], [counted]))
    part.nodes.append(_cast(counted, RESULT, result_type))
    part.inputs += [_info(name, wide) for name in states]
    part.outputs += [_info(RESULT, result_type), *(_info(name, wide) for name in results[1:])]


def _cast(source: str, result: str, dtype: np.dtype[Any]) -> onnx.NodeProto:
    return helper.make_node("Cast", [source], [result], to=helper.np_dtype_to_tensor_dtype(dtype))


def _info(name: str, dtype: np.dtype[Any]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(dtype), None)


def _state_names(operator: Cell, owner: str = "cell") -> list[str]:
    return [f"onnx2snn/{owner}/{state}" for state in operator.states]


def widened(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """What adds up values of a type over time: float32 for float16, else the type itself."""
    return np.promote_types(dtype, np.float32)


def _spike_dtype(cell: Node) -> np.dtype[Any]:
    neuron = CELLS[cell.op].neuron
    assert neuron is not None
    most = int(cell.attrs[neuron.limit])
    return np.min_scalar_type(-most - 1)  # -128 fits int8, +128 does not
