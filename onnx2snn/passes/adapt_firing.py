"""Γ (or n) and θ of a neuron → those chosen for its layer."""

from __future__ import annotations

from dataclasses import replace

from onnx2snn.artifact.records import Spread
from onnx2snn.graph.firing import set_firing
from onnx2snn.graph.graph import Graph, neuron_of
from onnx2snn.passes.base import Context, Pass


class AdaptFiring(Pass):
    """Let each neuron fire as `context.firing` says: another limit (Γ, N or n), thresholds times a factor.

    Which way of firing each layer takes is chosen in `onnx2snn.compiler.adaptation`.
    """

    requires = frozenset({"islands_enclosed"})
    ensures = frozenset({"firing_chosen"})

    def run(self, graph: Graph, context: Context) -> bool:
        """See `Pass.run`."""
        firing = context.firing
        for node in graph.nodes:
            neuron = neuron_of(node)
            if node.name in firing and neuron is not None:
                before, chosen = context.neurons[node.name], firing[node.name]
                set_firing(graph, node, chosen)
                after = replace(
                    before, threshold=Spread.of(node.inputs[-1].values), theta=node.inputs[-1].name
                )
                if before.exponents is not None:
                    context.neurons[node.name] = replace(after, exponents=chosen.limit)
                    continue
                per_step = context.options.timesteps if neuron.fires_once else 1
                if context.options.varies_timesteps:
                    per_step = chosen.limit  # one spike a timestep
                levels = chosen.limit if neuron.fires_once else round(before.levels / chosen.scale, 3)
                context.neurons[node.name] = replace(
                    after, max_spikes=-(-chosen.limit // per_step), levels=levels
                )
        return bool(firing)
