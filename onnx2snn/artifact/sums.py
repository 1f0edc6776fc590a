"""Networks whose neurons give the sum of what they have sent: what these sums are spike by spike."""

from __future__ import annotations

import math
from collections.abc import Container, Iterable, Sequence
from itertools import pairwise

import onnx
from onnx import helper

from onnx2snn.ops import CELLS, DOMAIN
from onnx2snn.ops.graded_if import count_changes
from onnx2snn.ops.standard import COPIES, SHAPE_OPS, passes_spikes, standard


def gives_sums(node: onnx.NodeProto) -> bool:
    """Whether a node is a neuron that gives the sum of what it has sent so far."""
    return node.domain == DOMAIN and node.op_type in CELLS and CELLS[node.op_type].sums


def exact_timesteps(cells: Sequence[onnx.NodeProto]) -> float:
    """Up to which timestep the sums in pools and islands of bursts are exact: what float32 counts, over Γ.

    Infinite where there is no such cell. What neurons keep does not count: they make up for what is rounded.
    """
    kinds = [CELLS[cell.op_type] for cell in cells if cell.domain == DOMAIN]
    if not any(kind.kind != "neuron" and kind.states for kind in kinds):
        return math.inf
    most = 1
    for cell in cells:
        neuron = CELLS[cell.op_type].neuron if cell.domain == DOMAIN else None
        if neuron is not None:
            attributes = {item.name: helper.get_attribute_value(item) for item in cell.attribute}
            most = max(most, neuron.most_spikes(attributes, 1))
    return (1 << 24) // most


def pools_of_sums(nodes: Iterable[onnx.NodeProto]) -> list[onnx.NodeProto]:
    """The maximum pools that read what such neurons send, as it is or averaged, scaled and added up.

    The nodes must be in topological order.
    """
    moving: set[str] = set()  # what changes over time, and the part of it that spikes have made alone
    spiking: set[str] = set()
    pools = []
    for node in nodes:
        if gives_sums(node):
            moving.add(node.output[0])
            spiking.add(node.output[0])
            continue
        read = moving.intersection(node.input)
        if not read or node.op_type in SHAPE_OPS:
            continue
        moving.update(node.output)
        if not spiking.issuperset(read):
            continue
        if standard(node.op_type).picks:
            pools.append(node)
            spiking.add(node.output[0])
        elif hands_on(node, read):
            spiking.update(node.output)
    return pools


def hands_on(node: onnx.NodeProto, moving: Container[str]) -> bool:
    """Whether a node hands on the spikes that arrive in `moving`, see `passes_spikes`."""
    mode = next((item.s.decode() for item in node.attribute if item.name == "mode"), COPIES)
    return passes_spikes(node.op_type, [name in moving for name in node.input], mode)


def spike_size(cell: onnx.NodeProto) -> str:
    """Name of the tensor with what a cell sends in a step."""
    return f"onnx2snn/{cell.name}/size"


class Words:
    """What nodes behind neurons give before and after each spike of these.

    Args:
        nodes: of a step, with the neurons.
        timesteps: spikes of a neuron in a step: T where it fires once.
    """

    def __init__(self, nodes: Iterable[onnx.NodeProto], timesteps: int) -> None:
        self._producers = {name: node for node in nodes for name in node.output}
        self._timesteps = timesteps

    def count(self, pool: onnx.NodeProto, size: str) -> list[onnx.NodeProto]:
        """The nodes that count as `size` how often a pool's output changes."""
        nodes: list[onnx.NodeProto] = []
        made: dict[tuple[str, int], str] = {}
        words = [self._word(pool.output[0], t, size, nodes, made) for t in range(self._timesteps + 1)]
        changes = [f"{size}/{t}" for t in range(1, self._timesteps + 1)]
        for change, (before, after) in zip(changes, pairwise(words), strict=True):
            nodes += count_changes(before, after, change)
        return [*nodes, helper.make_node("Sum", changes, [size])]

    def _word(
        self, name: str, t: int, size: str, nodes: list[onnx.NodeProto], made: dict[tuple[str, int], str]
    ) -> str:
        """Name of what a tensor is after t spikes of every neuron; `nodes` and `made` learn how."""
        node = self._producers.get(name)
        if node is None:
            return name
        if (name, t) in made:
            return made[name, t]
        made |= {(item, t): f"{size}/{item}/{t}" for item in node.output}
        if gives_sums(node):
            if CELLS[node.op_type].states:
                word = (node.input[1], node.output[0])[t]
            else:
                word = f"{spike_size(node)}/{t}"
            if t > 0:
                made[name, t] = word
            else:  # what a state begins with may still have to be spread over the samples
                shape = f"{made[name, t]}/shape"
                nodes.append(helper.make_node("Shape", [node.output[0]], [shape]))
                nodes.append(helper.make_node("Expand", [word, shape], [made[name, t]]))
            return made[name, t]
        copy = onnx.NodeProto()
        copy.CopyFrom(node)
        copy.name = ""
        copy.input[:] = [self._word(item, t, size, nodes, made) if item else "" for item in node.input]
        copy.output[:] = [f"{size}/{item}/{t}" for item in node.output]
        nodes.append(copy)
        return made[name, t]
