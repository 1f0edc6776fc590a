"""Pools of known sizes with explicit pads: without auto_pad and ceil_mode.

With ceil_mode, ONNX's shape inference counts a last window that begins behind the input, which onnxruntime
and torch drop; with auto_pad, onnxruntime leaves dilations out. ONNX's reference implementation pads such
pools in wrong places. Pads that say the same are read alike by all.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from onnx2snn.graph.channels import static_dims
from onnx2snn.graph.graph import Constant, Graph, Node, Variable, unique_name
from onnx2snn.ops.windows import PoolAxis, pool_axes

#: Operators with the attributes of a pool.
_POOLS = ("MaxPool", "AveragePool", "LpPool")
#: A domain of which shape inference knows nothing.
_UNKNOWN = "onnx2snn.unknown"


def make_pools_explicit(graph: Graph) -> bool:
    """Write pools with auto_pad or ceil_mode with pads of numbers, where sizes are known.

    A pool whose pads no runtime takes, or some size of which is not known, keeps its attributes.

    Returns:
        Whether there was one: sizes behind it can be inferred now.
    """
    changed = False
    for node in list(graph.nodes):
        if node.domain or node.op not in _POOLS or not _is_implicit(node):
            continue
        sizes = static_dims(node.inputs[0], 2)
        axes = None if sizes is None else pool_axes(node.attrs, sizes)
        if axes is not None and _is_taken(node, axes):
            _write(graph, node, axes)
            changed = True
    return changed


def hide_pools(graph: Graph) -> None:
    """Let shape inference count no windows of auto_pad and ceil_mode: it has others than onnxruntime."""
    behind: set[str] = set()
    for node in graph.nodes:
        if not node.domain and node.op in _POOLS and _is_implicit(node):
            node.op, node.domain = "Pool", _UNKNOWN
            known = [None, None] if node.inputs[0].shape is None else list(node.inputs[0].shape[:2])
            for tensor in node.outputs:
                tensor.shape = [*known, *[None] * len(node.attrs["kernel_shape"])]
                behind.add(tensor.name)
        elif any(tensor.name in behind for tensor in node.inputs):
            for tensor in node.outputs:
                behind.add(tensor.name)
                if tensor.shape is not None:
                    tensor.shape = [None if isinstance(size, int) else size for size in tensor.shape]


def _is_implicit(node: Node) -> bool:
    return bool(node.attrs.get("ceil_mode", 0)) or node.attrs.get("auto_pad", "NOTSET") != "NOTSET"


def _is_taken(node: Node, axes: Sequence[PoolAxis]) -> bool:
    """Whether onnxruntime takes such pads: less than the kernel."""
    kernel = node.attrs["kernel_shape"]
    if len(node.outputs) > 1 or any(axis.outputs < 1 for axis in axes):
        return False
    return all(
        0 <= axis.begin < k and axis.end >= 0 and axis.end + axis.beyond < k
        for axis, k in zip(axes, kernel, strict=True)
    )


def _write(graph: Graph, node: Node, axes: Sequence[PoolAxis]) -> None:
    begins, ends = [axis.begin for axis in axes], [axis.end for axis in axes]
    beyond = [axis.beyond for axis in axes]
    node.attrs.pop("auto_pad", None)
    node.attrs.pop("ceil_mode", None)
    if node.attrs.get("count_include_pad", 0) and any(beyond):
        # What is beyond the pads does not count; pads do, as zeros that are there.
        node.attrs["count_include_pad"] = 0
        if any(begins + ends):
            _pad(graph, node, [0, 0, *begins, 0, 0, *ends])
        begins, ends = [0] * len(axes), [0] * len(axes)
    node.attrs["pads"] = [*begins, *(end + more for end, more in zip(ends, beyond, strict=True))]


def _pad(graph: Graph, node: Node, pads: Sequence[int]) -> None:
    """Put zeros around what a node reads."""
    source = node.inputs[0]
    padded = Variable(unique_name(graph, f"{node.outputs[0].name}/padded"), source.dtype)
    where = Constant(unique_name(graph, f"{node.outputs[0].name}/pads"), np.asarray(pads, np.int64))
    graph.nodes.insert(graph.nodes.index(node), Node("Pad", padded.name, {}, [source, where], [padded]))
    node.inputs[0] = padded
