"""Whether a graph keeps the samples of a batch apart, so that they can be run in any groups."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable
from typing import Any

import onnx
import onnx.shape_inference
from onnx import helper

from onnx2snn.engine.engines import Array
from onnx2snn.model.weights import values_of
from onnx2snn.ops import CELLS, DOMAIN
from onnx2snn.ops.standard import standard


def keep_samples_apart(parts: Iterable[onnx.ModelProto], shared: Collection[str] = ()) -> bool:
    """Whether no operator looks across the first axis, that of the samples.

    What is not known to keep them apart is taken not to.

    Args:
        parts: graphs in the order in which they run, later ones on outputs of the earlier. The inputs of all
            have samples along their first axis, and so shall the outputs of the last.
        shared: inputs without such an axis, the same for all samples.
    """
    for part in parts:
        view = _View(part, shared)
        for node in part.graph.node:
            rule = _RULES.get(standard(node.op_type).rows, _never)
            if node.domain:
                rule = _rule_of_cell(node)
            if not all(map(view.is_shared, node.output)) and not rule(node, view):
                return False
        shared = view.shared
        common = [item.name for item in part.graph.output if item.name in shared]
        if any((view.dims(name) or [0])[0] != 1 for name in common):
            return False
    return not common  # what the last one gives is cut like the samples


class _View:
    """What the rules ask about a graph."""

    def __init__(self, model: onnx.ModelProto, shared: Collection[str]) -> None:
        graph = onnx.shape_inference.infer_shapes(model).graph
        self._constants = {item.name: item for item in graph.initializer}
        self.shared = {*self._constants, *shared}
        for node in graph.node:
            if all(name in self.shared for name in node.input):
                self.shared.update(node.output)
        self._dims = {
            item.name: [dim.dim_value for dim in item.type.tensor_type.shape.dim]
            for item in (*graph.input, *graph.value_info, *graph.output)
            if item.type.tensor_type.HasField("shape")
        } | {name: list(item.dims) for name, item in self._constants.items()}

    def is_shared(self, name: str) -> bool:
        return not name or name in self.shared

    def value(self, node: onnx.NodeProto, index: int) -> Array | None:
        """A constant input."""
        item = self._constants.get(node.input[index]) if len(node.input) > index else None
        return None if item is None else values_of(item)

    def dims(self, name: str) -> list[int] | None:
        """The dimensions of a tensor, 0 where they are open."""
        return self._dims.get(name)

    def rank(self, name: str) -> int | None:
        return None if name not in self._dims else len(self._dims[name])

    def fits(self, name: str, rank: int) -> bool:
        """Whether an operand goes with samples of that rank: has them as well, or one value for all."""
        dims = self._dims.get(name)
        if not name or not self.is_shared(name):
            return not name or (dims is not None and len(dims) == rank)
        return dims is not None and (len(dims) < rank or dims[:1] == [1])

    def spare_samples(self, node: onnx.NodeProto, axes: Collection[int]) -> bool:
        """Whether none of the axes of the first input is the first."""
        rank = self.rank(node.input[0])
        return rank is not None and all(axis % rank for axis in map(int, axes))


def _never(node: onnx.NodeProto, view: _View) -> bool:
    del node, view
    return False


def _always(node: onnx.NodeProto, view: _View) -> bool:
    del node, view
    return True


def _flatten(node: onnx.NodeProto, view: _View) -> bool:
    del view
    return bool(_attribute(node, "axis", 1) == 1)


def _elementwise(node: onnx.NodeProto, view: _View) -> bool:
    """All operands with samples have them on the same axis, and no constant has more than one value there."""
    rank = view.rank(node.input[0]) if not view.is_shared(node.input[0]) else view.rank(node.output[0])
    if rank is None:
        return len(node.input) == 1
    return all(view.fits(name, rank) for name in node.input)


def _by_weights(node: onnx.NodeProto, view: _View) -> bool:
    return not _attribute(node, "training_mode", 0) and all(map(view.is_shared, node.input[1:]))


def _by_matrix(node: onnx.NodeProto, view: _View) -> bool:
    weight = view.value(node, 1)
    rows = (view.rank(node.input[0]) or 0) >= 2 and not _attribute(node, "transA", 0)
    biased = all(view.fits(name, 2) for name in node.input[2:])
    return rows and biased and weight is not None and weight.ndim == 2 and _by_weights(node, view)


def _along_axis(default: int) -> Callable[[onnx.NodeProto, _View], bool]:
    return lambda node, view: view.spare_samples(node, [_attribute(node, "axis", default)])


def _slice(node: onnx.NodeProto, view: _View) -> bool:
    axes = view.value(node, 3)
    return axes is not None and view.spare_samples(node, axes.reshape(-1)) and _by_weights(node, view)


def _reduce(node: onnx.NodeProto, view: _View) -> bool:
    axes = view.value(node, 1)
    return axes is not None and axes.size > 0 and view.spare_samples(node, axes.reshape(-1))


def _pad(node: onnx.NodeProto, view: _View) -> bool:
    pads = view.value(node, 1)
    return pads is not None and len(node.input) <= 3 and not pads[0] and not pads[len(pads) // 2]


def _reshape(node: onnx.NodeProto, view: _View) -> bool:
    """The first dimension stays, or what is left over makes rows that no two samples share."""
    shape, dims = view.value(node, 1), view.dims(node.input[0])
    if shape is None or not shape.size:
        return False
    if shape[0] == 0:
        return True
    row, size = math.prod(shape[1:].tolist()), math.prod((dims or [0])[1:])
    return bool(shape[0] == -1 and row > 0 and size > 0 and size % row == 0)


def _transpose(node: onnx.NodeProto, view: _View) -> bool:
    del view
    perm = _attribute(node, "perm", [])
    return bool(perm) and perm[0] == 0


def _attribute(node: onnx.NodeProto, name: str, default: Any) -> Any:
    return next((helper.get_attribute_value(item) for item in node.attribute if item.name == name), default)


def _rule_of_cell(node: onnx.NodeProto) -> Callable[[onnx.NodeProto, _View], bool]:
    cell = CELLS.get(node.op_type) if node.domain == DOMAIN else None
    if cell is None or not cell.keeps_samples:
        return _never
    return _always if cell.kind == "pool" else _elementwise


#: By the `rows` of an operator's record: whether a node of it keeps samples apart.
_RULES: dict[str, Callable[[onnx.NodeProto, _View], bool]] = {
    "axis": _along_axis(0),
    "channels": _by_weights,
    "each": _elementwise,
    "flatten": _flatten,
    "last axis": _along_axis(-1),
    "matrix": _by_matrix,
    "pad": _pad,
    "reduce": _reduce,
    "reshape": _reshape,
    "slice": _slice,
    "transpose": _transpose,
}
