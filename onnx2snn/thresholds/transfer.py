"""What a threshold rule is told of the neuron that it chooses a range for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Transfer:
    """What a neuron makes of a constant current over a whole run.

    Attributes:
        steps: N = levels·T, the output steps from 0 to R.
        most_steps: Γ·T, the steps at which the neuron saturates (more than N with headroom).
        respond: f(a) in units of R, in place of equal steps: [n] float32, which it may change → [n].
        percentile: the percentage asked for; only the rule `percentile` reads it.
    """

    steps: int
    most_steps: int
    percentile: float = 99.9
    respond: Callable[[Values], Values] | None = None
