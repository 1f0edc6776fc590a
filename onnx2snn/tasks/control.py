"""The actions of a policy: how far they are from the expert's, or from the ANN's, on average and at worst."""

from __future__ import annotations

import numpy as np

from onnx2snn.tasks.regress import fits_numbers, takes_numbers
from onnx2snn.tasks.task import Array, Figures, Measure, Meter, Setting, Task


class ActionMeter(Meter):
    """Sums and maxima of |a - a*|, action by action."""

    def __init__(self, _: Setting) -> None:
        self._samples = 0
        self._sums: Array = np.zeros(1)
        self._worst: Array = np.zeros(1)

    def add(self, found: Array, truth: Array) -> None:
        """Actions [N, …], and those that they should be."""
        gap = np.abs(found.astype(np.float64) - truth.reshape(found.shape)).reshape(len(found), -1)
        self._samples += len(found)
        self._sums = self._sums + gap.sum(axis=0)
        self._worst = np.maximum(self._worst, gap.max(axis=0))

    def figures(self) -> Figures:
        """The mean and the worst of all actions and samples."""
        return {
            "mean_difference": float(self._sums.mean()) / self._samples,
            "worst_difference": float(self._worst.max()),
        }

    def by_output(self) -> dict[str, list[float | None]]:
        """The same of each action."""
        return {
            "mean_difference_by_action": (self._sums / self._samples).tolist(),
            "worst_difference_by_action": self._worst.tolist(),
        }


CONTROL = Task(
    name="control",
    measures=(
        Measure("mean_difference", "mean difference of actions", "value", more=False),
        Measure("worst_difference", "worst", "value", more=False),
    ),
    outputs="floats",
    takes=takes_numbers,
    labels="actions in the shape of the output",
    fits=fits_numbers,
    likely=lambda *_: False,
    meter=ActionMeter,
    answers=lambda found, _: found,
)
