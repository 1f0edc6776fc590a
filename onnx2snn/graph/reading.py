"""The way in: a user's model becomes a flat graph, with all folded that constants alone say."""

from __future__ import annotations

import numpy as np
import onnx
from onnx.external_data_helper import uses_external_data

from onnx2snn.engine.engines import OnnxruntimeEngine, errors_only
from onnx2snn.errors import ModelError, first_line
from onnx2snn.graph.graph import (
    Constant,
    Graph,
    Node,
    extract,
    fold_shapes,
    import_explicit,
    is_flow,
    is_mapped,
    operands,
    reroute,
    tidy,
    unique_name,
)
from onnx2snn.graph.inference import infer_shapes
from onnx2snn.graph.unroll import unroll
from onnx2snn.model import weights as in_files
from onnx2snn.model.file import normalize_model
from onnx2snn.model.spill import stored

#: Operators whose constants the passes fold themselves: of trained quantisers.
_KEPT = ("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear")


def read_graph(model: onnx.ModelProto) -> Graph:
    """Bring a flattened model into the flat graph: normalized, constants and shape arithmetic folded.

    Args:
        model: as `flatten_model` in `onnx2snn.model.file` gives it; not changed.

    Raises:
        ModelError: see `normalize_model` in `onnx2snn.model.file`.
    """
    normalized = normalize_model(model)
    graph = import_explicit(normalized)
    _map_weights(graph, normalized)
    # Once shape arithmetic is constant, shapes behind it can be inferred, and then more of it is constant.
    before = len(graph.nodes) + 1
    while len(graph.nodes) < before:
        before = len(graph.nodes)
        try:
            _fold_mapped(tidy(graph))
            with errors_only():
                for partitioning in (None, "recursive"):  # all at once; piece by piece what that could not do
                    tidy(
                        tidy(graph).fold_constants(
                            fold_shapes=False, partitioning=partitioning, should_exclude_node=_stays
                        )
                    )
        except (ValueError, TypeError, KeyError, RuntimeError) as error:
            raise ModelError(
                f"model: constants cannot be computed ({first_line(error)}); export the model again"
            ) from error
        infer_shapes(graph)
        fold_shapes(graph)
        if unroll(tidy(graph)):
            infer_shapes(tidy(graph))
            before = len(graph.nodes) + 1
    return graph


def _map_weights(graph: Graph, model: onnx.ModelProto) -> None:
    """Maps of their files for weights that are there; zeros, which take no memory, for what was left out."""
    tensors = graph.tensors()
    for item in model.graph.initializer:
        if not uses_external_data(item) or item.name not in tensors:
            continue
        if in_files.is_present(item):
            tensors[item.name].values = in_files.values_of(item)
        else:
            zero = np.zeros((), onnx.helper.tensor_dtype_to_np_dtype(item.data_type))
            tensors[item.name].values = np.broadcast_to(zero, tuple(item.dims))


def _fold_mapped(graph: Graph) -> None:
    """Compute what depends on constants alone, some of them in files, node by node; it goes to files too."""
    for node in list(graph.nodes):
        if node.op in _KEPT or not _reads_mapped(node) or any(True for _ in operands(node)):
            continue
        names = [tensor.name for tensor in node.outputs]
        made = OnnxruntimeEngine(extract(graph, [], names)).run({})
        for tensor in list(node.outputs):
            value = made[tensor.name]
            value = stored(value) if in_files.is_large(value.nbytes) else value
            reroute(graph, tensor, Constant(unique_name(graph, f"{tensor.name}/computed"), value))
    tidy(graph)


def _stays(node: Node) -> bool:
    """Whether a node is not to be computed: it reads weights in files, or may never come to an end."""
    return is_flow(node) or _reads_mapped(node)


def _reads_mapped(node: Node) -> bool:
    """Whether a node reads weights in files, which onnx_graphsurgeon would read into memory."""
    return any(map(is_mapped, node.inputs))
