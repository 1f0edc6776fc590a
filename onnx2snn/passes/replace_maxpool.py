"""MaxPool behind a neuron → LIPool; ReduceMax → LIReduceMax."""

from __future__ import annotations

from onnx2snn.graph.channels import static_dims
from onnx2snn.graph.graph import Graph, Node, is_cell
from onnx2snn.graph.sections import divide, is_pool, reduced_axes
from onnx2snn.ops import DOMAIN
from onnx2snn.ops.li_pool import CELL as LI_POOL
from onnx2snn.ops.li_reduce_max import CELL as LI_REDUCE_MAX
from onnx2snn.passes.base import Context, Pass


class ReplaceMaxPool(Pass):
    """Turn every maximum pooling whose input changes over time into lateral inhibition pooling.

    Cases:
        1. MaxPool in any geometry → LIPool with all of MaxPool's attributes written out.
        2. GlobalMaxPool of known size → LIPool with a kernel of that size.
        3. ReduceMax over known axes → LIReduceMax.
        4. Keeps them in the schedule `layer`, where a pool takes in the sums over time: LIPool then gives the
           code of the largest sum, since what comes first in a code counts most.
        5. Keeps a MaxPool before the first neuron: its input is constant over time, where both are equal.
    """

    requires = frozenset({"rectifiers_replaced"})
    ensures = frozenset({"pools_replaced"})

    def run(self, graph: Graph, context: Context) -> bool:
        """See `Pass.run`."""
        if context.options.acts_on_sums:
            return False
        sections = divide(graph)
        changed = False
        for node in graph.nodes:
            if node.name not in sections.cells or is_cell(node) or not is_pool(graph, node):
                continue
            if node.op == "ReduceMax":
                keepdims = int(node.attrs.get("keepdims", 1))
                node.attrs = {"axes": reduced_axes(node), "keepdims": keepdims}
                cell, node.inputs = LI_REDUCE_MAX, node.inputs[:1]
            else:
                if node.op == "GlobalMaxPool":
                    node.attrs = {"kernel_shape": static_dims(node.inputs[0], 2)}
                cell, node.attrs = LI_POOL, _geometry(node)
                node.outputs = node.outputs[:1]  # nobody reads the indices, and spikes have none
            context.note(node.name, node.op, "spiking", f"{cell.op}: lateral inhibition pooling")
            node.op, node.domain = cell.op, DOMAIN
            changed = True
        return changed


def _geometry(pool: Node) -> dict[str, object]:
    """MaxPool's attributes, every one written out: the body of LIPool refers to each of them."""
    kernel = [int(size) for size in pool.attrs["kernel_shape"]]
    dims = len(kernel)
    strides = list(pool.attrs.get("strides", [1] * dims))
    dilations = list(pool.attrs.get("dilations", [1] * dims))
    mode = pool.attrs.get("auto_pad", "NOTSET")
    pads = list(pool.attrs.get("pads", [0] * 2 * dims)) if mode == "NOTSET" else [0] * 2 * dims
    return {
        "auto_pad": mode,
        "ceil_mode": int(pool.attrs.get("ceil_mode", 0)),
        "dilations": dilations,
        "kernel_shape": kernel,
        "pads": pads,
        "strides": strides,
    }
