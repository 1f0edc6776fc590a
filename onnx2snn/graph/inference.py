"""Types and sizes of all tensors, as onnxruntime will have them."""

from __future__ import annotations

import onnx.shape_inference

from onnx2snn.graph.explicit_pools import hide_pools, make_pools_explicit
from onnx2snn.graph.graph import Constant, Graph, Variable, clone, import_graph, write_model
from onnx2snn.model import weights as in_files


def infer_shapes(graph: Graph) -> None:
    """Infer the types and shapes of all tensors again; pools of known sizes get explicit pads on the way."""
    _infer(graph)
    while make_pools_explicit(graph):
        _infer(graph)


def _infer(graph: Graph) -> None:
    """Types and shapes of all tensors again; weights are not copied for it."""
    light = clone(graph)
    stands_for = {
        name: Variable(name, tensor.values.dtype, tensor.values.shape)
        for name, tensor in light.tensors().items()
        if isinstance(tensor, Constant) and in_files.is_large(tensor.values.nbytes)
    }
    for node in light.nodes:
        for index, tensor in enumerate(node.inputs):
            if tensor.name in stands_for:
                node.inputs[index] = stands_for[tensor.name]
    light.inputs += stands_for.values()
    hide_pools(light)
    inferred = import_graph(onnx.shape_inference.infer_shapes(write_model(light), data_prop=True))
    known = inferred.tensors()
    for name, tensor in graph.tensors().items():
        typed = known.get(name)
        if typed is not None and not isinstance(tensor, Constant):
            tensor.dtype, tensor.shape = typed.dtype, typed.shape
