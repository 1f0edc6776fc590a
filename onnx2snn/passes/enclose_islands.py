"""Analog island → RunningMean at its entrances, Increment at its exits."""

from __future__ import annotations

from onnx2snn.graph.graph import (
    Graph,
    Node,
    Tensor,
    Variable,
    insert_after,
    is_cell,
    is_output,
    operands,
    producer,
    tidy,
    unique_name,
)
from onnx2snn.graph.islands import find_islands
from onnx2snn.graph.sections import divide
from onnx2snn.ops import DOMAIN
from onnx2snn.ops.increment import CELL as INCREMENT
from onnx2snn.ops.running_mean import CELL as RUNNING_MEAN
from onnx2snn.ops.standard import SHAPE_OPS
from onnx2snn.passes.base import Context, Pass


class EncloseIslands(Pass):
    """Let every analog island compute on running means, and give out what makes its own mean exact.

    Cases:
        1. A tensor that changes over time and enters an island → through one RunningMean for all who read it.
        2. A tensor of an island that others read, or that is an output → through one Increment.
        3. Keeps them in the schedule `layer`, where every node computes on sums over time.
        4. Keeps what does not change over time, and shape arithmetic.
    """

    requires = frozenset({"rectifiers_replaced", "pools_replaced"})
    ensures = frozenset({"islands_enclosed"})

    def run(self, graph: Graph, context: Context) -> bool:
        """See `Pass.run`."""
        if context.options.acts_on_sums:
            return False
        sections = divide(graph)
        islands = find_islands(graph, sections)
        entering: dict[str, Tensor] = {}
        leaving: dict[str, Tensor] = {}
        for node in graph.nodes:
            if node.name not in islands:
                continue
            for tensor in operands(node):
                source = producer(tensor)
                inside = source is not None and (source.name in islands or _is(source, RUNNING_MEAN.op))
                if tensor.name in sections.temporal and not inside:
                    entering[tensor.name] = tensor
            for tensor in node.outputs:
                readers = [reader for reader in tensor.outputs if reader.op not in SHAPE_OPS]
                outside = [reader for reader in readers if reader.name not in islands]
                enclosed = all(_is(reader, INCREMENT.op) for reader in outside)
                if is_output(graph, tensor) or not enclosed:
                    leaving[tensor.name] = tensor
        for tensor in entering.values():
            _enter(graph, tensor, islands)
        for tensor in leaving.values():
            _leave(graph, tensor, islands)
        if entering or leaving:
            tidy(graph)
        return bool(entering or leaving)


def _is(node: Node, op: str) -> bool:
    return is_cell(node) and bool(node.op == op)


def _enter(graph: Graph, tensor: Tensor, islands: dict[str, str]) -> None:
    mean = Variable(unique_name(graph, f"{tensor.name}/rate"), tensor.dtype, tensor.shape)
    for reader in [reader for reader in tensor.outputs if reader.name in islands]:
        for index, read in enumerate(reader.inputs):
            if read is tensor:
                reader.inputs[index] = mean
    name = unique_name(graph, f"{tensor.name}/running_mean")
    graph.nodes.append(Node(RUNNING_MEAN.op, name, {}, [tensor], [mean], domain=DOMAIN))


def _leave(graph: Graph, tensor: Tensor, islands: dict[str, str]) -> None:
    name = unique_name(graph, f"{tensor.name}/increment")
    node = Node(INCREMENT.op, name, {}, [tensor], domain=DOMAIN)
    given = insert_after(graph, tensor, node)
    # Inside, everyone reads the value itself.
    for reader in [reader for reader in given.outputs if reader.name in islands or reader.op in SHAPE_OPS]:
        for index, read in enumerate(reader.inputs):
            if read is given:
                reader.inputs[index] = tensor
