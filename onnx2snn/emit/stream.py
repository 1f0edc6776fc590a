"""Schedule `stream`: a Loop whose body is one timestep of every layer.

    prefix (once) ─→ Loop(timesteps) { linear ops, cells: state → next state, sums += crossing tensors }
                  ─→ mean = sum / T ─→ head (once) ─→ outputs

Weights of the body are initializers of the body, where onnxruntime can prepack them. States start as a
constant that broadcasts on the first timestep, so no batch size is written into the file. What adds up over
time, states and sums, is at least float32, also in a float16 net.

All that is added to the user's graph is named `onnx2snn/…`, but for the trip count.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from onnx2snn.emit.cells import functions_of, widen_cells, write_out_quantizers
from onnx2snn.graph.graph import Array, Graph, clone, unique_name, write_model
from onnx2snn.graph.sections import Sections, divide
from onnx2snn.model.weights import values_of
from onnx2snn.ops import CELLS, DOMAIN
from onnx2snn.ops.names import DIVISOR, LOOP, TIMESTEPS

#: The trip count's name in the file, where the user's graph leaves it free.
PUBLIC_TIMESTEPS = "timesteps"
#: The Loop's condition. It may be omitted, but ONNX's reference evaluator then never enters the loop.
_ALWAYS = "onnx2snn/always"


@dataclass(frozen=True)
class _Carried:
    """A value that the loop carries from one timestep to the next: a cell's state, or a sum over time.

    Attributes:
        name: what its tensors' names begin with.
        initial: before the first timestep; broadcasts.
        ranked: whether it keeps the rank of `initial`, whatever the timestep.
    """

    name: str
    initial: Array
    ranked: bool = False

    @property
    def before(self) -> str:
        return f"{self.name}/in"

    @property
    def after(self) -> str:
        return f"{self.name}/out"

    @property
    def final(self) -> str:
        return f"{self.name}/final"

    def info(self, name: str) -> onnx.ValueInfoProto:
        dims = [None] * self.initial.ndim if self.ranked else None
        return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(self.initial.dtype), dims)


def emit_stream(graph: Graph, timesteps: int, *, dynamic_timesteps: bool = False) -> onnx.ModelProto:
    """Write the converted graph as a Loop over timesteps.

    Args:
        graph: a flat graph with at least one cell; cells stand in it without their state. Not changed.
        timesteps: T, the default trip count.
        dynamic_timesteps: make the trip count an optional input (onnxruntime warns when it loads the file).
    """
    graph = clone(graph)
    write_out_quantizers(graph)
    widen_cells(graph)
    _name_apart(graph)
    flat = write_model(graph)
    parts = _Parts(flat, divide(graph))
    trips = TIMESTEPS if PUBLIC_TIMESTEPS in graph.tensors() else PUBLIC_TIMESTEPS
    body, carried = _body(parts)
    fed = [trips, _ALWAYS, *(value.name for value in carried)]
    loop = helper.make_node("Loop", fed, [value.final for value in carried], LOOP, body=body)
    main = [*parts.prefix, loop, *_means(parts, trips), *parts.head]
    initializers = [
        numpy_helper.from_array(np.asarray(timesteps, np.int64), trips),
        numpy_helper.from_array(np.asarray(True), _ALWAYS),
        *(numpy_helper.from_array(value.initial, value.name) for value in carried),
        *parts.constants(parts.read_outside),
    ]
    inputs = list(flat.graph.input)
    if dynamic_timesteps:
        inputs.append(helper.make_tensor_value_info(trips, onnx.TensorProto.INT64, []))
    made = {name for node in main for name in node.output}
    result = helper.make_graph(
        main,
        flat.graph.name or "snn",
        inputs,
        flat.graph.output,
        initializers,
        value_info=[item for item in flat.graph.value_info if item.name in made],
    )
    return helper.make_model(
        result,
        opset_imports=flat.opset_import,
        functions=functions_of(parts.body),
        ir_version=flat.ir_version,
    )


def _name_apart(graph: Graph) -> None:
    """Give every node a name of its own, which ONNX does not ask for: states are named after their cell."""
    taken = {LOOP}
    for node in graph.nodes:
        if node.name in taken:
            node.name = unique_name(graph, node.name)
        taken.add(node.name)


class _Parts:
    """The flat model's nodes by section, and the tensors that cross from the body into the head.

    Attributes:
        prefix, body, head: the sections' nodes; the head repeats shape arithmetic of the body.
        crossing: tensors of the body whose means the head reads, or that are outputs.
        read_outside: names that the main graph reads or gives out.
        sums: whether neurons give the sum of what they have sent: then the last value counts, no mean.
    """

    def __init__(self, flat: onnx.ModelProto, sections: Sections) -> None:
        self.prefix = [node for node in flat.graph.node if sections.of[node.name] == "prefix"]
        self.body = [node for node in flat.graph.node if sections.of[node.name] == "body"]
        self._initializers = {item.name: item for item in flat.graph.initializer}
        self._types = {
            item.name: item.type.tensor_type.elem_type
            for item in (*flat.graph.value_info, *flat.graph.output, *flat.graph.input)
        }
        self._ranks = {
            item.name: len(item.type.tensor_type.shape.dim)
            for item in (*flat.graph.value_info, *flat.graph.output)
            if item.type.tensor_type.HasField("shape")
        }
        producers = {name: node for node in self.body for name in node.output}
        outputs = {output.name for output in flat.graph.output}
        wanted = set(outputs)
        head: list[onnx.NodeProto] = []
        for node in reversed(flat.graph.node):
            section = sections.of[node.name]
            # Shape arithmetic in the body has no mean: where the head reads it too, the head repeats it.
            repeated = section == "body" and any(
                name in wanted and name not in sections.temporal for name in node.output
            )
            if section == "head" or repeated:
                head.append(node)
                wanted.update(node.input)
        self.head = head[::-1]
        cells = [node for node in self.body if node.domain == DOMAIN]
        self.sums = any(CELLS[node.op_type].sums for node in cells)
        own = {name for node in self.head for name in node.output}
        self.crossing = sorted(name for name in wanted if name in producers and name not in own)
        self.read_outside = _reads([*self.prefix, *self.head]) | outputs
        self._read_inside = _reads(self.body)
        outside = {name for node in (*self.prefix, *self.head) for name in node.output}
        outside |= {*self.crossing, *self.read_outside}
        self._inner = {
            name: f"onnx2snn/{name}/step"
            for name in sorted({*producers, *(self._read_inside & set(self._initializers))} & outside)
        }

    def constants(self, names: Iterable[str]) -> list[onnx.TensorProto]:
        """The initializers among the names, in the order of the flat model."""
        wanted = set(names)
        return [item for name, item in self._initializers.items() if name in wanted]

    def constant(self, name: str) -> Array:
        """The value of an initializer."""
        return values_of(self._initializers[name])

    def dtype(self, name: str) -> np.dtype[Any]:
        """The element type of a tensor; float32 where inference left it open."""
        code = self._types.get(name, onnx.TensorProto.FLOAT) or onnx.TensorProto.FLOAT
        return helper.tensor_dtype_to_np_dtype(code)

    def rank(self, name: str) -> int | None:
        """The rank of a tensor; None where inference left it open."""
        return self._ranks.get(name)

    def inside(self, node: onnx.NodeProto) -> onnx.NodeProto:
        """The node under its names inside the body, where those of the main graph must not recur."""
        copy = onnx.NodeProto()
        copy.CopyFrom(node)
        copy.input[:] = [self._inner.get(name, name) for name in node.input]
        copy.output[:] = [self._inner.get(name, name) for name in node.output]
        return copy

    def weights_inside(self) -> list[onnx.TensorProto]:
        """The initializers that the body reads, under their names inside it."""
        weights = []
        for item in self.constants(self._read_inside):
            copy = onnx.TensorProto()
            copy.CopyFrom(item)
            copy.name = self._inner.get(item.name, item.name)
            weights.append(copy)
        return weights


def _means(parts: _Parts, trips: str) -> list[onnx.NodeProto]:
    """Behind the loop: every sum over time, divided by T, as the crossing tensor's own type."""
    nodes: list[onnx.NodeProto] = []
    divisors: dict[np.dtype[Any], str] = {}
    for name in parts.crossing:
        total, dtype = _sum(parts, name), parts.dtype(name)
        wide = total.initial.dtype
        if parts.sums:
            nodes.append(_cast(total.final, name, dtype))
            nodes[-1].name = f"onnx2snn/{name}/last"  # the user's node of that name may be in the prefix
            continue
        if wide not in divisors:
            divisors[wide] = f"{DIVISOR}{wide}"
            nodes.append(_cast(trips, divisors[wide], wide))
        mean = name if dtype == wide else f"onnx2snn/{name}/wide_mean"
        nodes.append(helper.make_node("Div", [total.final, divisors[wide]], [mean], f"onnx2snn/{name}/mean"))
        if mean != name:
            nodes.append(_cast(mean, name, dtype))
    return nodes


def _body(parts: _Parts) -> tuple[onnx.GraphProto, list[_Carried]]:
    """The Loop's body, and everything it carries: states first, then sums."""
    nodes, states = _timestep(parts)
    sums = [_sum(parts, name) for name in parts.crossing]
    for name, total in zip(parts.crossing, sums, strict=True):
        nodes += _add_up(parts, name, total)
    condition, iteration = "onnx2snn/condition", "onnx2snn/timestep"
    nodes.append(helper.make_node("Identity", [condition], [f"{condition}/out"], condition))
    carried = [*states, *sums]
    inputs = [
        helper.make_tensor_value_info(iteration, onnx.TensorProto.INT64, []),
        helper.make_tensor_value_info(condition, onnx.TensorProto.BOOL, []),
        *(value.info(value.before) for value in carried),
    ]
    outputs = [
        helper.make_tensor_value_info(f"{condition}/out", onnx.TensorProto.BOOL, []),
        *(value.info(value.after) for value in carried),
    ]
    inside = [parts.inside(node) for node in nodes]
    return helper.make_graph(inside, "timestep", inputs, outputs, parts.weights_inside()), carried


def _timestep(parts: _Parts) -> tuple[list[onnx.NodeProto], list[_Carried]]:
    """The body's nodes, cells with their states, and these states."""
    nodes: list[onnx.NodeProto] = []
    carried: list[_Carried] = []
    for node in parts.body:
        copy = onnx.NodeProto()
        copy.CopyFrom(node)
        if node.domain == DOMAIN:
            cell, dtype = CELLS[node.op_type], parts.dtype(node.output[0])
            initial = cell.initial_state([parts.constant(name) for name in node.input[1:]])
            # Where onnxruntime knows the rank it drops products with θ = 1.
            rank = parts.rank(node.output[0]) if cell.keeps_rank else None
            states = [
                _Carried(
                    f"onnx2snn/{node.name}/{state}", _expanded(value.astype(dtype), rank), rank is not None
                )
                for state, value in zip(cell.states, initial, strict=True)
            ]
            copy.input[1:1] = [state.before for state in states]
            copy.output.extend(state.after for state in states)
            carried += states
        nodes.append(copy)
    return nodes, carried


def _expanded(value: Array, rank: int | None) -> Array:
    return value.reshape((1,) * ((rank or 0) - value.ndim) + value.shape)


def _sum(parts: _Parts, name: str) -> _Carried:
    """The sum over time of a tensor, in float32 at least."""
    rank = parts.rank(name)
    zero = np.zeros((1,) * (rank or 0), np.promote_types(parts.dtype(name), np.float32))
    return _Carried(f"onnx2snn/{name}/sum", zero, rank is not None)


def _add_up(parts: _Parts, name: str, total: _Carried) -> list[onnx.NodeProto]:
    nodes, term, wide = [], name, total.initial.dtype
    if parts.sums:
        return [_cast(name, total.after, wide)]
    if parts.dtype(name) != wide:
        term = f"onnx2snn/{name}/wide"
        nodes.append(_cast(name, term, wide))
    return [*nodes, helper.make_node("Add", [total.before, term], [total.after], total.name)]


def _cast(source: str, result: str, dtype: np.dtype[Any]) -> onnx.NodeProto:
    return helper.make_node("Cast", [source], [result], result, to=helper.np_dtype_to_tensor_dtype(dtype))


def _reads(nodes: Iterable[onnx.NodeProto]) -> set[str]:
    return {name for node in nodes for name in node.input}
