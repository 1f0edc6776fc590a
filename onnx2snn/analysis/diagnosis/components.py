"""Split the error of a neuron layer into parts that add up to it.

With f the ANN's activation, a and x = f(a) what enters and leaves it there; I the mean over time of the
neuron's current; I_x the same where everything before it sends what the ANN's activations are, less what the
compiler added to correct the bias; y what the neuron sends on average, at most L, in steps of δ:

    parameters      f(I_x) − x                         weights and biases that are not the ANN's
    inherited       f(I) − f(I_x)                      the error of the layers before, as far as not corrected
    clipping        min(f(I), L) − f(I)                what exceeds L = Γ·θ
    quantisation    δ·round(I/δ), at most L, − min(f(I), L)
    timing          y − δ·round(I/δ), at most L        what the schedule `layer` would not have

δ is θ/T in the schedule `stream` and θ in the schedule `layer`.

A graded neuron stands behind its activation, so f is the identity there, a = x its target in the ANN, and I
the target a(u) at the end of the run. With y the sum of what it has sent, L = R·T' that T' spikes reach and δ
the dead zone below ¾·R·2^(-(n-1)), the error y − clip(I, -L, L) is quantisation as far as it lies within δ,
where the neuron is at rest, and timing beyond: spikes that are still to come.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper

from onnx2snn.graph.rectifiers import Rectifier
from onnx2snn.ops import CELLS
from onnx2snn.ops.graded_fire import words

Array = npt.NDArray[Any]

#: Parts of an error, as they arise from layer to layer.
COMPONENTS = ("parameters", "inherited", "clipping", "quantisation", "timing")
#: From which share of the mass that it may send a neuron counts as saturated, to leave room for rounding.
_FULL = 0.999


@dataclass(frozen=True)
class Levels:
    """What a neuron of equal spikes can send on average.

    Attributes:
        step: δ, broadcastable to [N, …], in ANN units.
        most: how many steps at most.
        least: how many at least; below zero for a leaky neuron.
        slope: gain of what lies below zero.
    """

    step: Array
    most: int
    least: int = 0
    slope: Array | None = None

    def round(self, current: Array) -> Array:
        """The nearest that can be sent for a mean current [N, …]."""
        counts = np.clip(np.floor(current / self.step + np.float32(0.5)), self.least, self.most)
        value = counts * self.step
        return value if self.slope is None else np.where(value < 0, value * self.slope, value)

    def settle(self, current: Array, sent: Array) -> Array:
        """What it would have sent for a mean current [N, …] if all of that had been there at once."""
        del sent
        return self.round(current)

    def clip(self, activation: Array) -> Array:
        """The nearest to activations [N, …] that is not beyond what can be sent."""
        low = self.least * self.step
        low = low if self.slope is None else low * self.slope
        return np.clip(activation, np.minimum(low, 0), self.most * self.step)


@dataclass(frozen=True)
class Expansion:
    """What a graded neuron can send in sum.

    Attributes:
        reach: R, broadcastable to [N, …].
        spikes: how many at most.
        dead_zone: the largest |e|/R that sends nothing.
    """

    reach: Array
    spikes: int
    dead_zone: float

    def round(self, target: Array) -> Array:
        """What it sends of a target [N, …] that does not change."""
        sent = words(target, self.reach, self.dead_zone, self.spikes)
        return sent[-1] if sent else np.zeros_like(target)

    def settle(self, target: Array, sent: Array) -> Array:
        """The nearest to what was sent at which the neuron is at rest, as far as its spikes reach."""
        bounded, zone = self.clip(target), np.float32(self.dead_zone) * self.reach
        return np.clip(sent, bounded - zone, bounded + zone)

    def clip(self, target: Array) -> Array:
        """The nearest to targets [N, …] that is not beyond what its spikes reach."""
        most = np.float32(self.spikes) * self.reach
        return np.clip(target, -most, most)


def levels_of(
    neuron: onnx.NodeProto, parameters: list[Array], unit: Array, timesteps: int
) -> Levels | Expansion:
    """What a neuron can send in T timesteps.

    Args:
        neuron: its node in the artifact.
        parameters: θ last; the slope of a PReLU's first.
        unit: what 1 stands for in the ANN.
        timesteps: T.
    """
    attributes = {item.name: helper.get_attribute_value(item) for item in neuron.attribute}
    *slopes, theta = parameters
    kind = CELLS[neuron.op_type].neuron
    assert kind is not None
    if CELLS[neuron.op_type].sums:
        spikes = kind.most_spikes(attributes, timesteps)
        return Expansion(np.asarray(theta, np.float32), spikes, attributes["dead_zone"])
    step = np.asarray(theta * unit, np.float32) / np.float32(1 if kind.fires_once else timesteps)
    most = kind.most_spikes(attributes, timesteps)
    return Levels(step, most, -most if slopes else 0, slopes[0] if slopes else None)


@dataclass(frozen=True)
class Observation:
    """One batch at one neuron layer, everything [N, …] in ANN units.

    Attributes:
        before: a. after: x. taught: I_x. current: I. sent: y.
        activity: as `sent`, of magnitudes.
    """

    before: Array
    after: Array
    taught: Array
    current: Array
    sent: Array
    activity: Array

    def map(self, change: Callable[[Array], Array]) -> Observation:
        """The same with all arrays changed."""
        return Observation(*(change(getattr(self, item.name)) for item in fields(self)))


class LayerTally:
    """Sums over the samples seen so far, per channel [C].

    Args:
        kind: f; the identity of a graded neuron.
        levels: what the neuron can send.
        axis: of the channels.
        refitted: whether the layer's weights were made to fit the spikes before it, so that its parameters
            differ from the ANN's on purpose.
    """

    def __init__(
        self, kind: Rectifier, levels: Levels | Expansion, axis: int | None, *, refitted: bool = False
    ) -> None:
        self._kind, self._levels, self._axis = kind, levels, axis
        self.refitted = refitted
        self.places = 0
        self._sums: dict[str, Array] = {}

    def add(self, seen: Observation) -> None:
        """Add a batch."""
        levels, kind = self._levels, self._kind
        exact, own = kind(seen.taught), kind(seen.current)
        bounded, rounded = levels.clip(own), levels.settle(seen.current, seen.sent)
        error = seen.sent - seen.after
        added = seen.sent - (own if self.refitted else own - exact + seen.after)
        parts = {
            "parameters": exact - seen.after,
            "inherited": own - exact,
            "clipping": bounded - own,
            "quantisation": rounded - bounded,
            "timing": seen.sent - rounded,
        }
        alone = levels.round(seen.before)
        top = levels.clip(seen.after)
        shift = seen.taught - seen.before
        self._count("energy", seen.after**2)
        self._count("mass", np.abs(seen.after))
        self._count("lost", np.abs(seen.after - top))
        self._count("error", error**2)
        self._count("added", added**2)
        for name, part in parts.items():
            self._count(name, part**2)
            self._count(f"{name}·error", part * error)
            self._count(f"{name}·added", part * added)
        self._count("shift", shift)
        self._count("shift²", shift**2)
        self._count("taught", seen.taught)
        self._count("taught²", seen.taught**2)
        self._count("before", seen.before)
        self._count("before²", seen.before**2)
        self._count("active", seen.activity > 0)
        self._count("expected", alone != 0)
        most = np.abs(top)
        self._count("full", (np.abs(seen.sent) >= _FULL * most) & (np.abs(seen.after) > most / _FULL))
        self.places += error.size // self.channels

    @property
    def channels(self) -> int:
        """C."""
        return len(self._sums["energy"])

    def of(self, name: str) -> Array:
        """A sum by its name, float64 [C]."""
        return self._sums[name]

    def total(self, name: str) -> float:
        """A sum over all channels."""
        return float(self._sums[name].sum())

    def relative(self, name: str) -> float:
        """Root mean square of the error, or of a part of it, over that of the ANN's activation."""
        return float(np.sqrt(self.total(name) / max(self.total("energy"), np.finfo(np.float64).tiny)))

    def harm(self, name: str, of: str = "error") -> float:
        """The share of the squared error that would go if this part went; below zero if it helps.

        Of the whole error, or of what the layer has `added` to the inherited one.
        """
        gone = 2 * self.total(f"{name}·{of}") - self.total(name)
        return gone / max(self.total(of), np.finfo(np.float64).tiny)

    def variance(self, name: str) -> Array:
        """Of `taught` or `before`, over samples and places, [C]."""
        mean = self._sums[name] / self.places
        return np.maximum(self._sums[f"{name}²"] / self.places - mean**2, 0)

    def _count(self, name: str, values: Array) -> None:
        others = tuple(axis for axis in range(values.ndim) if axis != self._axis)
        sums = np.atleast_1d(values.sum(axis=others, dtype=np.float64))
        self._sums[name] = self._sums.get(name, 0.0) + sums
