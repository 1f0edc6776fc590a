"""Keep of the activations what a picture of them needs: a small histogram a layer, with R and θ."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from onnx2snn.artifact.records import ActivationRecord, Spread
from onnx2snn.graph.graph import Graph, constant, neuron_of
from onnx2snn.ops import CELLS
from onnx2snn.passes.base import Context, Pass
from onnx2snn.records import MOST_COUNT
from onnx2snn.thresholds.histogram import BINS, ChannelHistogram, Vector

#: Most bins of a layer's histogram.
_MOST_BINS = 64
#: Significant digits of its figures.
_DIGITS = 6


class DescribeActivations(Pass):
    """Fill `context.activations`: what the activations of each neuron layer look like beside its R and θ.

    A neuron that stands for a trained quantiser has no statistics, and gets no entry. Changes nothing in the
    graph, and lets go of the histograms, which nobody reads after it: 8 kB a channel.
    """

    requires = frozenset({"firing_chosen"})
    ensures = frozenset({"activations_described"})

    def run(self, graph: Graph, context: Context) -> bool:
        """See `Pass.run`."""
        histograms = {} if context.statistics is None else context.statistics.histograms
        for node in graph.nodes:
            record, neuron = context.neurons.get(node.name), neuron_of(node)
            histogram = None if record is None else histograms.get(node.outputs[0].name)
            if record is None or neuron is None or histogram is None:
                continue
            theta = np.asarray(constant(node.inputs[-1]), np.float64).reshape(-1)
            if CELLS[node.op].sums:  # spikes of R each
                most = theta * neuron.most_spikes(node.attrs, context.options.timesteps)
            else:
                most = theta * (record.levels if neuron.fires_once else record.max_spikes)
            context.activations[node.name] = _describe(
                histogram.merged(), _clipped(histogram, most), theta * record.levels, theta
            )
        if context.statistics is not None:
            context.statistics = replace(context.statistics, histograms={})
        return False


def _describe(merged: ChannelHistogram, clipped: float, ranges: Vector, theta: Vector) -> ActivationRecord:
    """A layer's activations in at most 64 bins from 0, all of one width, and the share that is zero."""
    width, maximum = float(merged.width[0]), float(merged.maximum[0])
    used = min(BINS, int(np.ceil(maximum / width))) if width > 0 else 0
    together = max(1, -(-used // _MOST_BINS))
    bins = -(-used // together)
    counts = merged.counts[0, : bins * together]
    counts = np.pad(counts, (0, bins * together - len(counts))).reshape(bins, together).sum(axis=1)
    total = float(merged.zeros[0] + merged.counts.sum())
    return ActivationRecord(
        _rounded(float(merged.zeros[0]) / total if total else 1.0),
        _rounded(maximum),
        _rounded(width * together),
        [min(round(count), MOST_COUNT) for count in counts.tolist()],  # slopes of any size count squared
        _rounded(clipped),
        _summary(ranges),
        _summary(theta),
    )


def _clipped(histogram: ChannelHistogram, most: Vector) -> float:
    """The share of all activation, summed over a layer, that lies above what its neurons can send at most."""
    centers = histogram.centers()
    whole = float((histogram.counts * centers).sum())
    above = np.maximum(centers - np.broadcast_to(most, histogram.channels)[:, None], 0.0)
    return float((histogram.counts * above).sum()) / whole if whole else 0.0


def _summary(values: Vector) -> Spread:
    return Spread(*map(_rounded, vars(Spread.of(values)).values()))


def _rounded(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")
