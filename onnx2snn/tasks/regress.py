"""Numbers: root mean square error, coefficient of determination, largest error.

    RMSE = √(mean of (y - t)²), over all samples and outputs
    R²   = 1 - Σ (y - t)² / Σ (t - mean t)², the mean of each output's; none of one whose truth is constant

An output of more than two axes has as many outputs as it has channels, the second axis.
"""

from __future__ import annotations

import numpy as np

from onnx2snn.data.targets import Targets
from onnx2snn.tasks.task import Array, Figures, Measure, Meter, Output, Setting, Task, same_numbers

#: Outputs that are listed one by one, at most.
_LISTED = 100


class NumberMeter(Meter):
    """Sums of squares, output by output, each about its mean so far (Chan, Golub & LeVeque 1979)."""

    def __init__(self, _: Setting) -> None:
        self._count = 0
        self._squares: Array = np.zeros(1)
        self._largest: Array = np.zeros(1)
        self._mean: Array = np.zeros(1)
        self._spread: Array = np.zeros(1)

    def add(self, found: Array, truth: Array) -> None:
        """Numbers [N, …], and those that they should be."""
        wanted = _columns(truth.reshape(found.shape))
        error = _columns(found) - wanted
        count, mean = len(wanted), wanted.mean(axis=0)
        self._squares = self._squares + (error**2).sum(axis=0)
        self._largest = np.maximum(self._largest, np.abs(error).max(axis=0))
        total, gap = self._count + count, mean - self._mean
        self._spread = self._spread + ((wanted - mean) ** 2).sum(axis=0)
        self._spread += gap**2 * self._count * count / total
        self._mean = self._mean + gap * count / total
        self._count = total

    def figures(self) -> Figures:
        """RMSE, R² and the largest error of any output."""
        shares = [value for value in self._determined() if value is not None]
        return {
            "rmse": float(np.sqrt(self._squares.sum() / (self._count * len(self._squares)))),
            "r2": float(np.mean(shares)) if shares else None,
            "largest_error": float(self._largest.max()),
        }

    def by_output(self) -> dict[str, list[float | None]]:
        """The same of each output, of few."""
        if len(self._squares) > _LISTED:
            return {}
        return {
            "rmse_by_output": np.sqrt(self._squares / self._count).tolist(),
            "r2_by_output": self._determined(),
            "largest_error_by_output": self._largest.tolist(),
        }

    def _determined(self) -> list[float | None]:
        pairs = zip(self._squares.tolist(), self._spread.tolist(), strict=True)
        return [1 - missed / spread if spread > 0 else None for missed, spread in pairs]


def _columns(values: Array) -> Array:
    """Outputs as columns, float64."""
    wide = values.astype(np.float64)
    wide = wide[:, None] if wide.ndim == 1 else wide
    return np.moveaxis(wide, 1, -1).reshape(-1, wide.shape[1])


def takes_numbers(output: Output) -> bool:
    """Whether an output has numbers that can be near others."""
    return output.dtype.kind == "f" and len(output.shape) >= 1


def fits_numbers(truth: Targets, output: Output) -> bool:
    """Whether labels are numbers in the shape of the output."""
    return same_numbers(truth, output)


REGRESS = Task(
    name="regress",
    measures=(
        Measure("rmse", "RMSE", "value", more=False),
        Measure("r2", "R²", "value"),
        Measure("largest_error", "largest error", "value", more=False),
    ),
    outputs="floats",
    takes=takes_numbers,
    labels="numbers in the shape of the output",
    fits=fits_numbers,
    likely=lambda *_: True,
    meter=NumberMeter,
    answers=lambda found, _: found,
    relative=True,
)
