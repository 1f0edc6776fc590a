"""Where the samples of a batch are in every tensor, so that counts can be told apart by sample."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper

from onnx2snn.artifact.artifact import Artifact, final_name
from onnx2snn.graph.subgraphs import CONTROL_FLOW
from onnx2snn.model.weights import values_of
from onnx2snn.ops import CELLS, DOMAIN
from onnx2snn.ops.standard import RECURRENT, SHAPE_OPS, having

Array = npt.NDArray[Any]

#: The first axis has several entries for each sample, or one, one sample behind the other.
TOGETHER = -1
#: The axis of the samples, `TOGETHER`, or None where the samples are not told apart.
Layout = int | None

#: Operators that may put an axis in front of all others.
_REPEATING = ("Expand", "Tile")
#: Operators that give as many values as there are to find, and control flow, into which nobody looks.
_LOSING = ("Compress", "NonMaxSuppression", "NonZero", "Unique", *CONTROL_FLOW)
#: What keeps an axis of samples that is not the first.
_KEEPING = having(rows="each") | having(keeps_axis=True)


def find_layouts(artifact: Artifact) -> dict[str, Layout]:
    """Tensor → where its samples are; what depends on no input is not listed."""
    layouts: dict[str, Layout] = {spec.name: 0 for spec in artifact.inputs if spec.shape}
    for part in (artifact.prefix, artifact.step, artifact.head):
        if part is None:
            continue
        constants = {item.name: item for item in part.graph.initializer}
        for node in part.graph.node:
            read = {layouts[name] for name in node.input if name in layouts}
            if read and node.op_type in RECURRENT:
                layouts |= _stepped(node, _common(read))
            elif read and node.op_type not in SHAPE_OPS:
                layouts |= dict.fromkeys(node.output, _after(node, _common(read), constants))
        made = [value for value in artifact.carried if value.after in layouts]
        layouts |= {final_name(value): layouts[value.after] for value in made}
    return layouts


def by_sample(counts: Array, samples: int, layout: Layout) -> Array:
    """Sums by sample; the same share of the total for each where the samples are not told apart.

    Args:
        counts: whole numbers, of any shape or, where the samples are on an axis, of rows up to that axis.
        samples: N.
        layout: where they are.

    Returns:
        int64 [N].
    """
    if layout is not None:
        rows = counts.reshape(math.prod(counts.shape[: max(layout, 0) + 1]), -1)
        if len(rows) % samples == 0:
            split = (samples, -1) if layout in (0, TOGETHER) else (-1, samples)
            sums = rows.sum(axis=1, dtype=np.float64).reshape(split).sum(axis=split.index(-1))
            rounded: Array = np.rint(sums)
            return rounded.astype(np.int64)
    total = round(float(counts.sum(dtype=np.float64)))
    return np.diff([total * sample // samples for sample in range(samples + 1)]).astype(np.int64)


def _common(read: set[Layout]) -> Layout:
    if len(read) == 1:
        return next(iter(read))
    return TOGETHER if read <= {0, TOGETHER} else None


def _after(node: onnx.NodeProto, layout: Layout, constants: Mapping[str, onnx.TensorProto]) -> Layout:
    """Where the samples are behind an operator."""
    attributes = {item.name: helper.get_attribute_value(item) for item in node.attribute}
    if layout is None or node.op_type in _REPEATING:
        return None
    first, axis = layout in (0, TOGETHER), max(layout, 0)
    if node.op_type in _LOSING:
        return None
    if node.op_type in ("ArgMax", "ArgMin"):
        return _reduced(layout, [attributes.get("axis", 0)], keeps=bool(attributes.get("keepdims", 1)))
    if node.op_type == "Transpose":
        order = list(attributes.get("perm", []))
        place = order.index(axis) if axis in order else None
        return place if layout != TOGETHER else (TOGETHER if place == 0 else None)
    if node.op_type == "Gemm" and attributes.get("transA", 0):
        return 0 if layout == 1 else None
    if node.op_type in ("Concat", "Gather", "Split"):
        spared = attributes.get("axis", 0) != axis
        return layout if spared and (first or node.op_type == "Concat") else None
    if node.op_type in ("Flatten", "Reshape"):
        return _reshaped(node, layout, attributes, constants) if first else None
    if node.op_type in ("Squeeze", "Unsqueeze") or node.op_type.startswith("Reduce"):
        return _shifted(node, layout, attributes, constants)
    alike = node.op_type in _KEEPING or (node.domain == DOMAIN and CELLS[node.op_type].kind == "neuron")
    return layout if first or alike else None


def _stepped(node: onnx.NodeProto, layout: Layout) -> dict[str, Layout]:
    """A sequence [T, N, C] gives outputs [T, directions, N, H] and states [directions, N, H]."""
    after: list[Layout] = [2, 1, 1] if layout == 1 else [None] * 3
    return {name: place for name, place in zip(node.output, after, strict=False) if name}


def _reshaped(
    node: onnx.NodeProto,
    layout: int,
    attributes: Mapping[str, Any],
    constants: Mapping[str, onnx.TensorProto],
) -> Layout:
    """A Reshape keeps the order of the values; samples do not stay on the first axis where that becomes 1."""
    if node.op_type == "Flatten":
        axis = attributes.get("axis", 1)
        return None if axis == 0 else (layout if axis == 1 else TOGETHER)
    shape = constants.get(node.input[1])
    size = None if shape is None else values_of(shape)[:1].tolist()
    return None if size == [1] else (layout if size == [0] else TOGETHER)


def _shifted(
    node: onnx.NodeProto,
    layout: int,
    attributes: Mapping[str, Any],
    constants: Mapping[str, onnx.TensorProto],
) -> Layout:
    """Axes in front of the samples come and go."""
    if len(node.input) < 2 or node.input[1] not in constants:
        return None
    axes = sorted(values_of(constants[node.input[1]]).ravel().tolist())
    if not axes or (layout > 0 and axes[0] < 0):
        return None
    if node.op_type == "Unsqueeze":
        if layout == TOGETHER:
            return None if 0 in axes else layout
        for axis in axes:
            layout += 0 <= axis <= layout
        return layout
    return _reduced(layout, axes, keeps=bool(node.op_type != "Squeeze" and attributes.get("keepdims", 1)))


def _reduced(layout: int, axes: Sequence[int], *, keeps: bool) -> Layout:
    """Axes become one value, or go; from the end they are counted only where the samples are first."""
    if max(layout, 0) in axes or (layout > 0 and min(axes) < 0):
        return None
    return layout if keeps else layout - sum(0 <= axis < layout for axis in axes)
