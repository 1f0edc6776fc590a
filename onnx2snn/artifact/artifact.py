"""Take an artifact apart: what runs before the neurons, one timestep of these, and what runs after them.

In the schedule `layer` the whole run is one step: of sums over time instead of a timestep's values.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper

from onnx2snn.artifact.pools import neuron_before
from onnx2snn.artifact.records import Metadata
from onnx2snn.artifact.structure import check_cells, find_time_loop, flat_timesteps, is_time_loop
from onnx2snn.artifact.sums import gives_sums, pools_of_sums
from onnx2snn.data.readers import InputSpec
from onnx2snn.emit.metadata import read_metadata
from onnx2snn.errors import ModelError
from onnx2snn.exits.in_file import remove_early_exit
from onnx2snn.exits.rule import ExitRule
from onnx2snn.exits.until_rest import remove_until_rest, stops_at_rest
from onnx2snn.model.weights import values_of
from onnx2snn.ops import CELLS, DOMAIN
from onnx2snn.ops.names import TIMESTEPS
from onnx2snn.options import Schedule

Array = npt.NDArray[Any]

#: Element type and dimensions, as far as they are known.
TensorType = tuple[int, tuple[int | None, ...] | None]
_FLOAT: TensorType = (onnx.TensorProto.FLOAT, None)


@dataclass(frozen=True, eq=False)
class Carried:
    """A value that the loop carries: input and output name in the step model, value before the first step."""

    before: str
    after: str
    initial: Array


@dataclass(frozen=True)
class Artifact:
    """An artifact's parts as models of their own.

    Attributes:
        model: the whole file, but for an early exit, and what ends it at rest.
        timesteps: T, as compiled.
        prefix: from the inputs to what the loop and the head read; None when they read the inputs only.
        step: one timestep, from the carried values and the prefix to the carried values.
        head: from the sums over time and `TIMESTEPS` to the outputs.
        carried: states and sums, in the loop's order.
        cells: the step's nodes with a state, in order; in the schedule `layer` neurons and maximum pools.
        record: what it says of itself.
        stops_at_rest: whether the file's Loop ends at the first timestep without a spike.
        answer: the output that is judged, see `onnx2snn.artifact.outputs`; empty for the first.
        named: whether somebody has said so.
    """

    model: onnx.ModelProto
    timesteps: int
    prefix: onnx.ModelProto | None
    step: onnx.ModelProto
    head: onnx.ModelProto
    carried: tuple[Carried, ...]
    cells: tuple[onnx.NodeProto, ...]
    record: Metadata
    stops_at_rest: bool = False
    answer: str = ""
    named: bool = False

    @property
    def exit_rule(self) -> ExitRule | None:
        """The early exit that the file was compiled with."""
        return self.record.early_exit

    @property
    def gives_probabilities(self) -> bool:
        """Whether the answer comes from a softmax."""
        makers = {name: node.op_type for node in self.model.graph.node for name in node.output}
        return makers.get(self.outputs[0]) == "Softmax"

    @property
    def sums(self) -> bool:
        """Whether neurons give the sum of what they have sent, so that all computes on sums."""
        return any(gives_sums(cell) for cell in self.cells)

    @property
    def inputs(self) -> tuple[InputSpec, ...]:
        """The ANN's inputs; an optional trip count is none of them."""
        return tuple(input_specs(self.model))

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the outputs, that of the answer first."""
        names = (output.name for output in self.model.graph.output)
        return tuple(sorted(names, key=lambda name: name != (self.answer or name)))

    @property
    def spiking(self) -> tuple[onnx.NodeProto, ...]:
        """The cells that send spikes, their own or others': neurons and pools."""
        return tuple(cell for cell in self.cells if not cell.domain or CELLS[cell.op_type].kind != "rate")

    @property
    def neurons(self) -> tuple[onnx.NodeProto, ...]:
        """The cells that send spikes of their own, in the order in which they fire."""
        return tuple(cell for cell in self.cells if cell.domain and CELLS[cell.op_type].kind == "neuron")

    @property
    def schedule(self) -> Schedule:
        """`stream` or `layer`."""
        return "stream" if any(is_time_loop(node) for node in self.model.graph.node) else "layer"

    def sources(self, cell: onnx.NodeProto) -> list[str]:
        """Names of the neurons whose spikes a cell sends: its own, or those that reach a pool."""
        producers = {name: node for node in self.step.graph.node for name in node.output}
        neurons = {neuron.output[0]: neuron.name for neuron in self.neurons}
        reached: dict[str, None] = {}
        pending = [cell.output[0]]
        while pending:
            name = pending.pop()
            if name in neurons:
                reached[neurons[name]] = None
            elif name in producers:
                node = producers[name]
                pending.extend(node.input[:1] if node.domain == DOMAIN else node.input)
        return list(reached)

    def threshold(self, cell: onnx.NodeProto) -> Array:
        """θ of a neuron, broadcastable to its output."""
        return self.parameters(cell)[-1]

    def parameters(self, cell: onnx.NodeProto) -> list[Array]:
        """The parameters of a cell, θ last, broadcastable to its output."""
        weights = {item.name: item for item in self.step.graph.initializer}
        return [values_of(weights[name]) for name in cell.input if name in weights]


def is_artifact(model: onnx.ModelProto) -> bool:
    """Whether a model was written by `onnx2snn compile`."""
    return any(is_time_loop(node) or _fires_once(node) for node in model.graph.node)


def _fires_once(node: onnx.NodeProto) -> bool:
    return node.domain == DOMAIN and node.op_type in CELLS and not CELLS[node.op_type].states


def take_apart(model: onnx.ModelProto, source: str = "model") -> Artifact:
    """Split an artifact at its loop; `source` is what an error calls it.

    Raises:
        ModelError: the model was not written by onnx2snn.
    """
    if not is_artifact(model):
        raise ModelError(
            f"{source}: expected an .snn.onnx file written by `onnx2snn compile`, "
            "found a model without its neurons; compile the model first"
        )
    if not any(is_time_loop(node) for node in model.graph.node):
        return _divide_flat(model, source)
    find_time_loop(model.graph, source)  # before anything relies on it
    at_rest = stops_at_rest(model)
    model = remove_early_exit(remove_until_rest(model))
    graph, found = model.graph, find_time_loop(model.graph, source)
    loop, body, trips = found.node, found.body, found.trips
    before = graph.node[: found.position]
    after = [_with_input_renamed(node, trips, TIMESTEPS) for node in graph.node[found.position + 1 :]]
    weights = {item.name: item for item in (*graph.initializer, *body.initializer)}
    del weights[trips]
    check_cells(body.node, weights, source)
    types = _types(model, body)

    carried = tuple(
        Carried(inner.name, outer.name, values_of(weights[initial]))
        for inner, outer, initial in zip(body.input[2:], body.output[1:], loop.input[2:], strict=True)
    )
    steps = [node for node in body.node if node.output[0] != body.output[0].name]

    part = partial(_part, model, weights, types)
    step = part("timestep", steps, [value.after for value in carried])
    head = part("head", after, (output.name for output in graph.output))
    fed = {item.name for item in graph.input} | {value.before for value in carried} | set(loop.output)
    bridges = [
        item.name for item in (*step.graph.input, *head.graph.input) if item.name not in fed | {TIMESTEPS}
    ]
    return Artifact(
        model=model,
        timesteps=found.timesteps,
        prefix=part("prefix", before, bridges) if bridges else None,
        step=step,
        head=head,
        carried=carried,
        cells=_cells(steps),
        record=Metadata.read(read_metadata(model), source),
        stops_at_rest=at_rest,
    )


def _cells(steps: Sequence[onnx.NodeProto]) -> tuple[onnx.NodeProto, ...]:
    """The nodes with a state; and the pools of sums, which send where their output changes."""
    pools = {node.output[0] for node in pools_of_sums(steps)}
    return tuple(node for node in steps if node.domain == DOMAIN or node.output[0] in pools)


def _divide_flat(model: onnx.ModelProto, source: str) -> Artifact:
    """An artifact of the schedule `layer`: all that some cell depends on, and is no prefix, is the step."""
    graph, record = model.graph, Metadata.read(read_metadata(model), source)
    weights = {item.name: item for item in graph.initializer}
    check_cells(graph.node, weights, source)
    cells = _flat_cells(graph.node, weights)
    before, body, after = _sections(graph.node, cells)
    outputs = [output.name for output in graph.output]
    made = {name for node in body for name in node.output if name}
    crossing = [name for name in dict.fromkeys([t for n in after for t in n.input] + outputs) if name in made]
    carried = tuple(Carried(f"onnx2snn/{name}/in", name, np.zeros((), np.float32)) for name in crossing)
    for value in carried:
        after = [_with_input_renamed(node, value.after, final_name(value)) for node in after]
        if value.after in outputs:
            after.append(helper.make_node("Identity", [final_name(value)], [value.after]))
    types = _types(model)
    types |= {final_name(value): types.get(value.after, _FLOAT) for value in carried}
    part = partial(_part, model, weights, types)
    step, head = part("layers", body, crossing), part("head", after, outputs)
    fed = {item.name for item in graph.input} | {final_name(value) for value in carried}
    bridges = [item.name for item in (*step.graph.input, *head.graph.input) if item.name not in fed]
    return Artifact(
        model=model,
        timesteps=flat_timesteps(record, graph.node, source),
        prefix=part("prefix", before, bridges) if bridges else None,
        step=step,
        head=head,
        carried=carried,
        cells=tuple(cells),
        record=record,
    )


def _flat_cells(
    nodes: Iterable[onnx.NodeProto], weights: Mapping[str, onnx.TensorProto]
) -> list[onnx.NodeProto]:
    """The neurons, and the maximum pools that read the spikes of one alone."""
    producers: dict[str, onnx.NodeProto] = {}
    cells = []
    if any(gives_sums(node) for node in nodes):
        return list(_cells(list(nodes)))
    for node in nodes:
        producers.update(dict.fromkeys(node.output, node))
        before = neuron_before(node, producers, weights) if node.op_type == "MaxPool" else None
        if node.domain == DOMAIN or (before is not None and not CELLS[before[0].op_type].uneven):
            cells.append(node)
    return cells


def _sections(
    nodes: Sequence[onnx.NodeProto], cells: Iterable[onnx.NodeProto]
) -> tuple[list[onnx.NodeProto], list[onnx.NodeProto], list[onnx.NodeProto]]:
    """What depends on no neuron, the cells with what else they depend on, and the rest."""
    acting = {node.output[0] for node in cells}
    dependent: set[str] = set()
    for node in nodes:
        if node.domain == DOMAIN or not dependent.isdisjoint(node.input):
            dependent.update(node.output)
    needed: set[str] = set()
    inner: list[onnx.NodeProto] = []
    after: list[onnx.NodeProto] = []
    for node in reversed(nodes):
        if node.output[0] in acting or not needed.isdisjoint(node.output):
            needed.update(node.input)
            inner.append(node)
        else:
            after.append(node)
    before = [node for node in nodes if dependent.isdisjoint(node.output)]
    body, rest = (
        [node for node in reversed(part) if not dependent.isdisjoint(node.output)] for part in (inner, after)
    )
    return before, body, rest


def _part(
    model: onnx.ModelProto,
    weights: Mapping[str, onnx.TensorProto],
    types: dict[str, TensorType],
    name: str,
    nodes: Iterable[onnx.NodeProto],
    outputs: Iterable[str],
) -> onnx.ModelProto:
    """Some nodes of an artifact as a model of their own."""
    nodes, outputs = list(nodes), list(dict.fromkeys(outputs))
    made = {tensor for node in nodes for tensor in node.output}
    read = dict.fromkeys([t for node in nodes for t in node.input if t] + outputs)
    inputs = [t for t in read if t not in made and t not in weights]
    used = [weights[t] for t in read if t in weights]
    return _model(name, nodes, inputs, outputs, used, types, model)


def _with_input_renamed(node: onnx.NodeProto, old: str, new: str) -> onnx.NodeProto:
    copy = onnx.NodeProto()
    copy.CopyFrom(node)
    copy.input[:] = [new if name == old else name for name in node.input]
    return copy


def final_name(value: Carried) -> str:
    """The name under which the head reads a carried value after the loop."""
    return value.before.removesuffix("/in") + "/final"


def input_specs(model: onnx.ModelProto) -> tuple[InputSpec, ...]:
    """The inputs of any model that are not initializers.

    Raises:
        ModelError: an input that is no tensor, or whose rank is not known.
    """
    initializers = {item.name for item in model.graph.initializer}
    specs = []
    for item in model.graph.input:
        if item.name in initializers:
            continue
        tensor = item.type.tensor_type
        if not item.type.HasField("tensor_type") or not tensor.HasField("shape"):
            raise ModelError(
                f"input '{item.name}': expected a tensor of known rank, found none; export it with a shape"
            )
        shape = tuple(dim.dim_value if dim.dim_value > 0 else None for dim in tensor.shape.dim)
        specs.append(InputSpec(item.name, helper.tensor_dtype_to_np_dtype(tensor.elem_type), shape))
    return tuple(specs)


def _model(
    name: str,
    nodes: list[onnx.NodeProto],
    inputs: list[str],
    outputs: list[str],
    weights: list[onnx.TensorProto],
    types: dict[str, TensorType],
    whole: onnx.ModelProto,
) -> onnx.ModelProto:
    def info(tensor: str) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(tensor, *types.get(tensor, _FLOAT))

    graph = helper.make_graph(nodes, name, [info(t) for t in inputs], [info(t) for t in outputs], weights)
    return helper.make_model(
        graph,
        opset_imports=whole.opset_import,
        functions=whole.functions,
        ir_version=whole.ir_version,
    )


def _types(model: onnx.ModelProto, *bodies: onnx.GraphProto) -> dict[str, TensorType]:
    """Of all tensors but those whose element type is not known."""
    graphs = (model.graph, *bodies)
    types: dict[str, TensorType] = {}
    for item in (i for graph in graphs for i in (*graph.value_info, *graph.input, *graph.output)):
        tensor = item.type.tensor_type
        if tensor.elem_type:
            dims = None
            if tensor.HasField("shape"):
                dims = tuple(dim.dim_value if dim.dim_value > 0 else None for dim in tensor.shape.dim)
            types[item.name] = (tensor.elem_type, dims)
    for item in (item for body in bodies for item in body.input[2:]):
        # The final value has the shape of what was added, not of what was there at first.
        types[item.name.removesuffix("/in") + "/final"] = _ranked(types[item.name])
    # ONNX's inference counts other windows than onnxruntime where pools write no pads.
    attributes = (item for graph in graphs for node in graph.node for item in node.attribute)
    if any((item.name == "ceil_mode" and item.i) or item.s.startswith(b"SAME") for item in attributes):
        given = {item.name for item in model.graph.input}
        types = {name: type_ if name in given else _ranked(type_) for name, type_ in types.items()}
    return types | {TIMESTEPS: (onnx.TensorProto.INT64, ())}


def _ranked(type_: TensorType) -> TensorType:
    """The type, without sizes."""
    element, dims = type_
    return element, None if dims is None else (None,) * len(dims)


def zero_state(values: Iterable[Carried]) -> dict[str, Array]:
    """The carried values before the first timestep, by input name of the step model."""
    return {value.before: np.asarray(value.initial) for value in values}
