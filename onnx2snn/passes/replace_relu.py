"""Relu(x), Clip(x, 0, c) → BurstIF(x, θ) or SignedBurstIF(x, θ)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from onnx2snn.calibration.histogram import Vector
from onnx2snn.calibration.thresholds import Transfer, choose_ranges
from onnx2snn.channels import broadcastable
from onnx2snn.graph import Constant, Graph, Node, is_cell, unique_name
from onnx2snn.ops import BURST_IF, DOMAIN, SIGNED_BURST_IF
from onnx2snn.passes.base import Context
from onnx2snn.sections import relu_ceiling


class ReplaceRelu:
    """Turn every rectifier into a burst neuron with thresholds θ = R/levels.

    Cases:
        1. Relu → neuron with Γ = max_spikes.
        2. Clip(0, c) → neuron with R ≤ c and Γ = levels: without headroom it saturates at Γ·θ = R ≤ c.
    Requires `Calibrate`. Ensures that no rectifier is left.
    """

    name = "ReplaceRelu"
    removes = frozenset({"Relu"})

    def run(self, graph: Graph, context: Context) -> bool:
        """See `Pass.run`."""
        neuron = SIGNED_BURST_IF if context.options.signed else BURST_IF
        changed = False
        for node in graph.nodes:
            ceiling = None if is_cell(node) else relu_ceiling(node)
            if ceiling is None:
                continue
            context.note(node.name, node.op, "spiking", f"{neuron.op}: a rectifier of its input")
            self._replace(graph, node, neuron.op, ceiling, context)
            changed = True
        return changed

    def _replace(self, graph: Graph, node: Node, op: str, ceiling: float, context: Context) -> None:
        options, statistics = context.options, context.statistics
        assert statistics is not None, "Calibrate runs first"
        levels = options.range_levels
        max_spikes = options.max_spikes if math.isinf(ceiling) else levels
        histogram = statistics.histograms[node.outputs[0].name]
        if options.granularity == "layer":
            histogram = histogram.merged()
        transfer = Transfer(levels * options.timesteps, max_spikes * options.timesteps, options.percentile)
        ranges = choose_ranges(histogram, options.threshold, transfer, ceiling)
        source = node.inputs[0]
        dtype = source.dtype or np.float32
        theta = Constant(
            unique_name(graph, f"{node.name}/threshold"),
            broadcastable(_representable(ranges / levels, dtype), node.outputs[0], dtype),
        )
        context.neurons[node.name] = _describe(op, ranges, levels, max_spikes, ceiling) | {
            "theta": theta.name
        }
        node.op, node.domain, node.inputs = op, DOMAIN, [source, theta]
        node.attrs = {"max_spikes": max_spikes}


def _representable(threshold: Vector, dtype: Any) -> Vector:
    """Keep θ (and θ/2) a normal number of its dtype: a channel of tiny activations must not divide by 0."""
    return np.maximum(threshold, 4.0 * float(np.finfo(dtype).tiny))


def _describe(op: str, ranges: Vector, levels: int, max_spikes: int, ceiling: float) -> dict[str, Any]:
    threshold = ranges / levels
    return {
        "op": op,
        "max_spikes": max_spikes,
        "levels": levels,
        "channels": len(ranges),
        "threshold": {
            "least": float(threshold.min()),
            "median": float(np.median(threshold)),
            "greatest": float(threshold.max()),
        },
        "clip": None if math.isinf(ceiling) else ceiling,
    }
