"""Schedule `layer`: a flat graph, without a loop.

All linear operators commute with the sum over time, so one pass over the sums gives the spike counts that T
explicit timesteps of each layer would: `onnx2snn.runtime.explicit` simulates these, and tests compare.
"""

from __future__ import annotations

import onnx

from onnx2snn.emit.cells import functions_of, widen_cells, write_out_quantizers
from onnx2snn.graph.graph import Graph, clone, write_model


def emit_layer(graph: Graph) -> onnx.ModelProto:
    """Write the converted graph as it is, its neurons with their bodies.

    Args:
        graph: a flat graph whose cells have no state. Not changed.
    """
    graph = clone(graph)
    write_out_quantizers(graph)
    widen_cells(graph)
    model = write_model(graph)
    model.graph.name = model.graph.name or "snn"
    model.functions.extend(functions_of(model.graph.node))
    return model
