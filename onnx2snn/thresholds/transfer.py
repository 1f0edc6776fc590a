"""What a threshold rule is told of the neuron that it chooses a range for."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Transfer:
    """What a neuron makes of a constant current over a whole run.

    Attributes:
        steps: N = levels·T, the output steps from 0 to R.
        most_steps: Γ·T, the steps at which the neuron saturates (more than N with headroom).
        percentile: the percentage asked for; only the rule `percentile` reads it.
    """

    steps: int
    most_steps: int
    percentile: float = 99.9
