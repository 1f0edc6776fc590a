"""How one neuron layer fires: what it may choose beside what calibration gave it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from onnx2snn.graph.channels import broadcastable
from onnx2snn.graph.graph import Constant, Graph, Node, constant, is_cell, neuron_of, producer, unique_name
from onnx2snn.graph.rectifiers import Rectifier
from onnx2snn.ops import CELLS
from onnx2snn.options import CompileOptions
from onnx2snn.rules import MOST_SPIKES

#: Factors on θ that spike compression tries (Wang et al. 2025 take 1 to 10).
SCALES = (1.0, 1.4, 2.0, 2.8, 4.0, 6.0, 10.0)
#: Exponents that graded neurons may have beside n, of which the smallest may be between two powers of two.
MORE, FEWER = 2, 5
BETWEEN = (1.0, math.sqrt(2))
#: Spikes a timestep that may stand for the range where Γ is chosen layer by layer.
LEVELS = (1.0, 1.5, 2.0, 3.0, 4.0, 6.0)
#: Timesteps that a layer of the code radix may have fewer than the mean, and more; and the most.
SHORTER, LONGER, MOST_BITS = 2, 3, 8


@dataclass(frozen=True)
class Firing:
    """A way for a neuron layer to fire.

    Attributes:
        limit: the most spikes: Γ a timestep, or N a run in the schedule `layer`; n of a graded neuron.
        scale: the factor on the thresholds that calibration chose.
        thresholds: these thresholds, one a channel, where a layer of another limit has others.
    """

    limit: int
    scale: float
    thresholds: tuple[float, ...] = ()


def set_firing(graph: Graph, node: Node, firing: Firing) -> None:
    """Let a neuron fire in another way than calibration chose."""
    theta, neuron = np.asarray(constant(node.inputs[-1])), CELLS[node.op].neuron
    assert neuron is not None
    if firing.thresholds:
        theta = broadcastable(np.asarray(firing.thresholds), node.outputs[0], theta.dtype)
    value = theta * theta.dtype.type(firing.scale)
    changed: dict[str, Any] = {neuron.limit: firing.limit}
    if neuron.tune is not None:
        changed, value = neuron.tune(firing.limit, value)
    node.attrs.update(changed)
    value = np.asarray(value, theta.dtype)
    node.inputs[-1] = Constant(unique_name(graph, f"{node.name}/threshold"), value)


def why_not_adaptable(node: Node, kind: Rectifier | None, *, relays: bool = False) -> str | None:
    """What keeps a neuron from firing otherwise; None where nothing does, and for what is no neuron.

    A trained quantiser's levels are exact; a neuron with a gain below zero has no other limit; and one that
    nothing but spikes of another reach passes these on, unless it is a relay (`relays`).
    """
    neuron = neuron_of(node)
    if neuron is None:
        return None
    if kind is not None and kind.step is not None:
        return "the net was trained with its own levels"
    free = neuron.adaptable and (kind is not None or CELLS[node.op].sums)
    if not free:
        return "neurons that stand for a LeakyReLU or PReLU have none"
    source = producer(node.inputs[0]) if node.inputs else None
    fed_spikes = source is not None and is_cell(source) and CELLS[source.op].sends_units
    return "neurons that read spikes alone pass them on" if fed_spikes and not relays else None


def is_adaptable(node: Node, kind: Rectifier | None, *, relays: bool = False) -> bool:
    """Whether a node is a neuron that may fire otherwise."""
    return neuron_of(node) is not None and why_not_adaptable(node, kind, relays=relays) is None


def choices(node: Node, kind: Rectifier | None, options: CompileOptions) -> list[Firing]:
    """The ways in which a neuron may fire, what calibration gave it first.

    For compression the thresholds rise and the limit falls as far as the range allows: what a neuron could
    send beyond it in a hurry, it or others behind it mostly take back. For a Γ of its own there are several
    numbers of levels; a neuron that can take spikes back may have headroom, for others it changes nothing. A
    neuron that must not exceed a ceiling gets none. A graded neuron has more exponents or fewer.
    """
    neuron = CELLS[node.op].neuron
    assert neuron is not None
    limit = int(node.attrs[neuron.limit])
    base = Firing(limit, 1.0)
    if options.code == "graded":
        largest = limit if options.spike_budget is None else min(16, limit + MORE)
        numbers = range(largest, max(0, limit - FEWER - 1), -1)
        return list(dict.fromkeys([base, *(Firing(n, scale) for n in numbers for scale in BETWEEN)]))
    if options.spike_budget is None:
        firings: Iterable[Firing] = (Firing(math.ceil(limit / scale), scale) for scale in SCALES)
    else:
        times = options.timesteps if neuron.fires_once else 1
        headroom = (0, 1) if neuron.takes_back else (0,)
        firings = (
            Firing((math.ceil(levels) + more) * times, options.range_levels / levels)
            for levels in LEVELS
            for more in headroom
        )
    if kind is not None and math.isfinite(kind.ceiling):
        whole = {max(1, round(limit / firing.scale)) for firing in firings}
        firings = (Firing(count, limit / count) for count in sorted(whole, reverse=True))
    most = MOST_SPIKES if options.weights == "int8" else math.inf
    return list(dict.fromkeys([base, *(firing for firing in firings if firing.limit <= most)]))


def timestep_choices(
    node: Node, mean: int, thresholds: Callable[[int], npt.NDArray[np.float64]]
) -> list[Firing]:
    """A neuron of the code radix with fewer timesteps than the mean, or more; first with as many.

    Args:
        node: the neuron.
        mean: T on average.
        thresholds: θ of every channel for N levels.
    """
    least = max(1, mean - SHORTER)
    lengths = range(least, max(mean, min(MOST_BITS, mean + LONGER)) + 1)
    firings = [
        Firing(most := (1 << bits) - 1, 1.0, tuple(thresholds(most))) for bits in lengths if bits != mean
    ]
    return [Firing(int(node.attrs["levels"]), 1.0), *firings]
