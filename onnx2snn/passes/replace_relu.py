"""Rectifier(x) → a neuron with thresholds θ, of the kind that the schedule asks for."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from onnx2snn.artifact.records import NeuronRecord, Spread
from onnx2snn.errors import OptionError
from onnx2snn.graph.channels import broadcastable
from onnx2snn.graph.graph import Constant, Graph, Node, is_cell, unique_name
from onnx2snn.graph.rectifiers import Rectifier, rectifier
from onnx2snn.graph.sections import is_neuron
from onnx2snn.graph.tail import find_tail
from onnx2snn.ops import CELLS, DOMAIN
from onnx2snn.options import CompileOptions
from onnx2snn.passes.base import Context, Pass
from onnx2snn.thresholds.histogram import Vector
from onnx2snn.thresholds.rules import choose_ranges
from onnx2snn.thresholds.transfer import Transfer


class ReplaceRelu(Pass):
    """Turn every rectifier into a neuron; θ = R/levels, with the range R from calibration.

    Cases:
        1. Relu → BurstIF (SignedBurstIF with `signed`) with Γ = max_spikes.
        2. Clip(0, c) → the same with R ≤ c and Γ = levels: without headroom it saturates at Γ·θ = R ≤ c.
        3. LeakyRelu, PRelu → LeakyBurstIF with Γ = max_spikes.
        4. QuantizedRelu → QuantizedIF with θ = q·T: q and N are the trained quantiser's.
        5. In the schedule `layer` → AccumulateFire (LeakyAccumulateFire for 3) with θ = R/N, or θ = q.
    """

    requires = frozenset({"ranges_measured", "activations_graded"})
    ensures = frozenset({"rectifiers_replaced"})

    def run(self, graph: Graph, context: Context) -> bool:
        """See `Pass.run`."""
        changed, tail = False, find_tail(graph)
        for node in graph.nodes:
            stands = is_neuron(node) and not is_cell(node) and node.name not in tail
            kind = rectifier(node) if stands else None
            if kind is None:
                continue
            op, inputs, attributes, record = _convert(graph, node, kind, context)
            what = "a rectifier of its input" if kind.step is None else f"the {kind.levels} levels it has"
            context.note(node.name, node.op, "spiking", f"{op}: {what}")
            context.rectifiers[node.name], context.neurons[node.name] = kind, record
            node.op, node.domain, node.inputs, node.attrs = op, DOMAIN, inputs, attributes
            changed = True
        return changed


def _convert(
    graph: Graph, node: Node, kind: Rectifier, context: Context
) -> tuple[str, list[Any], dict[str, Any], NeuronRecord]:
    """Operator, inputs, attributes and record of the neuron that a rectifier becomes."""
    options, source = context.options, node.inputs[0]
    dtype = source.dtype or np.float32
    if kind.step is not None and options.schedule == "layer" and kind.levels > options.total_levels:
        raise OptionError(_too_few_levels(node, kind.levels, options))
    op, neuron = next(
        (cell.op, cell.neuron)
        for cell in CELLS.values()
        if cell.neuron is not None and cell.neuron.suits(kind, options)
    )
    setting = neuron.set_up(kind, options)
    if kind.step is None:
        reach = ranges(node.outputs[0].name, kind, context, context.options.total_levels)
        values = _representable(setting.threshold(reach), dtype)
        theta = broadcastable(values, node.outputs[0], dtype)
    else:
        theta = np.asarray(setting.threshold(np.asarray(kind.step, np.float64)), dtype)
    parameters = [Constant(unique_name(graph, f"{node.name}/threshold"), theta)]
    if kind.slope is not None:
        slope = Constant(unique_name(graph, f"{node.name}/slope"), np.asarray(kind.slope, dtype))
        parameters.insert(0, slope)
    record = NeuronRecord(
        op,
        setting.max_spikes,
        setting.levels,
        int(np.size(theta)),
        Spread.of(theta),
        clip=None if math.isinf(kind.ceiling) else kind.ceiling,
        theta=parameters[-1].name,
    )
    return op, [source, *parameters], setting.attributes, record


def _too_few_levels(node: Node, levels: int, options: CompileOptions) -> str:
    found = (
        f"2^{options.timesteps} - 1"
        if options.code == "radix"
        else f"{options.max_spikes}·{options.timesteps}"
    )
    needed = levels.bit_length() if options.code == "radix" else -(-levels // options.max_spikes)
    return (
        f"--timesteps: node '{node.name}' was trained with {levels} levels, found room for {found} = "
        f"{options.total_levels}; give --timesteps {needed}"
    )


def ranges(activation: str, kind: Rectifier, context: Context, levels: int) -> Vector:
    """The range R of every channel of an activation, for so many levels that stand for it."""
    options = context.options
    assert context.statistics is not None, "Calibrate runs first"
    histogram = context.statistics.histograms[activation]
    if options.granularity == "layer":
        histogram = histogram.merged()
    headroom = options.most_levels - options.total_levels
    most = levels + headroom if math.isinf(kind.ceiling) else levels
    transfer = Transfer(levels, most, options.percentile)
    return choose_ranges(histogram, options.threshold, transfer, kind.ceiling)


def _representable(threshold: Vector, dtype: Any) -> Vector:
    """Keep θ (and θ/2) a normal number of its dtype: a channel of tiny activations must not divide by 0."""
    return np.maximum(threshold, 4.0 * float(np.finfo(dtype).tiny))
