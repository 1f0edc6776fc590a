"""MaxPool behind a neuron → LIPool."""

from __future__ import annotations

from onnx2snn.graph import Graph, Node, static_dims
from onnx2snn.ops import DOMAIN, LI_POOL
from onnx2snn.ops.li_pool import same_pads
from onnx2snn.passes.base import Context
from onnx2snn.sections import divide


class ReplaceMaxPool:
    """Turn every MaxPool whose input changes over time into lateral inhibition pooling.

    Cases:
        1. MaxPool in any geometry → LIPool with all of MaxPool's attributes written out.
        2. GlobalMaxPool of known size → LIPool with a kernel of that size.
        3. Keeps a MaxPool before the first neuron: its input is constant over time, where both are equal.
    """

    name = "ReplaceMaxPool"
    removes: frozenset[str] = frozenset()

    def run(self, graph: Graph, context: Context) -> bool:
        """See `Pass.run`."""
        sections = divide(graph)
        changed = False
        for node in graph.nodes:
            if node.op not in ("MaxPool", "GlobalMaxPool") or node.name not in sections.cells:
                continue
            context.note(node.name, node.op, "spiking", "LIPool: lateral inhibition pooling")
            if node.op == "GlobalMaxPool":
                node.attrs = {"kernel_shape": static_dims(node.inputs[0], 2)}
            node.op, node.domain, node.attrs = LI_POOL.op, DOMAIN, _geometry(node)
            node.outputs = node.outputs[:1]  # nobody reads the indices, and spikes have none
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
    size = static_dims(pool.inputs[0], 2)
    if mode.startswith("SAME") and size is not None:
        pads, mode = same_pads(size, kernel, strides, dilations, upper=mode == "SAME_UPPER"), "NOTSET"
    return {
        "auto_pad": mode,
        "ceil_mode": int(pool.attrs.get("ceil_mode", 0)),
        "dilations": dilations,
        "kernel_shape": kernel,
        "pads": pads,
        "strides": strides,
    }
