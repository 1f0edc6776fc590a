"""Identity(x), Dropout(x), Cast to the type x has → x."""

from __future__ import annotations

import numpy as np

from onnx2snn.graph.graph import (
    Graph,
    Node,
    Tensor,
    bypass,
    constant,
    is_float,
    is_output,
    producer,
    replace_input,
    tidy,
)
from onnx2snn.passes.base import Context, Pass


class RemoveIdentity(Pass):
    """Remove nodes that hand on their input unchanged at inference.

    Cases:
        1. Identity; Dropout in inference mode whose mask nobody reads; Cast to the same type; Cast to a wider
           float type and back → removed.
        2. Dropout with `training_mode` that is not constant false → kept (refused later).
        3. Keeps an Identity that gives a graph input, a constant or another output a second name.
    """

    ensures = frozenset({"identities_removed"})

    def run(self, graph: Graph, context: Context) -> bool:
        """See `Pass.run`."""
        changed = False
        for node in graph.nodes:
            # Asked one at a time: removing one node can turn the source of the next into an output.
            original = _cast_back(node)
            if original is not None:
                replace_input(node, 0, original)  # now it is a Cast to the type that its input has
                changed = True
            if not _does_nothing(graph, node) or not _can_go(graph, node):
                continue
            changed = True
            context.note(node.name, node.op, "folded", "hands on its input unchanged")
            if is_output(graph, node.outputs[0]):
                _rename_source(graph, node)
            else:
                bypass(graph, node)
        if changed:
            tidy(graph)
        return changed


def _does_nothing(graph: Graph, node: Node) -> bool:
    if node.op == "Identity":
        return True
    if node.op == "Dropout":
        training = constant(node.inputs[2]) if len(node.inputs) > 2 else None
        in_training = (
            len(node.inputs) > 2 and not node.inputs[2].is_empty() and (training is None or training)
        )
        mask_read = any(mask.outputs or is_output(graph, mask) for mask in node.outputs[1:])
        return not in_training and not mask_read
    source, result = node.inputs[0] if node.inputs else None, node.outputs[0]
    if node.op != "Cast" or source is None or source.dtype is None:
        return False
    return bool(source.dtype == result.dtype)


def _cast_back(node: Node) -> Tensor | None:
    """The tensor that two Casts in a row, to a wider float type and back, hand on unchanged."""
    wide = producer(node.inputs[0]) if node.op == "Cast" else None
    if wide is None or wide.op != "Cast":
        return None
    source, between, result = (tensor.dtype for tensor in (wide.inputs[0], node.inputs[0], node.outputs[0]))
    if source is None or between is None or source != result:
        return None
    floats = is_float(wide.inputs[0]) and is_float(node.inputs[0])
    widens = floats and np.dtype(between).itemsize >= np.dtype(source).itemsize
    return wide.inputs[0] if widens else None


def _can_go(graph: Graph, node: Node) -> bool:
    source, result = node.inputs[0], node.outputs[0]
    if not is_output(graph, result):
        return True
    return producer(source) is not None and not is_output(graph, source)


def _rename_source(graph: Graph, node: Node) -> None:
    """The node gives a graph output: its source takes over the output's name and place."""
    source, result = node.inputs[0], node.outputs[0]
    node.inputs.clear()
    node.outputs.clear()
    for consumer in list(result.outputs):
        for index, tensor in enumerate(consumer.inputs):
            if tensor is result:
                consumer.inputs[index] = source
    graph.outputs = [source if output is result else output for output in graph.outputs]
    source.name, source.shape = result.name, result.shape if source.shape is None else source.shape
