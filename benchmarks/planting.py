"""Faults to plant into a conversion, behind all that would repair them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from onnx2snn.compiler import compiler
from onnx2snn.graph.graph import Constant, Graph, Node, constant, producer, unique_name
from onnx2snn.passes.base import Context, Pass

#: The channel that is silenced.
CHANNEL = 1


class Plant(Pass):
    """Break some neuron layers.

    Args:
        faults: neuron → one of `FAULTS`.
    """

    def __init__(self, faults: Mapping[str, str]) -> None:
        self.faults = faults

    def run(self, graph: Graph, context: Context) -> bool:
        """See `Pass.run`."""
        del context
        nodes = {node.name: node for node in graph.nodes}
        for name, fault in self.faults.items():
            FAULTS[fault](graph, nodes[name])
        return True


def with_faults(faults: Mapping[str, str]) -> tuple[Pass, ...]:
    """The compiler's last passes, which break some neuron layers before weights are normalized."""
    steps = list(compiler.COMPLETION)
    place = [step.name for step in steps].index("NormalizeWeights")
    return (*steps[:place], Plant(faults), *steps[place:])


def replace_constant(graph: Graph, node: Node, index: int, value: npt.NDArray[Any]) -> None:
    """Give a node another constant."""
    found = np.asarray(value, node.inputs[index].dtype)
    node.inputs[index] = Constant(unique_name(graph, f"{node.name}/planted"), found)


def _halve_threshold(graph: Graph, neuron: Node) -> None:
    replace_constant(graph, neuron, -1, constant(neuron.inputs[-1]) / 2)


def _divide_threshold(graph: Graph, neuron: Node) -> None:
    replace_constant(graph, neuron, -1, constant(neuron.inputs[-1]) / 4)


def _multiply_threshold(graph: Graph, neuron: Node) -> None:
    replace_constant(graph, neuron, -1, constant(neuron.inputs[-1]) * 8)


def _silence_channel(graph: Graph, neuron: Node) -> None:
    convolution = _convolution(neuron)
    for index in (1, 2):
        value = constant(convolution.inputs[index]).copy()
        value[CHANNEL] = 0
        replace_constant(graph, convolution, index, value)


def _drop_bias(graph: Graph, neuron: Node) -> None:
    convolution = _convolution(neuron)
    replace_constant(graph, convolution, 2, np.zeros_like(constant(convolution.inputs[2])))


def _convolution(neuron: Node) -> Node:
    """The Conv before a neuron, or before the Add before it; a graded neuron stands behind its activation."""
    source = producer(neuron.inputs[0])
    if source.op == "Relu":
        source = producer(source.inputs[0])
    if source.op == "Add":
        return next(
            found for found in map(producer, source.inputs) if found is not None and found.op == "Conv"
        )
    return source


FAULTS: dict[str, Callable[[Graph, Node], None]] = {
    "half": _halve_threshold,
    "theta": _divide_threshold,
    "coarse": _multiply_threshold,
    "channel": _silence_channel,
    "bias": _drop_bias,
}
