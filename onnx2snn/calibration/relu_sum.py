"""A smooth function of one variable as a sum of ReLUs: c + Σ_k a_k·ReLU(x - b_k), by least squares."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from onnx2snn.thresholds.histogram import Vector

#: ReLUs a function: the error falls with their square.
KNOTS = 16

_GRID = 4096
#: Share of the weight that is spread evenly over the range, seen or not.
_EVEN = 0.05


@dataclass(frozen=True)
class ReluSum:
    """c + Σ_k a_k·ReLU(x - b_k).

    Attributes:
        knots: b, float64 [K], ascending.
        gains: a, float64 [K].
        offset: c, the value below the first knot.
    """

    knots: Vector
    gains: Vector
    offset: float

    def __call__(self, x: npt.NDArray[np.floating]) -> Vector:
        """The sum at points [n]."""
        return self.offset + np.maximum(x[:, None] - self.knots, 0) @ self.gains


def fit_relu_sum(function: Callable[[Vector], Vector], seen: Vector, counts: Vector) -> ReluSum:
    """Fit a function where its argument lies.

    Knots lie as densely as is best for a linear spline, where curvature and data are (de Boor 1973: to the
    power 2/5 and 1/5); gains are least squares, weighted by the data. Beyond the range the sum goes on
    straight: level below it, with the slope of the last piece above.

    Args:
        function: from points [n] to values [n].
        seen: values of the argument, ascending [m], the first and last of which are the range.
        counts: how often each occurs [m].
    """
    low, high = float(seen[0]), float(seen[-1])
    if not high > low:
        low, high = low - 0.5, high + 0.5
    grid = np.linspace(low, high, _GRID)
    values = function(grid)
    density = np.histogram(seen, bins=_GRID, range=(low, high), weights=counts)[0]
    density = (1 - _EVEN) * density / density.sum() + _EVEN / _GRID
    curvature = np.abs(np.gradient(np.gradient(values, grid), grid))
    crowding = (curvature**2 * density) ** 0.2
    crowding += 0.05 * crowding.mean() + np.finfo(float).tiny
    places = np.cumsum(crowding)
    knots = np.interp(np.arange(KNOTS) / KNOTS, (places - places[0]) / (places[-1] - places[0]), grid)
    basis = np.column_stack([np.ones(_GRID), np.maximum(grid[:, None] - knots, 0)])
    root = np.sqrt(density)
    solution = np.linalg.lstsq(basis * root[:, None], values * root, rcond=None)[0]
    return ReluSum(knots, solution[1:], float(solution[0]))
