"""The one place that knows onnx_graphsurgeon: a mutable graph for the passes, and the way in and out of it.

onnx_graphsurgeon 0.6.1 drops metadata, mutates the caller's model and cannot sort graphs with local
functions. So a graph is flat, made from a copy, and functions and metadata are written on the ModelProto
after export. Its nodes and tensors compare by content: compare them with `is`.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnx.shape_inference
import onnx_graphsurgeon as gs
from onnx_graphsurgeon import Constant as Constant
from onnx_graphsurgeon import Graph as Graph
from onnx_graphsurgeon import Node as Node
from onnx_graphsurgeon import Tensor as Tensor
from onnx_graphsurgeon import Variable as Variable
from onnx_graphsurgeon.ir.tensor import LazyValues
from onnx_graphsurgeon.logger import G_LOGGER

from onnx2snn.errors import ModelError, first_line
from onnx2snn.graph.names import Names
from onnx2snn.graph.order import by_depth
from onnx2snn.graph.subgraphs import CONTROL_FLOW, bodies, inner_nodes, is_control_flow, make_explicit
from onnx2snn.model import weights as in_files
from onnx2snn.model.file import IR_VERSION
from onnx2snn.model.spill import stored
from onnx2snn.ops import CELLS, DOMAIN, DOMAIN_VERSION, OPSET_VERSION, body_of
from onnx2snn.ops.cell import Neuron
from onnx2snn.ops.standard import RECURRENT, WEIGHTED

logger = logging.getLogger(__name__)

Array = npt.NDArray[Any]

# The fence: its own log goes to stdout, past logging; our messages replace it.
G_LOGGER.severity = G_LOGGER.CRITICAL


def import_graph(model: onnx.ModelProto) -> Graph:
    """A model as it is, spiking operators as nodes, to look at."""
    plain = onnx.ModelProto()
    plain.CopyFrom(model)
    del plain.functions[:]
    return _with_bodies(gs.import_onnx(plain), plain)


def import_explicit(model: onnx.ModelProto, *, inside: bool = False) -> Graph:
    """A model whose control flow reads nothing from outside, which it is made to; bodies stay messages."""
    make_explicit(model, inside=inside)
    return _with_bodies(gs.import_onnx(model), model)


def _with_bodies(graph: Graph, model: onnx.ModelProto) -> Graph:
    """Let control flow keep its bodies as messages, into which onnx_graphsurgeon does not look."""
    flows = {node.output[0]: node for node in model.graph.node if is_control_flow(node)}
    for node in graph.nodes:
        if is_flow(node) and node.outputs[0].name in flows:
            node.attrs["body"] = next(bodies(flows[node.outputs[0].name]))
    return graph


def fold_shapes(graph: Graph) -> None:
    """Make constant what depends on known dimensions only.

    That is a Shape, or what Gather and Slice take from it, and the shape of every Reshape whose result is
    known but for one dimension. (onnx_graphsurgeon's own folding does not know a Shape's start and end.)
    """
    for node in graph.nodes:
        known = _known_dimensions(node)
        if known is not None:
            result = node.outputs[0]
            reroute(graph, result, Constant(unique_name(graph, f"{result.name}/known"), known))
        shape = node.outputs[0].shape if node.op == "Reshape" else None
        if shape is None or isinstance(node.inputs[1], Constant):
            continue
        dims = [dim if isinstance(dim, int) else -1 for dim in shape]
        if dims.count(-1) <= 1 and 0 not in dims:
            node.inputs[1] = Constant(unique_name(graph, f"{node.name}/shape"), np.asarray(dims, np.int64))
    tidy(graph)


def _known_dimensions(node: Node) -> Array | None:
    """The value of a Shape, or of a Gather or Slice of one, where the dimensions it has are numbers."""
    shape = node if node.op == "Shape" else (producer(node.inputs[0]) if node.inputs else None)
    if shape is None or shape.op != "Shape" or node.op not in ("Shape", "Gather", "Slice"):
        return None
    dims = shape.inputs[0].shape
    if dims is None:
        return None
    # -1 stands for what is not known: no dimension is negative.
    values = np.asarray([dim if isinstance(dim, int) else -1 for dim in dims], np.int64)
    values = values[slice(shape.attrs.get("start", 0), shape.attrs.get("end"))]
    given = [value for value in map(constant, node.inputs[1:]) if value is not None]
    if len(given) < len(node.inputs) - 1:
        return None
    if node.op == "Gather":
        values = np.asarray(np.take(values, given[0]))
    elif node.op == "Slice":
        first, last, *_ = (int(value.item()) for value in given)
        values = values[slice(first, last, int(given[3].item()) if len(given) > 3 else 1)]
    return None if (values < 0).any() else values


def is_mapped(tensor: Tensor) -> bool:
    """Whether a tensor is a constant in a file; one that onnx_graphsurgeon has yet to read is none."""
    values = tensor._values if isinstance(tensor, Constant) else None
    return isinstance(values, np.ndarray) and in_files.is_mapped(values)


def write_model(graph: Graph) -> onnx.ModelProto:
    """The graph as a ModelProto, in topological order, without metadata.

    Cells stand in it without their state; the bodies of other operators of ours come with it. Weights in
    files are references to these, and so are large ones of more than one message can hold.
    """
    graph = _with_references(tidy(graph))
    model: onnx.ModelProto
    own = sorted({node.op for node in graph.nodes if node.domain == DOMAIN})
    # A foreign domain gets a version as well: its nodes are refused, but with all the others.
    domains = sorted({node.domain for node in graph.nodes if node.domain})
    opsets = [onnx.helper.make_opsetid("", OPSET_VERSION)]
    opsets += [onnx.helper.make_opsetid(domain, DOMAIN_VERSION) for domain in domains]
    try:
        model = gs.export_onnx(graph, do_type_check=False, opset_imports=opsets)
    except (AssertionError, TypeError, ValueError) as error:
        raise ModelError(
            f"model: it has values of a type that cannot be written ({first_line(error)}); "
            "export the model in float32"
        ) from error
    model.functions.extend(body_of(op) for op in own if op not in CELLS)
    model.ir_version = IR_VERSION
    model.producer_name, model.producer_version = "", ""
    return model


def _with_references(graph: Graph) -> Graph:
    """The graph; a copy with references for weights that are in files, or have to be."""
    constants = [tensor for tensor in graph.tensors().values() if isinstance(tensor, Constant)]
    inside = [tensor for tensor in constants if not is_mapped(tensor)]
    if sum(tensor._values.nbytes for tensor in inside) > in_files.MOST_BYTES:
        for tensor in inside:
            if in_files.is_large(tensor._values.nbytes):
                tensor.values = stored(np.asarray(tensor.values))
    elif len(inside) == len(constants):
        return graph
    referring = clone(graph)
    for tensor in filter(is_mapped, referring.tensors().values()):
        reference = in_files.refer(tensor.name, tensor.values)
        if reference is not None and in_files.is_large(tensor.values.nbytes):
            tensor.values = LazyValues(reference)
    return referring


def clone(graph: Graph) -> Graph:
    """A copy with nodes and tensors of its own; the values of constants are shared."""
    return graph.copy()


def extract(
    graph: Graph, inputs: Sequence[str], outputs: Sequence[str], tensors: Mapping[str, Tensor] | None = None
) -> onnx.ModelProto:
    """The part of the graph that computes `outputs` from `inputs`, as a model of its own.

    Who takes one part after the other gives the graph's `tensors`, which are not looked for each time then.
    """
    tensors = graph.tensors() if tensors is None else tensors
    given, wanted = [tensors[name] for name in inputs], [tensors[name] for name in outputs]
    met, pending, needed = {id(tensor) for tensor in given}, list(wanted), dict[int, Node]()
    while pending:  # a copy of the whole graph would cost too much, layer by layer
        tensor = pending.pop()
        for node in () if id(tensor) in met else tensor.inputs:
            needed[id(node)] = node
            pending.extend(node.inputs)
        met.add(id(tensor))
    part = clone(Graph(list(needed.values()), given, wanted, graph.name, opset=graph.opset))
    for tensor in part.inputs:
        tensor.inputs.clear()
    return write_model(part)


def tidy(graph: Graph) -> Graph:
    """Drop what contributes to no output, and sort topologically."""
    return sort(graph.cleanup())


def sort(graph: Graph) -> Graph:
    """Sort topologically, as onnx_graphsurgeon would if it went into itself for no node of a way."""
    graph.nodes = by_depth(graph.nodes, _before)
    return graph


def _before(node: Node) -> list[Node]:
    """The nodes whose results a node reads, or the graphs inside it do."""
    read = list(node.inputs)
    for inner in node.subgraphs():
        read += inner._foreign_tensors().values()
    return [source for tensor in read for source in tensor.inputs]


def is_cell(node: Node) -> bool:
    """Whether the node is one of our stateful spiking operators."""
    return node.domain == DOMAIN and node.op in CELLS


def neuron_of(node: Node) -> Neuron | None:
    """What the node is as a neuron; None for any other."""
    return CELLS[node.op].neuron if is_cell(node) else None


def standard_op(node: Node) -> str:
    """The standard operator that the node is, on sums over time; its own name if it is none."""
    return (CELLS[node.op].acts_as if is_cell(node) else "") or str(node.op)


def constant(tensor: Tensor) -> Array | None:
    """The value of a constant tensor, None for one that is computed or fed."""
    return np.asarray(tensor.values) if isinstance(tensor, Constant) else None


def producer(tensor: Tensor) -> Node | None:
    """The node that computes the tensor, None for inputs and constants."""
    return tensor.inputs[0] if tensor.inputs else None


def is_output(graph: Graph, tensor: Tensor) -> bool:
    """Whether the tensor is one of the graph's outputs."""
    return any(output is tensor for output in graph.outputs)


def sole_consumer(graph: Graph, tensor: Tensor) -> Node | None:
    """The only node that reads the tensor, None if there are more, none, or the graph gives it out."""
    if len(tensor.outputs) != 1 or is_output(graph, tensor):
        return None
    return tensor.outputs[0]


def operands(node: Node) -> Iterator[Tensor]:
    """The inputs that are there: not constants, not omitted optional ones."""
    return (tensor for tensor in node.inputs if not isinstance(tensor, Constant) and not tensor.is_empty())


def is_flow(node: Node) -> bool:
    """Whether the node is control flow, which has a body."""
    return not node.domain and node.op in CONTROL_FLOW


def has_layers(node: Node) -> bool:
    """Whether the node multiplies by weights within: a recurrent one, or one with layers in its body."""
    if node.domain:
        return False
    inner = inner_nodes(node.attrs["body"]) if is_flow(node) else ()
    return node.op in RECURRENT or any(one.op_type in WEIGHTED | RECURRENT for one in inner)


def replace_input(node: Node, index: int, tensor: Tensor) -> None:
    """Feed another tensor to one input, appending it where the input was omitted at the end."""
    while len(node.inputs) <= index:
        node.inputs.append(Variable.empty())
    node.inputs[index] = tensor


def bypass(graph: Graph, node: Node) -> None:
    """Take a one-in-one-out node out of the graph; output names of the graph stay as they are."""
    source, result = node.inputs[0], node.outputs[0]
    reroute(graph, result, source)
    node.outputs.clear()
    node.inputs.clear()


def reroute(graph: Graph, old: Tensor, new: Tensor) -> None:
    """Let every consumer of `old` read `new` instead; a graph output keeps its tensor through an Identity."""
    for consumer in list(old.outputs):
        for index, tensor in enumerate(consumer.inputs):
            if tensor is old:
                consumer.inputs[index] = new
    if is_output(graph, old):
        old.inputs.clear()
        graph.nodes.append(Node("Identity", f"{old.name}/identity", inputs=[new], outputs=[old]))


def insert_after(graph: Graph, tensor: Tensor, node: Node) -> Tensor:
    """Put `node` (already reading `tensor`) behind it: all other consumers read the node's output.

    The node must come without outputs. Where `tensor` is a graph output, the new tensor takes its place and
    its name.
    """
    result = Variable(unique_name(graph, f"{tensor.name}/{node.op.lower()}"), tensor.dtype, tensor.shape)
    for consumer in list(tensor.outputs):
        if consumer is node:
            continue
        for index, read in enumerate(consumer.inputs):
            if read is tensor:
                consumer.inputs[index] = result
    if is_output(graph, tensor):
        graph.outputs = [result if output is tensor else output for output in graph.outputs]
        result.name, tensor.name = tensor.name, result.name
    node.outputs.append(result)
    graph.nodes.append(node)
    return result


def unique_name(graph: Graph, wanted: str) -> str:
    """`wanted`, with the first number that makes it differ from every name that the graph has or had."""
    # With the graph, which cannot be a key.
    names: Names = vars(graph).setdefault("onnx2snn_names", Names())
    return names.unique(graph.nodes, (*graph.inputs, *graph.outputs), wanted)


def scalar(tensor: Tensor) -> float | None:
    """The value of a constant with one element (some exporters write it as [1]), None for anything else."""
    value = None if tensor.is_empty() else constant(tensor)
    return float(value.item()) if value is not None and value.size == 1 else None


def is_float(tensor: Tensor) -> bool | None:
    """Whether the elements are floats that NumPy knows; None where inference could not tell."""
    if tensor.dtype is None:
        return None
    # onnx_graphsurgeon leaves ONNX's own number for a type that NumPy lacks, such as an 8-bit float.
    return not isinstance(tensor.dtype, int) and np.dtype(tensor.dtype).kind == "f"


def rank(tensor: Tensor) -> int | None:
    """Number of dimensions, None where shape inference could not tell."""
    return None if tensor.shape is None else len(tensor.shape)
