"""Count what changed inputs cost before the first neuron: differences go through the weights they meet."""

from __future__ import annotations

from dataclasses import dataclass

import onnx
from onnx import helper

from onnx2snn.artifact.artifact import Artifact
from onnx2snn.artifact.layouts import Layout, find_layouts
from onnx2snn.artifact.synapses import Tracer


@dataclass(frozen=True)
class InputCounter:
    """Counting, ready to load into a backend.

    Attributes:
        model: for each input, float32 ones where it has changed and zeros elsewhere, as `changed(name)` →
            multiply-accumulates by rows, one output a layer.
        rows: its outputs, and where the samples are in what these count.
    """

    model: onnx.ModelProto
    rows: dict[str, Layout]


def changed(name: str) -> str:
    """What tells where an input has changed."""
    return f"{name}/changed"


def make_input_counter(artifact: Artifact) -> InputCounter | None:
    """Follow differences of the inputs to the first layers with weights; None where they meet none.

    What lies behind these, or behind a function that a difference does not go through, is not followed.
    """
    prefix = artifact.prefix
    if prefix is None:
        return None
    weights = {item.name: item for item in prefix.graph.initializer}
    inputs = [spec.name for spec in artifact.inputs]
    tracer = Tracer(
        still=set(weights),
        counts={name: changed(name) for name in inputs},
        weights=weights,
        constant=set(weights),
        layouts=find_layouts(artifact),
        analog=False,
        sums=True,
    )
    for node in prefix.graph.node:
        tracer.follow(node)
    if not tracer.outputs:
        return None
    used = {name for node in tracer.nodes for name in node.input}
    known = [changed(name) for name in inputs if changed(name) in used]
    graph = helper.make_graph(
        tracer.nodes,
        "inputs",
        [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in known],
        [helper.make_tensor_value_info(name, onnx.TensorProto.DOUBLE, None) for name in tracer.outputs],
        [item for name, item in weights.items() if name in used],
    )
    model = helper.make_model(graph, opset_imports=prefix.opset_import, ir_version=prefix.ir_version)
    return InputCounter(model, dict(tracer.rows))
