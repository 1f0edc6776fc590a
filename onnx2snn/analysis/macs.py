"""How much of the ANN's arithmetic spikes would feed, from shapes alone."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import onnx
import onnx.shape_inference

from onnx2snn.graph import WEIGHTED, Graph, Node, Tensor, operands
from onnx2snn.linear import why_not_linear
from onnx2snn.sections import SHAPE_OPS, divide, is_neuron

if TYPE_CHECKING:
    from onnx2snn.runtime.artifact import Artifact


def count_macs(graph: Graph) -> dict[str, Any]:
    """Multiply-accumulates a sample, and those of them that read nothing but spikes.

    Args:
        graph: an ANN whose rectifiers and pools are in normal form, or what they became.

    Returns:
        `per_sample`, `fed_by_spikes` and `share`; all None where a layer's size is left open by the model.
        The axis whose size is open counts as the batch, the first where all are known; zero padding counts.
    """
    sections = divide(graph)
    spikes: set[str] = set()
    total, fed = 0, 0
    for node in graph.nodes:
        changing = [
            tensor
            for tensor in operands(node)
            if tensor.name in sections.temporal or node.op in ("Add", "Concat", "Mean", "Sub", "Sum")
        ]
        only_spikes = bool(changing) and all(tensor.name in spikes for tensor in changing)
        if node.op in WEIGHTED and not node.domain:
            macs = _macs(node)
            if macs is None:
                return {"per_sample": None, "fed_by_spikes": None, "share": None}
            linear = why_not_linear(node, sections.temporal) is None
            total, fed = total + macs, fed + (macs if only_spikes and linear else 0)
        elif is_neuron(node) or (only_spikes and _passes_spikes(node, sections.temporal, sections.cells)):
            spikes.update(tensor.name for tensor in node.outputs)
    return {"per_sample": total, "fed_by_spikes": fed, "share": fed / total if total else None}


def mean_fan_out(artifact: Artifact) -> float | None:
    """Connections of a neuron on average, which is what a spike costs where all neurons fire alike.

    Zero padding counts, as in `count_macs`. None where a size is left open by the model.
    """
    fed = artifact.metadata.get("macs", {}).get("fed_by_spikes")
    inferred = onnx.shape_inference.infer_shapes(artifact.step).graph
    known = {item.name: item.type.tensor_type.shape for item in (*inferred.value_info, *inferred.output)}
    neurons = 0
    for cell in artifact.neurons:
        shape = known.get(cell.output[0])
        sizes = [dim.dim_value for dim in shape.dim[1:]] if shape is not None else [0]
        if fed is None or not all(sizes):
            return None
        neurons += math.prod(sizes)
    return None if fed is None else fed / neurons


def _passes_spikes(node: Node, temporal: frozenset[str], cells: frozenset[str]) -> bool:
    """Whether what leaves the node is spikes if what enters it is: pools, sums, reshapes, scaling."""
    if node.name in cells:
        return True
    return node.op not in SHAPE_OPS and why_not_linear(node, temporal) is None


def _macs(node: Node) -> int | None:
    """Multiply-accumulates of a weighted node a sample; None where a size is not known."""
    source, weight, result = node.inputs[0], node.inputs[1], node.outputs[0]
    if node.op in ("Conv", "ConvTranspose"):
        # Every output (of a ConvTranspose: every input) meets the weights of one channel.
        places, depth = _without_batch(result if node.op == "Conv" else source), weight.shape[1:]
    else:
        dims = source.shape or (None,)
        places, depth = _without_batch(result), [dims[0 if node.attrs.get("transA", 0) else -1]]
    sizes = [*places, *depth]
    return math.prod(sizes) if all(isinstance(size, int) for size in sizes) else None


def _without_batch(tensor: Tensor) -> list[Any]:
    if tensor.shape is None:
        return [None]
    sizes = list(tensor.shape)
    batch = next((axis for axis, size in enumerate(sizes) if not isinstance(size, int)), 0)
    return sizes[:batch] + sizes[batch + 1 :]
