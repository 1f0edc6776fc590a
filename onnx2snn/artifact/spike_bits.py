"""Bits that a spike carries: itself, its sign where it may have either, and which of its sizes it has."""

from __future__ import annotations

from math import ceil, log2

import onnx
from onnx import helper

from onnx2snn.artifact.artifact import Artifact
from onnx2snn.ops import CELLS


def spike_bits(artifact: Artifact) -> dict[str, int]:
    """Neuron → bits of one of its spikes.

    A spike that can only be there or not is one bit; a sign is one more. One of n sizes takes ⌈log2 n⌉ bits,
    and at least the one. Which neuron sent it, and when, is counted nowhere.
    """
    return {
        neuron.name: _has_sign(neuron) + max(1, ceil(log2(_sizes(neuron)))) for neuron in artifact.neurons
    }


def bits_convention(artifact: Artifact) -> str:
    """How bits are counted, as a phrase."""
    bits = sorted(set(spike_bits(artifact).values()))
    sizes = sorted({_sizes(neuron) for neuron in artifact.neurons})
    parts = ["itself" if sizes[-1] == 1 else f"which of {_range(sizes)} sizes it has"]
    signed = [_has_sign(neuron) for neuron in artifact.neurons]
    if any(signed):
        parts.append("its sign" if all(signed) else "its sign where it may have either")
    noun = "bit" if bits == [1] else "bits"
    return f"{_range(bits)} {noun} a spike: {' and '.join(parts)}, not which neuron sent it"


def _has_sign(neuron: onnx.NodeProto) -> bool:
    """Whether its spikes may be of either sign."""
    cell = CELLS[neuron.op_type]
    assert cell.neuron is not None
    return cell.neuron.takes_back or cell.uneven or cell.sums


def _sizes(neuron: onnx.NodeProto) -> int:
    """How many sizes its spikes may have."""
    cell = CELLS[neuron.op_type]
    assert cell.neuron is not None
    return int(helper.get_node_attr_value(neuron, cell.neuron.limit)) if cell.sums else 1


def _range(numbers: list[int]) -> str:
    return f"{numbers[0]}" if len(numbers) == 1 else f"{numbers[0]} to {numbers[-1]}"
