"""A ReLU with a fixed number of levels and a learnable range: what a spiking neuron can say.

y = q·clip(floor(x/q + 1/2), 0, N)          q = range/N
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from onnx2snn.errors import OptionError

#: As many as the radix code has in the most timesteps that the compiler takes.
_MOST_LEVELS = (1 << 16) - 1


class QuantReLU(nn.Module):
    """ReLU that rounds to N + 1 values from 0 to its range, with straight-through gradients.

    The rounding passes gradients on as if it were not there, so with k = floor(x/q + 1/2)

        dy/dx = 1 where 0 ≤ k ≤ N, else 0          dy/dq = k - x/q where 0 ≤ k ≤ N, N above, 0 below

    which are the gradients of LSQ (Esser et al. 2020, Learned Step Size Quantization) for the step q.

    Attributes:
        levels: N, the values above zero.
        log_range: the learnable parameter, a scalar: ln of the range, which so stays above zero, and of which
            a step of an optimiser is a share of the range, whatever the scale of the activations.

    Args:
        levels: N, 1 to 65535; T timesteps of the radix code have room for 2^T - 1.
        range: the largest output, finite and above zero.

    Raises:
        OptionError: levels or range outside these.
    """

    def __init__(self, levels: int, range: float = 1.0) -> None:  # noqa: A002 - the word of the field
        super().__init__()
        check_levels(levels)
        if not 0 < range < math.inf:
            raise OptionError(
                f"range: expected a finite number above zero, found {range!r}; "
                "give the largest activation that the net needs"
            )
        self.levels = levels
        self.log_range = nn.Parameter(torch.tensor(math.log(range)))

    @property
    def range(self) -> Tensor:
        """The largest output N·q, a scalar."""
        return self.log_range.exp()

    @property
    def step(self) -> Tensor:
        """q, what one level stands for, a scalar."""
        return self.range / self.levels

    def forward(self, x: Tensor) -> Tensor:
        """Map pre-activations [N, …], floating point, to activations of the same shape and dtype."""
        step = self.step
        return _floor(x / step + 0.5).clamp(0, self.levels) * step

    def extra_repr(self) -> str:
        """What `print(module)` shows."""
        return f"levels={self.levels}, range={self.range.item():.4g}"


def check_levels(levels: int) -> None:
    """Refuse, with an OptionError, levels that no quantiser can have."""
    if isinstance(levels, bool) or not isinstance(levels, int) or not 1 <= levels <= _MOST_LEVELS:
        raise OptionError(
            f"levels: expected an integer from 1 to {_MOST_LEVELS}, found {levels!r}; "
            "give 2^T - 1 to spike in T timesteps"
        )


class _StraightThroughFloor(torch.autograd.Function):
    """floor(x) with the gradient of x; to both exporters a plain Floor."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        del ctx
        return x.floor()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        del ctx
        return gradients[0]

    @staticmethod
    def symbolic(graph: Any, x: Any) -> Any:
        """What the exporter by tracing writes."""
        return graph.op("Floor", x)


_floor: Callable[[Tensor], Tensor] = _StraightThroughFloor.apply
