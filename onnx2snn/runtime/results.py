"""What a run gives."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy.typing as npt

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Run:
    """Result of a run.

    Attributes:
        timesteps: how many timesteps were run; with an early exit, or until rest, at most.
        outputs: output name → mean over the timesteps, like the ANN's output.
        timesteps_used: with an early exit, or until rest: how many timesteps each sample took, int64 [N].
        steps: with `record`: output name → [T, …], the output after 1, 2, … T timesteps; empty in the
            schedule `layer`, which has none before the last. Where its shape changes from step to step, as
            with boxes that are found, an array [T] of T arrays.
        spikes: with `record`: neuron name → integers [T, N, …]; negative where spikes are taken back.
    """

    timesteps: int
    outputs: dict[str, Array]
    steps: dict[str, Array] = field(default_factory=dict)
    spikes: dict[str, Array] = field(default_factory=dict)
    timesteps_used: Array | None = None


@dataclass(frozen=True)
class Checkpoint:
    """State of a counted run after some timesteps.

    Where a net moves its samples from axis to axis in ways that are not followed, each of them is given the
    same share of a layer's counts; sums over the batch are exact.

    Attributes:
        timesteps: timesteps so far.
        outputs: output name → mean over these timesteps.
        spikes: neuron name → spikes sent so far, int64 [N].
        events: neuron name → how often a neuron has sent something in a timestep, a burst of any size counted
            once, int64 [N].
        synaptic_operations: layer → spikes times connections so far, int64 [N].
        synaptic_events: layer → events times connections so far, int64 [N].
        seconds: time spent on the timesteps and the head, without the counting at the checkpoints.
    """

    timesteps: int
    outputs: dict[str, Array]
    spikes: dict[str, Array]
    events: dict[str, Array]
    synaptic_operations: dict[str, Array]
    synaptic_events: dict[str, Array]
    seconds: float


@dataclass(frozen=True)
class Work:
    """What a network computes for a sample whatever its spikes are, from real shapes; padding does not count.

    Attributes:
        ann_macs: multiply-accumulates of the whole ANN.
        prefix_macs: those of them before the first neuron.
        joined_macs: those behind it that read what is before it, beside spikes: it is the same at every
            timestep.
        analog_macs: those at every timestep, that read values which change over time but are no spikes.
        head_macs: those that read such values once, in the schedule `layer` or behind the last neuron.
        neurons: neuron layer → neurons.
    """

    ann_macs: int
    prefix_macs: int
    joined_macs: int
    analog_macs: int
    head_macs: int
    neurons: dict[str, int]
