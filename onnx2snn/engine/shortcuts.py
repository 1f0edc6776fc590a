"""Shortcuts that drop pixels and add channels of zeros, as convolutions of 1×1.

A residual net may halve its planes by `x[:, :, ::2, ::2]` and a Pad. Neither knows the blocked layout of
onnxruntime's convolutions, and reordering to them and back takes longer than they do; a convolution whose
weights are 0 and 1 picks the same values, exactly, without leaving the layout.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

from onnx2snn.engine.blocked import BLOCKED_DOMAIN, Dims

#: With more channels the products with zeros cost more than the reorderings.
_MOST_CHANNELS = 64


def convolve_shortcuts(graph: onnx.GraphProto, dims: Dims, block: int) -> None:
    """Make a convolution in blocks of every Pad with channels of zeros and the Slices before it.

    Args:
        graph: as onnxruntime has optimised it; changed in place. Its results stay the same on finite values.
        dims: of the tensors whose dimensions are known.
        block: channels of a block on this machine.
    """
    constants = {item.name: item for item in graph.initializer}
    makers = {name: node for node in graph.node for name in node.output}
    readers = Counter(name for node in graph.node for name in node.input)
    readers.update(item.name for item in graph.output)
    nodes: list[onnx.NodeProto] = []
    for node in graph.node:
        added = _channels_added(node, constants)
        if added is None:
            nodes.append(node)
            continue
        source, steps = node.input[0], (1, 1)
        while readers[source] == 1 and source in makers:
            dropped = _pixels_dropped(makers[source], constants, dims)
            if dropped is None:
                break
            steps = (steps[0] * dropped[0], steps[1] * dropped[1])
            source = makers[source].input[0]
        shape = dims.get(source, ())
        before = shape[1] if len(shape) == 4 else None
        after = (before or 0) + sum(added)
        if before is None or before > _MOST_CHANNELS or before % block or after % block:
            nodes.append(node)
            continue
        picks = np.zeros((after, before), np.float32)
        picks[added[0] + np.arange(before), np.arange(before)] = 1
        name = node.output[0]
        read, weights, made = f"{name}/read", f"{name}/picks", f"{name}/made"
        graph.initializer.append(_in_blocks(picks, block, weights))
        nodes += [
            _node("ReorderInput", [source], read, channels_last=0),
            _node("Conv", [read, weights], made, kernel_shape=[1, 1], strides=steps),
            _node("ReorderOutput", [made], name, channels=after, channels_last=0),
        ]
    del graph.node[:]
    graph.node.extend(nodes)


def _in_blocks(weights: npt.NDArray[np.float32], block: int, name: str) -> onnx.TensorProto:
    """Weights [outputs, inputs] as onnxruntime's blocked 1×1 convolution reads them."""
    outputs, inputs = weights.shape
    ordered = weights.reshape(outputs // block, block, inputs // block, block).transpose(0, 2, 3, 1)
    return numpy_helper.from_array(ordered.reshape(outputs, inputs, 1, 1).copy(), name)


def _node(op: str, inputs: list[str], output: str, **attributes: Any) -> onnx.NodeProto:
    return helper.make_node(op, inputs, [output], output, domain=BLOCKED_DOMAIN, **attributes)


def _channels_added(
    node: onnx.NodeProto, constants: Mapping[str, onnx.TensorProto]
) -> tuple[int, int] | None:
    """How many channels of zeros a Pad puts before and behind those of [N, C, H, W]; None if it does more."""
    if node.op_type != "Pad" or node.input[1] not in constants or len(node.input) > 3:
        return None
    value = node.input[2] if len(node.input) > 2 else ""
    if any(item.name == "mode" and item.s != b"constant" for item in node.attribute):
        return None
    if value and (value not in constants or numpy_helper.to_array(constants[value]).any()):
        return None
    pads = numpy_helper.to_array(constants[node.input[1]]).tolist()
    if len(pads) != 8 or min(pads) < 0 or any(pads[place] for place in (0, 2, 3, 4, 6, 7)):
        return None
    return pads[1], pads[5]


def _pixels_dropped(
    node: onnx.NodeProto, constants: Mapping[str, onnx.TensorProto], dims: Dims
) -> tuple[int, int] | None:
    """A Slice's steps along H and W, if it keeps every so many pixels from the first to the last."""
    if node.op_type != "Slice" or len(node.input) != 5 or not set(node.input[1:]) <= set(constants):
        return None
    starts, ends, axes, steps = (numpy_helper.to_array(constants[name]).tolist() for name in node.input[1:])
    sizes = dims.get(node.input[0], ())
    kept = [1, 1]
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        known = sizes[axis] if len(sizes) == 4 and 2 <= axis <= 3 else None
        if known is None or start != 0 or end < known or step < 1:
            return None
        kept[axis - 2] = step
    return kept[0], kept[1]
