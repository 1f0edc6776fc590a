"""A neuron read by a shortcut and by weights → a fine one for the shortcut, and a relay for the weights."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from onnx2snn.artifact.records import Spread
from onnx2snn.graph.channels import broadcastable
from onnx2snn.graph.firing import MOST_BITS
from onnx2snn.graph.graph import (
    Constant,
    Graph,
    Node,
    Variable,
    constant,
    is_output,
    neuron_of,
    tidy,
    unique_name,
)
from onnx2snn.ops.standard import WEIGHTED
from onnx2snn.passes.base import Context, Pass
from onnx2snn.passes.replace_relu import ranges

#: Timesteps that a shortcut's neuron has beyond the mean: what it carries stays in the net to its end.
_FINER = 4


class RelayShortcuts(Pass):
    """Where every layer has a T of its own: give residual connections a share of their own.

    A spike over a shortcut reaches one neuron, or the few of a 1x1 convolution, one into other weights
    hundreds. So the neuron sends all its bits over the shortcut, and a relay, which reads them, sends on
    fewer.

    Cases:
        1. A neuron without a slope that an Add reads, and something else → that one with 4 timesteps more (8
           at most), and a relay of T timesteps for whatever is no shortcut.
        2. The same over weights whose result is added with no neuron between.
        3. Keeps a neuron that the graph's outputs, or nothing but shortcuts, read, and one of a trained
           quantiser.
    """

    requires = frozenset({"rectifiers_replaced"})
    ensures = frozenset({"shortcuts_relayed"})

    def run(self, graph: Graph, context: Context) -> bool:
        """See `Pass.run`."""
        if not context.options.varies_timesteps:
            return False
        bits = min(MOST_BITS, context.options.timesteps + _FINER)
        found = [
            node for node in graph.nodes if bits > context.options.timesteps and _splits(graph, node, context)
        ]
        for node in found:
            _relay(graph, node, bits, context)
        if found:
            tidy(graph)
        return bool(found)


def _splits(graph: Graph, node: Node, context: Context) -> bool:
    kind = context.rectifiers.get(node.name) if neuron_of(node) is not None else None
    if kind is None or kind.step is not None or kind.slope is not None or is_output(graph, node.outputs[0]):
        return False
    if node.attrs["levels"] != context.options.total_levels:
        return False
    readers = node.outputs[0].outputs
    return any(map(_is_shortcut, readers)) and not all(map(_is_shortcut, readers))


def _is_shortcut(node: Node) -> bool:
    """Whether what a node reads is added to something with no neuron between."""
    if node.op in WEIGHTED:
        return bool(node.outputs[0].outputs) and all(map(_adds, node.outputs[0].outputs))
    return _adds(node)


def _adds(node: Node) -> bool:
    return node.op == "Add" and all(constant(tensor) is None for tensor in node.inputs)


def _relay(graph: Graph, node: Node, bits: int, context: Context) -> None:
    """Put a relay of the neuron's own kind before all readers but Adds; the neuron itself gets finer."""
    assert context.statistics is not None, "Calibrate runs first"
    sent, name, most = node.outputs[0], unique_name(graph, f"{node.name}/relay"), (1 << bits) - 1
    kind, record = context.rectifiers[node.name], context.neurons[node.name]
    passed = Variable(unique_name(graph, f"{sent.name}/relayed"), sent.dtype, sent.shape)
    coarse = Constant(unique_name(graph, f"{name}/threshold"), np.asarray(constant(node.inputs[-1])))
    relay = Node(node.op, name, dict(node.attrs), [sent, coarse], [passed], domain=node.domain)
    for reader in [reader for reader in sent.outputs if reader is not relay and not _is_shortcut(reader)]:
        reader.inputs = [passed if tensor is sent else tensor for tensor in reader.inputs]
    graph.nodes.append(relay)
    histogram = context.statistics.histograms[sent.name]
    context.statistics.histograms[passed.name] = histogram
    context.rectifiers[name], context.neurons[name] = kind, replace(record, theta=coarse.name)
    values = broadcastable(ranges(sent.name, kind, context, most) / most, sent, sent.dtype or np.float32)
    fine = Constant(unique_name(graph, f"{node.name}/threshold"), values)
    node.inputs, node.attrs = [*node.inputs[:-1], fine], node.attrs | {"levels": most}
    context.neurons[node.name] = replace(record, levels=most, threshold=Spread.of(values), theta=fine.name)
