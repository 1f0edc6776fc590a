"""Schedule `stream`: a Loop whose body is one timestep of every layer.

    prefix (once) ─→ Loop(timesteps) { linear ops, cells: state → next state, sums += crossing tensors }
                  ─→ mean = sum / T ─→ head (once) ─→ outputs

Weights of the body are initializers of the body, where onnxruntime can prepack them. States start as a
constant that broadcasts on the first timestep, so no batch size is written into the file.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

from onnx2snn.graph import Graph, write_model
from onnx2snn.ops import CELLS, DOMAIN
from onnx2snn.sections import Sections, divide

#: Name of the Loop node, of its trip count, and of the float T that the sums are divided by.
LOOP = "onnx2snn/timesteps_loop"
TIMESTEPS = "timesteps"
_DIVISOR = "onnx2snn/timesteps_as_float"
#: The Loop's condition. It may be omitted, but ONNX's reference evaluator then never enters the loop.
_ALWAYS = "onnx2snn/always"


def emit_stream(graph: Graph, timesteps: int, *, dynamic_timesteps: bool = False) -> onnx.ModelProto:
    """Write the converted graph as a Loop over timesteps.

    Args:
        graph: a flat graph with at least one cell; cells stand in it without their state.
        timesteps: T, the default trip count.
        dynamic_timesteps: make `timesteps` an optional input (onnxruntime warns when it loads such a file).
    """
    flat = write_model(graph)
    parts = _Parts(flat, divide(graph))
    body, carried = _body(parts)
    main: list[onnx.NodeProto] = [*parts.prefix]
    initializers = [
        numpy_helper.from_array(np.asarray(timesteps, np.int64), TIMESTEPS),
        numpy_helper.from_array(np.asarray(True), _ALWAYS),
    ]
    initializers += [numpy_helper.from_array(start, name) for name, start in carried]
    finals = [f"{name}/final" for name, _ in carried]
    fed = [TIMESTEPS, _ALWAYS, *(name for name, _ in carried)]
    loop = helper.make_node("Loop", fed, finals, LOOP, body=body)
    main += [loop, helper.make_node("Cast", [TIMESTEPS], [_DIVISOR], _DIVISOR, to=onnx.TensorProto.FLOAT)]
    for name in parts.crossing:
        divide_by = _DIVISOR
        if parts.dtype(name) != onnx.TensorProto.FLOAT:
            divide_by = f"{name}/timesteps"
            main.append(helper.make_node("Cast", [_DIVISOR], [divide_by], divide_by, to=parts.dtype(name)))
        main.append(helper.make_node("Div", [f"{_sum(name)}/final", divide_by], [name], f"{name}/mean"))
    main += parts.head
    weights = parts.constants(_reads([*parts.prefix, *parts.head]) | {o.name for o in flat.graph.output})
    inputs = list(flat.graph.input)
    if dynamic_timesteps:
        inputs.append(helper.make_tensor_value_info(TIMESTEPS, onnx.TensorProto.INT64, []))
    made = {name for node in main for name in node.output}
    result = helper.make_graph(
        main,
        flat.graph.name or "snn",
        inputs,
        flat.graph.output,
        initializers + weights,
        value_info=[item for item in flat.graph.value_info if item.name in made],
    )
    used = sorted({node.op_type for node in parts.body if node.domain == DOMAIN})
    return helper.make_model(
        result,
        opset_imports=flat.opset_import,
        functions=[CELLS[op].function for op in used],
        ir_version=flat.ir_version,
    )


class _Parts:
    """The flat model's nodes by section, and the tensors that cross from the body into the head."""

    def __init__(self, flat: onnx.ModelProto, sections: Sections) -> None:
        self.sections = sections
        self.prefix = [node for node in flat.graph.node if sections.of[node.name] == "prefix"]
        self.body = [node for node in flat.graph.node if sections.of[node.name] == "body"]
        self._initializers = {item.name: item for item in flat.graph.initializer}
        self._types = {
            item.name: item.type.tensor_type.elem_type
            for item in (*flat.graph.value_info, *flat.graph.output, *flat.graph.input)
        }
        producers = {name: node for node in self.body for name in node.output}
        wanted = {o.name for o in flat.graph.output}
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
        own = {name for node in self.head for name in node.output}
        self.crossing = sorted(name for name in wanted if name in producers and name not in own)

    def constants(self, names: Iterable[str]) -> list[onnx.TensorProto]:
        """The initializers among the names, in the order of the flat model."""
        wanted = set(names)
        return [item for name, item in self._initializers.items() if name in wanted]

    def constant(self, name: str) -> npt.NDArray[np.floating]:
        """The value of an initializer."""
        return numpy_helper.to_array(self._initializers[name])

    def dtype(self, name: str) -> int:
        """The element type of a tensor; float where inference left it open."""
        return self._types.get(name, onnx.TensorProto.FLOAT) or onnx.TensorProto.FLOAT


def _body(parts: _Parts) -> tuple[onnx.GraphProto, list[tuple[str, npt.NDArray[np.floating]]]]:
    """The Loop's body, and name and initial value of everything it carries: states first, then sums."""
    # Names inside a body must differ from the main graph's: what both have is renamed inside.
    outside = {name for node in (*parts.prefix, *parts.head) for name in node.output} | set(parts.crossing)
    inner = {name: f"{name}/step" for node in parts.body for name in node.output if name in outside}
    nodes: list[onnx.NodeProto] = []
    carried: list[tuple[str, npt.NDArray[np.floating]]] = []
    results: list[str] = []
    types: list[int] = []
    for node in parts.body:
        copy = onnx.NodeProto()
        copy.CopyFrom(node)
        copy.input[:] = [inner.get(name, name) for name in node.input]
        copy.output[:] = [inner.get(name, name) for name in node.output]
        if node.domain == DOMAIN:
            cell = CELLS[node.op_type]
            states = [f"{node.name}/{state}" for state in cell.states]
            initial = cell.initial_state([parts.constant(name) for name in node.input[1:]])
            dtype = parts.dtype(node.output[0])
            carried += [
                (name, value.astype(helper.tensor_dtype_to_np_dtype(dtype)))
                for name, value in zip(states, initial, strict=True)
            ]
            types += [dtype] * len(states)
            copy.input[1:1] = [f"{name}/in" for name in states]
            copy.output.extend(f"{name}/out" for name in states)
            results += [f"{name}/out" for name in states]
        nodes.append(copy)
    for name in parts.crossing:
        total = _sum(name)
        dtype = parts.dtype(name)
        carried.append((total, np.zeros((), helper.tensor_dtype_to_np_dtype(dtype))))
        types.append(dtype)
        nodes.append(helper.make_node("Add", [f"{total}/in", inner.get(name, name)], [f"{total}/out"], total))
        results.append(f"{total}/out")
    nodes.append(helper.make_node("Identity", ["condition"], ["condition/out"], "condition"))
    inputs = [
        helper.make_tensor_value_info("timestep", onnx.TensorProto.INT64, []),
        helper.make_tensor_value_info("condition", onnx.TensorProto.BOOL, []),
        *(
            helper.make_tensor_value_info(f"{n}/in", t, None)
            for (n, _), t in zip(carried, types, strict=True)
        ),
    ]
    outputs = [
        helper.make_tensor_value_info("condition/out", onnx.TensorProto.BOOL, []),
        *(helper.make_tensor_value_info(name, t, None) for name, t in zip(results, types, strict=True)),
    ]
    weights = parts.constants(_reads(parts.body))
    # The main graph may hold the same weights for the prefix: inside they need names of their own.
    shared = _reads([*parts.prefix, *parts.head]) & {item.name for item in weights}
    for item_name in sorted(shared):
        weights = [
            _renamed(item, f"{item_name}/step") if item.name == item_name else item for item in weights
        ]
        for node in nodes:
            node.input[:] = [f"{item_name}/step" if name == item_name else name for name in node.input]
    return helper.make_graph(nodes, "timestep", inputs, outputs, weights), carried


def _renamed(tensor: onnx.TensorProto, name: str) -> onnx.TensorProto:
    copy = onnx.TensorProto()
    copy.CopyFrom(tensor)
    copy.name = name
    return copy


def _reads(nodes: Iterable[onnx.NodeProto]) -> set[str]:
    return {name for node in nodes for name in node.input}


def _sum(name: str) -> str:
    return f"{name}/sum"
