"""A T for every layer with a given mean: which layers should have more, and which can do with less."""

from __future__ import annotations

from collections.abc import Mapping

from onnx2snn.calibration.frontier import make_frontier
from onnx2snn.calibration.sensitivity import Sensitivity
from onnx2snn.graph.firing import Firing

#: What the loss of a layer of fewer timesteps than the mean counts, against that of one of more: losses of
#: layers add up only about, so each of these is worth a try.
_DEARNESS = (1.0, 2.0, 4.0)


def timesteps_of(firing: Firing) -> int:
    """The timesteps that a neuron of the code radix takes for its N levels."""
    return firing.limit.bit_length()


def share_timesteps(measured: Mapping[str, Sensitivity], mean: int) -> list[dict[str, Firing]]:
    """Ways of firing for all layers, of the least divergence with so many timesteps on average.

    Args:
        measured: the layers that have a choice, each of ways with `mean` timesteps among others.
        mean: T.

    Returns:
        One to three, each different, the one that takes the sums at their word first.
    """
    lengths = [[float(timesteps_of(way)) for way in found.ways] for found in measured.values()]
    shares: list[dict[str, Firing]] = []
    for dearness in _DEARNESS:
        losses = [
            [
                loss * (dearness if length < mean else 1.0)
                for loss, length in zip(found.divergence, times, strict=True)
            ]
            for found, times in zip(measured.values(), lengths, strict=True)
        ]
        frontier = make_frontier(lengths, losses)
        point = frontier.best(mean * len(measured))
        assert point is not None, "all may take as many as the mean"
        taken = frontier.choices[point]
        share = {name: found.ways[way] for (name, found), way in zip(measured.items(), taken, strict=True)}
        if share not in shares:
            shares.append(share)
    return shares
