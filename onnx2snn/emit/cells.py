"""What both schedules do to the spiking operators that they write."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import onnx

from onnx2snn.graph.graph import (
    Constant,
    Graph,
    Node,
    Tensor,
    Variable,
    constant,
    insert_after,
    is_cell,
    sort,
    unique_name,
)
from onnx2snn.ops import DOMAIN, QUANTIZED_RELU, body_of


def write_out_quantizers(graph: Graph) -> None:
    """Write quantised ReLUs that graded neurons stand behind in standard operators: no file has our own."""
    quantizers = [node for node in graph.nodes if (node.domain, node.op) == (DOMAIN, QUANTIZED_RELU.name)]
    for node in quantizers:
        (source, step), result, name = node.inputs, node.outputs[0], node.name
        numbers = {"half": 0.5, "zero": 0.0, "most": float(node.attrs["levels"])}
        constants = {
            key: Constant(unique_name(graph, f"{name}/{key}"), np.asarray(value, result.dtype or np.float32))
            for key, value in numbers.items()
        }
        for op, *others in (
            ("Div", step),
            ("Add", constants["half"]),
            ("Floor",),
            ("Max", constants["zero"]),
            ("Min", constants["most"]),
        ):
            source = _apply(graph, op, name, source, *others)
        node.op, node.domain, node.attrs, node.inputs = "Mul", "", {}, [source, step]
    sort(graph)


def _apply(graph: Graph, op: str, name: str, source: Tensor, *others: Tensor) -> Variable:
    result = Variable(unique_name(graph, f"{name}/{op.lower()}"), source.dtype, source.shape)
    graph.nodes.append(Node(op, result.name, {}, [source, *others], [result]))
    return result


def widen_cells(graph: Graph) -> None:
    """Let the cells of a float16 net compute in float32, or what they count would stop adding up."""
    for cell in [node for node in graph.nodes if is_cell(node)]:
        current, output = cell.inputs[0], cell.outputs[0]
        if output.dtype != np.float16:
            continue
        wide = Variable(unique_name(graph, f"{cell.name}/wide"), np.float32, current.shape)
        widen = Node("Cast", f"{cell.name}/widen", {"to": onnx.TensorProto.FLOAT}, [current], [wide])
        graph.nodes.append(widen)
        parameters = [
            Constant(tensor.name, np.asarray(constant(tensor), np.float32)) for tensor in cell.inputs[1:]
        ]
        cell.inputs = [wide, *parameters]
        narrow = Node("Cast", f"{cell.name}/narrow", {"to": onnx.TensorProto.FLOAT16}, [output])
        insert_after(graph, output, narrow)
        output.dtype = np.float32


def functions_of(nodes: Iterable[onnx.NodeProto]) -> list[onnx.FunctionProto]:
    """The bodies of the spiking operators among the nodes, by name."""
    return [body_of(op) for op in sorted({node.op_type for node in nodes if node.domain == DOMAIN})]
