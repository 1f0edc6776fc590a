"""How much of the ANN's arithmetic spikes would feed, from shapes alone."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from onnx2snn.graph.graph import Graph, Node, Tensor, has_layers, is_cell, is_flow, operands
from onnx2snn.graph.linear import why_not_linear
from onnx2snn.graph.sections import divide, is_neuron
from onnx2snn.ops import CELLS
from onnx2snn.ops.standard import RECURRENT, SHAPE_OPS, WEIGHTED, standard
from onnx2snn.records import Count, Record, Share


@dataclass(frozen=True)
class Macs(Record):
    """Multiply-accumulates a sample; all None where a layer's size is left open by the model.

    Attributes:
        per_sample: of the ANN; zero padding counts.
        fed_by_spikes: those of them that read nothing but spikes; of a product of two activations, where both
            are sums of spikes.
        share: these over those; None where there are none.
        first: those before the first neuron, which read the inputs; of networks of graded spikes only, where
            all others may read spikes.
    """

    per_sample: Count | None
    fed_by_spikes: Count | None
    share: Share | None
    first: Count | None = None

    @property
    def not_fed(self) -> int | None:
        """Those behind the first layer that read something other than spikes; None where it is not known."""
        if self.per_sample is None or self.fed_by_spikes is None or self.first is None:
            return None
        return self.per_sample - self.fed_by_spikes - self.first


def count_macs(graph: Graph) -> Macs:
    """Multiply-accumulates a sample, and those of them that read nothing but spikes.

    Args:
        graph: an ANN whose rectifiers and pools are in normal form, or what they became.

    The axis whose size is open counts as the batch, the inputs' first where all are known.
    """
    sections = divide(graph)
    copies, batch = _count_copies(graph), _fixed_batch(graph)
    spikes: set[str] = set()
    sums = any(is_cell(node) and CELLS[node.op].sums for node in graph.nodes)
    total, fed, first = 0, 0, 0
    for node in graph.nodes:
        changing = [
            tensor for tensor in operands(node) if tensor.name in sections.temporal or standard(node.op).joins
        ]
        only_spikes = bool(changing) and all(tensor.name in spikes for tensor in changing)
        if is_flow(node) and has_layers(node):
            return Macs(None, None, None)  # what a body computes is not counted
        if node.op in WEIGHTED | RECURRENT and not node.domain:
            macs = _macs(node, copies, batch)
            if macs is None:
                return Macs(None, None, None)
            linear = why_not_linear(node, sections.temporal) is None
            follows = node.op in WEIGHTED and (sums or linear)  # within a recurrent one no spikes travel
            total, fed = total + macs, fed + (macs if only_spikes and follows else 0)
            first += macs if sections.of[node.name] == "prefix" else 0
        elif (is_neuron(node) and node.name in sections.cells) or (
            only_spikes and _passes_spikes(node, sections.temporal, sections.cells)
        ):
            spikes.update(tensor.name for tensor in node.outputs)
    return Macs(total, fed, fed / total if total else None, first if sums else None)


def _passes_spikes(node: Node, temporal: frozenset[str], cells: frozenset[str]) -> bool:
    """Whether what leaves the node is spikes if what enters it is: pools, sums, reshapes, scaling."""
    if node.name in cells:
        return True
    return node.op not in SHAPE_OPS and why_not_linear(node, temporal) is None


def _macs(node: Node, copies: Mapping[str, Fraction | None], batch: int | None) -> int | None:
    """Multiply-accumulates of a weighted node a sample; None where a size is not known."""
    source, weight, result = node.inputs[0], node.inputs[1], node.outputs[0]
    if node.op in RECURRENT:
        # Every vector of the sequence, and every state, meets the weights of all gates and directions.
        sizes = [*(weight.shape or (None,)), *(node.inputs[2].shape or (None,))]
        met = _places(source, copies, batch)
        if met is None or not all(isinstance(size, int) and size for size in sizes):
            return None
        macs = met / weight.shape[-1] * (math.prod(weight.shape) + math.prod(node.inputs[2].shape))
        return int(macs) if macs.denominator == 1 else None
    if node.op in ("Conv", "ConvTranspose"):
        # Every output (of a ConvTranspose: every input) meets the weights of one channel.
        met, depth = result if node.op == "Conv" else source, weight.shape[1:]
    else:
        dims = source.shape or (None,)
        met, depth = result, [dims[0 if node.attrs.get("transA", 0) else -1]]
    places = _places(met, copies, batch)
    if places is None or not all(isinstance(size, int) for size in depth):
        return None
    macs = places * math.prod(depth)
    return int(macs) if macs.denominator == 1 else None


def _places(tensor: Tensor, copies: Mapping[str, Fraction | None], batch: int | None) -> Fraction | None:
    """Values of a tensor a sample."""
    sizes = tensor.shape
    if not sizes:
        return None if sizes is None else Fraction(1)
    if _open_axes(tensor):
        count, closed = copies.get(tensor.name, Fraction(1)), _closed_size(tensor)
        return None if count is None or closed is None else count * closed
    return Fraction(math.prod(sizes), batch) if batch else Fraction(math.prod(sizes[1:]))


def _count_copies(graph: Graph) -> dict[str, Fraction | None]:
    """How often a sample is on the open axis of each tensor: a Reshape to [-1, C] has all places there.

    None where it cannot be told. What is not listed has it once, as the inputs do.
    """
    given = {dim for tensor in graph.inputs for dim in tensor.shape or () if isinstance(dim, str)}
    copies: dict[str, Fraction | None] = {}
    for node in graph.nodes:
        read = {copies.get(tensor.name, Fraction(1)) for tensor in operands(node) if _open_axes(tensor)}
        (count,) = read if len(read) == 1 else [None if read else Fraction(1)]
        for tensor in node.outputs:
            if len(_open_axes(tensor)) != 1:
                continue
            (axis,) = _open_axes(tensor)
            if tensor.shape[axis] in given:
                copies[tensor.name] = Fraction(1)
            elif node.op in ("Flatten", "Reshape"):
                before, after = _closed_size(node.inputs[0]), _closed_size(tensor)
                copies[tensor.name] = count * Fraction(before, after) if count and before and after else None
            else:
                joined = node.op == "Concat" and node.attrs["axis"] % len(tensor.shape) == axis
                copies[tensor.name] = _joined_copies(node, copies) if joined else count
    return copies


def _joined_copies(node: Node, copies: Mapping[str, Fraction | None]) -> Fraction | None:
    """Copies behind a Concat along the open axis."""
    total = Fraction(0)
    for tensor in node.inputs:
        count = copies.get(tensor.name, Fraction(1)) if _open_axes(tensor) else None
        if count is None:
            return None
        total += count
    return total


def _fixed_batch(graph: Graph) -> int | None:
    """Samples of a batch where the inputs have a fixed number."""
    shapes = [tensor.shape for tensor in graph.inputs if tensor.shape]
    known = shapes and all(isinstance(size, int) for shape in shapes for size in shape)
    return shapes[0][0] or None if known else None


def _open_axes(tensor: Tensor) -> list[int]:
    return [axis for axis, size in enumerate(tensor.shape or ()) if not isinstance(size, int)]


def _closed_size(tensor: Tensor) -> int | None:
    """The product of all sizes but the one left open; None unless there is one such."""
    if len(_open_axes(tensor)) != 1:
        return None
    return math.prod(size for size in tensor.shape if isinstance(size, int))
